"""Queues that are paused: nothing is received, all else goes on, and a store that does not answer stops nobody."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from service.core import places
from service.core.outcome import Misconfigured, Unavailable
from service.core.record import Pause, Paused
from service.runtime import pauses
from service.runtime.pauses import Pausable, Pauses
from service.runtime.turns import InTurn
from tests.fakes import Clock, FakeQueue, FakeStore, Wire
from tests.runtime.instant import instantly, now
from tests.runtime.lines import captured

SINCE = Paused(since=datetime(2026, 1, 1, tzinfo=UTC), by="Ann")


def say(store: FakeStore, *queues: str) -> None:
    """An operator pauses these queues and no others."""
    store.objects[places.pause()] = Pause(queues=dict.fromkeys(queues, SINCE)).to_json()


@pytest.fixture(name="lines")
def _lines() -> Iterator[list[dict[str, object]]]:
    """What is logged, but for the rest of a line."""
    with captured() as found:
        yield found


async def test_nothing_is_paused_where_nothing_is_said() -> None:
    """A bucket without the document."""
    assert not await Pauses(store=FakeStore(), clock=Clock()).paused("intake")


async def test_only_what_is_named_is_paused() -> None:
    """Each queue by its name."""
    store = FakeStore()
    say(store, "heavy", "backfill")
    found = Pauses(store=store, clock=Clock())
    assert [False, True, True] == [await found.paused(queue) for queue in ("intake", "heavy", "backfill")]


async def test_the_document_is_read_each_quarter_of_a_minute() -> None:
    """By all queues of a worker together."""
    store, clock = FakeStore(), Clock()
    found = Pauses(store=store, clock=clock)
    await asyncio.gather(*(found.paused(queue) for queue in ("intake", "heavy", "intake")))
    say(store, "intake")
    clock.now += 14.9
    assert not await found.paused("intake")
    clock.now += 0.2
    assert await found.paused("intake")
    assert 2 == store.wire.count("read")


@pytest.mark.parametrize("nonsense", [False, True], ids=["unavailable", "nonsense"])
async def test_a_store_that_gives_no_answer_changes_nothing(lines: list[dict[str, object]], *, nonsense: bool) -> None:
    """What was paused stays so, and what was not, too; that is logged once."""
    store, clock = FakeStore(), Clock()
    found = Pauses(store=store, clock=clock)
    say(store, "intake")
    assert await found.paused("intake")

    async def fail(_call: str) -> None:
        raise Unavailable("no answer")

    if nonsense:
        store.objects[places.pause()] = b"{"
    else:
        store.wire.before = fail
    for _ in range(3):
        clock.now += 20
        assert (True, False) == (await found.paused("intake"), await found.paused("heavy"))
    assert ["pauses_unknown"] == [line["event"] for line in lines]


@instantly
async def test_a_store_that_hangs_is_not_waited_for() -> None:
    """Five seconds, and the worker goes on."""

    async def hang(_call: str) -> None:
        await asyncio.sleep(3600)

    began = now()
    found = Pauses(store=FakeStore(wire=Wire(before=hang)), clock=now)
    assert (False, 5.0) == (await found.paused("intake"), now() - began)


async def test_what_is_no_such_document_is_told_to_an_operator() -> None:
    """By its key."""
    store = FakeStore(objects={places.pause(): b"[]"})
    with pytest.raises(Misconfigured, match=r"records/~pause\.json"):
        await pauses.read(store)


@instantly
async def test_a_paused_queue_seems_empty(lines: list[dict[str, object]]) -> None:
    """For ten seconds each time, or for a short poll; afterwards what waited is received. Each turn is logged once."""
    store, queue = FakeStore(), FakeQueue(clock=now)
    pausable = Pausable(queue=queue, name="intake", pauses=Pauses(store=store, clock=now))
    queue.put("a")
    say(store, "intake")
    for _ in range(3):
        began = now()
        assert ([], 10.0) == (await pausable.receive(10), now() - began)
    began = now()
    assert ([], 1.0) == (await pausable.receive(10, wait=1), now() - began)
    say(store)
    await asyncio.sleep(15)
    assert ["a"] == [message.body for message in await pausable.receive(10)]
    assert [("paused", "intake"), ("resumed", "intake")] == [(line["event"], line["queue"]) for line in lines]


async def test_all_but_receiving_goes_on() -> None:
    """A job that runs is renewed and settled while its queue is paused."""
    store, queue = FakeStore(), FakeQueue()
    pausable = Pausable(queue=queue, name="intake", pauses=Pauses(store=store, clock=Clock()), rest=0.01)
    await pausable.send(["a", "b", "c"])
    one, two, three = await queue.receive(3)
    say(store, "intake")
    assert [] == await pausable.receive(10)
    await pausable.extend(one, 60)
    await pausable.delete(one)
    assert await pausable.bury(two, "b", reason="poison", detail="")
    await pausable.delete(two)
    await pausable.release(three, 0)
    assert ["c"] == [letter.body for letter in queue.letters.values()]
    assert queue.dead
    assert ["b"] == [letter.body for letter in queue.dead]
    assert queue.url == pausable.url


@pytest.mark.parametrize(("paused", "received"), [("heavy", ["old"]), ("backfill", ["film"])])
@instantly
async def test_one_of_two_queues_in_turn(paused: str, received: list[str]) -> None:
    """The backfill goes on while the first queue is paused, and the first while the backfill is."""
    store = FakeStore()
    say(store, paused)
    said = Pauses(store=store, clock=now)
    heavy, backfill = FakeQueue(clock=now, url="h"), FakeQueue(clock=now, url="b")
    heavy.put("film")
    backfill.put("old")
    both = InTurn(
        first=Pausable(queue=heavy, name="heavy", pauses=said),
        then=Pausable(queue=backfill, name="backfill", pauses=said),
    )
    assert received == [message.body for _ in range(3) for message in await both.receive(1)]
