"""Room on the scratch disk: what does not fit beside the jobs that go on waits, and nothing is received meanwhile."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from service.core import sniff
from service.core.outcome import MAX_BACKOFF, Crowded, Elsewhere, Misconfigured

TIMES_ITS_SIZE = 3  #: of a source: itself, its renditions, and a progressive copy of one
_UNBOUNDED = 1 << 62  # bytes
_PATIENCE = 900.0  # seconds; meanwhile nothing is received


@dataclass(kw_only=True)
class Room:
    """What all jobs of a worker share: the bytes that `free` says are there while no job runs.

    Without `streams`, video and sound are left to others. Jobs are given room in the order in which they asked.
    """

    free: Callable[[], int] = lambda: _UNBOUNDED
    streams: bool = True
    enough: asyncio.Event = field(default_factory=asyncio.Event)  #: nobody waits
    _there: int = field(default=0, init=False)
    _taken: int = field(default=0, init=False)
    _queue: deque[tuple[int, asyncio.Future[None]]] = field(default_factory=deque, init=False)

    def __post_init__(self) -> None:
        self.enough.set()

    def admit(self, beginning: bytes) -> None:
        """See whether a source that begins so is worked on here.

        :raises Elsewhere: for video and sound, where they are worked on by others.
        """
        if not self.streams and sniff.is_stream(beginning):
            raise Elsewhere("video and sound go to the heavy queue")

    def take(self, size: int) -> bool:
        """Room for a source of `size` bytes, if there is some at once; to be given back."""
        if self._queue or not self._fits(size):
            return False
        self._taken += size * TIMES_ITS_SIZE
        return True

    async def wait(self, size: int) -> None:
        """Room for a source of `size` bytes, as soon as there is some; to be given back.

        :raises Crowded: when there is none for a quarter of an hour: others may have some, or be received meanwhile.
        :raises Misconfigured: when there will never be.
        """
        if self.take(size):
            return
        if size * TIMES_ITS_SIZE > self._there:
            raise Misconfigured(
                f"MEDIA_SCRATCH: a source of {size:,} bytes needs {size * TIMES_ITS_SIZE:,}, and its disk has "
                f"{self._there:,}: give it more, or lower limits.bytes in the recipe"
            )
        asked = (size, asyncio.get_running_loop().create_future())
        self._queue.append(asked)
        self.enough.clear()
        try:
            async with asyncio.timeout(_PATIENCE):
                await asked[1]
        except (asyncio.CancelledError, TimeoutError) as error:
            if asked[1].done() and not asked[1].cancelled():
                self._taken -= size * TIMES_ITS_SIZE
            elif asked in self._queue:
                self._queue.remove(asked)
            self._serve()
            if isinstance(error, TimeoutError):
                raise Crowded(f"no room for {size:,} bytes for {_PATIENCE:.0f} s", after=MAX_BACKOFF) from error
            raise

    def give(self, size: int) -> None:
        """Give back what a source of `size` bytes had."""
        self._taken -= size * TIMES_ITS_SIZE
        self._serve()

    def _fits(self, size: int) -> bool:
        if self._taken == 0:
            self._there = self.free()
        return self._taken + size * TIMES_ITS_SIZE <= self._there

    def _serve(self) -> None:
        while self._queue and (self._queue[0][1].cancelled() or self._fits(self._queue[0][0])):
            size, asked = self._queue.popleft()
            if not asked.cancelled():
                self._taken += size * TIMES_ITS_SIZE
                asked.set_result(None)
        if not self._queue:
            self.enough.set()
