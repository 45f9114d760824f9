"""What is done with a key that changed: the story of the service.

An event only says that a key changed. What S3 says of the key now is the truth; the page manifest says what was made
of it; the difference is worked off, and written with a condition on what was read. Whoever loses starts over.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from service import metrics
from service.core import gate, manifest, places, plan
from service.core.job import Job
from service.core.media import Media
from service.core.outcome import Conflict, Crowded, Reason, Rejected, Superseded
from service.core.plan import Plan
from service.core.recipe import Recipe
from service.logs import bound, log
from service.runtime import ledger
from service.runtime.attempt import Attempt, Result
from service.runtime.beside import beside
from service.runtime.lease import Message
from service.runtime.ledger import Ledger
from service.runtime.page import Page
from service.runtime.ports import Store, Uploads
from service.runtime.progress import Progress, announce
from service.runtime.publish import Publisher
from service.runtime.steps import Performer

_ROUNDS = 5  # of losing a race, before the job is left for later


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The way of a job, from a key that changed to a published outcome."""

    uploads: Uploads
    store: Store
    publisher: Publisher
    performer: Performer
    recipe: Recipe
    scratch: Callable[[int], AbstractContextManager[Path]]
    several_buckets: bool
    job_seconds: float
    on_progress: Callable[[Job, int], None] = lambda _job, _percent: None

    async def process(self, job: Job, message: Message) -> None:
        """Bring the outcome of a key up to date.

        :raises MediaWorkerError: what `outcome.decide` makes a verdict of.
        """
        if self.recipe.ignores(job.key):
            log.info("ignored", key=job.key)
            return None
        with bound(bucket=job.bucket, key=job.key):
            for turn in range(_ROUNDS):
                try:
                    return await self._reconcile(job, message, tries=message.receive_count + min(turn, 1))
                except (Conflict, Superseded) as lost:
                    log.info("reconciling_again", because=repr(lost))
            raise Crowded(f"lost the race for {job.key!r} {_ROUNDS} times")

    async def _reconcile(self, job: Job, message: Message, *, tries: int) -> None:
        """Earlier tries are over: they may have died before telling what they published, and leave files behind."""
        page, attempt = await self._now(job, message)
        again = tries > 1
        if attempt is None:
            await self._withdraw(job, page, again=again)
        elif _settled(page, attempt):
            if again:
                await self.publisher.tell(page)
        else:
            await self._attempt(attempt, page, again=again)
            await self._still(attempt)
        if again:
            await self.publisher.mend(page)
            await ledger.sweep(self.store, page.at, message, before=tries)

    async def _withdraw(self, job: Job, page: Page, *, again: bool) -> None:
        """What is listed before the second look cannot be of an upload that comes after it."""
        made = await ledger.inventory(self.store, page.at)
        if await self.uploads.head(job.bucket, job.key):
            raise Superseded("it is there again")
        await self.publisher.withdraw(page, made, again=again)

    async def _still(self, attempt: Attempt) -> None:
        """See that what was published is still there: a delete that came before the manifest found nothing to withdraw.

        :raises Superseded: when the source is gone, or another one by now.
        """
        if await self.uploads.head(attempt.job.bucket, attempt.job.key) != attempt.head:
            raise Superseded("it changed while it was published")

    async def _now(self, job: Job, message: Message) -> tuple[Page, Attempt | None]:
        """The page manifest, and what there is to attempt: nothing, where the source is gone."""
        at = places.Places(name=places.name(job.bucket, job.key, several_buckets=self.several_buckets))
        page = await Page.read(self.store, at)
        head = await self.uploads.head(job.bucket, job.key)
        if head is None:
            return page, None
        rules = self.recipe.rules(job.key)
        now = datetime.now(UTC)
        return page, Attempt(job=job, message=message, head=head, at=at, rules=rules, started_at=now)

    async def _attempt(self, attempt: Attempt, page: Page, *, again: bool) -> None:
        progress = Progress(on_change=partial(self.on_progress, attempt.job))
        try:
            gate.check_head(attempt.head.size, attempt.rules.limits, archived=attempt.head.archived)
            async with asyncio.timeout(self.job_seconds):
                result = await beside(self._make(attempt, progress), announce(page, attempt.source, progress))
        except TimeoutError:
            error = Rejected(Reason.TIME_LIMIT, f"Working on it took longer than {self.job_seconds:,.0f} s.")
            await self.publisher.rejected(attempt, page, error)
        except Rejected as error:
            await self.publisher.rejected(attempt, page, error)
        else:
            await self.publisher.ready(attempt, page, result, again=again)

    async def _make(self, attempt: Attempt, progress: Progress) -> Result:
        limits = attempt.rules.limits
        done = await Ledger.load(self.store, attempt.at, version=attempt.version, message=attempt.message)
        with self.scratch(attempt.head.size) as folder:
            await self.uploads.fetch(attempt.head, self.performer.source(folder))
            metrics.bytes_read.inc(attempt.head.size)
            media = await self.performer.examine(folder, attempt.head.size, limits)
            planned = plan.make(media, attempt.rules, version=attempt.version, done=done.done)
            log.info("planned", media=type(media).__name__, steps=len(planned.steps), groups=len(planned.groups))
            for number, group in enumerate(planned.groups):
                share = progress.part(number, len(planned.groups))
                await self.performer.perform(group, folder, limits, done, on_share=share)
        return self._result(attempt, media, planned, done)

    def _result(self, attempt: Attempt, media: Media, planned: Plan, done: Ledger) -> Result:
        wanted = {named.digest: at for at, named in enumerate(planned.steps)}
        made = tuple(named.digest for group in planned.groups for named in group.steps)
        base = self.publisher.public_url
        return Result(
            media=media,
            serving=manifest.serve(media, done.records, wanted=wanted, base=base, at=attempt.at),
            records=tuple(done.records),
            made=made,
            reused=tuple(digest for digest in wanted if digest not in made),
        )

    async def note_failure(self, job: Job, message: Message, error: BaseException) -> int:
        """Write down that an attempt failed; how many have by now.

        What fails after the version was published is no failure of the version: that is tried again for ever.
        """
        page, attempt = await self._now(job, message)
        if attempt is None or page.tells_of(attempt.source):
            return 1
        return await self.publisher.note_failure(attempt, error)

    async def give_up(self, job: Job, message: Message) -> None:
        """Publish that the version that is current now could not be handled."""
        page, attempt = await self._now(job, message)
        if attempt and not page.tells_of(attempt.source):
            await self.publisher.failed(attempt, page)


def _settled(page: Page, attempt: Attempt) -> bool:
    """Whether nothing is to be done: a final state is published, and nobody asked for more."""
    if attempt.job.type != "process" or not page.tells_of(attempt.source):
        return False
    reason = page.manifest.reason if page.manifest else None
    restored = reason is not None and reason.code is Reason.ARCHIVED and not attempt.head.archived
    return not restored
