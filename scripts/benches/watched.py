"""One command after the other, run to its end: how long it took, its CPU time and its memory, with all its children."""

import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scripts import children

_PATIENCE = 7200  # seconds for one command
_LOOK_EVERY = 0.2  # seconds: looking costs the machine a hundredth of a core
_SAID = 3  # last lines of a command that failed


class FailedError(Exception):
    """A command failed; the message says which, and its last words. `said` is all that it wrote to stdout."""

    def __init__(self, message: str, *, said: bytes = b"") -> None:
        super().__init__(message)
        self.said = said


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a command, or several in turn, took; memory is the most that its processes held together when looked at.

    Pages that processes share count in each of them.
    """

    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int


def run(argv: Sequence[str], *, folder: Path) -> tuple[Spent, bytes]:
    """Run one command in `folder`; what it took, and what it wrote to stdout.

    :raises FailedError: when it does not end with 0.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        began = time.perf_counter()
        child = subprocess.Popen(
            argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=complained, start_new_session=True
        )
        with _Watch(child.pid) as watch:
            usage = _wait(child)
            seconds = time.perf_counter() - began
        if child.returncode:
            raise FailedError(f"{argv[0]} ended with {child.returncode}: {_end(complained)}", said=_whole(said))
        peak = max(watch.peak, usage.ru_maxrss * 1024)  # what ended before it was looked at: its largest process
        cpu = usage.ru_utime + usage.ru_stime
        return Spent(seconds=seconds, cpu_seconds=cpu, peak_memory_bytes=peak), _whole(said)


def in_turn(commands: Sequence[Sequence[str]], *, folder: Path) -> Spent:
    """One after the other: their times add up, and the largest counts.

    :raises FailedError: when one does not end with 0.
    """
    spent = [run(argv, folder=folder)[0] for argv in commands]
    return Spent(
        seconds=sum(one.seconds for one in spent),
        cpu_seconds=sum(one.cpu_seconds for one in spent),
        peak_memory_bytes=max(one.peak_memory_bytes for one in spent),
    )


def _wait(child: subprocess.Popen[bytes]) -> resource.struct_rusage:
    """Wait as wait4(2) does, which counts the CPU time of children's children as well; nobody is left if that ends."""
    try:
        _, status, usage = os.wait4(child.pid, 0)
    except BaseException:
        _kill(child.pid)
        child.wait()
        raise
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage


def _kill(leader: int) -> None:
    for pid in (*children.left(leader), leader):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _end(output: IO[bytes]) -> str:
    return " ".join(_whole(output).decode(errors="replace").strip().splitlines()[-_SAID:])


def _whole(output: IO[bytes]) -> bytes:
    output.seek(0)
    return output.read()


class _Watch:
    """Looks at a process and all below it from time to time, and ends them when patience is over."""

    def __init__(self, leader: int) -> None:
        self.peak = 0
        self._leader = leader
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        until = time.monotonic() + _PATIENCE
        while not self._over.wait(_LOOK_EVERY):
            self.peak = max(self.peak, sum(map(_resident, (self._leader, *children.left(self._leader)))))
            if time.monotonic() > until:
                _kill(self._leader)


def _resident(pid: int) -> int:
    """In bytes, by /proc/PID/statm (proc(5)); 0 for one that has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
