"""A lease: renewed while its work runs, lost in time, and over before anything is settled. No second really passes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from service.core.outcome import LeaseLost, Misconfigured, Unavailable
from service.runtime import lease
from service.runtime.lease import Message, held
from tests.runtime.instant import instantly, now

MESSAGE = Message(id="1", receipt="1#1", body="", receive_count=1, queue="fake")
VISIBILITY = 30


async def at_once() -> None:
    """A renewal that succeeds, and takes no time."""


@dataclass(kw_only=True)
class Renewer:
    """Keeps when it was asked and when it answered; `answer` is what a renewal does."""

    answer: Callable[[], Awaitable[None]] = at_once
    asked: list[tuple[float, float]] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)

    async def extend(self, message: Message, seconds: float) -> None:
        """Hide the message for `seconds`."""
        self.asked.append((now(), seconds))
        try:
            await self.answer()
        finally:
            self.answered.append(now())


@dataclass(kw_only=True)
class Work:
    """Works for so many seconds, and takes `tidying` more to end when it is cancelled."""

    seconds: float
    error: Exception | None = None
    tidying: float = 0
    cancelled_at: list[float] = field(default_factory=list)
    ended_at: float | None = None

    async def __call__(self) -> str:
        try:
            await asyncio.sleep(self.seconds)
            if self.error:
                raise self.error
        except asyncio.CancelledError:
            self.cancelled_at.append(now())
            await self._tidy()
            raise
        finally:
            self.ended_at = now()
        return "done"

    async def _tidy(self) -> None:
        try:
            await asyncio.sleep(self.tidying)
        except asyncio.CancelledError:
            self.cancelled_at.append(now())
            raise


async def hold(renewer: Renewer, work: Work, *, visibility: int = VISIBILITY) -> str:
    """Work under a lease."""
    return await held(renewer, MESSAGE, work(), visibility=visibility, clock=now)


@instantly
async def test_a_message_is_renewed_each_third_of_its_visibility() -> None:
    """Each renewal counts from its own call; the work's result comes back."""
    renewer = Renewer()
    assert "done" == await hold(renewer, Work(seconds=65))
    assert [(10, 30), (20, 30), (30, 30), (40, 30), (50, 30), (60, 30)] == renewer.asked


@instantly
async def test_short_work_needs_no_renewal() -> None:
    """What is done within a third costs no call."""
    renewer = Renewer()
    await hold(renewer, Work(seconds=9))
    assert [] == renewer.asked


async def seven_seconds() -> None:
    """A renewal whose answer takes its time."""
    await asyncio.sleep(7)


@pytest.mark.parametrize("error", [None, ValueError("the work failed")])
@instantly
async def test_the_end_waits_for_the_last_renewal(error: Exception | None) -> None:
    """Work that ends at 12 s, amid a renewal from 10 to 17 s, is over at 17 s, and nothing is renewed after that."""
    renewer = Renewer(answer=seven_seconds)
    ended = await asyncio.gather(hold(renewer, Work(seconds=12, error=error)), return_exceptions=True)
    assert (17, [17]) == (now(), renewer.answered)
    assert [error or "done"] == ended
    await asyncio.sleep(1000)
    assert [(10, 30)] == renewer.asked


@pytest.mark.parametrize("again_at", [None, 13, 16])
@instantly
async def test_a_cancelled_lease_waits_for_the_last_renewal(again_at: float | None) -> None:
    """Cancelled at 12 s, and perhaps once more, amid a renewal from 10 to 17 s: over at 17 s, not before."""
    renewer, work = Renewer(answer=seven_seconds), Work(seconds=100, tidying=2)
    holding = asyncio.ensure_future(hold(renewer, work))
    for moment in (12, again_at):
        if moment:
            asyncio.get_running_loop().call_at(moment, holding.cancel)
    await asyncio.wait([holding])
    assert holding.cancelled()
    assert (17, [17]) == (now(), renewer.answered)
    assert ([12], 14) == (work.cancelled_at, work.ended_at)
    await asyncio.sleep(1000)
    assert [(10, 30)] == renewer.asked


async def lost() -> None:
    """A renewal of what is somebody else's."""
    raise LeaseLost("the receipt is no longer good")


@instantly
async def test_a_lost_lease_cancels_the_work_once_and_waits_for_it() -> None:
    """The work has tidied up before the loss is told, and was not disturbed while it did."""
    renewer, work = Renewer(answer=lost), Work(seconds=100, tidying=4)
    with pytest.raises(LeaseLost):
        await hold(renewer, work)
    assert ([10], 14) == (work.cancelled_at, now())


@instantly
async def test_a_renewal_that_is_refused_for_good_ends_the_work() -> None:
    """What only an operator can mend is told as such."""

    async def denied() -> None:
        raise Misconfigured("AccessDenied")

    work = Work(seconds=100)
    with pytest.raises(Misconfigured):
        await hold(Renewer(answer=denied), work)
    assert [10] == work.cancelled_at


async def unavailable() -> None:
    """A renewal that is worth another try."""
    raise Unavailable("503")


@instantly
async def test_passing_failures_are_retried_until_the_deadline() -> None:
    """Each twelfth of the visibility; once nothing has succeeded for all of it, the lease is lost."""
    renewer, work = Renewer(answer=unavailable), Work(seconds=100)
    with pytest.raises(LeaseLost):
        await hold(renewer, work)
    assert [10, 12.5, 15, 17.5, 20, 22.5, 25, 27.5] == [at for at, _ in renewer.asked]
    assert [30] == work.cancelled_at


@instantly
async def test_one_success_is_enough_to_go_on() -> None:
    """After a failed renewal the next try succeeds, and the thirds are counted from that."""
    failures = [unavailable, unavailable]
    renewer = Renewer(answer=lambda: failures.pop()() if failures else at_once())
    assert "done" == await hold(renewer, Work(seconds=40))
    assert [10, 12.5, 15, 25, 35] == [at for at, _ in renewer.asked]


@instantly
async def test_a_renewal_that_hangs_does_not_outlive_the_visibility() -> None:
    """Asked for at 10 s, it would be answered at 75 s: from 30 s on the message may be somebody else's."""

    async def late() -> None:
        await asyncio.sleep(65)

    work = Work(seconds=1000)
    with pytest.raises(LeaseLost):
        await hold(Renewer(answer=late), work)
    assert [30] == work.cancelled_at


@instantly
async def test_work_that_is_done_waits_for_a_hanging_renewal_no_longer_than_that() -> None:
    """The result of 12 s is there at 30 s, although the renewal of 10 s is never answered."""

    async def never() -> None:
        await asyncio.Event().wait()

    assert "done" == await hold(Renewer(answer=never), Work(seconds=12))
    assert 30 == now()


@instantly
async def test_nobody_asks_for_more_than_twelve_hours() -> None:
    """SQS counts from the receive; the last renewal asks for what is left, and then the lease is lost."""
    renewer, work = Renewer(), Work(seconds=1_000_000)
    with pytest.raises(LeaseLost):
        await hold(renewer, work, visibility=3600)
    assert {lease.CEILING_SECONDS} == {max(at + seconds for at, seconds in renewer.asked)}
    assert (42_000, 1195) == renewer.asked[-1]
    assert [lease.CEILING_SECONDS] == work.cancelled_at


@instantly
async def test_work_that_ends_as_the_lease_is_lost_counts_as_done() -> None:
    """Both happen in the same turn of the loop at 11 s: what is done is done, and a stale receipt deletes nothing."""
    moment = asyncio.Event()

    async def work() -> str:
        await moment.wait()
        return "done"

    async def lost_then() -> None:
        await moment.wait()
        raise LeaseLost("at the same moment")

    asyncio.get_running_loop().call_at(11, moment.set)
    working = held(Renewer(answer=lost_then), MESSAGE, work(), visibility=VISIBILITY, clock=now)
    assert "done" == await working
