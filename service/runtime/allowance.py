"""Buys units below the caps of the recipe and below the account's quota, which all workers share.

They share it in one document of the output bucket, which each replaces on the condition that nobody else did. A worker
reserves a few turns at a time, paid for, and gives them to its callers in order. What goes wrong costs turns and money
that are not used, never any that are not there: what a dead worker held counts as spent until the day is over.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import TypeVar

from pydantic import ValidationError

from service import metrics
from service.core import places, spend
from service.core.outcome import Conflict, Misconfigured, Overspent, Unavailable
from service.core.recipe import Prices, Spend
from service.core.spend import Order, Shared, Turn
from service.runtime.ports import Store

T = TypeVar("T")

_LAPSE = 3.0  # seconds: a turn that nobody took by then is too far from its moment to be below the quota
_PUSH = 2.0  # seconds: so long, at most, a service that says no is left alone by all workers
_TRIES = 30  # in each of them somebody else got on: more than there are workers at one moment
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 1.0  # seconds, at most, until a lost race is run again: full jitter
_TICK = 0.001  # seconds: timers are no finer


@dataclass(kw_only=True)
class Account:
    """What is bought for one upload; `bought` are all its units so far, those of former attempts too."""

    allowance: "Allowance"
    spend: Spend
    prices: Prices
    bought: dict[str, float]

    async def take(self, unit: str | None, count: float = 1) -> None:
        """Pay for one call that is billed as `count` of `unit`, and wait for its turn; None is free, and at once.

        :raises Overspent: when a cap, the upload's or the day's, leaves no room for it.
        :raises Transient: when the workers' common document can't be read or written: nothing is bought blindly.
        """
        if unit is None:
            return
        dollars = round(spend.price(unit, self.prices) * count, 9)
        self._check(unit, dollars)
        self._add(unit, count)
        paid = False
        try:
            await self.allowance.turn(unit, dollars, cap=self.spend.day, spare=count == 1)
            paid = True
        finally:
            if not paid:
                self._add(unit, -count)
        metrics.bought.labels(unit).inc(count)
        metrics.dollars.labels(unit).inc(dollars)

    async def throttled(self, unit: str | None, count: float = 1) -> None:
        """The service refused a call that was paid for as too many: it is not billed, and all workers slow down."""
        if unit is not None:
            self._add(unit, -count)
            await self.allowance.throttled(unit)

    def _check(self, unit: str, dollars: float) -> None:
        before = spend.total(self.bought, self.prices)
        if dollars and not spend.within(before + dollars, self.spend.upload):
            metrics.overspent.labels("upload").inc()
            raise Overspent(f"{unit}: the upload has cost ${before:.3f}, and spend.upload is ${self.spend.upload:.3f}")

    def _add(self, unit: str, count: float) -> None:
        self.bought[unit] = round(self.bought.get(unit, 0) + count, 9)
        if not self.bought[unit]:
            del self.bought[unit]


@dataclass(kw_only=True)
class Allowance:
    """A worker's part of what all may buy; `rates` are the account's quotas in calls a second, by unit.

    `clock` is the wall clock, in Unix seconds: other machines share it.
    """

    store: Store
    rates: Mapping[str, float]
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Random = field(default_factory=Random)
    _lines: "dict[str, _Line]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._book = _Book(store=self.store, clock=self.clock, sleep=self.sleep, jitter=self.jitter)

    def for_upload(self, caps: Spend, prices: Prices, bought: Mapping[str, float] | None = None) -> Account:
        """The account of an upload that was `bought` so much already."""
        return Account(allowance=self, spend=caps, prices=prices, bought=dict(bought or {}))

    async def turn(self, unit: str, dollars: float, *, cap: float, spare: bool) -> None:
        """Pay `dollars` while the day's total stays below `cap`, and wait until the call may start.

        :raises Overspent: when it does not.
        """
        began = self.clock()
        order = Order(unit=unit, dollars=dollars, cap=cap, calls=1, rate=self.rates.get(unit), spare=spare)
        try:
            await self._line(unit).take(order)
        except Overspent:
            metrics.overspent.labels("day").inc()
            raise
        metrics.rate_waits.labels(unit).observe(max(0.0, self.clock() - began))

    async def throttled(self, unit: str) -> None:
        """The service said no: every worker leaves it alone for a moment."""
        metrics.throttles.labels(unit.partition("_")[0]).inc()
        line, now = self._line(unit), self.clock()
        if now < line.quiet_until:
            return
        seconds = self.jitter.uniform(0, _PUSH)
        line.quiet_until = now + seconds
        await self._book.change(lambda shared: spend.postpone(shared, unit, now=self.clock(), seconds=seconds))

    def _line(self, unit: str) -> "_Line":
        return self._lines.setdefault(unit, _Line(book=self._book, clock=self.clock, sleep=self.sleep))


@dataclass(kw_only=True)
class _Line:
    """The callers of one unit in this worker, in order, and the turns that are reserved for them."""

    book: "_Book"
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    quiet_until: float = 0.0
    _turns: list[Turn] = field(default_factory=list)
    _waiting: Counter[float] = field(default_factory=Counter)
    _head: asyncio.Lock = field(default_factory=asyncio.Lock)
    _last: float = 0.0

    async def take(self, order: Order) -> None:
        """Return when it is the caller's turn; whoever is cancelled leaves the turn to the next one."""
        self._waiting[order.dollars] += 1
        try:
            async with self._head:
                await self._take(order)
        finally:
            self._waiting[order.dollars] -= 1

    async def _take(self, order: Order) -> None:
        while True:
            now = self.clock()
            self._lapse(now)
            turn = next((turn for turn in self._turns if turn.suits(order)), None)
            if turn is None:
                await self._reserve(order)
            elif (wait := self._start(turn, order) - now) > _TICK:
                await self.sleep(wait)
            else:
                self._turns.remove(turn)
                self._last = now
                return

    def _start(self, turn: Turn, order: Order) -> float:
        """Turns that were left over are not all taken at once: half the gap at least lies between two calls."""
        return max(turn.at, self.quiet_until, self._last + order.gap / 2)

    async def _reserve(self, order: Order) -> None:
        order = replace(order, calls=self._waiting[order.dollars])
        self._turns += await self.book.change(lambda shared: spend.reserve(shared, order, now=self.clock()))

    def _lapse(self, now: float) -> None:
        for turn in self._turns:
            if turn.at + _LAPSE < now:
                self.book.back[turn.day] += turn.dollars
        self._turns = [turn for turn in self._turns if turn.at + _LAPSE >= now]


@dataclass(kw_only=True)
class _Book:
    """The document that all workers share; `back` are dollars of a day that were reserved here and not used."""

    store: Store
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    jitter: Random
    back: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    async def change(self, change: Callable[[Shared], tuple[Shared, T]]) -> T:
        """Replace the document by what `change` makes of it; gives what that gives besides.

        :raises Unavailable: when others were first all the time.
        """
        for attempt in range(_TRIES):
            stored = await self.store.read(places.quota())
            changed, given = change(self._opened(stored.body if stored else b"{}"))
            changed = changed.model_copy(update={"nonce": f"{self.jitter.getrandbits(64):016x}"})
            self.back.clear()  # before it is known what became of it: given back once, or not at all
            try:
                await self.store.write(places.quota(), changed.to_json(), replaces=stored.etag if stored else None)
            except Conflict:
                await self.sleep(self.jitter.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)))
            else:
                return given
        raise Unavailable(f"{places.quota()}: somebody else was first, {_TRIES} times")

    def _opened(self, body: bytes) -> Shared:
        try:
            shared = Shared.model_validate_json(body)
        except ValidationError as error:
            raise Misconfigured(f"{places.quota()} can't be read, so nothing is bought: delete it") from error
        return spend.opened(shared, now=self.clock(), back=self.back)
