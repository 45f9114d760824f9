"""What a child of the sandbox can see, use and leave behind, with real processes."""

import asyncio
import json
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from service.core.outcome import Interrupted, Misconfigured, Reason, Rejected, Transient
from service.tools import launch, linux, patrol, supervise
from service.tools.sandbox import Finished, Limits, Mode, Sandbox

ROOT = Path(__file__).parents[2]
STUBS = ROOT / "tests/tools/stubs"
DECODERS = "tests.tools.stubs.decoders"
LIMITS = Limits(wall_seconds=20, cpu_seconds=10, memory_bytes=500_000_000, file_bytes=1_000_000)
PATIENCE = 10.0  # seconds that a test waits for what takes milliseconds


class Bench:
    """A sandbox with a scratch directory, and the kills it counted."""

    def __init__(self, scratch: Path, mode: Mode = "required") -> None:
        self.scratch = scratch
        self.kills: list[str] = []
        self.sandbox = Sandbox(DECODERS, mode=mode, on_kill=self.kills.append)

    async def run(self, *argv: str, limits: Limits = LIMITS, **options) -> Finished:
        return await self.sandbox.run(argv, cwd=self.scratch, limits=limits, **options)

    async def stub(self, name: str, **options) -> Finished:
        return await self.run(sys.executable, "-I", str(STUBS / "programs.py"), name, **options)

    async def call(self, function: str, limits: Limits = LIMITS, **request) -> dict[str, object]:
        result, _ = await self.sandbox.call(function, request, cwd=self.scratch, limits=limits)
        return result

    @property
    def zygote(self) -> int:
        return self.sandbox._launcher.pid


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    async with bench.sandbox:
        yield bench
    assert offspring() == []


@pytest.fixture
async def loose(tmp_path: Path) -> AsyncIterator[Bench]:
    """One whose children are not cut off, and can start processes of their own: where MEDIA_SANDBOX allows that."""
    loose = Bench(tmp_path, "off")
    async with loose.sandbox:
        yield loose
    assert offspring() == []


def offspring() -> list[linux.Process]:
    """Whatever a sandbox of this process made and nobody waited for, zombies included."""
    ours = [process for process in linux.processes().values() if process.parent == os.getpid()]
    return [process for process in ours if linux.branded(process.pid)]


def offspring_but_the_zygote(bench: Bench) -> list[linux.Process]:
    return [process for process in offspring() if process.pid != bench.zygote]


def surroundings(scratch: Path, more_descriptors: Mapping[str, str] = {}) -> dict[str, object]:
    """The golden list: everything that a child can see of itself."""
    return {
        "environment": {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"},
        "cwd": str(scratch),
        "descriptors": {"0": "/dev/null", "1": "pipe", "2": "pipe", **more_descriptors},
        "limits": {
            "CPU": [16, 16],
            "FSIZE": [1_000_000, 1_000_000],
            "NOFILE": [256, 256],
            "CORE": [0, 0],
            "AS": list(resource.getrlimit(resource.RLIMIT_AS)),
        },
        "umask": 0o077,
        "leads its session": True,
        "parent": os.getpid(),
        "oom_score_adj": 1000,
        "no_new_privs": "1",
        "capabilities": 0,
        "blocked signals": 0,
    }


@contextmanager
def inheritable_pipe() -> Iterator[None]:
    """Two descriptors of the worker that a careless exec would pass on."""
    ends = os.pipe()
    for end in ends:
        os.set_inheritable(end, True)  # noqa: FBT003 - the os module's own signature
    yield
    for end in ends:
        os.close(end)


async def test_a_program_sees_nothing_of_the_worker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment, directory, descriptors, limits and rights of a program equal a golden list."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with inheritable_pipe():
        finished = await bench.run(sys.executable, "-I", str(STUBS / "surroundings.py"))
    assert surroundings(bench.scratch) == json.loads(finished.stdout)


async def test_a_function_sees_nothing_of_the_worker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call has one descriptor more, for its answer, and standard output goes to standard error."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with inheritable_pipe():
        seen = await bench.call("surroundings")
    assert surroundings(bench.scratch, {"3": "pipe"}) == seen


async def test_a_program_starts_with_all_signals_at_their_defaults(bench: Bench) -> None:
    """Python ignores SIGXFSZ and SIGPIPE; a program must not inherit that, or it outlives its limits."""
    status = (await bench.run("cat", "/proc/self/status")).stdout.decode()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigIgn", "SigBlk"))]
    assert masks == [0, 0]


async def test_a_child_cannot_look_into_its_makers(bench: Bench) -> None:
    """The /proc entries of worker and zygote are closed to children, even to root's, which have no capability left."""
    for pid in (os.getpid(), bench.zygote):
        finished = await bench.run("head", "-c", "1", f"/proc/{pid}/environ")
        assert (1, b"") == (finished.returncode, finished.stdout)
        assert "Permission denied" in finished.errors


async def test_run_reports_what_a_program_did(bench: Bench) -> None:
    """Exit status, both outputs, the number of error lines and the cost come back."""
    finished = await bench.run("sh", "-c", "echo out; echo one >&2; printf two >&2; exit 3")
    assert (
        finished.returncode,
        finished.stdout,
        finished.errors,
        finished.error_lines,
    ) == (3, b"out\n", "one\ntwo", 2)
    assert finished.usage.cpu_seconds < finished.usage.wall_seconds + 1
    assert 1_000_000 < finished.usage.max_rss_bytes < 500_000_000


async def test_run_leaves_a_crash_to_the_caller(bench: Bench) -> None:
    """A program that dies of a signal comes back with its negative number."""
    assert (await bench.run("sh", "-c", "kill -SEGV $$")).returncode == -signal.SIGSEGV


async def test_lines_come_as_they_are_printed(bench: Bench) -> None:
    """Each line is handed over once and in order, a last one without a newline, too; none is kept."""
    lines: list[str] = []
    finished = await bench.stub("count", on_line=lines.append)
    assert [*map(str, range(1000)), "no newline at the end"] == lines
    assert finished.stdout == b""


async def test_an_exception_of_on_line_ends_the_program(bench: Bench) -> None:
    """The gate of an early stop: the program is killed and the exception is raised as it is."""

    def stop(line: str) -> None:
        raise LookupError(line)

    with pytest.raises(LookupError, match="progress"):
        await bench.stub("stall", on_line=stop)
    assert bench.kills == ["caller"]


async def test_what_cannot_begin_is_misconfigured(bench: Bench) -> None:
    """A missing program or directory is an operator's matter, never a fault of the file."""
    with pytest.raises(Misconfigured, match="No such file"):
        await bench.run("no-such-program")
    with pytest.raises(Misconfigured, match="No such file"):
        await bench.sandbox.run(["true"], cwd=bench.scratch / "missing", limits=LIMITS)


EXCESSES = [
    ("ignore_sigterm", {"wall_seconds": 0.2}, Reason.TIME_LIMIT, "wall_clock"),
    ("stall", {"stall_seconds": 0.2}, Reason.TIME_LIMIT, "stall"),
    ("spin", {"cpu_seconds": 1}, Reason.TIME_LIMIT, "cpu"),
    ("write_too_much", {}, Reason.TOO_LARGE, "file_size"),
    ("eat_memory", {"memory_bytes": 200_000_000}, Reason.MEMORY_LIMIT, "memory"),
    ("print_without_end", {}, Reason.DAMAGED, "output"),
]


@pytest.mark.parametrize(("stub", "limits", "reason", "kill"), EXCESSES)
async def test_a_program_over_a_limit_is_rejected(
    bench: Bench, stub: str, limits: dict[str, float], reason: Reason, kill: str
) -> None:
    """Each limit ends the program at once, with its reason, and is counted by its name."""
    with pytest.raises(Rejected) as caught:
        await bench.stub(stub, limits=replace(LIMITS, **limits))
    assert (reason, [kill]) == (caught.value.reason, bench.kills)


EXCESSES_OF_A_FAMILY = [
    ("spin_in_a_child", {"cpu_seconds": 1}, Reason.TIME_LIMIT, "cpu"),
    ("eat_memory_in_a_child", {"memory_bytes": 200_000_000}, Reason.MEMORY_LIMIT, "memory"),
]


@pytest.mark.parametrize(("stub", "limits", "reason", "kill"), EXCESSES_OF_A_FAMILY)
async def test_what_a_program_starts_counts_as_its_own(
    loose: Bench, stub: str, limits: dict[str, float], reason: Reason, kill: str
) -> None:
    """Where it can start processes at all."""
    with pytest.raises(Rejected) as caught:
        await loose.stub(stub, limits=replace(LIMITS, **limits))
    assert (reason, [kill]) == (caught.value.reason, loose.kills)


async def test_the_kernel_stops_a_spin_that_the_worker_is_too_busy_to_see(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RLIMIT_CPU stands behind the limit, and its SIGKILL is told from one of the OOM killer."""
    monkeypatch.setattr(patrol, "INTERVAL", PATIENCE * 10)
    with pytest.raises(Rejected) as caught:
        await bench.stub("spin", limits=replace(LIMITS, cpu_seconds=1))
    assert (Reason.TIME_LIMIT, ["cpu"]) == (caught.value.reason, bench.kills)


async def test_memory_is_stopped_near_the_limit(bench: Bench) -> None:
    """What a program gets beyond its limit is what it can touch between two looks."""
    megabytes: list[str] = []
    with pytest.raises(Rejected):
        await bench.stub("eat_memory", limits=replace(LIMITS, memory_bytes=200_000_000), on_line=megabytes.append)
    assert 150 < int(megabytes[-1]) < 1000  # 250 on an idle machine


async def test_a_line_without_end_is_rejected(bench: Bench) -> None:
    """A line is bounded, so that on_line needs no buffer that grows."""
    with pytest.raises(Rejected, match="describes itself"):
        await bench.stub("print_without_newline", on_line=lambda _: None)


async def test_a_flood_of_errors_is_counted_and_its_end_kept(bench: Bench) -> None:
    """30 MB on standard error neither block the program nor stay in the worker."""
    finished = await bench.stub("flood_errors")
    assert (finished.returncode, finished.error_lines, len(finished.errors)) == (0, 1_500_000, 64 * 1024)


async def test_each_error_may_be_heard(bench: Bench) -> None:
    """Lines of standard error, a last one without a newline, too; a longer one than is kept is several."""
    heard: list[str] = []
    script = r"printf 'one\n%0200000d\nlast' 0 >&2"
    finished = await bench.run("sh", "-c", script, on_error=heard.append)
    assert (0, "one", "last") == (finished.returncode, heard[0], heard[-1])
    assert all(len(line) <= 128 * 1024 for line in heard)


@pytest.mark.parametrize("stub", ["leave_one_behind", "leave_a_daemon_behind", "leave_thirty_behind"])
async def test_what_a_program_leaves_behind_is_ended(loose: Bench, stub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that hold the pipes of a program that has ended are found and killed, not waited for."""
    monkeypatch.setattr(supervise, "DRAIN_SECONDS", PATIENCE * 10)
    async with asyncio.timeout(PATIENCE):
        assert (await loose.stub(stub)).returncode == 0
        while offspring_but_the_zygote(loose):  # noqa: ASYNC110 - a process that ends tells only its parent
            await asyncio.sleep(0.01)


async def test_a_call_returns_what_its_function_returns(bench: Bench) -> None:
    """JSON goes in and comes out, whatever a library prints meanwhile."""
    assert await bench.call("print_and_echo", text="café \ud800", n=[1, 2.5, None]) == {
        "text": "café \ud800",
        "n": [1, 2.5, None],
    }


async def test_a_rejection_crosses_the_process_border(bench: Bench) -> None:
    """Rejected comes back with its reason and message."""
    with pytest.raises(Rejected) as caught:
        await bench.call("reject")
    assert (caught.value.reason, caught.value.message) == (Reason.ENCRYPTED, "this file is encrypted")


async def test_an_unforeseen_exception_is_transient(bench: Bench) -> None:
    """It is a bug, or a bad moment: the traceback is in the message, the file is not blamed."""
    with pytest.raises(Transient, match="nobody foresaw this"):
        await bench.call("fail")


@pytest.mark.parametrize("function", ["die", "exit_early"])
async def test_a_crash_costs_one_call(bench: Bench, function: str) -> None:
    """A decoder that dies of SIGSEGV, or ends without an answer, rejects its file; the next call works."""
    with pytest.raises(Rejected) as caught:
        await bench.call(function, signal=signal.SIGSEGV)
    assert caught.value.reason == Reason.DAMAGED
    assert await bench.call("echo", n=1) == {"n": 1}


async def test_a_kill_from_outside_blames_nobody(bench: Bench) -> None:
    """SIGKILL that was not sent here is the kernel's, out of memory: the job is tried again."""
    with pytest.raises(Transient, match="out of memory"):
        await bench.call("die", signal=signal.SIGKILL)


async def test_a_call_is_held_to_its_limits(bench: Bench) -> None:
    """Python would ignore SIGXFSZ; in a child it does not."""
    with pytest.raises(Rejected) as caught:
        await bench.call("write_file", bytes=LIMITS.file_bytes + 1)
    assert (caught.value.reason, bench.kills) == (Reason.TOO_LARGE, ["file_size"])


async def test_twenty_calls_at_once(bench: Bench) -> None:
    """Answers do not get mixed up."""
    answers = await asyncio.gather(*(bench.call("echo", n=n) for n in range(20)))
    assert [{"n": n} for n in range(20)] == answers


async def test_a_zygote_that_was_killed_is_replaced(bench: Bench) -> None:
    """A call after it works, and so does a child that runs meanwhile."""
    nap = "import time; time.sleep(0.3); raise SystemExit(7)"
    running = asyncio.create_task(bench.run(sys.executable, "-I", "-c", nap))
    await bench.call("echo")  # starts are served in turn: the program runs now
    first = bench.zygote
    os.kill(first, signal.SIGKILL)
    assert await bench.call("echo", n=1) == {"n": 1}
    assert first != bench.zygote
    assert (await running).returncode == 7


async def test_calls_survive_the_end_of_the_zygote(bench: Bench) -> None:
    """Killed between the first of twenty answers and the last: what was not started is asked of the next one."""
    calls = [asyncio.create_task(bench.call("echo", n=n)) for n in range(20)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    os.kill(bench.zygote, signal.SIGKILL)
    assert [{"n": n} for n in range(20)] == await asyncio.gather(*calls)


async def test_a_zygote_that_hangs_is_replaced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was stopped does not hold up the worker for ever."""
    monkeypatch.setattr(launch, "BIRTH_SECONDS", 0.5)
    os.kill(bench.zygote, signal.SIGSTOP)
    assert await bench.call("echo", n=1) == {"n": 1}


async def test_codecs_that_cannot_be_imported_are_misconfigured() -> None:
    """The message holds the import error."""
    with pytest.raises(Misconfigured, match="No module named 'no_such_codecs'"):
        await Sandbox("no_such_codecs").__aenter__()


async def test_a_cancelled_run_ends_its_program_first(bench: Bench) -> None:
    """Cancelled again while the program is dying, it still waits for the end."""
    pid: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    run = asyncio.create_task(bench.stub("ignore_sigterm", on_line=lambda line: pid.set_result(int(line))))
    child = await pid
    for _ in range(3):
        run.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await run
    assert child not in linux.processes()
    assert bench.kills == ["cancelled"]


async def test_closing_the_sandbox_ends_what_still_runs(tmp_path: Path) -> None:
    """Callers that are still waiting get Interrupted, and nothing is left."""
    started = asyncio.Event()
    other = Bench(tmp_path)
    async with other.sandbox:
        run = asyncio.create_task(other.stub("ignore_sigterm", on_line=lambda _: started.set()))
        await started.wait()
    assert offspring() == []
    with pytest.raises(Interrupted):
        await run


async def test_a_run_cancelled_before_its_child_exists_does_nothing(bench: Bench) -> None:
    """The zygote is held up, the run cancelled: the child that is born later is not let go."""
    os.kill(bench.zygote, signal.SIGSTOP)
    run = asyncio.create_task(bench.run("touch", "file"))
    await asyncio.sleep(0)
    run.cancel()
    await asyncio.sleep(0)
    os.kill(bench.zygote, signal.SIGCONT)
    with pytest.raises(asyncio.CancelledError):
        await run
    assert [] == list(bench.scratch.iterdir())


@pytest.mark.parametrize("turns", range(0, 30, 3))
async def test_a_run_cancelled_while_it_begins_leaves_nothing(bench: Bench, turns: int) -> None:
    """Wherever in the start the cancellation falls, counted in turns of the loop: the fixture looks for orphans."""
    run = asyncio.create_task(bench.run("sleep", "60"))
    for _ in range(turns):
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert offspring_but_the_zygote(bench) == []


async def test_children_of_others_are_not_touched(loose: Bench) -> None:
    """The exit statuses of a subprocess and of asyncio's are still theirs, whatever is swept up around them."""
    theirs = subprocess.Popen(["sh", "-c", "exit 7"])  # noqa: ASYNC220 - it is the point
    also = await asyncio.create_subprocess_exec("sh", "-c", "exit 8")
    await loose.stub("leave_a_daemon_behind")
    assert (theirs.wait(PATIENCE), await also.wait()) == (7, 8)


def test_nothing_outlives_a_worker_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL to the worker ends its zygote, a running program that ignores SIGTERM, and a running call."""
    argv = [sys.executable, "-m", "tests.tools.stubs.worker", str(tmp_path)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as worker:
        pids = [int(pid) for pid in worker.stdout.readline().split()]
        watches = [os.pidfd_open(pid) for pid in pids]
        worker.kill()
        ended = [bool(select.select([watch], [], [], PATIENCE)[0]) for watch in watches]
    for watch in watches:
        os.close(watch)
    assert (len(pids), ended) == (4, [True] * 4)
