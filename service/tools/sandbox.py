"""Every untrusted byte is decoded in a child process made here: a program (`run`) or a function (`call`).

A child has an empty environment, no descriptor but its three, no privilege, a session of its own, a limit on
everything (`Limits`), and ends with the worker, however that ends. What it costs and how it ended is all that comes
back. `zygote.py` makes the children, `supervise.py` watches one, `patrol.py` all of them.
"""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from service.core.outcome import Reason, Rejected, Transient
from service.tools import linux
from service.tools.family import FAMILY
from service.tools.launch import Launcher
from service.tools.limits import Excess, Finished, Limits, Usage, kernel_cpu_seconds
from service.tools.patrol import Patrol
from service.tools.supervise import Child
from service.tools.zygote import Order

__all__ = ["Excess", "Finished", "Limits", "Sandbox", "Usage"]

CODECS = "service.tools.pictures"
PATH = "/usr/local/bin:/usr/bin:/bin"
STDOUT_BYTES = 4 * 1024 * 1024  # ffprobe's document about 32 streams with all their tags
RESULT_BYTES = 1024 * 1024  # facts about a picture; pixels go through files
MESSAGE_LENGTH = 1000  # of what a child says: a rejection is published, a traceback logged

T = TypeVar("T")


class Sandbox:
    """Children of this worker; entered once, it starts the zygote. `on_kill` hears why a child was killed.

    The names are those of `Excess`, and `cancelled`, and `caller` for an exception of `on_line`.
    """

    def __init__(
        self, functions: str = CODECS, *, path: str = PATH, on_kill: Callable[[str], None] = lambda _: None
    ) -> None:
        self._launcher = Launcher(functions, path=path)
        self._patrol = Patrol()
        self._on_kill = on_kill
        self._lives: dict[asyncio.Task[Finished], Child] = {}

    async def __aenter__(self) -> Self:
        """Raises Misconfigured if the codecs cannot be loaded."""
        linux.adopt_orphans()
        linux.hide()
        await self._launcher.open()
        return self

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
        stdout_bytes: int = STDOUT_BYTES,
    ) -> Finished:
        """Run a program in `cwd`; its exit status is the caller's to judge.

        With `on_line`, standard output goes there line by line and is not kept; False says that a line is no progress.
        What it raises kills the child and is raised here. Raises Rejected for an exceeded limit, Misconfigured if
        there is no such program or directory. A cancellation kills the child, waits until it is gone, and is raised
        then.
        """
        child = Child(limits, on_line=on_line, stdout_bytes=stdout_bytes, on_kill=self._on_kill)
        return await self._supervised(child, _order({"argv": list(argv)}, cwd, limits))

    async def call(
        self, function: str, request: Mapping[str, object], *, cwd: Path, limits: Limits
    ) -> tuple[dict[str, object], Usage]:
        """Call a function of the codecs' module with a JSON object; its answer is one, too.

        Raises Rejected if the function did, for an exceeded limit and for a crash; Transient with the traceback for
        any other exception, and for a SIGKILL from outside: the memory of the machine ran out, not of this child.
        """
        child = Child(limits, on_line=None, stdout_bytes=RESULT_BYTES, on_kill=self._on_kill)
        order = _order({"function": function, "request": dict(request)}, cwd, limits)
        finished = await self._supervised(child, order)
        if finished.returncode:
            raise _failure(function, finished)
        return _answer(finished.stdout), finished.usage

    async def _supervised(self, child: Child, order: Order) -> Finished:
        life = asyncio.create_task(self._live(child, order))
        self._lives[life] = child
        life.add_done_callback(self._lives.pop)
        return await _insist(life, on_cancel=child.cancel)

    async def _live(self, child: Child, order: Order) -> Finished:
        with ExitStack() as stack:
            with FAMILY.birth():
                newborn = await self._launcher.launch(order)
                stack.callback(newborn.close)
                stack.enter_context(self._patrol.watching(newborn.pid, child))
            return await child.live(newborn)


async def _insist(task: asyncio.Task[T], *, on_cancel: Callable[[], None]) -> T:
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


def _order(task: dict[str, object], cwd: Path, limits: Limits) -> Order:
    return Order(
        task=task,
        cwd=str(cwd.absolute()),
        worker=os.getpid(),
        cpu_seconds=kernel_cpu_seconds(limits),
        file_bytes=limits.file_bytes,
    )


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
