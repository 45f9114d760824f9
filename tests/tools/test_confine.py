"""A decoder that somebody else has taken over: what it tries, and that only its own job suffers."""

import asyncio
import json
import os
import platform
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from service.core.outcome import Misconfigured, Rejected
from service.tools import calls, confine, landlock, seccomp
from service.tools.calls import Kind
from service.tools.sandbox import Limits, Mode, Sandbox

STUBS = Path(__file__).parent / "stubs"
HOSTILE = "tests.tools.stubs.hostile"
LIMITS = Limits(wall_seconds=20, cpu_seconds=10, memory_bytes=500_000_000, file_bytes=1_000_000)
SECRET = "planted-9f2c"

needs_landlock = pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock: permissions alone count")

#: ptrace, the memory of others, files' own handles, and all else that is refused by name
BY_NAME = {name: seccomp._library().seccomp_syscall_resolve_name(name.encode()) for name in calls._REFUSED.split()}


class Bench:
    """A sandbox, the folder of a job, and two ways to attack from it."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder

    async def function(self, attack: str, *arguments: object) -> object:
        request = {"attack": attack, "arguments": list(arguments)}
        return (await self.sandbox.call("attempt", request, cwd=self.folder, limits=LIMITS))[0]["got"]

    async def program(self, attack: str, *arguments: object) -> object:
        script = [sys.executable, "-I", str(STUBS / "hostile.py"), attack, json.dumps(arguments)]
        finished = await self.sandbox.run(script, cwd=self.folder, limits=LIMITS)
        assert 0 == finished.returncode, finished.errors
        return json.loads(finished.stdout)["got"]


@asynccontextmanager
async def bench_of(folder: Path, codecs: str = HOSTILE, mode: Mode = "required") -> AsyncIterator[Bench]:
    """Its job's folder is below `folder`, beside whatever a test puts there."""
    (folder / "job").mkdir()
    async with Sandbox(codecs, mode=mode) as sandbox:
        yield Bench(sandbox, folder / "job")


@pytest.fixture(name="bench")
async def _bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    async with bench_of(tmp_path) as bench:
        yield bench


@pytest.fixture(name="attack", params=["function", "program"])
def _attack(bench: Bench, request: pytest.FixtureRequest) -> Callable[..., Awaitable[object]]:
    """From a function in a child, and from a program that it became."""
    return getattr(bench, request.param)


@contextmanager
def canary() -> Iterator[socket.socket]:
    """A server that nobody has to reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


ATTACKS = """
    ask_a_name_server talk_to_the_kernel pair_sockets
    read_its_parents_environment read_its_parents_memory list_its_parents_files
    make_a_pipe fork spawn make_a_namespace
    become_a_shell become_a_shell_by_descriptor become_a_shell_as_it_was_started
    trace_its_parent signal_its_parent signal_its_group hold_its_parent limit_its_parent pin_its_parent
    be_dumpable outlive_its_parent leave_its_session lift_its_limits be_the_last_to_go call_what_is_not_there
""".split()


@pytest.mark.parametrize("name", ATTACKS)
async def test_what_no_decoder_needs_is_refused(attack: Callable[..., Awaitable[object]], name: str) -> None:
    """Whether a function or a program tries."""
    assert str(await attack(name)).startswith("refused: ")


async def test_the_other_calls_are_refused_by_name(attack: Callable[..., Awaitable[object]]) -> None:
    """Each of them, as this machine numbers it."""
    numbers = {name: number for name, number in BY_NAME.items() if number >= 0}
    assert {"ptrace", "process_vm_readv", "bpf", "io_uring_setup", "keyctl", "mount"} <= numbers.keys()
    assert "refused: EPERM" == await attack("call_each", numbers)


async def test_nobody_is_called(attack: Callable[..., Awaitable[object]]) -> None:
    """A server on this machine sees no connection."""
    with canary() as server:
        assert "refused: EPERM" == await attack("connect", server.getsockname()[1])
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_the_canary_sings(tmp_path: Path) -> None:
    """The same attack arrives where decoders are not cut off: the test above proves something."""
    with canary() as server:
        async with bench_of(tmp_path, mode="off") as bench:
            assert "done" == await bench.function("connect", server.getsockname()[1])
        server.accept()[0].close()


@pytest.mark.parametrize("name", ["write", "rename_out", "link_to", "link_hard_to"])
@needs_landlock
async def test_nothing_is_left_outside_of_its_folder(
    attack: Callable[..., Awaitable[object]], name: str, tmp_path: Path
) -> None:
    """Although its user may write there; nor can it leave a link behind that leads the worker there."""
    (tmp_path / "there").write_text("as it was")
    for target in ("new", "there"):
        assert str(await attack(name, str(tmp_path / target))).startswith("refused: ")
    assert {"job", "there"} == {path.name for path in tmp_path.iterdir()}
    assert "as it was" == (tmp_path / "there").read_text()
    assert not (tmp_path / "job/in").exists()


@needs_landlock
async def test_nothing_outside_of_its_folder_is_seen(attack: Callable[..., Awaitable[object]], tmp_path: Path) -> None:
    """Neither another job's files nor what all users may read."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other/in").write_bytes(b"somebody else's")
    for path in (tmp_path / "other/in", Path("/etc/passwd"), Path(f"/proc/{os.getpid()}/cmdline")):
        assert "refused: EACCES" == await attack("read", str(path))


async def test_its_own_folder_and_threads_go_on(attack: Callable[..., Awaitable[object]]) -> None:
    """What every codec does."""
    assert ["done", "done"] == [await attack("work_in_its_folder"), await attack("use_threads")]


async def test_links_to_models_are_followed(tmp_path: Path) -> None:
    """A cache of models keeps them elsewhere; what it is not told of stays closed."""
    folder, cache = tmp_path / "model", tmp_path / "cache"
    folder.mkdir()
    cache.mkdir()
    (cache / "blob").write_bytes(b"weights")
    (folder / "model.bin").symlink_to(cache / "blob")
    (cache / "other").write_bytes(b"none of its business")
    async with Sandbox(HOSTILE, readable=[folder]) as sandbox:
        (tmp_path / "job").mkdir()
        bench = Bench(sandbox, tmp_path / "job")
        assert "done" == await bench.function("read", str(folder / "model.bin"))
        if landlock.abi():
            assert "refused: EACCES" == await bench.function("read", str(cache / "other"))


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("abort", signal.SIGABRT),
        pytest.param(
            "call_as_another_machine",
            signal.SIGSYS,
            marks=pytest.mark.skipif(platform.machine() != "x86_64", reason="only there are two tables"),
        ),
    ],
)
async def test_a_decoder_that_dies_takes_nobody_with_it(bench: Bench, name: str, ending: signal.Signals) -> None:
    """Its job is rejected, saying how it ended; the next one is done."""
    with pytest.raises(Rejected, match=signal.strsignal(ending) or "?"):
        await bench.function(name)
    assert "done" == await bench.function("work_in_its_folder")


async def test_others_do_not_notice(bench: Bench, tmp_path: Path) -> None:
    """Good work goes on while it is attacked."""
    attacks = [bench.function(name) for name in ("fork", "become_a_shell", "trace_its_parent")]
    work = [bench.program("use_threads"), bench.function("work_in_its_folder")]
    got = await asyncio.gather(*attacks, *work)
    assert [True] * 3 + [False] * 2 == [str(one).startswith("refused") for one in got]


async def test_how_decoders_are_held_is_told(bench: Bench) -> None:
    """For `doctor`."""
    told = bench.sandbox.confinement.told
    assert () == bench.sandbox.confinement.holes
    assert told.startswith(f"seccomp {seccomp.version()}, ")
    assert told.endswith("; worker not dumpable")
    assert (f"Landlock ABI {landlock.abi()}" if landlock.abi() else "no Landlock in this kernel") in told


async def test_without_landlock_the_filter_holds(tmp_path: Path) -> None:
    """As on kernels that have none: the rest is refused as ever, and permissions alone guard the files."""
    async with bench_of(tmp_path, "tests.tools.stubs.unlandlocked") as bench:
        assert "no Landlock in this kernel" in bench.sandbox.confinement.told
        refused = [await bench.function(name) for name in ("pair_sockets", "fork")]
        assert ["refused: EPERM"] * 2 == refused
        assert "refused: EACCES" == await bench.function("read_its_parents_environment")
        assert "done" == await bench.function("write", str(tmp_path / "new"))


async def test_a_worker_that_cannot_cut_decoders_off_does_not_start() -> None:
    """Fail closed: it says what to install, and which setting says otherwise."""
    with pytest.raises(Misconfigured, match=r"libseccomp-is-not-here.*install libseccomp2.*MEDIA_SANDBOX=optional"):
        await Sandbox("tests.tools.stubs.bare").__aenter__()


async def test_a_model_is_not_loaded_where_it_cannot_be_cut_off(tmp_path: Path) -> None:
    """A sandbox that starts late fails closed as well."""
    async with Sandbox("tests.tools.stubs.bare", eager=False) as sandbox:
        with pytest.raises(Misconfigured, match="no seccomp filter"):
            await Bench(sandbox, tmp_path).function("pair_sockets")


async def test_a_setting_says_otherwise(tmp_path: Path) -> None:
    """Then decoders work, and it is told what they could do."""
    async with bench_of(tmp_path, "tests.tools.stubs.bare", "optional") as bench:
        assert "done" == await bench.function("pair_sockets")
        held = bench.sandbox.confinement
    assert ("open a socket", "start a process", "signal the worker") == held.holes
    assert "no seccomp: libseccomp-is-not-here.so" in held.told


@pytest.mark.parametrize("machine", seccomp.MACHINES)
@pytest.mark.parametrize("kind", Kind)
def test_both_architectures_have_the_filter(kind: Kind, machine: str) -> None:
    """By their own numbers (asm/unistd.h); the other's calls kill."""
    code = calls.compiled(kind, machine=machine).code

    def asked(call: str, *arguments: int, of: str = machine) -> int:
        return answer(code, seccomp.MACHINES[of], NUMBERS[of][call], arguments)

    other = next(name for name in seccomp.MACHINES if name != machine)
    refused = seccomp.ERRNO | 1
    no_such_call = seccomp.ERRNO | 38
    assert [seccomp.ALLOW] * 3 == [asked("read"), asked("openat"), asked("clone", 0x3D0F00)]
    assert [refused] * 5 == [asked("socket"), asked("ptrace"), asked("execve"), asked("clone", 17), asked("setns")]
    assert [no_such_call] * 2 == [asked("clone3"), asked("kill", 1, 9)]
    assert seccomp.ALLOW == asked("kill", seccomp.OWN_PID, 9)
    assert (seccomp.ALLOW if kind is Kind.ASSISTANT else no_such_call) == asked("recvmsg")
    assert (seccomp.ALLOW if kind is Kind.PROGRAM else refused) == asked("execveat", calls.PROGRAM, 0, 0, 0, 0x1000)
    assert seccomp.ALLOW != asked("execveat", 3, 0, 0, 0, 0x1000)
    assert seccomp.KILL_PROCESS == asked("read", of=other)


CALLS = ("read", "openat", "clone", "socket", "ptrace", "execve", "setns", "clone3", "kill", "recvmsg", "execveat")
NUMBERS = {
    "x86_64": dict(zip(CALLS, (0, 257, 56, 41, 101, 59, 308, 435, 62, 47, 322), strict=True)),
    "aarch64": dict(zip(CALLS, (63, 56, 220, 198, 117, 221, 268, 435, 129, 212, 281), strict=True)),
}


def answer(code: bytes, machine: int, call: int, arguments: Sequence[int]) -> int:
    """What the kernel would do: classic BPF over a struct seccomp_data, as far as libseccomp makes use of it."""
    data = struct.pack("<iIQ6Q", call, machine, 0, *arguments, *[0] * (6 - len(arguments)))
    program = list(struct.iter_unpack("=HBBI", code))
    at = accumulator = 0
    while True:
        operation, if_true, if_false, operand = program[at]
        at += 1
        match operation:
            case 0x20:  # load a word
                (accumulator,) = struct.unpack_from("<I", data, operand)
            case 0x54:  # and
                accumulator &= operand
            case 0x05:  # jump
                at += operand
            case 0x15 | 0x25 | 0x35:  # jump if equal, greater, greater or equal
                holds = {0x15: accumulator == operand, 0x25: accumulator > operand, 0x35: accumulator >= operand}
                at += if_true if holds[operation] else if_false
            case 0x06:  # return
                return operand
            case _:
                raise AssertionError(f"libseccomp makes use of operation {operation:#x} as well")


def test_no_call_is_both_allowed_and_refused() -> None:
    """Nor named twice."""
    allowed = [
        name
        for part in (calls._FILES, calls._MEMORY, calls._THREADS, calls._SIGNALS, calls._ITSELF)
        for name in part.split()
    ]
    names = [*allowed, *calls._REFUSED.split()]
    assert sorted(set(names)) == sorted(names)


def test_a_trial_without_an_answer_is_no_confinement() -> None:
    """What a child says of itself is looked at."""
    with pytest.raises(Misconfigured, match="no answer"):
        confine.confinement({"seccomp": "2.5.4"})
