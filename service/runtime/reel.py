"""The frames of a clip as files, found by seeks while those are cheap and find something, else by one pass over it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from service.core import frames_command
from service.core.media import Clip
from service.core.outcome import Reason, Rejected
from service.core.recipe import Limits
from service.core.record import Spent
from service.runtime import made
from service.runtime.tools import Films

NOTHING = Spent(wall_seconds=0, cpu_seconds=0, peak_memory_bytes=0)


def added(*spent: Spent) -> Spent:
    """What all cost, one after the other; of memory, the most that one took."""
    units = Counter[str]()
    for one in spent:
        units.update(one.units)
    return Spent(
        wall_seconds=round(sum(one.wall_seconds for one in spent), 3),
        cpu_seconds=round(sum(one.cpu_seconds for one in spent), 3),
        peak_memory_bytes=max((one.peak_memory_bytes for one in spent), default=0),
        units=dict(units),
    )


@dataclass(kw_only=True)
class Reel:
    """The clip in `folder`, whose frames at the planned times `at` are wanted, and perhaps neighbours of theirs."""

    films: Films
    clip: Clip
    folder: Path
    limits: Limits
    at: tuple[float, ...]
    spent: Spent = NOTHING
    seeking: bool = False
    _sought: int = field(default=0, init=False)
    _swept: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.seeking = frames_command.seekable(self.clip, self.at)

    @property
    def handful(self) -> int:
        """How many frames to ask for at once; one at first, since nobody knows yet what a seek costs."""
        if not self.seeking:
            return 16
        return frames_command.seeks_at_once(self.clip) if self._sought else 1

    async def frames(self, at: Sequence[float]) -> list[str]:
        """A file for each time; of what lies behind the last frame, that frame.

        :raises Rejected: `damaged` where no frame can be decoded at all, or the limit that it broke.
        """
        if self.seeking and (found := await self._seek(at)):
            return found
        if not self._swept:
            await self._run(frames_command.sweep(self.clip, self.at, self.limits))
            self._swept = True
        return [self._nearest(frames_command.swept_number(self.clip, self.at, time)) for time in at]

    async def _seek(self, at: Sequence[float]) -> list[str]:
        """Nothing, and no more seeks, where one finds nothing; no more, too, where they cost more than a pass."""
        files = [f"sought-{round(time * 1000)}.jpg" for time in at]
        before, most = self.spent.cpu_seconds, frames_command.seeks_at_once(self.clip)
        for first in range(0, len(at), most):
            wanted = list(zip(at, files, strict=True))[first : first + most]
            if not await self._found(wanted):
                self.seeking = False
                return []
        self._sought += len(at)
        each = (self.spent.cpu_seconds - before) / len(at)
        self.seeking = each * (len(self.at) - self._sought) <= frames_command.pass_cpu_seconds(self.clip)
        return files

    async def _found(self, wanted: Sequence[tuple[float, str]]) -> bool:
        try:
            await self._run(frames_command.seeks(self.clip, wanted, self.limits))
        except Rejected:  # of a broken index a pass may make more
            return False
        return all(made.is_file(self.folder / file) for _, file in wanted)

    async def _run(self, argv: Sequence[str]) -> None:
        ran = await self.films.run(self.folder, argv, seconds=self.clip.seconds, on_share=lambda _share: None)
        self.spent = added(self.spent, ran.spent)

    def _nearest(self, number: int) -> str:
        """The file of this number, else of the last one before it, else of the first one."""
        numbers = chain(range(number, 0, -1), range(number, 3 * len(self.at) + 1))
        names = (str(frames_command.SWEPT % one) for one in numbers)
        found = next((name for name in names if made.is_file(self.folder / name)), None)
        if found is None:
            raise Rejected(Reason.DAMAGED, "No frame of it could be decoded.")
        return found

    def clear(self) -> None:
        """Remove every file that was made."""
        for pattern in ("sought-*.jpg", "swept-*.jpg"):
            for path in self.folder.glob(pattern):
                made.remove(path)
