"""Frames of an upload made plain for a moderation provider, measured, the poor ones replaced: from coarse to fine."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.core import command, screening
from service.core.media import Clip, Media, Picture
from service.core.recipe import Limits
from service.core.record import Spent
from service.core.screening import Traits
from service.core.step import Screen
from service.runtime import made
from service.runtime.reel import NOTHING, Reel, added
from service.runtime.tools import Films, Page, Pictures

PICTURE_SIDE = 1024  # pixels: what detectors look at is smaller, but a strip or a collage has more to show
FRAME_SIDE = 640
_PAGES = 500  # in one order to a child


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A frame as a judge may see it: `at` as in `Look.at`, a file in the job's folder, and what was measured of it."""

    at: float
    file: str
    traits: Traits


@dataclass(kw_only=True)
class Shots:
    """The frames that `step` plans of the upload in `folder`."""

    pictures: Pictures
    films: Films
    step: Screen
    media: Media
    folder: Path
    limits: Limits
    _left: list[float] = field(default_factory=list, init=False)
    _reel: Reel | None = field(default=None, init=False)
    _measured: list[Traits] = field(default_factory=list, init=False)
    _written: set[str] = field(default_factory=set, init=False)
    _spent: Spent = field(default=NOTHING, init=False)

    def __post_init__(self) -> None:
        self._left = list(screening.coarse_to_fine(self.step.at)) if self.step.at else []
        if isinstance(self.media, Clip):
            self._reel = Reel(
                films=self.films, clip=self.media, folder=self.folder, limits=self.limits, at=self.step.at
            )

    @property
    def spent(self) -> Spent:
        """What it cost so far."""
        return added(self._spent, self._reel.spent) if self._reel else self._spent

    async def more(self) -> list[Shot]:
        """The next ones in the order of looking; none when all were given.

        :raises Rejected: `damaged`, or the limit that decoding it broke.
        """
        match self.media:
            case Picture():
                number = len(self._left)  # an animation's frames are made one from the other
                return await self._pages(self.media, self._left_of(number))
            case Clip():
                number = self._reel.handful if self._reel else 0
                return await self._moments(self.media, self._left_of(number))

    def _left_of(self, number: int) -> list[float]:
        now, self._left = self._left[:number], self._left[number:]
        return now

    async def _pages(self, picture: Picture, at: Sequence[float]) -> list[Shot]:
        shots: dict[float, Shot] = {}
        ascending = sorted(at)
        for first in range(0, len(at), _PAGES):
            pages = ascending[first : first + _PAGES]
            sources = [(command.SOURCE, int(page)) for page in pages]
            done = await self._plain(pages, sources, formats=picture.formats, side=PICTURE_SIDE)
            shots |= {shot.at: shot for shot in done}
        return [shots[page] for page in at]

    async def _moments(self, clip: Clip, at: Sequence[float]) -> list[Shot]:
        """Frames of a clip; a neighbour for each that is black or blurred, where there is a better one."""
        shots = await self._frames(at)
        self._measured += [shot.traits for shot in shots]
        usual = screening.usual_sharpness(self._measured)
        poor = [shot for shot in shots if screening.poor(shot.traits, usual=usual)]
        apart = screening.spacing(self.step.at, clip.seconds) if poor else 0.0
        others = await self._frames([time for shot in poor for time in screening.neighbours(shot.at, apart)])
        better = {
            shot.at: _stand_in(shot, others[2 * number : 2 * number + 2], usual=usual)
            for number, shot in enumerate(poor)
        }
        return [better.get(shot.at, shot) for shot in shots]

    async def _frames(self, at: Sequence[float]) -> list[Shot]:
        if not at or not self._reel:
            return []
        sources = [(file, 0) for file in await self._reel.frames(at)]
        return await self._plain(at, sources, formats=("JPEG",), side=FRAME_SIDE)

    async def _plain(
        self, at: Sequence[float], sources: Sequence[tuple[str, int]], *, formats: Sequence[str], side: int
    ) -> list[Shot]:
        files = [f"frame-{round(time * 1000)}.jpg" for time in at]
        self._written.update(files)
        pages = [Page(source=source, page=page, file=file) for (source, page), file in zip(sources, files, strict=True)]
        shown = await self.pictures.frames(self.folder, pages, formats=formats, side=side, limits=self.limits)
        self._spent = added(self._spent, shown.spent)
        return [
            Shot(at=time, file=file, traits=traits) for time, file, traits in zip(at, files, shown.traits, strict=True)
        ]

    def clear(self, *, but: Collection[str]) -> None:
        """Remove every file that was made, but some."""
        for file in self._written.difference(but):
            made.remove(self.folder / file)
        if self._reel:
            self._reel.clear()


def _stand_in(shot: Shot, others: Sequence[Shot], *, usual: float) -> Shot:
    number = screening.stand_in(shot.traits, [other.traits for other in others], usual=usual)
    return shot if number is None else others[number]
