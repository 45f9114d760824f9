"""A child that stays: it gets ready once (a model is loaded) and serves one request after another, with their files.

It is a child of the sandbox like any other, watched like any other. Whoever asks waits for his turn; whatever goes
wrong ends the child, and the next request starts another.
"""

import asyncio
import json
import math
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from service.core.outcome import MediaWorkerError, Rejected, Transient
from service.tools import linux
from service.tools.launch import Newborn
from service.tools.limits import Finished, Limits, Usage
from service.tools.supervise import Child, insist

IDLE_SECONDS = 300.0  # a film's sound tracks come sooner one after another; then the memory is of more use elsewhere
FAREWELL_SECONDS = 5.0  # an idle child ends within milliseconds
ANSWER_BYTES = 16 * 1024 * 1024  # every word of eleven hours, with its times
COMPLAINT = 1000  # of what it says last: characters that are logged

Begin = Callable[[Child, Callable[[Newborn], None], Limits], asyncio.Task[Finished]]
Part = dict[str, object]


@dataclass(eq=False)
class _Stay:
    """One child that serves; `parts` is the answer so far, `done` is set at its end."""

    child: Child
    life: asyncio.Task[Finished]
    done: asyncio.Future[None]
    limits: Limits
    newborn: Newborn | None = None
    parts: list[Part] = field(default_factory=list)
    size: int = 0
    leaving: bool = False

    def cpu_seconds(self) -> float:
        process = linux.processes().get(self.newborn.pid) if self.newborn else None
        return process.cpu_seconds if process else math.inf

    def hear(self, line: str) -> None:
        """Take a line of its answer. Raises Transient, which ends it, for what is none."""
        self.size += len(line)
        match _document(line) if self.size <= ANSWER_BYTES else None:
            case {"part": dict(part)}:
                self.parts.append(part)
            case {"done": True} if not self.done.done():
                self.done.set_result(None)
            case _:
                raise Transient("it says what no answer is")

    def expect(self, limits: Limits, *, used: float) -> None:
        """The next answer is held to `limits`, from now on."""
        self.done = asyncio.get_running_loop().create_future()
        self.child.allow(limits, used=used)

    def take(self) -> list[Part]:
        """The answer; from now on it may wait for as long as it likes."""
        parts, self.parts, self.size = self.parts, [], 0
        self.child.allow(replace(self.limits, wall_seconds=math.inf, stall_seconds=None), used=0)
        return parts


class Assistant:
    """Made by `Sandbox.assistant`; it ends with its sandbox."""

    def __init__(
        self, name: str, begin: Begin, *, limits: Limits, idle_seconds: float, on_kill: Callable[[str], None]
    ) -> None:
        self._name = name
        self._begin = begin
        self._limits = limits
        self._idle_seconds = idle_seconds
        self._on_kill = on_kill
        self._turn = asyncio.Lock()
        self._stay: _Stay | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def ask(
        self, request: Mapping[str, object], files: Sequence[int], *, limits: Limits
    ) -> tuple[list[Part], Usage]:
        """The parts of its answer, and what they cost; `files` are open descriptors, at most one, which stay open.

        `limits` count from when it begins, not while others are served. Raises Rejected for an exceeded one, Transient
        for a crash and for an answer that is none. A cancellation ends the child, and is raised when it is gone.
        """
        async with self._turn:
            self._rest(None)
            stay = await self._ready(limits)
            before, began = stay.cpu_seconds(), _now()
            stay.expect(limits, used=before)
            _send(stay, request, files)
            await self._answered(stay)
            after = stay.cpu_seconds()
            usage = Usage(
                cpu_seconds=after - before if math.isfinite(after) else 0.0,
                max_rss_bytes=stay.child.peak_bytes,
                wall_seconds=_now() - began,
            )
            self._rest(self._idle_seconds)
            return stay.take(), usage

    async def _ready(self, limits: Limits) -> _Stay:
        """One that can serve for as long as `limits` say: the one that is there, or the next."""
        stay = self._stay
        if stay and not stay.life.done():
            if not stay.leaving and stay.cpu_seconds() + limits.cpu_seconds <= stay.limits.cpu_seconds:
                return stay
            self._dismiss()
            with suppress(Rejected, Transient):
                await asyncio.shield(stay.life)
        stay = self._stay = self._started(limits)
        await self._answered(stay)
        return stay

    def _started(self, limits: Limits) -> _Stay:
        limits = replace(self._limits, cpu_seconds=self._limits.cpu_seconds + limits.cpu_seconds)
        child = Child(limits, on_line=self._hear, stdout_bytes=0, on_kill=self._on_kill)
        life = self._begin(child, self._born, limits)
        life.add_done_callback(self._ended)
        return _Stay(child=child, life=life, done=asyncio.get_running_loop().create_future(), limits=limits)

    def _hear(self, line: str) -> None:
        if self._stay:
            self._stay.hear(line)

    def _born(self, newborn: Newborn) -> None:
        if self._stay:
            self._stay.newborn = newborn

    async def _answered(self, stay: _Stay) -> None:
        ends: list[asyncio.Future[Any]] = [stay.done, stay.life]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            stay.child.cancel()
            with suppress(MediaWorkerError):
                await insist(stay.life, on_cancel=stay.child.cancel)
            raise
        if not stay.done.done():
            finished = stay.life.result()
            raise Transient(f"{self._name} ended ({finished.returncode}): {finished.errors[-COMPLAINT:].strip()}")

    def _dismiss(self) -> None:
        """Hang up: it ends by itself, or is killed."""
        stay = self._stay
        if stay and stay.newborn and not stay.life.done():
            stay.leaving = True
            stay.child.allow(replace(stay.limits, wall_seconds=FAREWELL_SECONDS), used=0)
            with suppress(OSError):
                stay.newborn.gate.shutdown(socket.SHUT_WR)

    def _rest(self, seconds: float | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._dismiss) if seconds else None

    def _ended(self, life: asyncio.Task[Finished]) -> None:
        if not life.cancelled():
            life.exception()  # whoever asked has been told; an idle one ends unheard
        if self._stay and self._stay.life is life:
            self._rest(None)


def _send(stay: _Stay, request: Mapping[str, object], files: Sequence[int]) -> None:
    with suppress(OSError):  # it may be dead already
        if stay.newborn:
            socket.send_fds(stay.newborn.gate, [json.dumps(request).encode()], files)


def _document(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()
