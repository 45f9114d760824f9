"""One look at /proc, twenty times a second while there are children: their memory, their clocks, and strays.

A stray is a process that a child left behind: its parent has ended, so it is ours now, and nobody waits for it.
"""

import asyncio
import os
import signal
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress

from service.tools import linux
from service.tools.family import FAMILY
from service.tools.linux import Process
from service.tools.supervise import Child

INTERVAL = 0.05  # seconds: a child that writes memory as fast as it can gains about 100 MB meanwhile
MAX_INTERVAL = 0.5
SHARE = 20  # looking may take a twentieth of one core where /proc is long
MAX_DEPTH = 32  # /proc is not read in one instant, so chains of parents may be loops
FAREWELL_LOOKS, FAREWELL_INTERVAL = 1000, 0.005  # five seconds


class Patrol:
    """Watches the children of one sandbox."""

    def __init__(self) -> None:
        self._children: dict[int, Child] = {}
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def watching(self, pid: int, child: Child) -> Iterator[None]:
        """Watch `child` while this is entered; what it leaves behind is ended within two looks."""
        self._children[pid] = child
        FAMILY.awaited.add(pid)
        if self._timer is None:
            self._again(INTERVAL)
        try:
            yield
        finally:
            del self._children[pid]
            FAMILY.awaited.discard(pid)

    async def end(self) -> None:
        """Look until no stray is left, or for five seconds: what SIGKILL does not end nobody can."""
        for _ in range(FAREWELL_LOOKS):
            if not self._look():
                break
            await asyncio.sleep(FAREWELL_INTERVAL)
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _tick(self) -> None:
        self._timer = None
        before = time.monotonic()
        more = True
        try:
            more = self._look()
        finally:
            if more or self._children:
                self._again(min(MAX_INTERVAL, max(INTERVAL, SHARE * (time.monotonic() - before))))

    def _again(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._tick)

    def _look(self) -> bool:
        """Tell every child what it holds; true if strays may be left."""
        processes = linux.processes()
        kin = _kin(processes, self._children)
        now = asyncio.get_running_loop().time()
        for pid, child in list(self._children.items()):
            child.check(
                now=now,
                resident=sum(process.resident for process in kin[pid]),
                cpu_seconds=sum(process.cpu_seconds for process in kin[pid]),
            )
        return _end_strays(processes)


def _kin(processes: Mapping[int, Process], children: Collection[int]) -> dict[int, list[Process]]:
    """Each child with all that descends from it or is in its session."""
    kin: dict[int, list[Process]] = {child: [] for child in children}
    for process in processes.values():
        if (child := _child_above(process, processes, kin)) is not None:
            kin[child].append(process)
    return kin


def _child_above(process: Process, processes: Mapping[int, Process], children: Collection[int]) -> int | None:
    for _ in range(MAX_DEPTH):
        if process.session in children:
            return process.session
        if process.parent not in processes:
            return None
        process = processes[process.parent]
    return None


def _end_strays(processes: Mapping[int, Process]) -> bool:
    """Kill what a child left behind and wait for it; true if some may be left."""
    if FAMILY.births:
        return True
    strays = [process for process in processes.values() if _is_stray(process)]
    for stray in strays:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(stray.pid, signal.SIGKILL)
            os.waitpid(stray.pid, os.WNOHANG)
    return bool(strays)


def _is_stray(process: Process) -> bool:
    """Ours by adoption. While its session's child runs it is let live: a shell may leave a helper behind."""
    return (
        process.parent == os.getpid()
        and process.pid not in FAMILY.awaited
        and (process.zombie or process.session not in FAMILY.awaited)
        and linux.branded(process.pid)
    )
