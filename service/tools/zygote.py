"""The process that every decoder is forked from: codecs loaded, nothing else in it, a cage prepared.

It is started with the control socket as its standard input and nothing else open, imports the codecs and puts on all
restrictions that a child inherits. Then, for each order (JSON, with three descriptors: gate, stdout, stderr):

    worker                zygote                  go-between          child
      order ---------------> fork ------------------> fork -------------> setsid, close what is not its own
                               <------------ pid, exit                    (now a child of the worker)
      <----------------- pid
      watch it
      gate: GO ---------------------------------------------------------> limits, confine, exec or call

The fork is a double one so that the worker, being a subreaper, becomes the parent: it alone waits for the child.
Nothing untrusted is read before GO; a worker that died or changed its mind closes the gate instead. What stops a
child between GO and its task is said through the gate, so that the task's own output is never mistaken for it.

A child may also stay and serve one request after another (an assistant, for a model that takes long to load): they
come through its gate, each with the files that it is about, and it ends when the worker closes that.
"""

import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Final, NoReturn, TextIO, TypedDict

from service.core.outcome import Reason, Rejected
from service.tools import confine, linux
from service.tools.calls import OPEN_FILES, PROGRAM, Kind
from service.tools.confine import Cage, Mode

MAX_ORDER: Final = 128 * 1024  # Linux refuses a longer argument anyway (MAX_ARG_STRLEN)
THREADS: Final = 16_384  # of this user, all together: half of the pids that a machine has, if it is not told otherwise
GO: Final = b"!"
NEVER_STARTED: Final = 125
FAILED: Final = 1

Result = Mapping[str, object]
Serve = Callable[[dict[str, object], Sequence[int]], Iterator[Result]]  # a request and its files; they are closed after


class Order(TypedDict):
    """One child: its task is `{"argv": [...]}`, `{"function": name, "request": {...}}` or the same with `"assistant"`.

    An assistant's function gets ready for its request, and returns what serves all later ones. With `{"trial": true}`
    the child tells how it is held. If it `writes`, then below `cwd` alone; it can read what is at or below `reads`.
    """

    task: dict[str, object]
    cwd: str
    writes: bool
    reads: list[str]
    sandbox: Mode
    worker: int
    cpu_seconds: int
    file_bytes: int


def main(functions: str) -> None:
    """Serve orders from standard input, calling functions of the module `functions`, until the worker hangs up."""
    control = socket.socket(fileno=0)
    try:
        codecs = importlib.import_module(functions)
        harden()
        cage = Cage.prepared(codecs)
    except Exception:
        _say(control, {"error": traceback.format_exc()})
        return
    gc.freeze()  # or every child's first collection would copy all pages
    _say(control, {"ready": os.getpid()})
    while answer := _serve(control, codecs, cage):
        _say(control, answer)


def harden() -> None:
    """Everything that children inherit by fork, done once."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)  # Python ignores SIGXFSZ and SIGPIPE, and exec would keep that
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES + 1,) * 2)  # one more until the program is open
    linux.brand()
    linux.offer_to_the_oom_killer()
    linux.renounce_privileges()
    linux.hide()


def _serve(control: socket.socket, codecs: ModuleType, cage: Cage) -> dict[str, object] | None:
    """The answer to the next order; None if the worker hung up."""
    data, files, *_ = socket.recv_fds(control, MAX_ORDER, 3)
    if not data:
        return None
    try:
        return {"pid": _beget(json.loads(data), files, codecs, cage)}
    except OSError as error:
        return {"error": f"no child could be forked: {error}"}
    finally:
        for file in files:
            os.close(file)


def _beget(order: Order, files: Sequence[int], codecs: ModuleType, cage: Cage) -> int:
    """Fork twice; the pid of the child, which is the worker's by now and has a process group of its own.

    The pipe ends when the child has closed what is not its own, which it does in its group.
    """
    reader, writer = os.pipe()
    try:
        go_between = os.fork()
        if go_between == 0:
            _go_between(order, files, codecs, cage, writer)
        os.waitpid(go_between, 0)
    finally:
        os.close(writer)
        with os.fdopen(reader, "rb") as said:
            pid = said.read()
    if not pid:
        raise BlockingIOError("the second fork failed")
    return int(pid)


def _go_between(order: Order, files: Sequence[int], codecs: ModuleType, cage: Cage, writer: int) -> NoReturn:
    with suppress(OSError):
        child = os.fork()
        if child == 0:
            _child(order, files, codecs, cage)
        os.write(writer, str(child).encode())
    os._exit(0)


def _child(order: Order, files: Sequence[int], codecs: ModuleType, cage: Cage) -> NoReturn:
    gate = files[0]
    try:
        os.setsid()
        _keep_only(*files)
        if os.read(gate, 1) != GO:
            os._exit(NEVER_STARTED)
        linux.die_with(order["worker"])
        _limit(order)
        _shut(order, cage)
        _perform(order["task"], gate, codecs, cage)
    except BaseException as error:  # nothing may return into the zygote's loop
        with suppress(OSError):
            os.write(gate, str(error).encode())
    os._exit(NEVER_STARTED)


def _keep_only(gate: int, stdout: int, stderr: int) -> None:
    """Leave 0 (nothing to read), 1, 2 and the gate, which exec closes."""
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.set_inheritable(gate, False)  # noqa: FBT003 - recv_fds leaves it open across exec
    os.closerange(3, gate)
    os.closerange(gate + 1, OPEN_FILES)


def _limit(order: Order) -> None:
    """The limits of this order; never RLIMIT_AS, which hangs ffmpeg 5.1.9.

    Both CPU limits are equal: at the soft one ffmpeg would catch SIGXCPU and end as if it had finished.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (order["cpu_seconds"],) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_bytes"],) * 2)
    _, most = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (THREADS if most == resource.RLIM_INFINITY else min(THREADS, most),) * 2)
    os.chdir(order["cwd"])


def _shut(order: Order, cage: Cage) -> None:
    """The last thing that a child does before its task. Its descriptors and its gate go on as they are."""
    reads = tuple(order["reads"])
    kind = Kind.ASSISTANT if "assistant" in order["task"] else Kind.FUNCTION
    match order["task"]:
        case {"argv": [str(program), *_]}:
            kind, reads = Kind.PROGRAM, (*reads, confine.opened(program))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    cage.close(order["sandbox"], kind, works_in=order["cwd"] if order["writes"] else None, reads=reads)


def _perform(task: dict[str, object], gate: int, codecs: ModuleType, cage: Cage) -> NoReturn:
    match task:
        case {"argv": [*words]}:
            os.execve(PROGRAM, [*map(str, words)], os.environ)  # noqa: S606 - no shell is the point
        case {"trial": True}:
            os.close(gate)
            _call(lambda _: cage.tried(), {})
        case {"function": str(name), "request": dict(request)}:
            function: Callable[[dict[str, object]], Result] = getattr(codecs, name)
            os.close(gate)
            _call(function, request)
        case {"assistant": str(name), "request": dict(request)}:
            prepare: Callable[[dict[str, object]], Serve] = getattr(codecs, name)
            _attend(prepare, request, gate)
        case _:
            raise ValueError(f"no such task: {task}")


def _call(function: Callable[[dict[str, object]], Result], request: dict[str, object]) -> NoReturn:
    """Run `function` and write its outcome to what was standard output, which now goes to standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        answer = json.dumps(_outcome(function, request)).encode()
        with os.fdopen(answers, "wb") as file:
            file.write(answer)
    except BaseException:  # even SystemExit is no result
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
        os._exit(FAILED)
    os._exit(0)


def _attend(prepare: Callable[[dict[str, object]], Serve], request: dict[str, object], gate: int) -> NoReturn:
    """Serve until the worker hangs up: each answer is lines of JSON, the last one `{"done": true}`."""
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        with socket.socket(fileno=gate) as requests, os.fdopen(answers, "w") as lines:
            serve = prepare(request)
            _tell(lines, {"done": True})
            while _serve_one(serve, requests, lines):
                pass
    except BaseException:  # no request is answered by halves: the next child begins anew
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
        os._exit(FAILED)
    os._exit(0)


def _serve_one(serve: Serve, requests: socket.socket, lines: TextIO) -> bool:
    data, files, *_ = socket.recv_fds(requests, MAX_ORDER, 1)
    if not data:
        return False
    try:
        for part in serve(json.loads(data), files):
            _tell(lines, {"part": part})
    finally:
        for file in files:
            os.close(file)
    _tell(lines, {"done": True})
    return True


def _tell(lines: TextIO, message: Result) -> None:
    lines.write(json.dumps(message) + "\n")
    lines.flush()


def _outcome(function: Callable[[dict[str, object]], Result], request: dict[str, object]) -> Result:
    try:
        return {"result": function(request)}
    except Rejected as rejected:
        return {"rejected": [rejected.reason, rejected.message]}
    except MemoryError:
        return {"rejected": [Reason.MEMORY_LIMIT, "decoding this file needs more memory than there is"]}


def _say(control: socket.socket, message: Mapping[str, object]) -> None:
    control.send(json.dumps(message).encode())
