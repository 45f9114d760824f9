"""What is bought for money: bills, caps, turns below a quota."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import spend
from service.core.outcome import Misconfigured, Overspent
from service.core.recipe import Prices, Spend
from service.core.spend import Line, Order, Shared, Turn

PRICES = Prices(rekognition_image=0.001, transcribe_minute=0.024, cpu_hour=0.05)
NOON = 1_790_078_400.0  # 2026-09-22, 12:00 UTC
_UNITS = st.dictionaries(st.sampled_from(["rekognition_image", "transcribe_minute"]), st.integers(0, 500).map(float))


def order(*, calls: int = 1, rate: float | None = 5.0, dollars: float = 0.001, cap: float = 25.0, spare: bool = True):
    """Pictures to be looked at."""
    return Order(unit="rekognition_image", dollars=dollars, cap=cap, calls=calls, rate=rate, spare=spare)


def today(**known: float) -> Shared:
    """What is known of today."""
    return Shared(day="2026-09-22").model_copy(update=known)


def starts(turns: tuple[Turn, ...]) -> list[float]:
    """When calls start, in seconds after noon."""
    return [round(turn.at - NOON, 3) for turn in turns]


def test_bill():
    """A line a unit, and the machine's time on top."""
    cost = spend.cost(
        {"transcribe_minute": 2.5, "rekognition_image": 60.0}, PRICES, cpu_seconds=720, bytes_in=10, bytes_out=20
    )
    assert (
        Line(unit="rekognition_image", count=60, dollars=0.06),
        Line(unit="transcribe_minute", count=2.5, dollars=0.06),
    ) == cost.lines
    assert (0.13, 720, 10, 20) == (cost.dollars, cost.cpu_seconds, cost.bytes_in, cost.bytes_out)
    assert spend.Cost.model_validate_json(cost.to_json()) == cost


def test_nothing_costs_nothing():
    """No units, no time: an empty bill."""
    cost = spend.cost({}, PRICES, cpu_seconds=0, bytes_in=1, bytes_out=0)
    assert ((), 0.0) == (cost.lines, cost.dollars)


def test_unknown_price():
    """Nothing is bought at an unknown price."""
    with pytest.raises(Misconfigured, match=r"prices\.gold: is missing"):
        spend.price("gold", PRICES)


@pytest.mark.parametrize(
    ("unit", "cap", "bought", "frames"),
    [
        ("rekognition_image", 0.1, {}, 100),
        ("rekognition_image", 0.1, {"rekognition_image": 99}, 1),
        ("rekognition_image", 0.1, {"rekognition_image": 100}, 0),
        ("rekognition_image", 0.1, {"rekognition_image": 500}, 0),
        ("rekognition_image", 0.1, {"transcribe_minute": 2}, 52),
        ("rekognition_image", 0.0, {}, 0),
        (None, 0.0, {}, None),
    ],
)
def test_affordable(unit: str | None, cap: float, bought: dict[str, float], frames: int | None):
    """As many as the upload's cap leaves room for; no limit on what is free."""
    assert frames == spend.affordable(unit, Spend(upload=cap, day=1), PRICES, bought)


def test_affordable_at_no_price():
    """A unit with the price of 0 is free as well."""
    free = PRICES.model_copy(update={"rekognition_image": 0.0})
    assert spend.affordable("rekognition_image", Spend(upload=0, day=0), free, {}) is None


@given(bought=_UNITS, cap=st.integers(0, 2000).map(lambda cents: cents / 100))
def test_affordable_is_the_most(bought: dict[str, float], cap: float):
    """So many are within the cap, and one more is not."""
    frames = spend.affordable("rekognition_image", Spend(upload=cap, day=1), PRICES, bought)
    assert frames is not None
    spent = spend.total(bought, PRICES)
    assert spend.within(spent + frames * 0.001, cap) or frames == 0
    assert not spend.within(spent + (frames + 1) * 0.001, cap)


@pytest.mark.parametrize(("seconds", "billed"), [(0.2, 15), (15, 15), (15.1, 16), (3600, 3600)])
def test_minutes(seconds: float, billed: int):
    """Whole seconds, and 15 at least."""
    assert billed / 60 == spend.minutes(seconds)


@pytest.mark.parametrize(
    ("rate", "calls", "spare", "chunk"),
    [
        (5, 1, True, 1),
        (5, 4, True, 4),
        (5, 100, True, 9),
        (50, 1, True, 10),
        (50, 1, False, 1),
        (50, 1000, True, 95),
        (0.1, 3, True, 1),
        (None, 7, True, 7),
    ],
)
def test_chunk(rate: float | None, calls: int, *, spare: bool, chunk: int):
    """As many as wait; a fifth of a second's at least where more will come, two seconds' at most."""
    _, turns = spend.reserve(today(), order(rate=rate, calls=calls, spare=spare), now=NOON)
    assert chunk == len(turns)


def test_turns_follow_one_another():
    """Calls of one chunk, and of the next one, are spaced as the quota asks for, less a margin."""
    shared, one = spend.reserve(today(), order(calls=3), now=NOON)
    _, two = spend.reserve(shared, order(calls=2), now=NOON + 0.1)
    assert [0, 0.211, 0.421, 0.632, 0.842] == starts(one + two)


def test_idle_time_is_not_saved_up():
    """After a pause, a turn lies back no further than a write takes."""
    shared, _ = spend.reserve(today(), order(calls=3), now=NOON)
    _, late = spend.reserve(shared, order(calls=2), now=NOON + 60)
    assert [59.8, 60.011] == starts(late)


def test_no_quota():
    """Without a quota every call may start at once."""
    _, turns = spend.reserve(today(), order(rate=None, calls=3), now=NOON)
    assert [0, 0, 0] == starts(turns)


@pytest.mark.parametrize("rate", [5.0, None])
def test_postponed(rate: float | None):
    """What was refused as too many is left alone, whatever was known of its rate."""
    shared, _ = spend.postpone(today(), "rekognition_image", now=NOON, seconds=1.5)
    _, turns = spend.reserve(shared, order(rate=rate), now=NOON)
    assert [1.5] == starts(turns)


def test_moment_of_a_wrong_clock():
    """A moment that lies too far ahead holds nobody up."""
    shared = today().model_copy(update={"next_at": {"rekognition_image": NOON + 86_400}})
    _, turns = spend.reserve(shared, order(), now=NOON)
    assert [0] == starts(turns)


def test_chunk_ends_at_the_cap():
    """Of ten calls those are paid for that the day's cap leaves room for; the next one is refused."""
    shared, turns = spend.reserve(today(spent=24.993), order(calls=9), now=NOON)
    assert (7, 25.0) == (len(turns), shared.spent)
    with pytest.raises(Overspent, match=r"2026-09-22 has cost \$25\.000, and spend\.day is \$25\.000"):
        spend.reserve(shared, order(), now=NOON)


def test_free_calls_pass_a_cap():
    """What costs nothing is bought even where everything else is refused."""
    _, turns = spend.reserve(today(spent=99.0), order(dollars=0.0), now=NOON)
    assert 1 == len(turns)


def test_turn_of_a_larger_cap():
    """A turn that was paid for below a larger cap is none for an upload whose cap is passed by it."""
    _, (turn,) = spend.reserve(today(spent=10.0), order(), now=NOON)
    assert turn.suits(order(cap=10.001))
    assert not turn.suits(order(cap=10.0))
    assert not turn.suits(order(dollars=0.002))


@pytest.mark.parametrize(
    ("known", "spent", "day", "left"),
    [
        ("2026-09-22", 3.0, "2026-09-22", 2.5),
        ("2026-09-21", 3.0, "2026-09-22", 0.0),
        ("", 0.0, "2026-09-22", 0.0),
        ("2026-09-23", 3.0, "2026-09-23", 3.0),
        ("2027-09-22", 3.0, "2026-09-22", 2.5),
        ("2026-09-22", 0.2, "2026-09-22", 0.0),
    ],
)
def test_days(known: str, spent: float, day: str, left: float):
    """A new day begins at nothing; one of a clock ahead goes on, or is today; what is given back is its day's."""
    shared = spend.opened(Shared(day=known, spent=spent), now=NOON, back={"2026-09-22": 0.5, "2026-09-21": 9.0})
    assert (day, left) == (shared.day, shared.spent)


@given(
    calls=st.lists(st.tuples(st.integers(1, 50), st.floats(0, 3)), min_size=1, max_size=40),
    rate=st.sampled_from([0.5, 5.0, 50.0]),
    cap=st.integers(0, 200).map(lambda frames: frames / 1000),
)
def test_never_above_quota_or_cap(calls: list[tuple[int, float]], rate: float, cap: float):
    """Whoever asks for how many and when: turns keep their distance, and money its cap."""
    shared, now, given_ = today(), NOON, []
    for wanted, pause in calls:
        now += pause
        try:
            shared, turns = spend.reserve(shared, order(calls=wanted, rate=rate, cap=cap), now=now)
        except Overspent:
            continue
        given_ += turns
    assert spend.within(0.001 * len(given_), cap)
    assert all(later.at - one.at >= 1 / rate for one, later in pairwise(given_))
