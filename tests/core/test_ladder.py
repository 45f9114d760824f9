"""Which renditions a video gets."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core import ladder
from service.core.recipe import Rung
from service.core.step import Rendition
from tests.core.samples import PHONE_PICTURE, RULES

RATE = Fraction(25)


def rungs(width: int, height: int, *, bit_rate: int | None = None) -> tuple[Rendition, ...]:
    """The shipped ladder for a picture of this size."""
    video = replace(PHONE_PICTURE, width=width, height=height)
    return ladder.rungs(video, RULES.video, frame_rate=RATE, bit_rate=bit_rate)


def test_whole_rendition():
    """A rung carries everything its encoder is told."""
    expected = Rendition(
        name="240p",
        width=426,
        height=240,
        frame_rate="30000/1001",
        crf=23,
        max_bit_rate=400_000,
        preset="veryfast",
        gop_seconds=2.0,
    )
    video = replace(PHONE_PICTURE, width=426, height=240)
    made = ladder.rungs(video, RULES.video, frame_rate=Fraction(30_000, 1001), bit_rate=None)
    assert (expected,) == made


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080), ["1920x1080", "1280x720", "854x480", "640x360", "426x240"]),
        ((1080, 1920), ["1080x1920", "720x1280", "480x854", "360x640", "240x426"]),
        ((3840, 2160), ["1920x1080", "1280x720", "854x480", "640x360", "426x240"]),
        ((1280, 720), ["1280x720", "854x480", "640x360", "426x240"]),
        ((1280, 544), ["1280x544", "848x360", "564x240"]),
        ((640, 640), ["640x640", "480x480", "360x360", "240x240"]),
        ((320, 568), ["320x568", "240x426"]),
        ((501, 289), ["500x288"]),
        ((501, 301), ["500x300", "400x240"]),
        ((200, 100), ["200x100"]),
        ((17, 7), ["16x6"]),
        ((1, 1), ["2x2"]),
    ],
)
def test_sizes(size: tuple[int, int], expected: list[str]):
    """Heights count on the short side; the source's own comes first, and the next is well below it."""
    assert expected == [f"{rung.width}x{rung.height}" for rung in rungs(*size)]


@pytest.mark.parametrize(
    ("bit_rate", "expected"),
    [
        (None, [5_000_000, 2_800_000, 1_400_000, 800_000, 400_000]),
        (0, [5_000_000, 2_800_000, 1_400_000, 800_000, 400_000]),
        (100_000_000, [5_000_000, 2_800_000, 1_400_000, 800_000, 400_000]),
        (1_000_000, [1_300_000, 1_300_000, 1_300_000, 800_000, 400_000]),
        (100_000, [130_000] * 5),
        (1, [64_000] * 5),
    ],
)
def test_bit_rates(bit_rate: int | None, expected: list[int]):
    """No rung may spend much more than the source did, nor so little that nothing is to be seen."""
    assert expected == [rung.max_bit_rate for rung in rungs(1920, 1080, bit_rate=bit_rate)]


def test_source_between_two_rungs():
    """A source between two rungs has the bit rate of the larger one."""
    assert [2_800_000, 1_400_000] == [rung.max_bit_rate for rung in rungs(1066, 600)][:2]


_SIDE = st.integers(1, 8192)
_LADDER = st.lists(st.integers(16, 4320), min_size=1, max_size=6, unique=True).map(lambda found: sorted(found)[::-1])


@given(width=_SIDE, height=_SIDE, heights=_LADDER, bit_rate=st.none() | st.integers(1, 10**12))
@example(width=1, height=8192, heights=[1080], bit_rate=None)
def test_any_source(width: int, height: int, heights: list[int], bit_rate: int | None):
    """For any picture and ladder: even, never enlarged, always smaller than the rung before, within the bit rates."""
    wanted = RULES.video.model_copy(
        update={"ladder": tuple(Rung(height=one, max_bit_rate=50_000 + 3000 * one) for one in heights)}
    )
    video = replace(PHONE_PICTURE, width=width, height=height)
    made = ladder.rungs(video, wanted, frame_rate=RATE, bit_rate=bit_rate)
    most = 50_000 + 3000 * heights[0]
    bound = max(64_000, int(bit_rate * 1.3)) if bit_rate else most
    assert made
    assert len(made) == len({rung.name for rung in made})
    for rung in made:
        assert (0, 0) == (rung.width % 2, rung.height % 2)
        assert 2 <= rung.width <= max(2, width)
        assert 2 <= rung.height <= max(2, height)
        assert min(rung.width, rung.height) <= heights[0] + 1
        assert 50_000 <= rung.max_bit_rate <= min(most, bound)
        # Even sides bend the aspect of small pictures, and of large ones by less than a pixel or two.
        assert abs(rung.width - rung.height * width / height) <= 2 + 2 * width / height
    for larger, smaller in pairwise(made):
        assert (larger.width, larger.height) > (smaller.width, smaller.height)
        assert larger.height > smaller.height
        assert larger.max_bit_rate >= smaller.max_bit_rate


@pytest.mark.parametrize(
    ("declared", "packets", "duration", "expected"),
    [
        ("25", 250, 10.0, "25"),
        ("30000/1001", 300, 10.0, "30000/1001"),
        ("60", 588, 10.0, "60"),
        ("120", 1200, 10.0, "60"),
        ("240", 2400, 10.0, "60"),
        ("50", 250, 10.0, "25"),
        ("60", 310, 10.0, "50"),
        ("30", 120, 10.0, "24000/1001"),
        ("30", 2, 5000.0, "24000/1001"),
        ("30", 2, 21_600.0, "24000/1001"),
        ("2", 20, 10.0, "5"),
        ("25", 1000, 10.0, "50"),
        ("25", 1, 10.0, "25"),
        ("25", 0, 0.0, "25"),
        ("25", 2, 1e-320, "25"),
    ],
)
def test_frame_rate(declared: str, packets: int, duration: float, expected: str):
    """The declared rate where the packets bear it out, else a standard one; halved until it is allowed."""
    rate = ladder.frame_rate(Fraction(declared), packets=packets, duration=duration, at_most=60)
    assert Fraction(expected) == rate


@given(
    declared=st.fractions(1, 240, max_denominator=1001),
    packets=st.integers(0, 10**9),
    duration=st.floats(0, 40_000),
    at_most=st.integers(10, 120),
)
def test_any_frame_rate(declared: Fraction, packets: int, duration: float, at_most: int):
    """For any timeline there is a rate, above nothing and at most what the recipe allows."""
    assert 0 < ladder.frame_rate(declared, packets=packets, duration=duration, at_most=at_most) <= at_most
