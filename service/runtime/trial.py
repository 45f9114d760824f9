"""One try at a version: what it is, whether it may be shown, and everything that is to be made of it."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from service.core import covers, explain, gate, manifest, plan, spend, verify
from service.core.media import Clip, Media
from service.core.outcome import Unscreened, Unseekable
from service.core.plan import Beside, Group, Plan, Vet
from service.core.recipe import Rules
from service.core.record import Captioned, Cost, Moderated, StepRecord
from service.core.step import Piece
from service.logs import log
from service.runtime import made, surroundings
from service.runtime.allowance import Account, Allowance
from service.runtime.attempt import Attempt, Result
from service.runtime.covers import Vetting
from service.runtime.desk import Desk
from service.runtime.examine import Examiner
from service.runtime.ledger import Ledger
from service.runtime.moderation import Moderator
from service.runtime.page import Page
from service.runtime.ports import Store, Uploads
from service.runtime.progress import Progress
from service.runtime.room import Room
from service.runtime.steps import Performer


@dataclass(kw_only=True)
class Trial:
    """What a try works with."""

    attempt: Attempt
    desk: Desk
    ledger: Ledger
    account: Account
    beside: Beside | None = field(default=None, init=False)
    whole: bool = field(default=False, init=False)  #: whether a long video turned out not to come in pieces
    poster: str | None = field(default=None, init=False)  #: why the one beside it was not looked at, this time


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Makes what a plan says, in the order that promises need: examined, then moderated, then all the rest."""

    uploads: Uploads
    store: Store
    examiner: Examiner
    performer: Performer
    moderator: Moderator
    allowance: Allowance
    room: Room
    scratch: Callable[[], AbstractContextManager[Path]]
    public_url: str

    @asynccontextmanager
    async def begun(self, attempt: Attempt, page: Page, *, again: bool) -> AsyncIterator[Trial]:
        """A try with a scratch folder of its own, which is gone afterwards."""
        desk = None
        try:
            with self.scratch() as folder:
                desk = Desk(
                    folder=folder,
                    head=attempt.head,
                    uploads=self.uploads,
                    limits=attempt.rules.limits,
                    room=self.room,
                )
                yield await self._laid_out(attempt, page, desk, again=again)
        finally:
            if desk:
                desk.clear()

    async def _laid_out(self, attempt: Attempt, page: Page, desk: Desk, *, again: bool) -> Trial:
        """What is known of the version: nothing, where its key was never heard of before."""
        thorough = again or attempt.job.type == "reprocess"
        ledger = await Ledger.load(
            self.store,
            attempt.at,
            version=attempt.version,
            message=attempt.message,
            made_by=self.performer.versions,
            first=page.manifest is None and not thorough,
        )
        if thorough:
            await ledger.recall()
        account = self.allowance.for_upload(attempt.rules.spend, attempt.rules.prices, _bought(ledger))
        return Trial(attempt=attempt, desk=desk, ledger=ledger, account=account)

    async def make(self, trial: Trial, progress: Progress) -> Result:
        """Do whatever is still to be done before it is published.

        :raises Rejected: when it is no media within the limits.
        :raises Unscreened: when nobody could say whether it may be shown.
        """
        media = await self._media(trial)
        rules, ledger = trial.attempt.rules, trial.ledger
        moderation = await self.moderator.moderate(media, rules, trial.desk, ledger, trial.account)
        planned = Plan(steps=(), groups=())
        if moderation.says != "block":
            ledger.area = "media" if moderation.says == "allow" else "quarantine"
            if moderation.says == "allow":
                await ledger.release()
            planned = await self._perform(trial, media, progress)
        return self._result(trial, media, moderation, planned)

    async def listen(self, trial: Trial, result: Result) -> bool:
        """Have captions made; False while that is done elsewhere."""
        assert result.later
        return await self.performer.captioner.listen(result.later, trial.desk, trial.ledger, trial.account)

    async def _media(self, trial: Trial) -> Media:
        """What the version is: as an earlier try found it, else fetched and examined."""
        limits = trial.attempt.rules.limits
        if trial.ledger.media:
            gate.check_again(trial.ledger.media, limits)
            return trial.ledger.media
        await trial.desk.source()
        trial.ledger.media = await self.examiner.examine(trial.desk.folder, trial.attempt.head.size, limits)
        return trial.ledger.media

    async def _perform(self, trial: Trial, media: Media, progress: Progress) -> Plan:
        """Plan, do the first group, and plan again: what it found may change the rest."""
        if trial.beside is None:
            trial.beside = await surroundings.look(self.uploads, trial.attempt.head, media)
        ledger, rules, finished = trial.ledger, trial.attempt.rules, 0.0
        while True:
            planned = plan.make(
                media, rules, version=ledger.version, done=ledger.steps, beside=trial.beside, whole=trial.whole
            )
            await _discard(planned.futile, ledger, trial.desk.folder)
            log.info("planned", media=type(media).__name__, steps=len(planned.steps), groups=len(planned.groups))
            if not planned.groups:
                await ledger.retire({digest for digest, done in ledger.steps.items() if done.kind == Piece.__name__})
                return planned
            now, *rest = (explain.weight(group, media) for group in planned.groups)
            whole = finished + now + sum(rest)
            share = progress.between(finished / whole, (finished + now) / whole)
            try:
                await self._do(planned.groups[0], trial, share)
            except Unseekable as error:
                log.warning("worked_on_as_a_whole", because=str(error))
                trial.whole = True
            except Unscreened as error:
                log.warning("poster_unscreened", because=str(error))
                trial.poster, trial.beside = covers.UNAVAILABLE, replace(trial.beside, poster=None)
            finished += now

    async def _do(self, group: Group, trial: Trial, on_share: Callable[[float], None]) -> None:
        if isinstance(group, Vet):
            vetting = Vetting(examiner=self.examiner, moderator=self.moderator)
            await vetting.vet(group, trial.attempt.rules, trial.desk, trial.ledger, trial.account)
        else:
            await self.performer.perform(group, trial.desk, trial.ledger, on_share=on_share)

    def _result(self, trial: Trial, media: Media, moderation: Moderated, planned: Plan) -> Result:
        attempt, ledger = trial.attempt, trial.ledger
        wanted = {named.digest: at for at, named in enumerate(planned.steps)}
        damaged = verify.worst(ledger.steps[digest].damaged for digest in wanted if digest in ledger.steps)
        verify.check_damage(damaged, _policy(media, attempt.rules))
        allowed = moderation.says == "allow"
        serving = manifest.serve(
            media,
            ledger.records,
            wanted=wanted,
            base=self.public_url,
            at=attempt.at,
            pending=allowed and planned.later is not None,
        )
        return Result(
            media=media,
            moderation=moderation,
            serving=serving,
            records=tuple(ledger.records),
            made=tuple(ledger.made),
            reused=tuple(digest for digest in wanted if digest in ledger.steps and digest not in ledger.made),
            captions=_captioned(ledger, wanted),
            poster=trial.poster or covers.told(_wanted(ledger, wanted), attempt.rules),
            damaged=damaged,
            cost=_cost(trial),
            later=planned.later if allowed else None,
        )


async def _discard(copy: str | None, ledger: Ledger, folder: Path) -> None:
    """A copy that this try made in vain: a rung of its name is made next. One of an earlier try is left to a sweep."""
    if copy in ledger.made and (files := ledger.steps[copy].files):
        for file in files:
            made.remove(folder / file.name)
        await ledger.retire({copy})


def _policy(media: Media, rules: Rules) -> Literal["publish", "reject"]:
    return rules.audio.damaged if isinstance(media, Clip) and not media.video else rules.video.damaged


def _bought(ledger: Ledger) -> dict[str, float]:
    bought: Counter[str] = Counter()
    for record in ledger.records:
        bought.update(record.spent.units)
    return dict(bought)


def _wanted(ledger: Ledger, wanted: Collection[str]) -> dict[str, StepRecord]:
    return {digest: step for digest, step in ledger.steps.items() if digest in wanted}


def _captioned(ledger: Ledger, wanted: dict[str, int]) -> Captioned | None:
    """What came of captions: those that are shown, else why there are none."""
    found = [step.captioned for digest, step in ledger.steps.items() if digest in wanted and step.captioned]
    return next((one for one in found if one.cues), found[-1] if found else None)


def _cost(trial: Trial) -> Cost:
    records = trial.ledger.records
    return spend.cost(
        _bought(trial.ledger),
        trial.attempt.rules.prices,
        cpu_seconds=round(sum(record.spent.cpu_seconds for record in records), 3),
        bytes_in=trial.desk.fetched,
        bytes_out=sum(file.bytes for record in records for step in record.steps for file in step.files),
    )
