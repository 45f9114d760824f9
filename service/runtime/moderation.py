"""May it be shown? What a provider saw, or a reviewer said, becomes a verdict by the rules of the day."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from service import metrics
from service.core import screening, spend, step
from service.core.media import Media, Picture
from service.core.outcome import Misconfigured, Overspent, Transient, Unscreened
from service.core.products import Expected
from service.core.recipe import Limits, Moderation, Rules
from service.core.record import Because, Decision, Moderated, Screening, StepRecord
from service.core.step import Screen
from service.logs import log
from service.runtime.allowance import Account
from service.runtime.desk import Desk
from service.runtime.files import filed
from service.runtime.ledger import Ledger
from service.runtime.progress import Stopwatch
from service.runtime.screener import Screened, Screener


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What is to be looked at, and by which rules the looking may stop."""

    step: Screen
    digest: str
    media: Media
    rules: Moderation


@dataclass(frozen=True, kw_only=True)
class Moderator:
    """Asks whom the recipe names; `screeners` by those names."""

    screeners: Mapping[str, Screener]

    async def moderate(self, media: Media, rules: Rules, desk: Desk, ledger: Ledger, account: Account) -> Moderated:
        """The verdict on the version that the ledger is of: asked for once, recorded, and judged anew each time.

        :raises Unscreened: when nobody could be asked: it stays out of sight.
        :raises Rejected: when it can't be decoded.
        """
        policy = screening.policy(rules.moderation)
        if ledger.decision:
            return _by_reviewer(ledger.decision, policy)
        provider = rules.moderation.provider
        if provider == "off":
            return Moderated(says="allow", by="off", policy=policy)
        wanted = self._wanted(media, rules)
        if wanted is None:
            return Moderated(says="allow", by=provider, policy=policy, skipped="nothing_to_see")
        digest = step.digest(wanted, version=ledger.version)
        if digest not in ledger.steps:
            ask = _Question(step=wanted, digest=digest, media=media, rules=rules.moderation)
            await self._screen(ask, desk, ledger, account)
        seen = ledger.steps[digest].screening
        assert seen
        return _judged(seen, rules, policy)

    async def look(
        self, picture: Picture, rules: Rules, folder: Path, limits: Limits, account: Account
    ) -> Screened | None:
        """What is seen in a picture that comes with the version; nothing is kept of it. None where nobody is asked.

        :raises Unscreened: when nobody could be asked.
        :raises Rejected: when it can't be decoded.
        """
        wanted = None if rules.moderation.provider == "off" else self._wanted(picture, rules)
        if wanted is None:
            return None
        ask = _Question(step=wanted, digest="", media=picture, rules=rules.moderation)
        found = await self._asked(ask, folder, limits, account)
        looks = tuple(look.model_copy(update={"file": None}) for look in found.screening.looks)
        return replace(found, screening=found.screening.model_copy(update={"looks": looks}), kept=())

    def _wanted(self, media: Media, rules: Rules) -> Screen | None:
        unit = self._screener(rules.moderation.provider).judge.unit
        affordable = spend.affordable(unit, rules.spend, rules.prices, {})
        if affordable == 0:
            raise Unscreened("spend.upload of the recipe does not allow to look at a single frame")
        return screening.plan(media, rules.moderation, affordable=affordable)

    def _screener(self, provider: str) -> Screener:
        if provider not in self.screeners:
            raise Unscreened(f"moderation.provider: {provider} is not at hand in this worker")
        return self.screeners[provider]

    async def _screen(self, ask: _Question, desk: Desk, ledger: Ledger, account: Account) -> None:
        """Show the frames, and commit what was seen; the flagged ones are kept out of sight, for a reviewer."""
        watch = Stopwatch()
        await desk.source()
        found = await self._asked(ask, desk.folder, desk.limits, account)
        seen = found.screening
        kept = [Expected(name=file, content_type="image/jpeg") for file in found.kept]
        files = tuple([await filed(one, desk.folder) for one in kept])
        record = StepRecord(digest=ask.digest, kind="Screen", files=files, screening=seen)
        await ledger.add(ask.digest, [record], found.spent, desk.folder, area="quarantine")
        metrics.stage_seconds.labels("screen").observe(watch.seconds())
        metrics.cpu_seconds.inc(found.spent.cpu_seconds)
        log.info("screened", planned=seen.planned, model=seen.model, units=found.spent.units)

    async def _asked(self, ask: _Question, folder: Path, limits: Limits, account: Account) -> Screened:
        screener = replace(self._screener(ask.step.provider), allowance=account)
        try:
            return await screener.screen(ask.step, ask.media, folder, limits, ask.rules)
        except (Transient, Misconfigured, Overspent) as error:
            raise Unscreened(f"{ask.step.provider}: {error}") from error


def _by_reviewer(decision: Decision, policy: str) -> Moderated:
    return Moderated(says=decision.says, by="reviewer", policy=policy)


def _judged(seen: Screening, rules: Rules, policy: str) -> Moderated:
    verdict = screening.verdict(seen, rules.moderation)
    because = [Because(label=name, confidence=round(c, 2), at=at, rule=rule) for name, c, at, rule in verdict.because]
    return Moderated(
        says=verdict.says,
        by=seen.provider,
        policy=policy,
        because=tuple(because),
        model=seen.model,
        planned=seen.planned,
        alike=seen.alike,
        gap=seen.gap,
        complete=seen.complete,
        skipped=seen.skipped,
    )
