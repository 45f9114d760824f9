"""How frames follow one another: on a grid or not, GOPs closed or open, by packets alone."""

from collections.abc import Sequence
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import cadence
from service.core.cadence import Cadence


def heard(packets: Sequence[tuple[float | None, str]], *, interval: float = 1.0) -> Cadence:
    """A cadence after packets: when each is shown, and "K" for a keyframe, "-" for one that is not intact."""
    found = Cadence(interval=interval)
    for shown, flags in packets:
        found.add(shown, key="K" in flags, intact="-" not in flags)
    return found


@pytest.mark.parametrize(
    ("packets", "regular", "closed"),
    [
        ([], False, False),
        ([(0, "K")], True, True),
        ([(0, "K"), (1, ""), (2, "")], True, True),
        ([(7, "K"), (8, ""), (9, "")], True, True),
        ([(0, "K"), (3, ""), (1, ""), (2, "")], True, True),
        ([(0, "K"), (1, ""), (2, "K"), (3, "")], True, True),
        ([(0, "K"), (2, ""), (1, ""), (3, "K"), (5, ""), (4, "")], True, True),
        ([(0, "K"), (3, "K"), (1, ""), (2, "")], False, False),  # leading pictures
        ([(0, "K"), (2, ""), (1, "K"), (3, "")], False, False),  # shown after a keyframe that is decoded later
        ([(0, ""), (1, "K")], True, False),
        ([(0, ""), (1, "")], True, False),
        ([(0, "K"), (1, ""), (3, "")], False, True),  # one is missing
        ([(0, "K"), (1, ""), (3, "K")], False, True),
        ([(0, "K"), (1, ""), (1, ""), (2, "")], False, True),
        ([(0, "K"), (1, ""), (1, "K"), (2, "")], False, True),
        ([(0, "K"), (1.2, ""), (1.8, "")], True, True),
        ([(0, "K"), (1.3, ""), (2, "")], False, True),
        ([(0, "K"), (1.1, ""), (2.2, ""), (3.3, "")], False, True),  # another rate than was declared
        ([(0, "K"), (None, ""), (2, "")], False, False),
        ([(0, "K"), (-1, "")], False, False),
    ],
)
def test_grid_and_keyframes(packets: list[tuple[float | None, str]], *, regular: bool, closed: bool):
    """Every place on the grid has one frame, but for less than jitter; no frame crosses a keyframe."""
    found = heard(packets)
    assert (regular, closed) == (found.regular, found.closed)


def test_how_early_frames_are_decoded():
    """Pyramids of B-frames need two frames of delay, single ones need one, none need none."""
    assert 0 == heard([(0, "K"), (1, ""), (2, "")]).reorder
    assert 1 == heard([(0, "K"), (2, ""), (1, ""), (3, "")]).reorder
    assert 2 == heard([(0, "K"), (4, ""), (2, ""), (1, ""), (3, "")]).reorder


def test_what_is_not_intact():
    """One packet is enough."""
    assert heard([(0, "K"), (1, "")]).intact
    assert not heard([(0, "K"), (1, "-")]).intact
    assert not heard([]).intact


def test_landmarks():
    """The first keyframe of each minute, where it has one."""
    film = [(at * 0.5, "K" if at % 7 == 0 else "") for at in range(400)]
    found = heard(film, interval=0.5)
    assert [0, 126, 245, 364] == found.landmarks
    assert 58 == found.keyframes


def test_memory_is_that_of_a_gop():
    """A film of any length with keyframes keeps one GOP in memory; one without is given up."""
    found = Cadence(interval=0.04)
    for at in islice(count(), 20_000):
        found.add(at * 0.04, key=at % 50 == 0, intact=True)
        assert len(found._gop) <= 50
    assert found.regular
    endless = Cadence(interval=0.04)
    for at in islice(count(), 20_000):
        endless.add(at * 0.04, key=at == 0, intact=True)
        assert len(endless._gop) <= cadence._LONGEST_GOP
    assert not endless.regular


@given(st.lists(st.tuples(st.integers(1, 12), st.randoms(use_true_random=False)), min_size=1, max_size=6))
def test_any_closed_gops(gops):
    """Whatever the order within GOPs, it is regular and closed, and no frame is decoded too late by `reorder`."""
    packets: list[tuple[float, str]] = []
    for length, chance in gops:
        begin = len(packets)
        rest = list(range(begin + 1, begin + length))
        chance.shuffle(rest)
        packets += [(begin, "K"), *((at, "") for at in rest)]
    found = heard(packets)
    assert found.regular
    assert found.closed
    assert all(number - found.reorder <= shown for number, (shown, _) in enumerate(packets))
    assert len(gops) == found.keyframes
