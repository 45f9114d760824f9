"""What a log of loudness says, and the gain that follows from it."""

import math

import ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import command, loudness
from service.core.loudness import Measured

#: As ffmpeg 5.1 and 7.1 write it, of two moments.
LOG = """frame:199  pts:955200  pts_time:19.9
lavfi.r128.M=-22.998
lavfi.r128.S=-23.001
lavfi.r128.I=-22.999
lavfi.r128.LRA=0.000
lavfi.r128.LRA.low=-23.000
lavfi.r128.LRA.high=-23.000
lavfi.r128.true_peaks_ch0=0.071
lavfi.r128.true_peaks_ch1=0.070
lavfi.r128.true_peak=0.071
frame:200  pts:960000  pts_time:20
lavfi.r128.M=-24.213
lavfi.r128.S=-23.101
lavfi.r128.I=-23.004
lavfi.r128.LRA=0.100
lavfi.r128.LRA.low=-23.100
lavfi.r128.LRA.high=-23.000
lavfi.r128.true_peaks_ch0=0.072
lavfi.r128.true_peaks_ch1=0.071
lavfi.r128.true_peak=0.072
"""


def log(integrated: str = "-20.000", peak: str = "0.500") -> str:
    """The last moment of a log."""
    return f"lavfi.r128.I={integrated}\nlavfi.r128.true_peak={peak}\n"


def test_the_last_moment_speaks_for_the_whole():
    """Each moment is about all before it; the peak is rounded up by what three digits leave open."""
    assert Measured(integrated=-23.004, true_peak=-22.79) == loudness.parse(LOG)


def test_a_log_is_read_from_its_end():
    """A tail that begins in the middle of a line says the same as the whole, and the tail is long enough for any."""
    assert loudness.parse(LOG) == loudness.parse(LOG[20:])
    assert len(LOG) < loudness.TAIL_BYTES


def test_the_shortest_tail_holds_the_longest_numbers():
    """Floating point may be as loud as 1e308, and the last moment is still whole."""
    number = "9" * 309 + ".000"
    moment = "".join(f"{line.partition('=')[0]}={number}\n" for line in LOG.splitlines()[1:10])
    assert len(moment) < loudness.TAIL_BYTES


def test_silence_has_no_loudness():
    """The filter says -70 where nothing came through the gate, and 0 for no peak."""
    assert Measured(integrated=None, true_peak=-66.02) == loudness.parse(log("-70.000", "0.000"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "frame:0    pts:0       pts_time:0\n",
        log(integrated="nan"),
        log(integrated="-inf"),
        log(peak="inf"),
        log(peak="-nan"),
        log(peak="1e5"),
        log(peak="٠.٥٠٠"),
        log().replace("=", " = "),
        log().replace("\n", " "),
        " " + log(),
    ],
)
def test_a_log_without_numbers_says_nothing(text: str):
    """No sound at all, samples that are no numbers, or a file that is no such log."""
    assert loudness.parse(text) is None


@given(text=st.text(max_size=200))
def test_no_text_makes_parsing_fail(text: str):
    """What a decoder leaves behind may be anything."""
    found = loudness.parse(text + log(peak="1" + "0" * 308 + ".000") + text)
    assert found is None or math.isfinite(found.true_peak)


@pytest.mark.parametrize(
    ("integrated", "true_peak", "expected"),
    [
        (-27.3, -13.0, 11.3),  # to the target
        (-27.3, -9.4, 7.9),  # as far as the peak allows
        (-8.0, 0.7, -8.0),  # loud music is turned down
        (-20.0, 2.5, -4.0),  # so is a quiet one with a peak that would clip
        (-55.0, -40.0, 20.0),  # not so far that a hiss is heard
        (-16.0, -1.5, 0.0),
        (-23.004, -22.79, 7.0),  # two digits, rounded down
        (None, -66.02, 0.0),  # silence
        (None, -20.0, 0.0),  # too short to be measured
        (None, 3.5, -5.0),  # and too loud to be encoded
    ],
)
def test_a_gain_reaches_the_target_where_it_can(integrated: float | None, true_peak: float, expected: float):
    """Linear, no higher than the ceiling, at most 20 dB; nothing for what has no loudness."""
    found = Measured(integrated=integrated, true_peak=true_peak)
    assert expected == loudness.gain(found, target=-16.0, ceiling=-1.5)


def test_what_was_not_measured_is_left_alone():
    """No gain without a measure."""
    assert 0.0 == loudness.gain(None, target=-16.0, ceiling=-1.5)


@given(
    integrated=st.none() | st.floats(-70, 600),
    true_peak=st.floats(-66.02, 600),
    target=st.floats(-31, -5),
    ceiling=st.floats(-9, 0),
)
def test_no_gain_breaks_the_ceiling(integrated: float | None, true_peak: float, target: float, ceiling: float):
    """Whatever was measured: neither peak nor loudness comes out above what is wanted, and never more than 20 dB."""
    found = Measured(integrated=integrated, true_peak=true_peak)
    gain = loudness.gain(found, target=target, ceiling=ceiling)
    assert true_peak + gain <= ceiling + 1e-6
    assert gain <= (20.0 if integrated is not None else 0.0)
    assert integrated is None or integrated + gain <= target + 1e-6


def test_the_branch_that_measures():
    """Metadata of the source is dropped, the end made to count, and nothing is written but the log."""
    argv = command.compiled(loudness.measured(ffmpeg.input("file:in")["0"], "loudness-1.txt"))
    graph = (
        "[0:0]aformat=sample_fmts=fltp[s0];[s0]ametadata=mode=delete[s1];[s1]apad=pad_len=4863[s2];"
        "[s2]ebur128=dualmono=1:metadata=1:peak=true[s3];[s3]ametadata=file=loudness-1.txt:mode=print[s4]"
    )
    expected = ["-i", "file:in", "-filter_complex", graph, *"-map [s4] -f null -".split()]
    assert expected == argv[argv.index("-i") :]


@pytest.mark.parametrize(("gain", "filters"), [(0.0, ""), (7.9, "volume=7.90dB:precision=float")])
def test_a_gain_is_one_filter_or_none(gain: float, filters: str):
    """In floating point."""
    argv = command.compiled(ffmpeg.output(loudness.applied(ffmpeg.input("file:in")["0"], gain), "-", f="null"))
    assert filters in "".join(argv)
    assert ("-filter_complex" in argv) == bool(filters)
