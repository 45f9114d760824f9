"""Who works beside whom. No second really passes."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random

import pytest

from service.core.job import Job
from service.runtime.company import ALONE, PATIENCE, Company
from tests.fakes import photo
from tests.runtime.instant import instantly, now
from tests.runtime.site import Site, job, received
from tests.runtime.test_worker import Bench

Joined = Callable[..., AbstractAsyncContextManager[None]]


def _noting(asked: list[bool], joined: Joined) -> Joined:
    """The same, and what it was asked."""

    def note(*, alone: bool) -> AbstractAsyncContextManager[None]:
        asked.append(alone)
        return joined(alone=alone)

    return note


@pytest.mark.parametrize("seed", range(20))
@instantly
async def test_who_failed_before_is_alone(seed: int) -> None:
    """Jobs of any length, some of them for the third time, some cancelled at any moment: all come to their turn."""
    random, company = Random(seed), Company()
    present, alone, ended = 0, 0, 0

    async def one(count: int) -> None:
        nonlocal present, alone, ended
        async with company.joined(alone=count > 2):
            present, alone = present + 1, alone + (count > 2)
            assert present == 1 or not alone
            try:
                await asyncio.sleep(random.randint(0, 10))
            finally:
                present, alone = present - 1, alone - (count > 2)
        ended += 1

    jobs = []
    for _ in range(80):
        jobs.append(asyncio.ensure_future(one(random.choice([1, 1, 2, 3, 7]))))
        if random.random() < 0.3:
            asyncio.get_running_loop().call_later(random.randint(0, 100), random.choice(jobs).cancel)
        await asyncio.sleep(random.randint(0, 4))
    done = await asyncio.gather(*jobs, return_exceptions=True)
    assert {None} | {type(one) for one in done if one} <= {None, asyncio.CancelledError}
    assert (0, 0, done.count(None)) == (present, alone, ended)
    assert company.open.is_set()


@instantly
async def test_nothing_is_received_while_somebody_is_alone() -> None:
    """Who is to be alone waits for the others to end, under its lease; then it has the worker to itself."""
    bench = Bench(slots=3)
    times: dict[str, tuple[float, float]] = {}

    async def work(job: Job) -> None:
        async with bench.worker.company.joined(alone=job.key == "bad.jpg"):
            began = now()
            await asyncio.sleep(50)
            times[job.key] = began, now()

    bench.pipeline.work = work
    bench.put("a.jpg", "bad.jpg")
    asyncio.get_running_loop().call_later(10, bench.put, "b.jpg")
    await bench.run(300)
    assert (0, 50) == times["a.jpg"]
    assert (50, 100) == times["bad.jpg"]
    assert 100 <= times["b.jpg"][0]
    assert {} == bench.queue.letters


@pytest.mark.parametrize(
    ("count", "state", "alone"),
    [(2, "new", False), (3, "new", True), (3, "ready", False)],
    ids=["a deployment", "deaths, perhaps", "told before"],
)
async def test_who_is_to_be_alone(*, count: int, state: str, alone: bool, tmp_path: Path) -> None:
    """A version that has no outcome although its message came three times; not one that is looked at again."""
    site = Site(scratch=tmp_path)
    site.uploads.put("a.jpg", photo())
    if state == "ready":
        await site.process("a.jpg")
    pipeline = site.pipeline()
    asked: list[bool] = []
    pipeline.company.joined = _noting(asked, pipeline.company.joined)  # type: ignore[method-assign]  # to listen in
    await pipeline.process(job("a.jpg", "reprocess"), received(count=count))
    assert [alone] == asked


@instantly
async def test_nobody_waits_long_to_be_alone() -> None:
    """Beside a job that lasts, it works all the same, and the worker receives again."""
    company, began = Company(), list[float]()

    async def one(*, alone: bool, seconds: float) -> None:
        async with company.joined(alone=alone):
            began.append(now())
            await asyncio.sleep(seconds)

    film = asyncio.ensure_future(one(alone=False, seconds=10_000))
    await asyncio.sleep(1)
    suspect = asyncio.ensure_future(one(alone=True, seconds=5000))
    await asyncio.sleep(2)
    other = asyncio.ensure_future(one(alone=False, seconds=1))
    await other
    assert [0, 1 + PATIENCE, 1 + PATIENCE] == began
    assert company.open.is_set()
    await asyncio.gather(film, suspect)


@instantly
async def test_who_lasts_is_not_alone_for_ever() -> None:
    """What has not killed its worker within ten minutes is no killer."""
    company = Company()

    async def suspect() -> None:
        async with company.joined(alone=True):
            await asyncio.sleep(10_000)

    working = asyncio.ensure_future(suspect())
    await asyncio.sleep(1)
    async with company.joined(alone=False):
        assert ALONE == now()
    await working
