"""One child process, from the moment it waits at its gate to its last byte: clocks, memory, pipes, exit."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from service import metrics
from service.core.outcome import Interrupted, Misconfigured
from service.tools.drain import Drain, Kept, Lines, Tail
from service.tools.family import FAMILY
from service.tools.launch import Newborn
from service.tools.limits import Excess, Finished, Limits, Usage, cause_of_death, rejection
from service.tools.zygote import GO

ERROR_BYTES = 64 * 1024  # of standard error: its end, where the reason is
LINE_BYTES = 64 * 1024  # no tool prints a longer one on purpose
DRAIN_SECONDS = 1.0  # a stray that holds the pipes is ended within two looks, 0.1 s
KIBIBYTE = 1024  # ru_maxrss counts in these (getrusage(2))

T = TypeVar("T")


class Child:
    """A child and everything that may end it; the first cause counts. `on_kill` hears each by its name."""

    def __init__(
        self,
        limits: Limits,
        *,
        on_line: Callable[[str], bool | None] | None,
        stdout_bytes: int,
        on_kill: Callable[[str], None],
        on_error: Callable[[str], None] | None = None,
    ) -> None:
        self._limits = limits
        self._on_kill = on_kill
        self._errors = Tail(ERROR_BYTES)
        self._complaints = Lines(LINE_BYTES, on_error, _nothing) if on_error else None
        self._kept = Kept(stdout_bytes, self._overflow)
        self._on_line = on_line
        self._lines = Lines(LINE_BYTES, self._read, self._overflow) if on_line else None
        self._pid: int | None = None  # until it has been waited for: so long the number is its own
        self._stopped = False
        self._error: Exception | None = None
        self._began = self._heard = self._used = 0.0
        self.peak_bytes = 0  #: the most that it and its descendants were seen to hold since the last `allow`

    async def live(self, newborn: Newborn) -> Finished:
        """Let it go and wait for its end. Raises what stopped it: Rejected for a limit, or what `on_line` raised.

        Misconfigured if it never came to its task: no such program, no such directory.
        """
        self._pid = newborn.pid
        self._began = self._heard = _now()
        stdout, stderr = Drain(newborn.stdout, self._hear), Drain(newborn.stderr, self._complain)
        try:
            self._let_go(newborn.gate)
            await _exited(newborn.pid)
            returncode, usage = self._reap(newborn.pid)
            await asyncio.wait([stdout.ended, stderr.ended], timeout=DRAIN_SECONDS)
        finally:
            self._kill()
            stdout.close()
            stderr.close()
        return self._finished(returncode, usage, _last_words(newborn.gate))

    def cancel(self) -> None:
        """Kill it, or never let it go: nobody wants the result any more."""
        self._stop("cancelled", None)

    def interrupt(self) -> None:
        """Kill it, or never let it go: its caller gets Interrupted."""
        self._stop("cancelled", Interrupted("the sandbox is closed"))

    def allow(self, limits: Limits, *, used: float) -> None:
        """Begin to count anew, by other limits: what it does from now on is another task; it has used CPU seconds."""
        self._limits = limits
        self._began = self._heard = _now()
        self._used = used
        self.peak_bytes = 0

    def check(self, *, now: float, resident: int, cpu_seconds: float) -> None:
        """Stop it if it is over a limit: by the loop's time, and what it and its descendants hold and have used."""
        self.peak_bytes = max(self.peak_bytes, resident)
        if self._pid and not self._stopped and (excess := self._excess(now, resident, cpu_seconds - self._used)):
            self._stop(excess, rejection(excess, self._limits))

    def _excess(self, now: float, resident: int, cpu_seconds: float) -> Excess | None:
        limits = self._limits
        if resident > limits.memory_bytes:
            return Excess.MEMORY
        if cpu_seconds > limits.cpu_seconds:
            return Excess.CPU
        if now - self._began > limits.wall_seconds:
            return Excess.WALL_CLOCK
        if limits.stall_seconds is not None and now - self._heard > limits.stall_seconds:
            return Excess.STALL
        return None

    def _hear(self, piece: bytes) -> None:
        if b"\n" in piece and not self._lines:
            self._heard = _now()
        if self._stopped:
            return
        try:
            (self._lines or self._kept).feed(piece)
        except Exception as error:  # the caller's own, raised to the caller
            self._stop("caller", error)

    def _complain(self, piece: bytes) -> None:
        self._errors.feed(piece)
        if self._complaints:
            self._complaints.feed(piece)

    def _read(self, line: str) -> None:
        """A line is progress unless `on_line` says that it is not."""
        if self._on_line and self._on_line(line) is not False:
            self._heard = _now()

    def _overflow(self) -> None:
        self._stop(Excess.OUTPUT, rejection(Excess.OUTPUT, self._limits))

    def _stop(self, cause: str, error: Exception | None) -> None:
        if not self._stopped:
            self._stopped = True
            self._error = error
            self._kill()
            self._on_kill(cause)

    def _kill(self) -> None:
        """SIGKILL to it and its group; SIGTERM would let ffmpeg finish its file, or ignore it for minutes."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)

    def _let_go(self, gate: socket.socket) -> None:
        with suppress(OSError):  # it may be dead already
            if self._stopped:
                gate.shutdown(socket.SHUT_WR)
            else:
                gate.send(GO)

    def _reap(self, pid: int) -> tuple[int, Usage]:
        """Exit status and usage; first the group is killed, whose number is free again afterwards."""
        self._kill()
        _, status, usage = os.wait4(pid, 0)
        self._pid = None
        FAMILY.awaited.discard(pid)  # what is left of its session are strays now
        metrics.child_memory.observe(usage.ru_maxrss * KIBIBYTE)
        return os.waitstatus_to_exitcode(status), Usage(
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            max_rss_bytes=usage.ru_maxrss * KIBIBYTE,
            wall_seconds=_now() - self._began,
        )

    def _finished(self, returncode: int, usage: Usage, last_words: str) -> Finished:
        if self._lines and not self._stopped:
            self._lines.end()
        if self._complaints:
            self._complaints.end()
        if self._error:
            raise self._error
        if last_words:
            raise Misconfigured(f"a child could not begin: {last_words}")
        since = replace(usage, cpu_seconds=usage.cpu_seconds - self._used)
        if excess := cause_of_death(returncode, since, self._limits):
            self._on_kill(excess)
            raise rejection(excess, self._limits)
        return Finished(
            returncode=returncode,
            stdout=self._kept.content,
            errors=self._errors.text,
            error_lines=self._errors.lines,
            usage=usage,
        )


async def insist(task: asyncio.Task[T], *, on_cancel: Callable[[], None]) -> T:
    """The result of `task`, which no cancellation interrupts: it calls `on_cancel`, and is raised at the end."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
            on_cancel()
    if cancelled:
        if not task.cancelled():
            task.exception()  # or asyncio would log it as never retrieved
        raise cancelled
    return task.result()


async def _exited(pid: int) -> None:
    """Wait until `pid` is a zombie, by pidfd: no signal handler, no thread, and nobody else's child is touched."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    pidfd = os.pidfd_open(pid)
    loop.add_reader(pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


def _last_words(gate: socket.socket) -> str:
    gate.settimeout(0)
    try:
        return gate.recv(LINE_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _nothing() -> None:
    """A line of standard error that is too long is two lines."""


def _now() -> float:
    return asyncio.get_running_loop().time()
