"""What is bought for money: what it costs, what the caps allow, and how all workers share one quota and one day's cap.

Turns are given by the generic cell rate algorithm (ITU-T I.371): one moment says when the next call may start, so that
a few numbers in one document are enough, and a worker that dies holds nothing up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor

from pydantic import Field

from service.core.outcome import Misconfigured, Overspent
from service.core.recipe import Prices, Spend
from service.core.record import Cost, Document, Line

#: What is left to the difference of clocks, to the way to the service, and to a quota that is measured otherwise.
SHARE = 0.95
#: Seconds that a turn may lie back when it is given: what a write to the bucket takes is not lost to the quota.
CATCH_UP = 0.2
#: Nobody reserves so far ahead, in seconds; a moment beyond it comes from a clock that is wrong.
HORIZON = 600.0
_LONGEST_CHUNK = 2.0  # seconds: no worker keeps the others waiting for longer, dead or alive
_SHORTEST_CHUNK = 0.2  # seconds: at most five writes a second of all busy workers together
_DUST = 1e-9  # dollars: sums of floats are no exact ones


class Shared(Document):
    """What all workers know together: when the next call of each unit may start, and what a day has cost so far.

    `next_at` in Unix seconds, `day` in UTC (ISO 8601). `nonce` makes every document another one, so that two writers
    who decide alike don't take each other's for their own.
    """

    next_at: dict[str, float] = Field(default_factory=dict)
    day: str = ""
    spent: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    nonce: str = ""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a worker wants: so many calls of a unit, each for so many `dollars`, while the day's total is below `cap`.

    `rate` is in calls a second, None where there is no quota. `spare`: more of the same will be wanted soon.
    """

    unit: str
    dollars: float
    cap: float
    calls: int
    rate: float | None
    spare: bool

    @property
    def gap(self) -> float:
        """Seconds between two calls of all workers."""
        return 0.0 if self.rate is None else 1 / (self.rate * SHARE)

    @property
    def chunk(self) -> int:
        """How many calls are reserved at once, if money allows."""
        if not self.gap:
            return self.calls
        least = ceil(_SHORTEST_CHUNK / self.gap) if self.spare else 1
        return min(max(least, self.calls), max(1, floor(_LONGEST_CHUNK / self.gap)))


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One call that was paid for: it may start at `at`; with it, `day` had cost `total` dollars."""

    at: float
    dollars: float
    day: str
    total: float

    def suits(self, order: Order) -> bool:
        """Whether it is what `order` would have been given."""
        return self.dollars == order.dollars and (not self.dollars or within(self.total, order.cap))


def price(unit: str, prices: Prices) -> float:
    """Dollars for one `unit`.

    :raises Misconfigured: when the price table does not know it: nothing is bought at an unknown price.
    """
    if unit not in type(prices).model_fields:
        raise Misconfigured(f"recipe: prices.{unit}: is missing")
    return float(getattr(prices, unit))


def dollars(units: Mapping[str, float], prices: Prices) -> tuple[Line, ...]:
    """The bill: a line for each unit, by name."""
    return tuple(Line(unit=unit, count=n, dollars=n * price(unit, prices)) for unit, n in sorted(units.items()))


def total(units: Mapping[str, float], prices: Prices) -> float:
    """Dollars for all of `units`."""
    return sum(line.dollars for line in dollars(units, prices))


def cost(units: Mapping[str, float], prices: Prices, *, cpu_seconds: float, bytes_in: int, bytes_out: int) -> Cost:
    """What was bought and what it took of this machine, in dollars."""
    machine = cpu_seconds / 3600 * prices.cpu_hour
    return Cost(
        lines=dollars(units, prices),
        cpu_seconds=cpu_seconds,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        dollars=round(total(units, prices) + machine, 9),
    )


def within(spent: float, cap: float) -> bool:
    """Whether `spent` dollars are not above `cap`."""
    return spent <= cap + _DUST


def affordable(unit: str | None, spend: Spend, prices: Prices, bought: Mapping[str, float]) -> int | None:
    """How many more of `unit` the cap of an upload allows that `bought` so much already; None: as many as you like."""
    if unit is None or not (each := price(unit, prices)):
        return None
    return max(0, floor((spend.upload - total(bought, prices) + _DUST) / each))


def minutes(seconds: float) -> float:
    """What Transcribe bills for a sound: whole seconds, at least 15 (aws.amazon.com/transcribe/pricing)."""
    return max(15, ceil(seconds)) / 60


def day(now: float) -> str:
    """The day in UTC of a moment in Unix seconds."""
    return datetime.fromtimestamp(now, UTC).date().isoformat()


def opened(shared: Shared, *, now: float, back: Mapping[str, float]) -> Shared:
    """The book of today, or of tomorrow, where a clock ahead of ours began it; `back` is what days get back.

    A later day comes from a clock that is wrong: what was spent then was spent today.
    """
    if day(now) > shared.day:
        shared = shared.model_copy(update={"day": day(now), "spent": 0.0})
    elif shared.day > day(now + 86_400):
        shared = shared.model_copy(update={"day": day(now)})
    return shared.model_copy(update={"spent": max(0.0, round(shared.spent - back.get(shared.day, 0.0), 9))})


def reserve(shared: Shared, order: Order, *, now: float) -> tuple[Shared, tuple[Turn, ...]]:
    """Turns for `order`, as many of its calls as go into a chunk and below the cap.

    :raises Overspent: when the cap leaves no room for a single one.
    """
    start = _next(shared, order.unit, now)
    turns = tuple(turn for number in range(order.chunk) if (turn := _turn(shared, order, start, number)).suits(order))
    if not turns:
        raise Overspent(f"{order.unit}: {shared.day} has cost ${shared.spent:.3f}, and spend.day is ${order.cap:.3f}")
    next_at = shared.next_at | {order.unit: start + len(turns) * order.gap}
    return shared.model_copy(update={"next_at": next_at, "spent": turns[-1].total}), turns


def _turn(shared: Shared, order: Order, start: float, number: int) -> Turn:
    return Turn(
        at=start + number * order.gap,
        dollars=order.dollars,
        day=shared.day,
        total=round(shared.spent + order.dollars * (number + 1), 9),
    )


def postpone(shared: Shared, unit: str, *, now: float, seconds: float) -> tuple[Shared, None]:
    """Every turn of `unit` that is not given yet begins `seconds` later, and none before that."""
    next_at = shared.next_at | {unit: max(now, _next(shared, unit, now)) + seconds}
    return shared.model_copy(update={"next_at": next_at}), None


def _next(shared: Shared, unit: str, now: float) -> float:
    known = shared.next_at.get(unit, now)
    return max(known, now - CATCH_UP) if known < now + HORIZON else now
