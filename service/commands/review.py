"""`review approve` and `review reject`: what a person says of a version, as a message to the workers or done here."""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from service import app
from service.aws import s3
from service.commands import process, show
from service.commands.show import Shown
from service.config import Settings
from service.core import job, manifest, places
from service.core.job import Job
from service.core.manifest import Manifest, Status
from service.core.outcome import Misconfigured, Reason
from service.core.places import Places
from service.runtime.page import Page
from service.runtime.ports import Store
from service.tools.folder import FolderStore, LocalUploads

Verb = Literal["approve", "reject"]

_LONGEST_CAUSE = 200  # characters: no worker takes a longer one
_POLL_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a person says of the version that they saw at this revision of its page manifest."""

    verb: Verb
    key: str
    bucket: str
    revision: int
    by: str

    @property
    def job(self) -> Job:
        """The same as a message."""
        cause = f"review by {self.by}"[:_LONGEST_CAUSE]
        now = datetime.now(UTC)
        return Job(
            bucket=self.bucket, key=self.key, type=self.verb, cause=cause, requested_at=now, revision=self.revision
        )


@dataclass(frozen=True, kw_only=True)
class Came:
    """What came of it: a refusal, the manifest that followed, or neither, as long as no worker has come to it."""

    refused: str | None = None
    manifest: Manifest | None = None


async def in_s3(said: Said, settings: Settings, *, wait: float) -> Came:
    """Send it to the queue, unless it would be refused, and wait so many seconds for a worker to have done it.

    :raises Forged: for a bucket and key that no worker would take.
    """
    job.admit(said.job, settings.inputs, output_bucket=settings.output_bucket)
    async with AsyncExitStack() as stack:
        aws = app.Aws(settings, stack)
        client = await aws.client("s3", app.DATA)
        uploads = s3.Uploads(client, owner=settings.bucket_owner)
        store = s3.Store(client, bucket=settings.output_bucket, owner=settings.bucket_owner)
        head, several = await uploads.head(said.bucket, said.key), settings.several_buckets
        shown = await show.look(said.key, said.bucket, head, store, looked=True, several_buckets=several)
        if why := refusal(said, shown):
            return Came(refused=why)
        queue = await app.sender(settings, aws, settings.queue_url)
        await queue.send([job.envelope(said.job)])
        at = Places(name=places.name(said.bucket, said.key, several_buckets=several))
        return Came(manifest=await followed(store, at, said.revision, seconds=wait))


async def followed(store: Store, at: Places, revision: int, *, seconds: float) -> Manifest | None:
    """The final state that comes after this revision; None where none has come after so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while seconds:
                found = (await Page.read(store, at)).manifest
                if found and found.revision != revision and found.status in manifest.FINAL:
                    return found
                await asyncio.sleep(_POLL_SECONDS)
    return None


async def in_folder(said: Said, found: dict[str, Path], out: Path, terms: process.Terms) -> Came:
    """Do it here, unless it would be refused; `found` are the files that `process` was given.

    :raises Misconfigured: when the key is none of them: nothing can be said of a source that can't be looked at.
    """
    if said.key not in found:
        raise Misconfigured(f"review: no file has the key {said.key}: name the same files and folders as for process")
    head = await LocalUploads(found).head(said.bucket, said.key)
    shown = await show.look(said.key, said.bucket, head, FolderStore(out), looked=True, several_buckets=False)
    if why := refusal(said, shown):
        return Came(refused=why)
    async with terms.pipeline(found, out) as pipeline:
        ended = await process.once(pipeline, said.job)
    return Came(refused=ended.error, manifest=ended.manifest)


def refusal(said: Said, shown: Shown) -> str | None:
    """Why a worker would refuse it, as things are now; None where it would not."""
    found = shown.manifest
    if found is None:
        return f"nothing is known of {said.key}: is it spelled as `media-worker review list` spells it?"
    if shown.lags:
        gone = "is gone" if shown.gone else "is another version by now"
        return f"{said.key} {gone}, and its manifest does not say so yet: look again in a moment"
    if not _open(found, said.verb):
        why = f" ({found.reason.code})" if found.reason else ""
        return f"{said.key} does not wait for a review: it is {found.status}{why}"
    if found.revision != said.revision:
        return f"{said.key} is at revision {found.revision}, not {said.revision}: look again at what waits, and why"
    return None


def _open(found: Manifest, verb: Verb) -> bool:
    """What is blocked can still be approved, and what is public withdrawn."""
    if verb == "reject":
        return found.status in {Status.QUARANTINED, Status.READY}
    blocked = found.reason is not None and found.reason.code is Reason.MODERATION_BLOCKED
    return found.status is Status.QUARANTINED or (found.status is Status.REJECTED and blocked)
