"""Moderation up to the verdict: frames are chosen, made plain, and shown to a provider until all or enough is seen."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

from service.core import screening
from service.core.media import Clip, Media
from service.core.outcome import MediaWorkerError, Throttled, Transient
from service.core.recipe import Limits, Moderation
from service.core.record import Label, Look, Screening, Spent
from service.core.screening import Traits
from service.core.step import Screen
from service.runtime.beside import together
from service.runtime.reel import NOTHING, added
from service.runtime.shots import Shot, Shots
from service.runtime.tools import Films, Judge, Pictures, Seen

AT_ONCE = 4  # questions under way: an answer takes some 200 ms, a frame to decode far less
KEPT = 12  # frames for a reviewer, who has seen enough then
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 15.0  # seconds, of which a random share is waited


class Allowance(Protocol):
    """Gives leave to buy."""

    async def take(self, unit: str | None, count: float) -> None:
        """Wait for a turn to buy `count` of `unit`; of None, which costs nothing, there is always enough.

        :raises Overspent: when a cap refuses it.
        """

    async def throttled(self, unit: str | None, count: float) -> None:
        """What was bought was refused as too much: everybody slows down."""


@dataclass(frozen=True, kw_only=True)
class Screened:
    """What was seen, what it cost, and the frames that are kept for a reviewer: files in the job's folder."""

    screening: Screening
    spent: Spent
    kept: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Screener:
    """Shows uploads to one provider, which is asked as often as `allowance` lets it; None: as often as it can."""

    judge: Judge
    pictures: Pictures
    films: Films
    allowance: Allowance | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Random = field(default_factory=Random)

    async def screen(self, step: Screen, media: Media, folder: Path, limits: Limits, rules: Moderation) -> Screened:
        """Look at what `step` plans, and no further than to the first frame that `rules` block.

        :raises Rejected: `damaged`, or the limit that decoding it broke.
        :raises Overspent: when a cap refuses the next frame.
        :raises Throttled: past the recipe's patience; so Unavailable.
        :raises Misconfigured: when the provider may not be asked.
        """
        shots = Shots(pictures=self.pictures, films=self.films, step=step, media=media, folder=folder, limits=limits)
        session = _Session(screener=self, shots=shots, rules=rules)
        try:
            await session.look()
            return session.screened()
        finally:
            shots.clear(but=session.kept)

    async def ask(self, folder: Path, file: str, *, patience: float, bought: Callable[[int], None]) -> Seen:
        """What the judge says, if need be after `patience` seconds of asking again; `bought` counts what is billed."""
        until, ceiling = math.inf, _FIRST_WAIT
        while True:
            if self.allowance:
                await self.allowance.take(self.judge.unit, 1)
            bought(1)
            try:
                return await self.judge.look(folder, file)
            except Transient as error:
                if isinstance(error, Throttled):
                    bought(-1)
                    if self.allowance:
                        await self.allowance.throttled(self.judge.unit, 1)
                until = min(until, self.clock() + patience)  # from the first failure on: waiting for a turn is none
                wait = self.jitter.uniform(0, ceiling)
                if self.clock() + wait > until:
                    raise
            await self.sleep(wait)
            ceiling = min(_LONGEST_WAIT, 2 * ceiling)


class _StopError(Exception):
    """A frame blocks the upload: nothing else matters."""


@dataclass(kw_only=True)
class _Session:
    """One upload on its way."""

    screener: Screener
    shots: Shots
    rules: Moderation
    looks: dict[str, Look] = field(default_factory=dict)  #: by the frame's file
    sent: list[Traits] = field(default_factory=list)
    alike: list[float] = field(default_factory=list)
    kept: tuple[str, ...] = ()
    calls: int = 0
    spent: Spent = NOTHING
    model: str | None = None
    complete: bool = True

    async def look(self) -> None:
        """Ask until everything is seen, or enough."""
        try:
            while shots := await self.shots.more():
                await self._judged(shots)
        except (_StopError, MediaWorkerError):
            if self.complete:  # no frame blocks it: something else went wrong
                raise

    async def _judged(self, shots: Sequence[Shot]) -> None:
        """Show those that nothing like has been shown of, some at once, in this order.

        :raises _StopError: at a frame that blocks the upload.
        """
        waiting = iter([shot for shot in shots if self._is_new(shot)])
        await together(self._ask(waiting) for _ in range(AT_ONCE))

    def _is_new(self, shot: Shot) -> bool:
        if any(screening.alike(shot.traits, other) for other in self.sent):
            self.alike.append(shot.at)
            return False
        self.sent.append(shot.traits)
        return True

    async def _ask(self, waiting: Iterator[Shot]) -> None:
        for shot in waiting:
            seen = await self.screener.ask(
                self.shots.folder, shot.file, patience=self.rules.patience_seconds, bought=self._bought
            )
            self.model, self.spent = seen.model, added(self.spent, seen.spent or NOTHING)
            labels = tuple(_certain(label) for label in seen.labels)
            self.looks[shot.file] = Look(at=shot.at, labels=labels)
            if screening.hard_hit(labels, self.rules):
                self.complete = False
                raise _StopError

    def _bought(self, count: int) -> None:
        self.calls += count

    def screened(self) -> Screened:
        """All that was seen."""
        self.kept = self._noteworthy()
        unit = self.screener.judge.unit
        asked = NOTHING.model_copy(update={"units": {unit: float(self.calls)} if unit else {}})
        spent = added(self.shots.spent, added(self.spent, asked))
        return Screened(screening=self._screening(), spent=spent, kept=self.kept)

    def _screening(self) -> Screening:
        looks = [
            look.model_copy(update={"file": file if file in self.kept else None}) for file, look in self.looks.items()
        ]
        seen = [look.at for look in looks] + (self.alike if self.complete else [])
        return Screening(
            provider=self.shots.step.provider,
            model=self.model,
            planned=len(self.shots.step.at),
            alike=len(self.alike),
            gap=screening.gap(seen, self.shots.media.seconds) if isinstance(self.shots.media, Clip) else 0.0,
            complete=self.complete,
            skipped=None if self.shots.step.at else screening.SMALL,
            looks=tuple(sorted(looks, key=lambda look: look.at)),
        )

    def _noteworthy(self) -> tuple[str, ...]:
        """Files of the frames that a reviewer may want to see, the strongest first."""
        found = {file: screening.noteworthy(look.labels, self.rules) for file, look in self.looks.items()}
        noted = [(sure, file) for file, sure in found.items() if sure is not None]
        return tuple(file for _, file in sorted(noted, key=lambda one: (-one[0], one[1]))[:KEPT])


def _certain(label: Label) -> Label:
    """A confidence that is no percentage could not even be kept: JSON has no NaN."""
    return label.model_copy(update={"confidence": screening.confidence(label)})
