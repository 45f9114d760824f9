"""Which moments of a clip are candidates for its poster, and which candidate is chosen."""

from dataclasses import replace
from itertools import pairwise

import ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import posters
from service.core.screening import Traits

GOOD = Traits(dhash=1, luma=110, deviation=50, sharpness=400, colour=(120, 110, 100), fields=bytes([110] * 256))
BLACK = replace(GOOD, luma=3, deviation=1, sharpness=1, colour=(3, 3, 3), fields=bytes([3] * 256))
WHITE = replace(GOOD, luma=252, deviation=2, sharpness=1, colour=(252, 252, 252), fields=bytes([252] * 256))
BLURRED = replace(GOOD, sharpness=60)
FADING = replace(GOOD, luma=60, deviation=9, sharpness=390, fields=bytes([60] * 256))
TITLE = replace(GOOD, luma=12, deviation=45, sharpness=2000, fields=bytes([2] * 216 + [90] * 40))
BLOWN = replace(GOOD, luma=215, deviation=30, fields=bytes([250] * 150 + [180] * 106))

levels = st.floats(0, 255)
frames = st.builds(
    Traits,
    dhash=st.just(0),
    luma=levels,
    deviation=levels,
    sharpness=st.floats(0, 1e6),
    colour=st.tuples(levels, levels, levels),
    fields=st.binary(min_size=256, max_size=256),
)


@given(st.floats(0, 1e6))
def test_candidates_ascend_from_the_first_frame_and_spare_the_end(seconds: float):
    """At most eight; the first frame is always one, since a clip may end early."""
    at = posters.times(seconds)
    assert 2 <= len(at) <= 8
    assert 0.0 == at[0]
    assert all(earlier <= later for earlier, later in pairwise(at))
    assert at[-1] <= seconds * 0.86


def test_candidates_of_a_film_lie_behind_its_titles_and_before_its_credits():
    """An hour and a half: from the eighth minute to the seventy-seventh."""
    first, *others = posters.times(5400)
    assert 0 == first
    assert (432, 4590) == (others[0], others[-1])
    assert 7 == len(others)


def test_a_short_clip_has_fewer_candidates():
    """Frames a quarter of a second apart look the same."""
    assert (0.0, 0.08, 0.337, 0.593, 0.85) == posters.times(1.0)
    assert (0.0, 0.003) == posters.times(0.04)


def test_each_moment_is_asked_for_once():
    """The first frame by its number, whatever its time; and whatever the frames are, nothing waits for a later one."""
    chosen = posters.selected(ffmpeg.input("in")["0"], (0.0, 0.5, 2.25))
    argv = ffmpeg.compile(posters.written(chosen))
    assert ("[0:0]select=eq(n\\,0)+gte(t\\,0.500)*lt(prev_t\\,0.500)+gte(t\\,2.250)*lt(prev_t\\,2.250)[s0]") == argv[
        argv.index("-filter_complex") + 1
    ]
    assert "candidate-%02d.ppm" == argv[-1]


@pytest.mark.parametrize("worse", [BLACK, WHITE, BLURRED, FADING, TITLE, BLOWN])
def test_the_better_frame_is_chosen_wherever_it_is(worse: Traits):
    """A black beginning, a white one, motion blur, a fade, a title card, too much light."""
    assert 0 == posters.best([GOOD, worse, worse])
    assert 2 == posters.best([worse, worse, GOOD])
    assert 1 == posters.best([worse, GOOD, BLACK])


def test_of_equals_the_first_is_chosen():
    """Also where all are black, and where there is but one."""
    assert 0 == posters.best([GOOD, GOOD, GOOD])
    assert 0 == posters.best([BLACK, BLACK])
    assert 0 == posters.best([WHITE])


def test_a_title_is_better_than_black():
    """There may be nothing else in it."""
    assert 1 == posters.best([BLACK, TITLE, BLACK])


@given(st.lists(frames, min_size=1, max_size=8))
def test_any_measures_lead_to_a_choice(measured: list[Traits]):
    """Whatever a child says within its limits."""
    assert posters.best(measured) in range(len(measured))


def test_there_is_no_best_of_nothing():
    """The caller has found no file at all."""
    with pytest.raises(ValueError, match="empty"):
        posters.best([])
