"""Every untrusted byte is decoded in a child process made here: a program (`run`) or a function (`call`).

What takes long to get ready, a model, may stay and serve one request after another (`assistant`).

A child has an empty environment, no descriptor but its three, no privilege, a session of its own, a limit on
everything (`Limits`), a short list of system calls, sight of its own folder alone, and ends with the worker, however
that ends. What it costs and how it ended is all that comes back. `zygote.py` makes the children, `confine.py` cuts them
off, `supervise.py` watches one, `patrol.py` all of them.
"""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from service.core.outcome import MediaWorkerError, Misconfigured, Reason, Rejected, Transient
from service.tools import landlock, linux
from service.tools.assistant import IDLE_SECONDS, Assistant
from service.tools.confine import Confinement, Mode, confinement
from service.tools.family import FAMILY
from service.tools.launch import Launcher, Newborn
from service.tools.limits import Excess, Finished, Limits, Usage, kernel_cpu_seconds
from service.tools.patrol import Patrol
from service.tools.supervise import Child, insist
from service.tools.zygote import Order

__all__ = ["Assistant", "Confinement", "Excess", "Finished", "Limits", "Mode", "Sandbox", "Usage"]

CODECS = "service.tools.pictures"
PATH = "/usr/local/bin:/usr/bin:/bin"
STDOUT_BYTES = 4 * 1024 * 1024  # ffprobe's document about 32 streams with all their tags
RESULT_BYTES = 1024 * 1024  # facts about a picture; pixels go through files
MESSAGE_LENGTH = 1000  # of what a child says: a rejection is published, a traceback logged
TRIAL = Limits(wall_seconds=20, cpu_seconds=10, memory_bytes=1_000_000_000, file_bytes=0)  # it takes milliseconds
REMEDY = "install libseccomp2 (as Debian calls it), and let the container's own filter allow seccomp(2)"
OTHERWISE = "or set MEDIA_SANDBOX=optional, to decode uploads in processes that are not cut off"


class Sandbox:
    """Children of this worker; entered once, it starts the zygote, or only at the first child if it is not `eager`.

    They are cut off from all but their folder, and `readable`, which they may read besides: if `mode` is "optional" as
    far as this machine can do it, if "off" not at all. `confinement` is what a child found when it tried, at the start
    of an eager one. `on_kill` hears why a child was killed: the names are those of `Excess`, and `cancelled`, and
    `caller` for an exception of `on_line`.
    """

    def __init__(
        self,
        functions: str = CODECS,
        *,
        path: str = PATH,
        mode: Mode = "required",
        readable: Sequence[Path] = (),
        on_kill: Callable[[str], None] = lambda _: None,
        eager: bool = True,
    ) -> None:
        self._eager = eager
        self._mode: Mode = mode
        self._readable = landlock.with_targets(readable)
        self.confinement = Confinement(told="not tried", holes=())
        self._launcher = Launcher(functions, path=path)
        self._patrol = Patrol()
        self._on_kill = on_kill
        self._lives: dict[asyncio.Task[Finished], Child] = {}

    async def __aenter__(self) -> Self:
        """Raises Misconfigured if codecs can't be loaded, or children not be cut off; if lazy, the first child does."""
        linux.adopt_orphans()
        linux.hide()
        if self._eager:
            try:
                await self._launcher.open()
                await self._try()
            except BaseException:
                await self.__aexit__(None, None, None)
                raise
        return self

    async def _try(self) -> None:
        """See that a child is held."""
        if self._mode == "off":
            self.confinement = Confinement(told="off", holes=("do whatever this user can",))
            return
        try:
            child = Child(TRIAL, on_line=None, stdout_bytes=RESULT_BYTES, on_kill=self._on_kill)
            finished = await self._supervised(child, self._order({"trial": True}, Path("/"), TRIAL, writes=False))
            if finished.returncode:
                raise _failure("the trial", finished)
            self.confinement = confinement(_answer(finished.stdout))
        except MediaWorkerError as error:
            raise Misconfigured(f"decoders can't be cut off: {error}: {REMEDY}; {OTHERWISE}") from error
        if self.confinement.holes and self._mode == "required":
            could, told = ", ".join(self.confinement.holes), self.confinement.told
            raise Misconfigured(f"decoders are not cut off ({told}), they could {could}: {REMEDY}; {OTHERWISE}")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends what still runs, whose callers get Interrupted, and waits for it."""
        try:
            for child in self._lives.values():
                child.interrupt()
            if self._lives:
                await asyncio.wait(self._lives)
        finally:
            self._launcher.close()
            await self._patrol.end()

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        limits: Limits,
        on_line: Callable[[str], bool | None] | None = None,
        on_error: Callable[[str], None] | None = None,
        stdout_bytes: int = STDOUT_BYTES,
    ) -> Finished:
        """Run a program in `cwd`; its exit status is the caller's to judge.

        With `on_line`, standard output goes there line by line and is not kept; False says that a line is no progress.
        `on_error` hears every line of standard error, and raises nothing.
        What it raises kills the child and is raised here. Raises Rejected for an exceeded limit, Misconfigured if
        there is no such program or directory. A cancellation kills the child, waits until it is gone, and is raised
        then.
        """
        child = Child(limits, on_line=on_line, on_error=on_error, stdout_bytes=stdout_bytes, on_kill=self._on_kill)
        return await self._supervised(child, self._order({"argv": list(argv)}, cwd, limits))

    async def call(
        self, function: str, request: Mapping[str, object], *, cwd: Path, limits: Limits
    ) -> tuple[dict[str, object], Usage]:
        """Call a function of the codecs' module with a JSON object; its answer is one, too.

        Raises Rejected if the function did, for an exceeded limit and for a crash; Transient with the traceback for
        any other exception, and for a SIGKILL from outside: the memory of the machine ran out, not of this child.
        """
        child = Child(limits, on_line=None, stdout_bytes=RESULT_BYTES, on_kill=self._on_kill)
        order = self._order({"function": function, "request": dict(request)}, cwd, limits)
        finished = await self._supervised(child, order)
        if finished.returncode:
            raise _failure(function, finished)
        return _answer(finished.stdout), finished.usage

    def assistant(
        self,
        function: str,
        request: Mapping[str, object],
        *,
        cwd: Path,
        limits: Limits,
        idle_seconds: float = IDLE_SECONDS,
    ) -> Assistant:
        """A child that serves requests one after another: started at the first, ended when nobody asks for a while.

        `limits` are those of getting ready, and of its whole life for processor time.
        """

        def begin(child: Child, on_birth: Callable[[Newborn], None], limits: Limits) -> asyncio.Task[Finished]:
            task: dict[str, object] = {"assistant": function, "request": dict(request)}
            return self._begin(child, self._order(task, cwd, limits, writes=False), on_birth)

        return Assistant(function, begin, limits=limits, idle_seconds=idle_seconds, on_kill=self._on_kill)

    def _order(self, task: dict[str, object], cwd: Path, limits: Limits, *, writes: bool = True) -> Order:
        return Order(
            task=task,
            cwd=str(cwd.absolute()),
            writes=writes,
            reads=self._readable,
            sandbox=self._mode,
            worker=os.getpid(),
            cpu_seconds=kernel_cpu_seconds(limits),
            file_bytes=limits.file_bytes,
        )

    async def _supervised(self, child: Child, order: Order) -> Finished:
        return await insist(self._begin(child, order), on_cancel=child.cancel)

    def _begin(
        self, child: Child, order: Order, on_birth: Callable[[Newborn], None] = lambda _: None
    ) -> asyncio.Task[Finished]:
        life = asyncio.create_task(self._live(child, order, on_birth))
        self._lives[life] = child
        life.add_done_callback(self._lives.pop)
        return life

    async def _live(self, child: Child, order: Order, on_birth: Callable[[Newborn], None]) -> Finished:
        with ExitStack() as stack:
            with FAMILY.birth():
                newborn = await self._launcher.launch(order)
                stack.callback(newborn.close)
                stack.enter_context(self._patrol.watching(newborn.pid, child))
            on_birth(newborn)
            return await child.live(newborn)


def _failure(function: str, finished: Finished) -> Rejected | Transient:
    """A crash is the file's fault: a decoder that fails otherwise raises, and says how."""
    if finished.returncode > 0:
        return Transient(f"{function} failed: {finished.errors[-MESSAGE_LENGTH:].strip()}")
    if finished.returncode == -signal.SIGKILL:
        return Transient(f"{function} was killed from outside; is the machine out of memory?")
    return Rejected(Reason.DAMAGED, f"the decoder crashed on this file ({signal.strsignal(-finished.returncode)})")


def _answer(stdout: bytes) -> dict[str, object]:
    """The function's result, or its Rejected; anything else was written by a decoder that is not itself any more."""
    match _document(stdout):
        case {"result": dict(result)}:
            return result
        case {"rejected": [str(reason), str(message)]} if reason in list(Reason):
            raise Rejected(Reason(reason), message[:MESSAGE_LENGTH])
    raise Rejected(Reason.DAMAGED, "the decoder gave no answer about this file")


def _document(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
