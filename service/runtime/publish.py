"""How a version's state becomes public: aliases and the outcome record first, the page manifest as the one commit."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial

from service import metrics
from service.core import manifest, places
from service.core.manifest import Manifest, Serving, Status
from service.core.media import Clip
from service.core.outcome import Conflict, Reason, Rejected, Unscreened
from service.core.record import Failure, Outcome, Ticket, Unready
from service.logs import log
from service.runtime import ledger
from service.runtime.attempt import Attempt, Result
from service.runtime.beside import together
from service.runtime.page import Page
from service.runtime.ports import Outcomes, Store

_LISTED = frozenset({Status.REJECTED, Status.FAILED})  #: what `failures` tells an operator of


@dataclass(frozen=True, kw_only=True)
class Publisher:
    """Writes final states, and tells whoever wants to know."""

    store: Store
    outcomes: Outcomes
    public_url: str
    worker: str

    async def ready(self, attempt: Attempt, page: Page, result: Result, *, again: bool) -> None:
        """Publish what was made, unless it is published already: an earlier try may not have told, so that is done."""
        if _published(page, attempt, result):
            if again:
                await self.tell(page)
                await self._empty(page, result)
            return
        had = await self.store.keys(page.at.aliases) if page.manifest and page.manifest.serving else []
        await self._alias(page, result.serving, had)
        first = not page.tells_of(attempt.source)
        outcome = self._outcome(attempt, result, Status.READY)
        await self._commit(attempt, page, outcome, partial(manifest.ready, serving=result.serving))
        if first and isinstance(result.media, Clip):
            metrics.media_seconds.labels(result.media.kind).inc(result.media.seconds)
        if page.was_held or again or result.moderation.by == "reviewer":
            await self._empty(page, result)

    async def _empty(self, page: Page, result: Result) -> None:
        """Nothing waits any more of what is public now."""
        await self.store.delete(await ledger.unheld(self.store, page.at, result.records))

    async def held(self, attempt: Attempt, page: Page, result: Result, *, again: bool) -> None:
        """Publish that a person has to look at it; what was made lies out of sight, and the flagged frames with it."""
        outcome = self._outcome(attempt, result, Status.QUARANTINED)
        outcome = outcome.model_copy(update={"reason": Reason.MODERATION_REVIEW})
        frames = tuple(
            record.folder + file.name
            for record in result.records
            for step in record.steps
            if step.screening
            for file in step.files
        )
        await self._hold(attempt, page, outcome, Reason.MODERATION_REVIEW, frames, again=again)

    async def unscreened(self, attempt: Attempt, page: Page, error: Unscreened) -> None:
        """Publish that nobody could be asked yet whether it may be shown; a person may say so as well."""
        reason = Reason.MODERATION_UNAVAILABLE
        outcome = attempt.outcome(Status.QUARANTINED, worker=self.worker)
        outcome = outcome.model_copy(update={"reason": reason, "message": str(error)[:1000]})
        await self._hold(attempt, page, outcome, reason, (), again=False)

    async def _hold(
        self, attempt: Attempt, page: Page, outcome: Outcome, reason: Reason, frames: tuple[str, ...], *, again: bool
    ) -> None:
        """The ticket comes first: nothing waits that no list shows."""
        because = outcome.moderation.because if outcome.moderation else ()
        ticket = Ticket(
            bucket=attempt.head.bucket,
            key=attempt.head.key,
            version=attempt.version,
            since=datetime.now(UTC),
            because=because,
            frames=frames,
        )
        found = page.manifest
        if page.is_held(attempt.source) and found and found.reason and found.reason.code is reason:
            if again:
                await self.tell(page)
            return
        await self.store.overwrite(page.at.ticket, ticket.to_json())
        await self._commit(attempt, page, outcome, partial(manifest.quarantined, reason=reason))

    async def blocked(self, attempt: Attempt, page: Page, result: Result, *, again: bool) -> None:
        """Publish that it may not be shown, then delete whatever is there of it, and of what it took the place of."""
        found = page.manifest
        told = found and found.reason and found.reason.code is Reason.MODERATION_BLOCKED
        if page.tells_of(attempt.source) and told:
            if again:
                await self.tell(page)
        else:
            error = Rejected(Reason.MODERATION_BLOCKED, "It may not be shown here.")
            outcome = self._outcome(attempt, result, Status.REJECTED)
            outcome = outcome.model_copy(update={"reason": error.reason, "message": error.message})
            await self._commit(attempt, page, outcome, partial(manifest.rejected, error=error))
        evidence = result.moderation.by != "reviewer"
        await self.store.delete(await ledger.condemned(self.store, page.at, attempt.version, evidence=evidence))

    async def rejected(self, attempt: Attempt, page: Page, error: Rejected) -> None:
        """Publish that this version never will be, and why; what was served before still is."""
        outcome = attempt.outcome(Status.REJECTED, worker=self.worker)
        why = {"reason": error.reason, "message": error.message}
        await self._commit(attempt, page, outcome.model_copy(update=why), partial(manifest.rejected, error=error))

    def _outcome(self, attempt: Attempt, result: Result, status: Status) -> Outcome:
        return attempt.outcome(status, worker=self.worker).model_copy(
            update={
                "media": asdict(result.media),
                "made": result.made,
                "reused": result.reused,
                "spent": result.spent,
                "moderation": result.moderation,
                "captions": result.captions,
                "poster": result.poster,
                "damaged": result.damaged,
                "cost": result.cost,
            }
        )

    async def failed(self, attempt: Attempt, page: Page) -> None:
        """Publish that this service could not do it."""
        before = await ledger.read_outcome(self.store, attempt.at, attempt.version)
        outcome = attempt.outcome(Status.FAILED, worker=self.worker, before=before)
        await self._commit(attempt, page, outcome.model_copy(update={"reason": "internal"}), manifest.failed)

    async def withdraw(self, page: Page, made: list[str], *, again: bool) -> None:
        """The source is gone: say so, `again` after a try that may not have, and delete all that was `made` of it.

        :raises Conflict: when a new version came meanwhile: what it has of ours is to be looked at again.
        """
        if page.manifest and page.manifest.status is not Status.DELETED:
            gone = manifest.deleted(page.manifest, now=datetime.now(UTC))
            await page.write(lambda _before: gone)
            await self.tell(page)
        elif again:
            await self.tell(page)
        await self.store.delete(made)
        log.info("withdrawn", objects=len(made))
        if page.manifest:
            await page.check()

    async def note_failure(self, attempt: Attempt, error: BaseException) -> int:
        """Add a failure to the version's outcome record; how many there are since it was last given up.

        Another worker may be about to publish the version: of what it has written nothing is lost.

        :raises Conflict: when somebody else wrote the record meanwhile.
        """
        key = attempt.at.outcome(attempt.version)
        stored = await self.store.read(key)
        before = Outcome.model_validate_json(stored.body) if stored else None
        if before and before.status == Status.FAILED:
            before = None
        reached = before if before and before.status == Status.READY else None
        outcome = reached or attempt.outcome("retrying", worker=self.worker, before=before)
        failures = (*outcome.failures, Failure(at=datetime.now(UTC), error=repr(error)[:1000]))
        outcome = outcome.model_copy(update={"failures": failures})
        await self.store.write(key, outcome.to_json(), replaces=stored.etag if stored else None)
        return len(failures)

    async def mend(self, page: Page) -> None:
        """Make the aliases those of what is served, if anything is: a try that died or lost a race may have left some.

        :raises Conflict: when the manifest was replaced meanwhile, so that these aliases may be wrong by now.
        """
        if page.manifest:
            try:
                await self._alias(page, page.manifest.serving, await self.store.keys(page.at.aliases))
            except Conflict as error:  # somebody has deleted a product: `reprocess` makes it again
                log.warning("product_is_gone", because=str(error))
            if page.manifest.status is not Status.QUARANTINED:
                await self.store.delete([page.at.ticket])
            await page.check()

    async def tell(self, page: Page) -> None:
        """Send the page manifest to whoever wants to know of final states."""
        if page.manifest is None:
            return
        key = manifest.idempotency_key(page.at.name, page.manifest)
        document = {
            "media_worker": 1,
            "type": "outcome",
            "name": page.at.name,
            "idempotency_key": key,
            "manifest_key": page.at.manifest,
            "manifest": page.manifest.model_dump(mode="json"),
        }
        await self.outcomes.publish(json.dumps(document), idempotency_key=key)

    async def _commit(self, attempt: Attempt, page: Page, outcome: Outcome, following: Callable[..., Manifest]) -> None:
        await self.store.overwrite(attempt.at.outcome(attempt.version), outcome.to_json())
        if outcome.status in _LISTED:
            await self._list(outcome)
        written = await page.write(lambda before: following(before, attempt.source, now=datetime.now(UTC)))
        if page.was_held and written.status is not Status.QUARANTINED:
            await self.store.delete([page.at.ticket])
        await self.tell(page)
        _count(attempt, written)
        log.info(
            "published",
            status=written.status,
            reason=written.reason.code if written.reason else None,
            revision=written.revision,
            made=len(outcome.made),
            reused=len(outcome.reused),
            cpu_seconds=outcome.spent.cpu_seconds if outcome.spent else None,
        )

    async def _list(self, outcome: Outcome) -> None:
        """The entry comes before the manifest: nothing is given up that no list shows."""
        now = datetime.now(UTC)
        last = outcome.failures[-1].error if outcome.failures else ""
        entry = Unready(
            at=now,
            bucket=outcome.bucket,
            key=outcome.key,
            version=outcome.version,
            status=outcome.status,
            reason=outcome.reason or "",
            message=outcome.message or last,
        )
        await self.store.overwrite(places.failure(now.date(), outcome.version), entry.to_json())

    async def _alias(self, page: Page, serving: Serving | None, had: list[str]) -> None:
        """Copy named products to their stable places; of what was there, all that nothing fills any more is removed."""
        copies = {
            page.at.key(product.alias_url): product
            for product in (serving.products if serving else ())
            if product.alias_url
        }
        await together(
            self.store.copy(page.at.key(product.url), alias, content_type=product.content_type, size=product.bytes)
            for alias, product in copies.items()
        )
        await self.store.delete(sorted(set(had) - set(copies)))


def _published(page: Page, attempt: Attempt, result: Result) -> bool:
    found = page.manifest
    same = found is not None and (found.status, found.serving) == (Status.READY, result.serving)
    return same and page.tells_of(attempt.source)


def _count(attempt: Attempt, written: Manifest) -> None:
    metrics.jobs.labels(written.status, written.reason.code if written.reason else "").inc()
    if attempt.job.requested_at and attempt.job.type == "process":
        waited = (datetime.now(UTC) - attempt.job.requested_at).total_seconds()
        metrics.waited_seconds.observe(max(0.0, waited))
