"""What is done with a key that changed: the story of the service.

An event only says that a key changed. What S3 says of the key now is the truth; the page manifest says what was made
of it; the difference is worked off, and written with a condition on what was read. Whoever loses starts over.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from service.core import gate, outcome, places, sidecar
from service.core.job import Ended, Job, Later
from service.core.manifest import Manifest, Status, speaks_of
from service.core.media import Clip
from service.core.outcome import (
    Conflict,
    Crowded,
    Elsewhere,
    Misconfigured,
    Overspent,
    Reason,
    Rejected,
    Superseded,
    Unscreened,
)
from service.core.recipe import Recipe
from service.core.record import Role
from service.logs import bound, log
from service.runtime import ledger
from service.runtime.attempt import Attempt, Result, without_captions
from service.runtime.beside import beside, forever
from service.runtime.company import Company
from service.runtime.lease import Message
from service.runtime.page import Page
from service.runtime.ports import Store, Uploads
from service.runtime.progress import Progress, announce
from service.runtime.publish import Publisher
from service.runtime.reviews import Reviews
from service.runtime.trial import Trial, Trials

_ROUNDS = 5  # of losing a race, before the job is left for later
_LONGEST_WAIT = 86_400.0  # seconds for captions that are made elsewhere
_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 900.0  # seconds until they are asked for; SQS delays a message for no longer


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """The way of a job, from a key that changed to a published outcome.

    A version whose message is received for the `alone_from`th time without an outcome is worked on alone: whoever had
    it before may have died of it. Once is a deployment. What was replaced is deleted after `grace_seconds`: manifests
    are cached for eleven minutes, and SQS delays no message for longer than these.
    """

    uploads: Uploads
    store: Store
    publisher: Publisher
    trials: Trials
    reviews: Reviews
    recipe: Recipe
    several_buckets: bool
    job_seconds: float
    company: Company = field(default_factory=Company)
    alone_from: int = 3
    grace_seconds: int = 900
    on_progress: Callable[[Job, int], None] = lambda _job, _percent: None

    async def process(self, job: Job, message: Message) -> tuple[Later, ...]:
        """Bring the outcome of a key up to date; what is to be looked at again later.

        :raises MediaWorkerError: what `outcome.decide` makes a verdict of.
        """
        if self.recipe.ignores(job.key):
            log.info("ignored", key=job.key)
            return ()
        return tuple([later for one in await self._whose_change(job) for later in await self._up_to_date(one, message)])

    async def _up_to_date(self, job: Job, message: Message) -> tuple[Later, ...]:
        with bound(bucket=job.bucket, key=job.key):
            for turn in range(_ROUNDS):
                try:
                    return await self._reconcile(job, message, tries=message.receive_count + min(turn, 1))
                except (Conflict, Superseded) as lost:
                    log.info("reconciling_again", because=repr(lost))
            raise Crowded(f"lost the race for {job.key!r} {_ROUNDS} times")

    async def whose(self, ended: Ended) -> Job | None:
        """The job to do when a service has ended listening; none where the speech is not ours, or was dealt with."""
        stored = await self.store.read(places.speech_source(ended.speech))
        if stored is None:
            log.info("ended_speech_is_unknown", speech=ended.speech)
            return None
        source = json.loads(stored.body)
        return Job(bucket=source["bucket"], key=source["key"], type="captions", cause="transcribed")

    async def _whose_change(self, job: Job) -> list[Job]:
        """Captions and a poster beside a source are no upload of their own, but a change of that source.

        But one that came before its source has a page, which has to follow it, and may have to be withdrawn.
        """
        above = sidecar.above(job.key)
        if above is None or job.type != "process" or not await self.uploads.head(job.bucket, above):
            return [job]
        return [*([job] if await self._has_page(job) else []), replace(job, key=above, type="captions")]

    async def _has_page(self, job: Job) -> bool:
        """Whether there is one, other than that of an upload that was deleted before this one came."""
        found = (await Page.read(self.store, self._places(job))).manifest
        gone = found is not None and found.status is Status.DELETED
        return found is not None and not (gone and await self.uploads.head(job.bucket, job.key))

    def _places(self, job: Job) -> places.Places:
        return places.Places(name=places.name(job.bucket, job.key, several_buckets=self.several_buckets))

    async def _reconcile(self, job: Job, message: Message, *, tries: int) -> tuple[Later, ...]:
        """Earlier tries are over: they may have died before telling what they published, and leave files behind."""
        page, attempt = await self._now(job, message)
        again, former, later = tries > 1, page.manifest, None
        if attempt is None:
            await self._withdraw(job, page, again=again)
        elif job.type == "sweep":
            later = await self._sweep(attempt, page)
        elif job.type in {"approve", "reject"} and not await self._taken(attempt, page, again=again):
            return ()
        elif _settled(page, attempt, again=again):
            if again:
                await self.publisher.tell(page)
        else:
            later = await self._attempt(attempt, page, again=again)
        if again:
            await self.publisher.mend(page)
            await ledger.sweep(self.store, page.at, message, before=tries)
        left = attempt is not None and _leaves_something(former, page, attempt, again=again)
        return tuple(one for one in (later, self._sweep_later(job) if left else None) if one)

    def _sweep_later(self, job: Job) -> Later:
        sweep = Job(bucket=job.bucket, key=job.key, type="sweep", cause="replaced", requested_at=datetime.now(UTC))
        return Later(job=sweep, after=self.grace_seconds)

    async def _sweep(self, attempt: Attempt, page: Page) -> Later | None:
        """Delete what was made for versions and recipes before this one, once pages that show it have had their time.

        :raises Conflict: when the page was replaced meanwhile.
        """
        found = page.manifest
        if found is None or found.status is not Status.READY or not page.tells_of(attempt.source):
            return None
        told = await ledger.read_outcome(self.store, page.at, attempt.version)
        if told is None or told.ended_at is None:
            return None
        if (datetime.now(UTC) - told.ended_at).total_seconds() < self.grace_seconds:
            return self._sweep_later(attempt.job)
        shown = {page.at.key(product.url) for product in found.serving.products} if found.serving else set[str]()
        left = await ledger.superfluous(self.store, page.at, attempt.version, told, shown=shown)
        await page.check()
        await self.store.delete(left)
        log.info("swept", objects=len(left))
        return None

    async def _taken(self, attempt: Attempt, page: Page, *, again: bool) -> bool:
        """Whether there is something to do for a reviewer: to release, to purge, or to purge what was half released."""
        return await self.reviews.take(attempt, page) or (again and _blocked(page, attempt))

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
        at = self._places(job)
        page = await Page.read(self.store, at)
        head = await self.uploads.head(job.bucket, job.key)
        if head is None:
            return page, None
        rules = self.recipe.rules(job.key)
        now = datetime.now(UTC)
        return page, Attempt(job=job, message=message, head=head, at=at, rules=rules, started_at=now)

    async def _attempt(self, attempt: Attempt, page: Page, *, again: bool) -> Later | None:
        try:
            gate.check_head(attempt.head.size, attempt.rules.limits, archived=attempt.head.archived)
            alone = attempt.message.receive_count >= self.alone_from and not page.tells_of(attempt.source)
            async with self.company.joined(alone=alone), self.trials.begun(attempt, page, again=again) as trial:
                until = asyncio.get_running_loop().time() + self.job_seconds
                result = await self._make(trial, page, until)
                await self._publish(attempt, page, result, again=again)
                return await self._caption(trial, page, result, until) if result.later else None
        except Rejected as error:
            await self.publisher.rejected(attempt, page, error)
        except Unscreened as error:
            await self.publisher.unscreened(attempt, page, error)
            raise
        await self._still(attempt)
        return None

    async def _make(self, trial: Trial, page: Page, until: float, *, quiet: bool = False) -> Result:
        """Everything that the page waits for; how far that is is told meanwhile, where it means anything to a page."""
        attempt = trial.attempt
        progress = Progress(on_change=partial(self.on_progress, attempt.job))
        quiet |= attempt.job.type == "captions" or page.is_held(attempt.source)
        telling = forever() if quiet else announce(page, attempt.source, progress)
        try:
            async with asyncio.timeout_at(until):
                return await beside(self.trials.make(trial, progress), telling)
        except TimeoutError as error:
            message = f"Working on it took longer than {self.job_seconds:,.0f} s."
            raise Rejected(Reason.TIME_LIMIT, message) from error

    async def _publish(self, attempt: Attempt, page: Page, result: Result, *, again: bool) -> None:
        match result.moderation.says:
            case "allow":
                await self.publisher.ready(attempt, page, result, again=again)
            case "review":
                await self.publisher.held(attempt, page, result, again=again)
            case "block":
                await self.publisher.blocked(attempt, page, result, again=again)
        await self._still(attempt)

    async def _caption(self, trial: Trial, page: Page, result: Result, until: float) -> Later | None:
        """What is public is public: whatever goes wrong with captions is no failure of the version."""
        attempt = trial.attempt
        try:
            async with asyncio.timeout_at(until):
                heard = await self.trials.listen(trial, result)
        except (Conflict, Superseded, Elsewhere):
            raise
        except Exception as error:
            final = isinstance(error, Rejected | TimeoutError | Misconfigured | Overspent)
            if not final and attempt.message.receive_count < outcome.MAX_ATTEMPTS:
                raise
            await self._publish(attempt, page, without_captions(result, repr(error)), again=False)
            return None
        if heard:
            await self._publish(attempt, page, await self._make(trial, page, until, quiet=True), again=False)
            return None
        later = _ask_again(attempt, result)
        if later is None:
            await self._publish(attempt, page, without_captions(result, "it took more than a day"), again=False)
        return later

    async def note_failure(self, job: Job, message: Message, error: BaseException) -> int:
        """Write down that an attempt failed; how many have by now.

        What fails after the version was published is no failure of the version: that is tried again for ever; so is
        what a reviewer rejected.
        """
        page, attempt = await self._now(job, message)
        if attempt is None or (page.tells_of(attempt.source) and not _wants_more(page, attempt)):
            return 1
        return await self.publisher.note_failure(attempt, error)

    async def give_up(self, job: Job, message: Message) -> None:
        """Publish that the version that is current now could not be handled."""
        page, attempt = await self._now(job, message)
        if attempt and not page.tells_of(attempt.source):
            await self.publisher.failed(attempt, page)


def _leaves_something(former: Manifest | None, page: Page, attempt: Attempt, *, again: bool) -> bool:
    """Whether what is shown now may have something behind it that nobody serves any more: to ask is cheap."""
    now = page.manifest
    if attempt.job.type == "sweep" or now is None or now.status is not Status.READY:
        return False
    if again or former is None:
        return again
    joined = attempt.job.type == "captions" and speaks_of(former, attempt.source) and _posters(former) == _posters(now)
    return now.serving != former.serving and not joined


def _posters(found: Manifest) -> set[str]:
    return {one.url for one in found.serving.products if one.role is Role.POSTER} if found.serving else set()


def _settled(page: Page, attempt: Attempt, *, again: bool) -> bool:
    """Whether nothing is to be done: a final state is published, and nobody asked for more.

    Whoever published that it may not be shown may have died before all that was made of it was deleted.
    """
    found = page.manifest
    if found is None or not page.tells_of(attempt.source):
        return False
    if again and _blocked(page, attempt):
        return False
    match attempt.job.type:
        case "process":
            return not _unfinished(found, attempt)
        case "captions":
            return found.status is not Status.READY
        case _:
            return False


def _blocked(page: Page, attempt: Attempt) -> bool:
    """Whether the page says that this version may not be shown."""
    why = page.manifest.reason if page.manifest and page.tells_of(attempt.source) else None
    return why is not None and why.code is Reason.MODERATION_BLOCKED


def _wants_more(page: Page, attempt: Attempt) -> bool:
    """Whether a job is about to show what the page says is out of sight."""
    found = page.manifest
    if found is None or found.status is Status.READY or attempt.job.type == "reject":
        return False
    return attempt.job.type == "approve" or _unfinished(found, attempt)


def _unfinished(found: Manifest, attempt: Attempt) -> bool:
    """Whether a final state is one that can end by itself: restored from an archive, checked, heard."""
    if found.status is Status.READY:
        return found.serving is not None and found.serving.captions == "pending"
    code = found.reason.code if found.reason else None
    restored = code is Reason.ARCHIVED and not attempt.head.archived
    return restored or code is Reason.MODERATION_UNAVAILABLE


def _ask_again(attempt: Attempt, result: Result) -> Later | None:
    """When to look for captions that are made elsewhere, should no message say that they are; not for ever."""
    now = datetime.now(UTC)
    first = attempt.job.type != "captions" or attempt.job.requested_at is None
    since = now if first else attempt.job.requested_at
    assert since
    if (now - since).total_seconds() > _LONGEST_WAIT:
        return None
    job = Job(
        bucket=attempt.job.bucket, key=attempt.job.key, type="captions", cause="not heard yet", requested_at=since
    )
    lasts = result.media.seconds if isinstance(result.media, Clip) else 0.0
    return Later(job=job, after=round(min(_LONGEST_PAUSE, _FIRST_PAUSE + lasts / 4)))
