"""A child that stays and serves: what it keeps between requests, and what ends it, with real processes."""

import asyncio
import os
import select
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.core.outcome import Interrupted, Reason, Rejected, Transient
from service.tools import linux
from service.tools.sandbox import Assistant, Limits, Sandbox

MODELS = "tests.tools.stubs.models"
LIMITS = Limits(wall_seconds=20, cpu_seconds=10, memory_bytes=300_000_000, file_bytes=0)
PATIENCE = 10.0  # seconds that a test waits for what takes milliseconds


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(MODELS, eager=False) as sandbox:
        yield sandbox
    ours = [each.pid for each in linux.processes().values() if each.parent == os.getpid()]
    assert [] == [pid for pid in ours if linux.branded(pid)]


@pytest.fixture
def assistant(sandbox: Sandbox) -> Assistant:
    return sandbox.assistant("listen", {}, cwd=Path("/"), limits=LIMITS)


async def ask(assistant: Assistant, answer: object, **limits: float) -> list[dict[str, object]]:
    parts, _ = await assistant.ask({"answer": answer}, [], limits=replace(LIMITS, **limits))
    return parts


async def pid(assistant: Assistant) -> int:
    return int(str((await ask(assistant, "pid"))[0]["pid"]))


async def test_a_lazy_sandbox_starts_nothing(sandbox: Sandbox) -> None:
    """The models are loaded for the first child, so that a worker polls at once."""
    assert sandbox._launcher.pid is None


async def test_requests_are_served_by_one_child(assistant: Assistant) -> None:
    """Twenty at once get their own answers, one after the other, from the same process."""
    answers = await asyncio.gather(*(ask(assistant, [{"n": n}, {"m": n}]) for n in range(20)))
    assert [[{"n": n}, {"m": n}] for n in range(20)] == answers
    assert await pid(assistant) == await pid(assistant)


async def test_an_assistant_is_confined_as_any_child(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the worker but the socket that requests come through; no rights, a session of its own."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assistant = sandbox.assistant("listen", {}, cwd=tmp_path, limits=LIMITS)
    seen = (await ask(assistant, "surroundings"))[0]
    assert {"PATH", "LC_ALL", "HOME"} == set(seen["environment"])
    assert ["/dev/null", "pipe", "pipe", "pipe", "socket"] == sorted(seen["descriptors"].values())
    assert (str(tmp_path), True, os.getpid()) == (seen["cwd"], seen["leads its session"], seen["parent"])
    assert ("1", 0, 0o077) == (seen["no_new_privs"], seen["capabilities"], seen["umask"])


WORKER = """
import asyncio, sys
from pathlib import Path
from service.tools.sandbox import Sandbox
from tests.tools.test_assistant import LIMITS, MODELS, ask, pid

async def main():
    async with Sandbox(MODELS) as sandbox:
        assistant = sandbox.assistant("listen", {}, cwd=Path("/"), limits=LIMITS)
        print(await pid(assistant), flush=True)
        await ask(assistant, "spin")

asyncio.run(main())
"""


def test_an_assistant_does_not_outlive_its_worker() -> None:
    """Killed while it is busy, so that it cannot notice by itself."""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", WORKER], cwd=root, stdout=subprocess.PIPE, text=True) as worker:
        watch = os.pidfd_open(int(worker.stdout.readline()))
        worker.kill()
        ended = select.select([watch], [], [], PATIENCE)[0]
    os.close(watch)
    assert [watch] == ended


async def test_a_file_is_handed_over_open(assistant: Assistant, tmp_path: Path) -> None:
    """The child reads a file that it could not name; the worker's descriptor stays open, and what it cost is told."""
    (tmp_path / "sound").write_text('[{"said": "hello"}]')
    with (tmp_path / "sound").open("rb") as sound:
        (tmp_path / "sound").unlink()
        for _ in range(3):
            parts, usage = await assistant.ask({}, [sound.fileno()], limits=LIMITS)
            assert [{"said": "hello"}] == parts
    assert 0 <= usage.cpu_seconds < PATIENCE
    assert 0 < usage.wall_seconds < PATIENCE


@pytest.mark.parametrize(
    ("misdeed", "said"), [("crash", r"ended \(-11\)"), ("error", "nobody foresaw"), ("flood", "no answer")]
)
async def test_a_crash_costs_one_request(assistant: Assistant, misdeed: str, said: str) -> None:
    """It is nobody's fault, and the next request is served by another child."""
    first = await pid(assistant)
    with pytest.raises(Transient, match=said):
        await ask(assistant, misdeed)
    assert first != await pid(assistant)


@pytest.mark.parametrize(
    ("misdeed", "limits", "reason"),
    [
        ("hang", {"wall_seconds": 0.2}, Reason.TIME_LIMIT),
        ("spin", {"cpu_seconds": 1}, Reason.TIME_LIMIT),
        ("eat", {}, Reason.MEMORY_LIMIT),
    ],
)
async def test_each_request_has_its_own_limits(
    assistant: Assistant, misdeed: str, limits: dict[str, float], reason: Reason
) -> None:
    """They count from when it begins; going over one ends the child, and the next request works."""
    with pytest.raises(Rejected) as caught:
        await ask(assistant, misdeed, **limits)
    assert reason == caught.value.reason
    assert await ask(assistant, [{"n": 1}]) == [{"n": 1}]


async def test_waiting_for_a_turn_is_not_held_against_a_request(assistant: Assistant) -> None:
    """The second one waits longer than it may take, and is served by the next child."""
    first = asyncio.create_task(ask(assistant, "hang", wall_seconds=0.6))
    second = asyncio.create_task(ask(assistant, [{"n": 2}], wall_seconds=0.5))
    assert await second == [{"n": 2}]
    with pytest.raises(Rejected):
        await first


@pytest.mark.parametrize("turns", [0, 1, 3, 10, 40])
async def test_a_cancelled_request_ends_the_child(assistant: Assistant, turns: int) -> None:
    """Wherever it falls, counted in turns of the loop: the child is gone when it is raised, and the next one works."""
    first = await pid(assistant)
    asking = asyncio.create_task(ask(assistant, "hang"))
    for _ in range(turns):
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert turns == 0 or first not in linux.processes()
    assert await ask(assistant, [{"n": 1}]) == [{"n": 1}]


async def test_one_that_cannot_get_ready_says_why(sandbox: Sandbox) -> None:
    """The end of its traceback is in the message."""
    assistant = sandbox.assistant("listen", {"broken": True}, cwd=Path("/"), limits=LIMITS)
    with pytest.raises(Transient, match="no model here"):
        await ask(assistant, [])


async def test_an_idle_child_ends_and_another_follows(sandbox: Sandbox) -> None:
    """Its memory is given back when nobody asks for a while."""
    assistant = sandbox.assistant("listen", {}, cwd=Path("/"), limits=LIMITS, idle_seconds=0.05)
    first = await pid(assistant)
    async with asyncio.timeout(PATIENCE):
        while first in linux.processes():  # noqa: ASYNC110 - a process that ends tells only its parent
            await asyncio.sleep(0.01)
    assert first != await pid(assistant)


async def test_a_child_that_has_worked_enough_is_replaced(sandbox: Sandbox) -> None:
    """One that has not the processor time left that a request may take is ended before it."""
    assistant = sandbox.assistant("listen", {}, cwd=Path("/"), limits=replace(LIMITS, cpu_seconds=1))
    first = await pid(assistant)
    assert first == await pid(assistant)
    await ask(assistant, [{"n": 1}], cpu_seconds=60)
    assert first not in linux.processes()


async def test_a_child_killed_from_outside_is_replaced(assistant: Assistant) -> None:
    """By the kernel, out of memory, while it was idle."""
    first = await pid(assistant)
    os.kill(first, 9)
    async with asyncio.timeout(PATIENCE):
        while first in linux.processes():  # noqa: ASYNC110 - a process that ends tells only its parent
            await asyncio.sleep(0.01)
    assert first != await pid(assistant)


async def test_closing_the_sandbox_ends_a_request() -> None:
    """Who waits gets Interrupted."""
    async with Sandbox(MODELS) as sandbox:
        assistant = sandbox.assistant("listen", {}, cwd=Path("/"), limits=LIMITS)
        await pid(assistant)
        asking = asyncio.create_task(ask(assistant, "hang"))
        await asyncio.sleep(0)
    with pytest.raises(Interrupted):
        await asking
