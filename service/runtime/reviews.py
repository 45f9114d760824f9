"""What a reviewer says: taken once, for the version and the revision that the reviewer saw."""

from dataclasses import dataclass
from datetime import UTC, datetime

from service.core.manifest import Manifest, Status
from service.core.outcome import Reason
from service.core.record import Decision
from service.logs import log
from service.runtime import ledger
from service.runtime.attempt import Attempt
from service.runtime.page import Page
from service.runtime.ports import Store


@dataclass(frozen=True, kw_only=True)
class Reviews:
    """Decisions, as documents beside the records of the versions that they are about."""

    store: Store

    async def take(self, attempt: Attempt, page: Page) -> bool:
        """Write down what the job says of the version; False when it is refused, because that is no longer the newest.

        The same message may come twice: what it said already counts, whatever has become of the page meanwhile.
        """
        job = attempt.job
        says = "allow" if job.type == "approve" else "block"
        before = await ledger.read_decision(self.store, attempt.at, attempt.version)
        if before and (before.says, before.revision) == (says, job.revision):
            return True
        if not _open(page, attempt):
            log.warning("review_refused", said=job.type, of_revision=job.revision, revision=_revision(page.manifest))
            return False
        assert job.revision is not None
        decision = Decision(says=says, revision=job.revision, at=datetime.now(UTC), by=job.cause)
        await self.store.overwrite(attempt.at.decision(attempt.version), decision.to_json())
        log.info("reviewed", said=job.type, by=job.cause, revision=job.revision)
        return True


def _revision(manifest: Manifest | None) -> int | None:
    return manifest.revision if manifest else None


def _open(page: Page, attempt: Attempt) -> bool:
    """Whether the page is as the reviewer saw it, tells of the newest version, and leaves something to be said."""
    found = page.manifest
    if found is None or found.revision != attempt.job.revision or not page.tells_of(attempt.source):
        return False
    if attempt.job.type == "reject":
        return found.status in {Status.READY, Status.QUARANTINED}
    blocked = found.reason is not None and found.reason.code is Reason.MODERATION_BLOCKED
    return found.status is Status.QUARANTINED or (found.status is Status.REJECTED and blocked)
