"""A child process as a context manager, of which nothing is left when the block ends."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

Child = subprocess.Popen[bytes]


@contextmanager
def running(
    argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, log: Path, grace: float
) -> Iterator[Child]:
    """The process while the block runs; both its outputs go to `log`.

    Its own session keeps it from the terminal's Ctrl-C, so that the one who started it says when it stops; and
    `setpriv --pdeathsig` stops it when that one is killed outright.

    :param grace: seconds between SIGTERM and SIGKILL; 0 kills at once.
    """
    death = "TERM" if grace else "KILL"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", death, *argv],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process, grace)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for a message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _stop(process: Child, grace: float) -> None:
    if process.poll() is None and grace:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    for pid in left(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()


def left(leader: int) -> set[int]:
    """Who is still there of a child's session, or descends from it in whatever session."""
    processes = _processes()
    found = {pid for pid, (_, session) in processes.items() if session == leader}
    generation = {leader}
    while generation:
        generation = {pid for pid, (parent, _) in processes.items() if parent in generation} - found
        found |= generation
    return found - {leader}


def _processes() -> dict[int, tuple[int, int]]:
    """Every process's parent and session, from /proc/PID/stat (proc(5): fields 4 and 6)."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended since
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            found[int(stat.parent.name)] = (int(fields[1]), int(fields[3]))
    return found
