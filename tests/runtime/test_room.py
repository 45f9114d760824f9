"""Room on the disk: who gets it, who waits, and who never will get any. No second really passes."""

import asyncio
from random import Random

import pytest

from service.core.outcome import Crowded, Elsewhere, Misconfigured
from service.runtime.room import TIMES_ITS_SIZE, Room
from tests.runtime.instant import instantly, now

DISK = 300
FITS = DISK // TIMES_ITS_SIZE  # bytes of a source


def disk(size: int = DISK) -> Room:
    """A disk of its own."""
    return Room(free=lambda: size)


async def work(room: Room, size: int, seconds: float, ended: list[tuple[int, float]]) -> None:
    """A job with a source of that size."""
    await room.wait(size)
    await asyncio.sleep(seconds)
    room.give(size)
    ended.append((size, now()))


@instantly
async def test_what_fits_beside_the_others_begins_at_once() -> None:
    """Three times its size is taken of each."""
    room = disk()
    assert [True, True, False] == [room.take(FITS // 2), room.take(FITS // 2), room.take(1)]
    room.give(FITS // 2)
    assert room.take(1)
    assert room.enough.is_set()


@instantly
async def test_what_does_not_fit_waits_its_turn() -> None:
    """A large one is not passed by small ones for ever; nothing is received while anybody waits."""
    room, ended = disk(), list[tuple[int, float]]()
    jobs = [asyncio.ensure_future(work(room, size, 10, ended)) for size in (60, 80, 20)]
    await asyncio.sleep(1)
    assert not room.enough.is_set()
    assert not room.take(1)
    await asyncio.gather(*jobs)
    assert [(60, 10), (80, 20), (20, 20)] == ended
    assert room.enough.is_set()


@instantly
async def test_what_will_never_fit_is_told_to_the_operator() -> None:
    """With both numbers."""
    with pytest.raises(Misconfigured, match="MEDIA_SCRATCH: a source of 101 bytes needs 303, and its disk has 300"):
        await disk().wait(FITS + 1)


@instantly
async def test_the_disk_is_measured_while_it_is_empty() -> None:
    """What jobs have written since is theirs already."""
    sizes = [DISK, 0, DISK * 2]
    room = Room(free=lambda: sizes.pop(0))
    assert room.take(50)
    assert room.take(50)
    room.give(100)
    assert not room.take(1)
    assert room.take(FITS * 2)


@instantly
async def test_who_gives_up_waiting_gives_way() -> None:
    """A job that is cancelled, before it is its turn or in that very moment, leaves no room taken."""
    for moment in (5, 10):
        room, ended = disk(), list[tuple[int, float]]()
        began = now()
        running = asyncio.ensure_future(work(room, 60, 10, ended))
        waiting = asyncio.ensure_future(work(room, 80, 10, ended))
        behind = asyncio.ensure_future(work(room, 30, 10, ended))
        asyncio.get_running_loop().call_at(began + moment, waiting.cancel)
        await asyncio.gather(running, waiting, behind, return_exceptions=True)
        assert [60, 30] == [size for size, _ in ended]
        assert room.enough.is_set()
        assert room.take(FITS)


@pytest.mark.parametrize("seed", range(20))
@instantly
async def test_the_disk_is_never_overrun(seed: int) -> None:
    """Jobs of any size and length, some cancelled at any moment: all end, and all room is given back."""
    random, room = Random(seed), disk(3000)
    held = most = 0

    async def job() -> None:
        nonlocal held, most
        size = random.randint(0, 900)
        await room.wait(size)
        held += size
        most = max(most, held)
        try:
            await asyncio.sleep(random.randint(0, 20))
        finally:
            held -= size
            room.give(size)

    jobs = []
    for _ in range(60):
        jobs.append(asyncio.ensure_future(job()))
        if random.random() < 0.3:
            asyncio.get_running_loop().call_later(random.randint(0, 60), random.choice(jobs).cancel)
        await asyncio.sleep(random.randint(0, 5))
    await asyncio.gather(*jobs, return_exceptions=True)
    assert (0, True, True) == (held, most * TIMES_ITS_SIZE <= 3000, room.enough.is_set())
    assert room.take(1000)


def test_streams_may_be_left_to_others() -> None:
    """By how they begin."""
    room = Room(streams=False)
    room.admit(b"\xff\xd8\xff")
    with pytest.raises(Elsewhere):
        room.admit(b"\x1aE\xdf\xa3")


@instantly
async def test_nobody_waits_for_ever() -> None:
    """After a quarter of an hour the message goes back: another worker may have room, and this one receives again."""
    room = disk()
    assert room.take(60)
    with pytest.raises(Crowded) as raised:
        await room.wait(60)
    assert (900, 900) == (now(), raised.value.after)
    assert room.enough.is_set()
    room.give(60)
    assert room.take(FITS)
