"""One try at one version of a source, and what comes of it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from service.core import manifest, places
from service.core.job import Job
from service.core.manifest import Serving
from service.core.media import Media
from service.core.places import Places
from service.core.plan import Listen
from service.core.recipe import Rules
from service.core.record import Captioned, Cost, Damaged, Moderated, Outcome, Record, Spent
from service.logs import log
from service.runtime.lease import Message
from service.runtime.ports import Head


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What is being tried: this job, on this version, under these rules."""

    job: Job
    message: Message
    head: Head
    at: Places
    rules: Rules
    started_at: datetime

    @property
    def version(self) -> str:
        """The name of the version in records."""
        head = self.head
        return places.version(head.bucket, head.key, head.version_id, head.etag, head.last_modified)

    @property
    def source(self) -> manifest.Source:
        """The version as the page manifest names it."""
        head = self.head
        return manifest.Source(
            etag=head.etag, version_id=head.version_id, last_modified=head.last_modified, size=head.size
        )

    def outcome(self, status: str, *, worker: str, before: Outcome | None = None) -> Outcome:
        """The outcome record as far as the attempt alone knows it; failures `before` are kept."""
        return Outcome(
            version=self.version,
            bucket=self.head.bucket,
            key=self.head.key,
            etag=self.head.etag,
            version_id=self.head.version_id,
            size=self.head.size,
            status=status,
            cause=self.job.cause,
            requested_at=self.job.requested_at,
            started_at=self.started_at,
            ended_at=datetime.now(UTC),
            worker=worker,
            recipe=self.rules.digest(),
            failures=before.failures if before else (),
        )


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of an attempt that was not rejected; `made` and `reused` are digests of steps.

    `later` is what is done when the rest is public.
    """

    media: Media
    moderation: Moderated
    serving: Serving
    records: tuple[Record, ...]
    made: tuple[str, ...]
    reused: tuple[str, ...]
    captions: Captioned | None
    poster: str | None
    damaged: Damaged | None
    cost: Cost
    later: Listen | None

    @property
    def spent(self) -> Spent:
        """What the steps that this attempt made cost."""
        spent = [r.spent for r in self.records if any(step.digest in self.made for step in r.steps)]
        return Spent(
            wall_seconds=round(sum(one.wall_seconds for one in spent), 3),
            cpu_seconds=round(sum(one.cpu_seconds for one in spent), 3),
            peak_memory_bytes=max((one.peak_memory_bytes for one in spent), default=0),
        )


def without_captions(result: Result, because: str) -> Result:
    """The same, published without captions and saying so."""
    missing = Captioned(none="unavailable", model=None)
    log.warning("captions_unavailable", because=because)
    serving = result.serving.model_copy(update={"captions": "unavailable"})
    return replace(result, serving=serving, captions=missing, later=None)
