"""How an attempt ends, for everything that can go wrong."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import outcome
from service.core.outcome import (
    Abandon,
    Conflict,
    Crowded,
    DeadLetter,
    Done,
    Elsewhere,
    Forged,
    Forward,
    Interrupted,
    LeaseLost,
    MediaWorkerError,
    Misconfigured,
    Overspent,
    Poison,
    Reason,
    Rejected,
    Retry,
    Superseded,
    Throttled,
    Transient,
    Unavailable,
    Unknown,
    Unscreened,
    Unseekable,
    Verdict,
)


class Longest(Random):
    """Jitter that always takes the longest wait."""

    def randint(self, a: int, b: int) -> int:
        return b


SETTLED = [
    (None, Done()),
    (Rejected(Reason.DAMAGED, "It is damaged."), Done()),
    (Superseded("another version"), Done()),
    (LeaseLost("expired"), Abandon()),
    (Elsewhere("a film"), Forward()),
    (Interrupted("draining"), Retry(after=0, counts=False)),
    (Unknown("type 'approve'"), Retry(after=300, counts=False)),
    (Misconfigured("no such queue"), Retry(after=900, counts=False)),
    (Overspent("spend.day"), Retry(after=900, counts=False)),
    (Unscreened("the provider is away"), Retry(after=900, counts=False)),
    (Crowded("somebody else is at the key"), Retry(after=60, counts=False)),
    (Crowded("no room", after=900), Retry(after=900, counts=False)),
    (OSError(28, "No space left on device"), Retry(after=60, counts=False)),
    (Poison("no JSON"), DeadLetter(reason="poison", detail="no JSON", publish_failed=False)),
    (Forged("not ours"), DeadLetter(reason="forged", detail="not ours", publish_failed=False)),
]
COUNTED = [
    MediaWorkerError("anything"),
    Conflict("412"),
    Unseekable("an index that lies"),
    Transient("again"),
    Throttled("SlowDown"),
    Unavailable("reset"),
    ValueError("a bug"),
    TimeoutError("the job's limit"),
    MemoryError(),
]


@pytest.mark.parametrize("attempts", [1, 5, 100])
@pytest.mark.parametrize(("error", "expected"), SETTLED, ids=lambda one: type(one).__name__)
def test_verdict_whatever_the_count(error: BaseException | None, expected: Verdict, attempts: int):
    """What is no failure of ours ends the same way however often it was tried."""
    assert expected == outcome.decide(error, attempts=attempts, jitter=Longest())


@pytest.mark.parametrize("error", COUNTED, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize(("attempts", "after"), [(1, 15), (2, 60), (3, 240), (4, 900)])
def test_failures_wait_longer_each_time(error: BaseException, attempts: int, after: int):
    """Anything transient or unforeseen is tried again, below a ceiling that grows fourfold up to 15 minutes."""
    expected = Retry(after=after, counts=True)
    assert expected == outcome.decide(error, attempts=attempts, jitter=Longest())


@pytest.mark.parametrize("error", COUNTED, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("attempts", [5, 6, 50])
def test_fifth_failure_is_published(error: BaseException, attempts: int):
    """The fifth failure ends in the dead-letter queue, named, and the page says `failed`."""
    expected = DeadLetter(reason="internal", detail=f"{type(error).__name__}: {error}", publish_failed=True)
    assert expected == outcome.decide(error, attempts=attempts, jitter=Longest())


def test_tables_cover_the_tree():
    """Every class of the tree stands in one of the tables above."""

    def below(kind: type[BaseException]) -> set[type[BaseException]]:
        return {kind}.union(*(below(sub) for sub in kind.__subclasses__()))

    tabled = {type(error) for error, _ in SETTLED} | {type(error) for error in COUNTED}
    assert set() == below(MediaWorkerError) - tabled


@given(attempts=st.integers(-3, 200), seed=st.integers())
def test_backoff_stays_in_bounds(attempts: int, seed: int):
    """A wait is at least a second, and at most what an operator still notices."""
    assert 1 <= outcome.backoff(attempts, jitter=Random(seed)) <= outcome.MAX_BACKOFF


def test_backoff_uses_the_whole_range():
    """Full jitter: waits are spread from a second to the ceiling, so that failures do not come back together."""
    jitter = Random(7)
    waits = {outcome.backoff(1, jitter=jitter) for _ in range(500)}
    assert set(range(1, 16)) == waits


def test_reason_codes_are_a_contract():
    """The codes that pages and databases may rely on: none is ever renamed or removed."""
    contract = (
        "empty unsupported_type too_large too_many_pixels too_many_frames too_long too_many_streams no_media damaged "
        "encrypted archived bad_timestamps time_limit memory_limit moderation_blocked "
        "moderation_review moderation_unavailable superseded internal"
    )
    assert set() == set(contract.split()) - set(Reason)


def test_rejection_carries_code_and_message():
    """A rejection keeps its message for the uploader apart from its code."""
    error = Rejected(Reason.TOO_LONG, "It lasts too long.")
    assert (Reason.TOO_LONG, "It lasts too long.", "too_long: It lasts too long.") == (
        error.reason,
        error.message,
        str(error),
    )
