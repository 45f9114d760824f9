"""Being spared while there is work, and leaving when asked to. No second really passes."""

import asyncio
from dataclasses import dataclass, field

import pytest

from service.core.outcome import Unavailable
from service.runtime.shield import RENEWED_EVERY, Nobody, Shield
from tests.runtime.instant import instantly, now
from tests.runtime.lines import logged
from tests.runtime.test_worker import Bench, lasting


@dataclass(kw_only=True)
class FakeGuard:
    """Keeps what it was asked, and when; `wanted` until it is not, `away` where nobody answers."""

    wanted: bool = True
    away: bool = False
    asked: list[tuple[str, float]] = field(default_factory=list)

    async def protect(self) -> bool:
        """Asked to spare."""
        self._hear("protect")
        return self.wanted

    async def expose(self) -> None:
        """Told that it need not any more."""
        self._hear("expose")

    def _hear(self, what: str) -> None:
        self.asked.append((what, now()))
        if self.away:
            raise Unavailable("nobody answers")

    def shrink(self) -> None:
        """From now on there are too many workers."""
        self.wanted = False

    def grow(self) -> None:
        """And now there are not."""
        self.wanted = True

    @property
    def said(self) -> list[str]:
        """What it was asked, in order."""
        return [what for what, _ in self.asked]


@dataclass(kw_only=True)
class Shielded(Bench):
    """A worker with a guard."""

    guard: FakeGuard = field(default_factory=FakeGuard)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.queue.poll_seconds = 20
        self.worker.shield = Shield(guard=self.guard, clock=now)


@instantly
async def test_it_asks_before_it_receives() -> None:
    """And when nothing came, it may be stopped until it asks for messages again."""
    bench = Shielded()
    first = []

    async def note(call: str) -> None:
        if call.startswith("receive"):
            first.append(list(bench.guard.said))

    bench.queue.wire.before = note
    await bench.run(50)
    assert ["protect"] == first[0]
    assert ["protect", "expose"] * len(first) == bench.guard.said
    assert [("protect", 0), ("expose", 20), ("protect", 20)] == bench.guard.asked[:3]


@instantly
async def test_a_long_job_is_protected_to_its_end() -> None:
    """Renewed meanwhile, since each time is good for an hour at most; given up when it is done."""
    bench = Shielded(slots=1)
    bench.pipeline.work = lasting(4000)
    bench.put("film.mp4")
    await bench.run(4010)
    times = [at for what, at in bench.guard.asked if what == "protect" and at < 4000]
    assert ["film.mp4"] == bench.pipeline.done
    assert RENEWED_EVERY >= max(later - at for at, later in zip(times, [*times[1:], 4000.0], strict=True))
    assert [] == [at for what, at in bench.guard.asked if what == "expose" and at < 4000]
    assert "expose" == bench.guard.said[-1]


@instantly
async def test_a_worker_that_is_one_too_many_leaves() -> None:
    """What runs comes to its end in its own time, nothing more is received, and the rest is there for others."""
    bench = Shielded(slots=1, drain_seconds=10)
    bench.pipeline.work = lasting(2000)
    bench.put("a.mp4", "b.mp4")
    asyncio.get_running_loop().call_later(100, bench.guard.shrink)
    await bench.worker.run(bench.stop)
    assert (["a.mp4"], ["a.mp4"], 2000) == (bench.pipeline.begun, bench.pipeline.done, round(now()))
    assert 0 == bench.letter.receive_count


@instantly
async def test_an_idle_worker_leaves_at_once() -> None:
    """It asks before each poll, and then it has nothing to finish."""
    bench = Shielded()
    asyncio.get_running_loop().call_later(10, bench.guard.shrink)
    await bench.worker.run(bench.stop)
    assert (["protect", "expose", "protect"], 20) == (bench.guard.said, now())


@instantly
async def test_a_new_worker_waits_until_others_have_left() -> None:
    """While a deployment's former tasks are busy there are too many: it takes nothing, stays, and asks again."""
    bench = Shielded()
    bench.guard.wanted = False
    bench.put("a.jpg")
    seen: list[tuple[int, bool]] = []
    loop = asyncio.get_running_loop()
    loop.call_later(95, lambda: seen.append((bench.letter.receive_count, bench.worker.pulse.alive(within=90))))
    loop.call_later(100, bench.guard.grow)
    await bench.run(200)
    assert [(0, True)] == seen
    assert ["a.jpg"] == bench.pipeline.done
    assert [0, 30, 60, 90, 120] == [at for what, at in bench.guard.asked if what == "protect"][:5]


@instantly
async def test_a_new_worker_that_waits_can_be_stopped() -> None:
    """At once: it has nothing."""
    bench = Shielded()
    bench.guard.wanted = False
    await bench.run(45)
    assert 45 == now()


@instantly
async def test_sigterm_hurries_who_is_leaving() -> None:
    """Spot takes the task two minutes later: the drain time counts from there."""
    bench = Shielded(slots=1, drain_seconds=10)
    bench.pipeline.work = lasting(2000)
    bench.put("a.mp4", "b.mp4")
    asyncio.get_running_loop().call_later(100, bench.guard.shrink)
    await bench.run(500)
    assert ([], 510) == (bench.pipeline.done, round(now()))


@instantly
async def test_without_an_answer_work_goes_on() -> None:
    """Nobody would be helped by a worker that waits for a shield; it is asked for again each time."""
    bench = Shielded()
    bench.guard.away = True
    bench.put("a.jpg", "b.jpg")
    with logged() as events:
        await bench.run(50)
    assert ["a.jpg", "b.jpg"] == bench.pipeline.done
    assert ["protect"] * 4 == bench.guard.said
    assert 1 == events.count("not_protected")


@instantly
async def test_what_cannot_be_given_up_runs_out() -> None:
    """An hour at most; the worker does not stop for that."""
    guard = FakeGuard()
    shield = Shield(guard=guard, clock=now)
    assert await shield.up()
    guard.away = True
    with logged() as events:
        await shield.down()
        await shield.down()
    assert (["protect", "expose"], ["still_protected"]) == (guard.said, events)


@pytest.mark.parametrize("times", [1, 5])
@instantly
async def test_it_is_not_asked_for_twice(times: int) -> None:
    """While it is up, the next question is due after five minutes."""
    guard = FakeGuard()
    shield = Shield(guard=guard, clock=now)
    for _ in range(times):
        assert await shield.up()
    assert ["protect"] == guard.said
    await asyncio.sleep(RENEWED_EVERY)
    assert await shield.up()
    assert ["protect"] * 2 == guard.said


@instantly
async def test_nobody_wants_a_laptop_to_leave() -> None:
    """Where there is no ECS, all this is nothing."""
    shield = Shield(guard=Nobody(), clock=now)
    async with shield.kept():
        assert await shield.up()
        await asyncio.sleep(1000)
        assert await shield.up()
    assert not shield.refused.is_set()
