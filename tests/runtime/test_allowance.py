"""How fast and for how much all workers together buy, whatever happens. No second really passes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service import metrics
from service.core import places
from service.core.outcome import Misconfigured, Overspent, Throttled, Unavailable
from service.core.recipe import Prices, Spend
from service.core.spend import Shared
from service.runtime.allowance import Account, Allowance
from tests.fakes import FakeStore, Wire
from tests.runtime.instant import instantly, now

PRICES = Prices(rekognition_image=0.001, transcribe_minute=0.024, cpu_hour=0.05)
RICH = Spend(upload=1000, day=1000)
IMAGE, MINUTE = "rekognition_image", "transcribe_minute"
NOON = 1_790_078_400.0  # 2026-09-22, 12:00 UTC
QUOTA = 5.0


@dataclass(kw_only=True)
class Site:
    """Workers that share a bucket; each call to it takes some time, one that is not the same twice."""

    objects: dict[str, bytes] = field(default_factory=dict)
    quota: float | None = QUOTA
    began: float = NOON
    _workers: int = 0

    def worker(self, *, ahead: float = 0.0) -> Allowance:
        """Another worker, whose clock is `ahead` by so many seconds."""
        self._workers += 1
        jitter = Random(self._workers)
        return Allowance(
            store=FakeStore(objects=self.objects, wire=Wire(before=lag(jitter), after=lag(jitter))),
            rates={} if self.quota is None else {IMAGE: self.quota},
            clock=lambda: self.began + ahead + now(),
            jitter=jitter,
        )

    @property
    def shared(self) -> Shared:
        """What the bucket says."""
        return Shared.model_validate_json(self.objects[places.quota()])


def lag(jitter: Random) -> Callable[[str], Awaitable[None]]:
    """What a way to the bucket takes."""

    async def pass_time(_call: str) -> None:
        await asyncio.sleep(jitter.uniform(0.005, 0.03))

    return pass_time


@dataclass(kw_only=True)
class Service:
    """Allows so many calls a second: a bucket of as many tokens, as AWS has it."""

    rate: float = QUOTA
    calls: list[float] = field(default_factory=list)
    throttled: int = 0
    _tokens: float = QUOTA
    _filled: float = 0.0

    async def look(self) -> None:
        """One call."""
        await asyncio.sleep(0.02)
        self._tokens = min(self.rate, self._tokens + (now() - self._filled) * self.rate)
        self._filled = now()
        if self._tokens < 1:
            self.throttled += 1
            raise Throttled("ProvisionedThroughputExceededException")
        self._tokens -= 1
        self.calls.append(now())
        await asyncio.sleep(0.3)


async def look(account: Account, service: Service) -> None:
    """Buy one look, and take it; again where there were too many."""
    while True:
        await account.take(IMAGE)
        try:
            return await service.look()
        except Throttled:
            await account.throttled(IMAGE)


async def forever(account: Account, service: Service) -> None:
    """One upload after the other."""
    while True:
        await look(account, service)


async def for_a_minute(workers: list[Allowance], service: Service, *, callers: int = 4) -> None:
    """All workers look at pictures, as fast as they may."""
    accounts = [worker.for_upload(RICH, PRICES) for worker in workers for _ in range(callers)]
    running = [asyncio.ensure_future(forever(account, service)) for account in accounts]
    done, _ = await asyncio.wait(running, timeout=60)
    assert set() == done
    await stop(running)


async def stop(running: Sequence[asyncio.Future[None]]) -> None:
    """Cancel, and see that nothing else went wrong."""
    for each in running:
        each.cancel()
    for each in running:
        with suppress(asyncio.CancelledError):
            await each


async def bought(account: Account, most: int) -> int:
    """How many looks could be paid for, of so many that were wanted."""
    for count in range(most):
        try:
            await account.take(IMAGE)
        except Overspent:
            return count
    return most


@pytest.mark.parametrize("callers", [1, 4, 40])
@pytest.mark.parametrize("workers", [1, 2, 10])
def test_quota_is_used_and_kept(workers: int, callers: int) -> None:
    """However many share it: less than one call in a hundred is refused, and four fifths of the quota are used."""

    @instantly
    async def run() -> None:
        site, service = Site(), Service()
        await for_a_minute([site.worker() for _ in range(workers)], service, callers=callers)
        sequential = 1 / 0.32 if workers * callers == 1 else QUOTA  # one caller waits for its own answers
        assert len(service.calls) >= 0.8 * 60 * min(QUOTA, sequential)
        assert service.throttled <= 0.01 * len(service.calls)

    run()


@instantly
async def test_clocks_that_differ() -> None:
    """A clock that is half a second ahead, and one behind, neither cost quota nor break it."""
    site, service = Site(), Service()
    await for_a_minute([site.worker(ahead=0.5), site.worker(ahead=-0.5)], service)
    assert len(service.calls) >= 0.8 * 60 * QUOTA
    assert service.throttled <= 0.01 * len(service.calls)


@instantly
async def test_worker_that_dies() -> None:
    """What it had reserved is lost: two seconds of the quota, and no more."""
    site, service = Site(), Service()
    one = site.worker().for_upload(RICH, PRICES)
    dying = [asyncio.ensure_future(look(one, service)) for _ in range(50)]
    await asyncio.sleep(0.5)
    await stop(dying)
    before, calls = now(), len(service.calls)
    await look(site.worker().for_upload(RICH, PRICES), service)
    assert calls + 1 == len(service.calls)
    assert service.calls[-1] - before <= 2.2


@instantly
async def test_cancelled_callers_leave_their_turns() -> None:
    """Turns of an upload that was given up go to the next one of the same worker, and are not paid for twice."""
    site = Site()
    worker = site.worker()
    account = worker.for_upload(RICH, PRICES)
    given_up = [asyncio.ensure_future(account.take(IMAGE)) for _ in range(9)]
    await asyncio.sleep(0.3)
    await stop(given_up)
    taken = account.bought[IMAGE]
    assert 9 > taken >= 1
    assert 0.009 == site.shared.spent
    assert 9 - taken == await bought(worker.for_upload(RICH, PRICES), 9 - int(taken))
    assert 0.009 == site.shared.spent


@instantly
async def test_turns_that_are_left_over_are_not_taken_at_once() -> None:
    """Turns whose moment has passed are taken at no more than twice the quota."""
    account = Site().worker().for_upload(RICH, PRICES)
    given_up = [asyncio.ensure_future(account.take(IMAGE)) for _ in range(9)]
    await asyncio.sleep(0.3)
    await stop(given_up)
    await asyncio.sleep(2)
    began, left = now(), 9 - int(account.bought[IMAGE])
    assert left == await bought(account, left)
    assert 0.09 * (left - 1) <= now() - began <= 1


@instantly
async def test_turns_that_lapse_are_given_back() -> None:
    """Money for turns that nobody took goes back to the day, once."""
    site = Site()
    worker = site.worker()
    account = worker.for_upload(RICH, PRICES)
    given_up = [asyncio.ensure_future(account.take(IMAGE)) for _ in range(9)]
    await asyncio.sleep(0.3)
    await stop(given_up)
    taken = account.bought[IMAGE]
    for number in (1, 2):
        await asyncio.sleep(30)
        await account.take(IMAGE)
        assert round((taken + number) * 0.001, 9) == site.shared.spent


@instantly
async def test_spare_turns() -> None:
    """At a high rate one write to the bucket serves several calls; those of a sound of an hour are bought singly."""
    site = Site(quota=50)
    worker = site.worker()
    account = worker.for_upload(RICH, PRICES)
    assert 10 == await bought(account, 10)
    assert isinstance(worker.store, FakeStore)
    assert 1 == worker.store.wire.count("write")
    await account.take(MINUTE, 60)
    assert 1.45 == site.shared.spent


@instantly
async def test_calls_are_served_in_order() -> None:
    """Whoever asked first goes first, and no two calls go at once."""
    site, order, at = Site(), list[int](), list[float]()
    account = site.worker().for_upload(RICH, PRICES)

    async def take(number: int) -> None:
        await account.take(IMAGE)
        order.append(number)
        at.append(now())

    await asyncio.gather(*(take(number) for number in range(30)))
    assert list(range(30)) == order
    assert all(later - one >= 0.1 for one, later in pairwise(at))


@instantly
async def test_refusal_slows_everybody_down() -> None:
    """After a refusal no worker calls for a moment, and what was refused counts as not bought."""
    site = Site()
    one, other = (site.worker().for_upload(RICH, PRICES) for _ in range(2))
    await one.take(IMAGE)
    before = metrics.REGISTRY.get_sample_value("media_provider_throttles_total", {"provider": "rekognition"}) or 0
    await one.throttled(IMAGE)
    until = site.shared.next_at[IMAGE] - site.began
    assert until > now() + 0.2
    assert {} == one.bought
    await other.take(IMAGE)
    assert now() >= until - 0.001
    assert before + 1 == metrics.REGISTRY.get_sample_value(
        "media_provider_throttles_total", {"provider": "rekognition"}
    )


@instantly
async def test_many_refusals_are_one() -> None:
    """Ten calls that are refused together push the others back once."""
    site = Site()
    account = site.worker().for_upload(RICH, PRICES)
    await asyncio.gather(*(account.throttled(IMAGE) for _ in range(10)))
    assert site.shared.next_at[IMAGE] - site.began <= 2.5


@instantly
async def test_service_that_is_slower_than_said() -> None:
    """Where the quota is a fifth of what was said, work goes on at its pace."""
    site, service = Site(), Service(rate=1.0, _tokens=1.0)
    await for_a_minute([site.worker(), site.worker()], service)
    assert len(service.calls) >= 30


@instantly
async def test_upload_cap() -> None:
    """Of 101 frames at a tenth of a cent, ten cents buy 100, at once or one by one."""
    site = Site(quota=None)
    account = site.worker().for_upload(Spend(upload=0.1, day=10), PRICES)
    ended = await asyncio.gather(*(account.take(IMAGE) for _ in range(101)), return_exceptions=True)
    assert [None] * 100 == ended[:100]
    assert "rekognition_image: the upload has cost $0.100, and spend.upload is $0.100" == str(ended[100])
    assert isinstance(ended[100], Overspent)
    assert ({IMAGE: 100}, 0.1) == (account.bought, site.shared.spent)


@instantly
async def test_upload_cap_counts_former_attempts() -> None:
    """What the records say was bought before counts as well, whatever it was."""
    caps = Spend(upload=0.1, day=10)
    account = Site().worker().for_upload(caps, PRICES, {IMAGE: 50, MINUTE: 2})
    assert 2 == await bought(account, 10)


@instantly
async def test_free_calls() -> None:
    """What costs nothing asks nobody, and is never refused."""
    site = Site()
    account = site.worker().for_upload(Spend(upload=0, day=0), PRICES)
    await account.take(None, 1000)
    await account.throttled(None)
    assert ({}, {}) == (account.bought, site.objects)
    with pytest.raises(Overspent):
        await account.take(IMAGE)


@instantly
async def test_price_of_nothing() -> None:
    """A unit whose price is 0 waits for its turn, and needs no money."""
    site = Site()
    free = PRICES.model_copy(update={IMAGE: 0.0})
    assert 20 == await bought(site.worker().for_upload(Spend(upload=0, day=0), free), 20)
    assert now() > 3.5


@pytest.mark.parametrize("quota", [None, 5.0, 50.0])
@pytest.mark.parametrize("workers", [1, 2, 10])
def test_day_cap(workers: int, quota: float | None) -> None:
    """All workers together buy no more than the day's cap, and all that it allows but what others hold unused."""

    @instantly
    async def run() -> None:
        site = Site(quota=quota)
        accounts = [site.worker().for_upload(Spend(upload=10, day=0.1), PRICES) for _ in range(workers)]
        frames = sum(await asyncio.gather(*(bought(account, 200) for account in accounts)))
        chunk = 10 if quota == 50 else 0
        assert 100 - chunk * (workers - 1) <= frames <= 100
        assert site.shared.spent <= 0.1

    run()


@instantly
async def test_day_cap_counts_everything() -> None:
    """Minutes and pictures are paid out of the same day."""
    account = Site().worker().for_upload(Spend(upload=10, day=1.5), PRICES)
    await account.take(MINUTE, 60)
    assert 60 == await bought(account, 100)


@instantly
async def test_next_day() -> None:
    """At midnight, UTC, the day's cap begins anew; what was bought yesterday is not given back to today."""
    site = Site(began=NOON + 12 * 3600 - 30)
    account = site.worker().for_upload(Spend(upload=10, day=0.05), PRICES)
    assert 50 == await bought(account, 100)
    await asyncio.sleep(31 - now())
    assert 50 == await bought(account, 100)
    assert ("2026-09-23", 0.05) == (site.shared.day, site.shared.spent)


@instantly
async def test_day_of_a_clock_ahead() -> None:
    """Around midnight a worker whose clock is behind goes on with the day that another one began."""
    site = Site(began=NOON + 12 * 3600 - 5)
    caps = Spend(upload=10, day=0.01)
    ahead, behind = site.worker(ahead=10), site.worker()
    assert 6 == await bought(ahead.for_upload(caps, PRICES), 6)
    assert 4 == await bought(behind.for_upload(caps, PRICES), 10)


@instantly
async def test_storm_of_conflicts() -> None:
    """Fifty workers that begin at once all get their turn, and each is paid for once."""
    site = Site(quota=None)
    accounts = [site.worker().for_upload(RICH, PRICES) for _ in range(50)]
    await asyncio.gather(*(account.take(IMAGE) for account in accounts))
    assert 0.05 == site.shared.spent
    assert now() < 15


@instantly
async def test_document_that_others_always_replace() -> None:
    """Whoever never gets to write gives up: the job is tried again later."""
    site = Site()
    worker = site.worker()

    async def replace(call: str) -> None:
        if call.startswith("write"):
            site.objects[places.quota()] = Shared(nonce=f"{now()}").to_json()

    assert isinstance(worker.store, FakeStore)
    worker.store.wire.before = replace
    account = worker.for_upload(RICH, PRICES)
    with pytest.raises(Unavailable, match="somebody else was first"):
        await account.take(IMAGE)
    assert {} == account.bought


@instantly
async def test_store_that_is_away() -> None:
    """Nothing is bought blindly: where the bucket can't be read, or its answer is lost, there is no turn."""
    site = Site()
    worker = site.worker()
    account = worker.for_upload(RICH, PRICES)

    async def fail(_call: str) -> None:
        raise Unavailable("ServiceUnavailable")

    assert isinstance(worker.store, FakeStore)
    worker.store.wire.before = fail
    with pytest.raises(Unavailable):
        await account.take(IMAGE)
    worker.store.wire.before = lag(Random(1))
    worker.store.wire.after = fail
    with pytest.raises(Unavailable):
        await account.take(IMAGE)
    assert {} == account.bought


@instantly
async def test_answer_that_is_lost() -> None:
    """A write whose answer was lost counts as spent: rather too little is bought than too much."""
    site = Site(quota=None)
    worker = site.worker()
    assert isinstance(worker.store, FakeStore)

    async def lose(call: str) -> None:
        if call.startswith("write"):
            raise Unavailable("the connection was reset")

    worker.store.wire.after = lose
    account = worker.for_upload(RICH, Prices(rekognition_image=1, transcribe_minute=1, cpu_hour=1))
    with pytest.raises(Unavailable):
        await account.take(IMAGE)
    assert 1 == site.shared.spent


@instantly
async def test_document_that_is_none() -> None:
    """Something else in its place is an operator's to mend: nothing is bought."""
    site = Site(objects={places.quota(): b"[]"})
    with pytest.raises(Misconfigured, match=r"records/~quota\.json can't be read, so nothing is bought: delete it"):
        await site.worker().for_upload(RICH, PRICES).take(IMAGE)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_never_above_cap_or_quota(data: st.DataObject) -> None:
    """Whoever asks when, is given up or dies: no more is bought than the day allows, nor faster than the quota."""
    workers = data.draw(st.integers(1, 4))
    asked = data.draw(
        st.lists(st.tuples(st.integers(0, workers - 1), st.floats(0, 8), st.floats(0, 8)), min_size=1, max_size=40)
    )

    @instantly
    async def run() -> None:
        site = Site()
        caps = Spend(upload=10, day=0.02)
        accounts = [site.worker().for_upload(caps, PRICES) for _ in range(workers)]
        taken: list[float] = []

        async def one(worker: int, at: float, patience: float) -> None:
            await asyncio.sleep(at)
            with suppress(Overspent, TimeoutError):
                async with asyncio.timeout(patience):
                    await accounts[worker].take(IMAGE)
                taken.append(now())

        await asyncio.gather(*(one(*each) for each in asked))
        assert len(taken) <= 20
        assert sum(account.bought.get(IMAGE, 0) for account in accounts) == len(taken)
        assert len(taken) * 0.001 <= site.shared.spent + 1e-9 if places.quota() in site.objects else not taken

    run()
