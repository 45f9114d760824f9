"""What is told of a job that takes its time. No second really passes."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from service.core.manifest import Manifest, Source, Status
from service.core.outcome import Conflict, Unavailable
from service.core.places import Places
from service.runtime.page import Page
from service.runtime.progress import Progress, announce
from tests.fakes import Clock, FakeStore
from tests.runtime.instant import instantly, now
from tests.runtime.lines import captured

AT = Places(name="a.mp4")
SOURCE = Source(etag="e", last_modified="2026-01-01T00:00:00+00:00", size=1)


async def announced(store: FakeStore, progress: Progress, seconds: float) -> list[tuple[float, int | None]]:
    """When the manifest was written, and with which percentage."""
    told = []

    async def note(call: str) -> None:
        if call.startswith("write"):
            told.append((now(), Manifest.model_validate_json(store.objects[AT.manifest]).percent))

    store.wire.after = note
    announcing = asyncio.ensure_future(announce(await Page.read(store, AT), SOURCE, progress))
    await asyncio.wait([announcing], timeout=seconds)
    announcing.cancel()
    await asyncio.wait([announcing])
    if not announcing.cancelled():
        announcing.result()
    return told


@instantly
async def test_quick_work_is_not_announced() -> None:
    """A picture is done by then: two writes less."""
    assert [] == await announced(FakeStore(), Progress(), 1.9)


@instantly
async def test_slow_work_is_announced_as_it_goes_on() -> None:
    """After two seconds, then every ten, where the percentage has changed since."""
    progress = Progress()
    for at, share in [(1, 0.05), (8, 0.1), (30, 0.5), (31, 0.51)]:
        asyncio.get_running_loop().call_at(at, progress.at, share)
    assert [(2, 5), (12, 10), (32, 51)] == await announced(FakeStore(), progress, 100)


@instantly
async def test_whoever_finds_another_manifest_stops() -> None:
    """A final state, or another version's, ends the job: it has to reconcile."""
    store, progress = FakeStore(), Progress()
    replace: Callable[..., object] = store.objects.__setitem__
    asyncio.get_running_loop().call_at(5, replace, AT.manifest, _told_by_another("another").to_json())
    asyncio.get_running_loop().call_at(6, progress.at, 0.5)
    with pytest.raises(Conflict):
        await announced(store, progress, 100)
    assert 12 == now()


@instantly
async def test_two_at_one_version_do_not_stop_each_other() -> None:
    """After a duplicate event two workers tell of the same version; neither loses its encode for that."""
    store, progress = FakeStore(), Progress()
    replace: Callable[..., object] = store.objects.__setitem__
    asyncio.get_running_loop().call_at(5, replace, AT.manifest, _told_by_another("e").to_json())
    asyncio.get_running_loop().call_at(6, progress.at, 0.5)
    asyncio.get_running_loop().call_at(16, progress.at, 0.7)
    await announced(store, progress, 30)
    assert 70 == Manifest.model_validate_json(store.objects[AT.manifest]).percent


@instantly
async def test_a_failed_report_stops_nothing() -> None:
    """Progress is told, but never waited for: S3 may refuse a write without costing an encode."""
    store, progress = FakeStore(), Progress()

    async def down(call: str) -> None:
        if call.startswith("write"):
            raise Unavailable("503")

    store.wire.before = down
    await announced(store, progress, 30)
    assert {} == store.objects


def _told_by_another(etag: str) -> Manifest:
    source = Source(etag=etag, last_modified=SOURCE.last_modified)
    now = datetime.now(UTC)
    return Manifest(status=Status.PROCESSING, revision=7, updated_at=now, source=source, percent=9)


def test_progress_never_goes_back() -> None:
    """Each percentage is told once; parts are equal shares of the whole."""
    told: list[int] = []
    progress = Progress(on_change=told.append)
    for number in range(2):
        tell = progress.between(number / 2, (number + 1) / 2)
        for share in (0.0, 0.5, 0.4, 0.5, 2.0):
            tell(share)
    assert [25, 50, 75, 100] == told


def test_nothing_is_estimated_without_evidence() -> None:
    """Neither before something is done, nor in the first two seconds."""
    clock = Clock()
    progress = Progress(clock=clock)
    assert None is progress.eta_seconds
    clock.now += 1.9
    progress.at(0.5)
    assert None is progress.eta_seconds
    clock.now += 0.1
    assert 2 == progress.eta_seconds


def test_steady_work_is_estimated_rightly() -> None:
    """At every moment, to the second; nothing is left of what is done."""
    clock = Clock()
    progress = Progress(clock=clock)
    for second in range(1, 1001):
        clock.now += 1
        progress.at(second / 1000)
        assert progress.eta_seconds in ({None} if second < 2 else {1000 - second, 1001 - second})
    assert 0 == progress.eta_seconds


def test_the_last_minute_counts() -> None:
    """A job that has become twice as slow is estimated so a minute later; there is no jump before."""
    clock = Clock()
    progress, estimates = Progress(clock=clock), list[int]()
    for second in range(300):
        clock.now += 1
        progress.at(progress_at(second))
        estimates.append(progress.eta_seconds or 0)
    assert (400, 735) == (estimates[99], estimates[164])
    assert all(abs(after - before) < 30 for before, after in pairwise(estimates[10:]))


def progress_at(second: int) -> float:
    """A five-hundredth a second, then half as much."""
    return (second + 1) / 500 if second < 100 else 0.2 + (second - 99) / 1000


def test_what_stands_still_takes_longer() -> None:
    """Nobody is told of ten minutes for an hour."""
    clock = Clock()
    progress = Progress(clock=clock)
    clock.now += 10
    progress.at(0.5)
    clock.now += 30
    assert 40 == progress.eta_seconds


@instantly
async def test_the_estimate_is_logged() -> None:
    """With the percentage, as soon as there is one."""
    progress = Progress(clock=now)
    for at, share in [(1, 0.05), (11, 0.5)]:
        asyncio.get_running_loop().call_at(at, progress.at, share)
    with captured() as told:
        await announced(FakeStore(), progress, 13)
    assert [(5, 38), (50, 12)] == [
        (line["percent"], line["eta_seconds"]) for line in told if line["event"] == "progress"
    ]


def test_parts_may_be_of_any_size() -> None:
    """Nine tenths of the work are one part of two."""
    told: list[int] = []
    progress = Progress(on_change=told.append)
    for begin, end in ((0.0, 0.9), (0.9, 1.0)):
        tell = progress.between(begin, end)
        for share in (0.0, 0.5, 1.0):
            tell(share)
    assert [45, 90, 95, 100] == told
