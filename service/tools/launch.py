"""The worker's end of the zygote: started when needed, asked for one child at a time, replaced when it is gone."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from service.core.outcome import Misconfigured, Transient
from service.tools.family import FAMILY
from service.tools.zygote import MAX_ORDER, Order

# -I keeps the environment and the working directory out; modules are found where the worker found them.
BOOT = "import sys; sys.path[:] = sys.argv[2:]; from service.tools import zygote; zygote.main(sys.argv[1])"
READY_SECONDS = 60.0  # importing the codecs takes 0.1 s, or many on a cold disk
BIRTH_SECONDS = 10.0  # two forks take milliseconds; a zygote that needs longer has been stopped
ATTEMPTS = 2  # one for the zygote that turns out to be dead, one for the next


@dataclass(frozen=True, kw_only=True)
class Newborn:
    """A child that waits at its gate for GO, and the worker's ends of its pipes; closing the gate ends it."""

    pid: int
    gate: socket.socket
    stdout: int
    stderr: int

    def close(self) -> None:
        """Close the worker's ends."""
        self.gate.close()
        os.close(self.stdout)
        os.close(self.stderr)


class Launcher:
    """One zygote, whose children call functions of the module `functions`."""

    def __init__(self, functions: str, *, path: str) -> None:
        self._functions = functions
        self._environment = {"PATH": path, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The zygote's pid, until it has been waited for."""
        return self._process.pid if self._process else None

    async def open(self) -> None:
        """Start the zygote unless it runs. Raises Misconfigured if it cannot load the codecs."""
        async with self._turn:
            await self._ready()

    async def launch(self, order: Order) -> Newborn:
        """A child that waits for GO: until then nothing of the order has been done, so a failure may be repeated."""
        message = json.dumps(order).encode()
        if len(message) > MAX_ORDER:
            raise ValueError(f"an order of {len(message)} bytes does not fit a message of {MAX_ORDER}")
        async with self._turn:
            for _ in range(ATTEMPTS):
                control = await self._ready()
                try:
                    return await _birth(control, message)
                except (OSError, EOFError):
                    self.close()
                except Transient:
                    raise
                except BaseException:
                    self.close()  # its answer would be taken for the next one's
                    raise
        raise Transient("the zygote died twice over one order")

    def close(self) -> None:
        """End the zygote and wait for it; its children are not its own and go on."""
        if self._control:
            self._control.close()
        if self._process:
            self._process.kill()
            self._process.wait()
            FAMILY.awaited.discard(self._process.pid)
        self._control = self._process = None

    async def _ready(self) -> socket.socket:
        if self._control and self._process and self._process.poll() is None:
            return self._control
        self.close()
        self._control = self._spawn()
        try:
            await _answer(self._control, READY_SECONDS)
        except (OSError, EOFError, Transient) as error:
            self.close()
            raise Misconfigured(f"the zygote cannot start: {error}") from error
        return self._control

    def _spawn(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(0)
        modules = [str(Path(entry).absolute()) for entry in sys.path]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", BOOT, self._functions, *modules],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=self._environment,
                start_new_session=True,  # a terminal's Ctrl-C is for the worker to handle
            )
        FAMILY.awaited.add(self._process.pid)
        return ours


async def _birth(control: socket.socket, order: bytes) -> Newborn:
    with ExitStack() as theirs, ExitStack() as ours:
        gate, their_gate = socket.socketpair()
        ours.enter_context(gate)
        theirs.enter_context(their_gate)
        stdout, their_stdout = _pipe(ours, theirs)
        stderr, their_stderr = _pipe(ours, theirs)
        socket.send_fds(control, [order], [their_gate.fileno(), their_stdout, their_stderr])
        answer = await _answer(control, BIRTH_SECONDS)
        ours.pop_all()
        return Newborn(pid=int(str(answer["pid"])), gate=gate, stdout=stdout, stderr=stderr)


def _pipe(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    reader, writer = os.pipe()
    ours.callback(os.close, reader)
    theirs.callback(os.close, writer)
    return reader, writer


async def _answer(control: socket.socket, seconds: float) -> dict[str, object]:
    """What the zygote says next. Raises Transient with its words if that is an error, EOFError if it hung up."""
    async with asyncio.timeout(seconds):
        data = await asyncio.get_running_loop().sock_recv(control, MAX_ORDER)
    if not data:
        raise EOFError("it ended without a word")
    answer: dict[str, object] = json.loads(data)
    if "error" in answer:
        raise Transient(str(answer["error"]))
    return answer
