"""Two queues in turn: which is asked, how long, and whose message is whose. No second really passes."""

import asyncio
from dataclasses import dataclass, field

import pytest

from service.core.outcome import LeaseLost
from service.runtime.turns import SHORT_POLL, InTurn
from tests.fakes import FakeQueue
from tests.runtime.instant import instantly, now

POLL = 20


def queue(url: str) -> FakeQueue:
    """An empty one, whose time is that of the loop."""
    return FakeQueue(url=url, clock=now, visibility=30, poll_seconds=POLL)


@dataclass(kw_only=True)
class Bench:
    """Uploads, and what can wait."""

    uploads: FakeQueue = field(default_factory=lambda: queue("uploads"))
    backfill: FakeQueue = field(default_factory=lambda: queue("backfill"))

    def __post_init__(self) -> None:
        self.both = InTurn(first=self.uploads, then=self.backfill)

    async def take(self) -> str | None:
        """The next message, acknowledged."""
        for message in await self.both.receive(1):
            await self.both.delete(message)
            return message.body
        return None


@instantly
async def test_uploads_come_first() -> None:
    """However much there is to catch up with."""
    bench = Bench()
    await bench.backfill.send(["old"] * 3)
    await bench.uploads.send(["new"] * 2)
    assert ["new", "new", "old", "old", "old"] == [await bench.take() for _ in range(5)]


@instantly
async def test_an_upload_waits_for_no_more_than_a_job() -> None:
    """It is found before the next message of the backfill."""
    bench = Bench()
    await bench.backfill.send(["old"] * 3)
    assert "old" == await bench.take()
    await bench.uploads.send(["new"])
    assert ["new", "old", "old", None] == [await bench.take() for _ in range(4)]


@instantly
async def test_a_backfill_does_not_wait_for_uploads() -> None:
    """Only the first message waits for a poll; then it is known that there are more, and uploads are but glanced at."""
    bench = Bench()
    await bench.backfill.send(["old"] * 10)
    began = now()
    assert ["old"] * 10 == [await bench.take() for _ in range(10)]
    assert POLL == now() - began


@instantly
async def test_an_idle_worker_asks_seldom() -> None:
    """Two calls in the time of a long poll and a short one."""
    bench = Bench()
    began = now()
    assert [None, None] == [await bench.take(), await bench.take()]
    assert 2 * (POLL + SHORT_POLL) == now() - began


@instantly
async def test_an_upload_ends_the_long_poll() -> None:
    """An idle worker takes it at once."""
    bench = Bench()
    asyncio.get_running_loop().call_later(5, bench.uploads.put, "new")
    began = now()
    assert ("new", 5) == (await bench.take(), now() - began)


@pytest.mark.parametrize("name", ["uploads", "backfill"])
@instantly
async def test_each_message_is_settled_where_it_came_from(name: str) -> None:
    """Renewed, released, buried and deleted: the other queue hears nothing of it."""
    bench = Bench()
    mine: FakeQueue = getattr(bench, name)
    other = bench.backfill if name == "uploads" else bench.uploads
    await mine.send(["a"])
    (message,) = await bench.both.receive(1)
    await bench.both.extend(message, 100)
    await bench.both.release(message, 0)
    with pytest.raises(LeaseLost):
        await bench.both.extend(message, 100)
    (message,) = await bench.both.receive(1)
    assert await bench.both.bury(message, "a", reason="poison", detail="")
    await bench.both.delete(message)
    assert mine.dead
    assert (1, [], {}) == (len(mine.dead), other.dead, mine.letters)


@instantly
async def test_what_is_new_goes_first() -> None:
    """Splits, and looks at captions, are small."""
    bench = Bench()
    await bench.both.send(["a", "b"], delay=0)
    assert (2, 0) == (len(bench.uploads.letters), len(bench.backfill.letters))
