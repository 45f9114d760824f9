"""Moderation up to the verdict: frames are chosen, made plain, and shown to a provider until all or enough is seen."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

from service.core import command, screening
from service.core.media import Clip, Media, Picture
from service.core.outcome import MediaWorkerError, Throttled, Transient
from service.core.recipe import Limits, Moderation
from service.core.record import Look, Screening, Spent
from service.core.screening import Traits
from service.core.step import Screen
from service.runtime import made
from service.runtime.beside import together
from service.runtime.reel import NOTHING, Reel, added
from service.runtime.tools import Films, Judge, Page, Pictures, Seen

AT_ONCE = 4  # questions under way: an answer takes some 200 ms, a frame to decode far less
KEPT = 12  # frames for a reviewer, who has seen enough then
PICTURE_SIDE = 1024  # pixels: what detectors look at is smaller, but a strip or a collage has more to show
FRAME_SIDE = 640
_PAGES = 500  # in one order to a child
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 15.0  # seconds, of which a random share is waited


class Allowance(Protocol):
    """Gives leave to buy."""

    async def take(self, unit: str | None, count: float) -> None:
        """Wait for a turn to buy `count` of `unit`; of None, which costs nothing, there is always enough.

        :raises Overspent: when a cap refuses it.
        """


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
        session = _Session(screener=self, step=step, media=media, folder=folder, limits=limits, rules=rules)
        try:
            if step.at:
                await session.look()
            return session.screened()
        finally:
            session.clear()

    async def ask(self, folder: Path, file: str, *, patience: float, bought: Callable[[int], None]) -> Seen:
        """What the judge says, asked again until `patience` is over, with full jitter; `bought` counts what is billed."""
        until, ceiling = self.clock() + patience, _FIRST_WAIT
        while True:
            if self.allowance:
                await self.allowance.take(self.judge.unit, 1)
            bought(1)
            try:
                return await self.judge.look(folder, file)
            except Transient as error:
                if isinstance(error, Throttled):
                    bought(-1)
                wait = self.jitter.uniform(0, ceiling)
                if self.clock() + wait > until:
                    raise
            await self.sleep(wait)
            ceiling = min(_LONGEST_WAIT, 2 * ceiling)


@dataclass(frozen=True, kw_only=True)
class _Shot:
    """A frame, made plain: `at` as in `Look.at`."""

    at: float
    file: str
    traits: Traits


class _StopError(Exception):
    """A frame blocks the upload: nothing else matters."""


@dataclass(kw_only=True)
class _Session:
    """One upload on its way."""

    screener: Screener
    step: Screen
    media: Media
    folder: Path
    limits: Limits
    rules: Moderation
    looks: dict[str, Look] = field(default_factory=dict)  #: by the frame's file
    traits: list[Traits] = field(default_factory=list)
    sent: list[Traits] = field(default_factory=list)
    alike: list[float] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    kept: tuple[str, ...] = ()
    spent: Spent = NOTHING
    calls: int = 0
    model: str | None = None
    complete: bool = True
    reel: Reel | None = None

    async def look(self) -> None:
        """Ask until everything is seen, or enough."""
        try:
            match self.media:
                case Picture():
                    await self._pages(self.media)
                case Clip():
                    await self._clip(self.media)
        except (_StopError, MediaWorkerError):
            if self.complete:  # no frame blocks it: something else went wrong
                raise

    async def _pages(self, picture: Picture) -> None:
        """All are decoded in one go, since an animation's frames are made one from the other."""
        shots: list[_Shot] = []
        for first in range(0, len(self.step.at), _PAGES):
            at = self.step.at[first : first + _PAGES]
            sources = [(command.SOURCE, int(page)) for page in at]
            shots += await self._plain(at, sources, formats=picture.formats, side=PICTURE_SIDE)
        by_time = {shot.at: shot for shot in shots}
        await self._judged([by_time[at] for at in screening.coarse_to_fine(self.step.at)])

    async def _clip(self, clip: Clip) -> None:
        self.reel = Reel(films=self.screener.films, clip=clip, folder=self.folder, limits=self.limits, at=self.step.at)
        left = list(screening.coarse_to_fine(self.step.at))
        apart = screening.spacing(self.step.at, clip.seconds)
        while left:
            number = self.reel.handful
            shots = await self._frames(self.reel, left[:number])
            del left[:number]
            self.traits += [shot.traits for shot in shots]
            await self._judged(await self._bettered(self.reel, shots, apart))

    async def _frames(self, reel: Reel, at: Sequence[float]) -> list[_Shot]:
        files = await reel.frames(at)
        return await self._plain(at, [(file, 0) for file in files], formats=("JPEG",), side=FRAME_SIDE)

    async def _bettered(self, reel: Reel, shots: Sequence[_Shot], apart: float) -> list[_Shot]:
        """These frames, but a neighbour for each that is black or blurred, where there is a better one."""
        usual = screening.usual_sharpness(self.traits)
        poor = [shot for shot in shots if screening.poor(shot.traits, usual=usual)]
        if not poor:
            return list(shots)
        times = [time for shot in poor for time in screening.neighbours(shot.at, apart)]
        others = await self._frames(reel, times)
        better = {
            shot.at: _stand_in(shot, others[2 * number : 2 * number + 2], usual=usual)
            for number, shot in enumerate(poor)
        }
        return [better.get(shot.at, shot) for shot in shots]

    async def _plain(
        self, at: Sequence[float], sources: Sequence[tuple[str, int]], *, formats: Sequence[str], side: int
    ) -> list[_Shot]:
        """Frames as the judge may see them, and what was measured of them."""
        files = [f"frame-{round(time * 1000)}.jpg" for time in at]
        self.written.update(files)
        pages = [Page(source=source, page=page, file=file) for (source, page), file in zip(sources, files, strict=True)]
        shown = await self.screener.pictures.frames(self.folder, pages, formats=formats, side=side, limits=self.limits)
        self.spent = added(self.spent, shown.spent)
        return [
            _Shot(at=time, file=file, traits=traits) for time, file, traits in zip(at, files, shown.traits, strict=True)
        ]

    async def _judged(self, shots: Sequence[_Shot]) -> None:
        """Show those that nothing like has been shown of, some at once, in this order.

        :raises _StopError: at a frame that blocks the upload.
        """
        waiting = iter([shot for shot in shots if self._is_new(shot)])
        await together(self._ask(waiting) for _ in range(AT_ONCE))

    def _is_new(self, shot: _Shot) -> bool:
        if any(screening.alike(shot.traits, other) for other in self.sent):
            self.alike.append(shot.at)
            return False
        self.sent.append(shot.traits)
        return True

    async def _ask(self, waiting: Iterator[_Shot]) -> None:
        for shot in waiting:
            seen = await self.screener.ask(
                self.folder, shot.file, patience=self.rules.patience_seconds, bought=self._bought
            )
            self.model = seen.model
            self.looks[shot.file] = Look(at=shot.at, labels=seen.labels)
            if screening.hard_hit(seen.labels, self.rules):
                self.complete = False
                raise _StopError

    def _bought(self, count: int) -> None:
        self.calls += count

    def screened(self) -> Screened:
        """All that was seen."""
        self.kept = self._noteworthy()
        unit = self.screener.judge.unit
        asked = NOTHING.model_copy(update={"units": {unit: float(self.calls)} if unit else {}})
        spent = added(self.spent, self.reel.spent) if self.reel else self.spent
        return Screened(screening=self._screening(), spent=added(spent, asked), kept=self.kept)

    def _screening(self) -> Screening:
        looks = [
            look.model_copy(update={"file": file if file in self.kept else None}) for file, look in self.looks.items()
        ]
        seen = [look.at for look in looks] + (self.alike if self.complete else [])
        return Screening(
            provider=self.step.provider,
            model=self.model,
            planned=len(self.step.at),
            alike=len(self.alike),
            gap=screening.gap(seen, self.media.seconds) if isinstance(self.media, Clip) else 0.0,
            complete=self.complete,
            skipped=None if self.step.at else screening.SMALL,
            looks=tuple(sorted(looks, key=lambda look: look.at)),
        )

    def _noteworthy(self) -> tuple[str, ...]:
        """Files of the frames that a reviewer may want to see, the strongest first."""
        found = {file: screening.noteworthy(look.labels, self.rules) for file, look in self.looks.items()}
        noted = [(sure, file) for file, sure in found.items() if sure is not None]
        return tuple(file for _, file in sorted(noted, key=lambda one: (-one[0], one[1]))[:KEPT])

    def clear(self) -> None:
        """Leave nothing in the folder but what is kept."""
        for file in self.written.difference(self.kept):
            made.remove(self.folder / file)
        if self.reel:
            self.reel.clear()


def _stand_in(shot: _Shot, others: Sequence[_Shot], *, usual: float) -> _Shot:
    number = screening.stand_in(shot.traits, [other.traits for other in others], usual=usual)
    return shot if number is None else others[number]
