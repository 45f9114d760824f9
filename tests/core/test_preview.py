"""Which seconds of a clip its preview shows."""

import ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import preview


@pytest.mark.parametrize(
    ("seconds", "span"),
    [
        (0.04, (0, 0.04)),
        (2.5, (0, 2.5)),
        (3, (0, 3)),
        (4, (1, 3)),
        (10, (3, 3)),
        (5400, (1620, 3)),
    ],
)
def test_a_preview_begins_behind_the_introduction(seconds: float, span: tuple[float, float]):
    """Three seconds of it; a shorter clip as a whole."""
    assert span == preview.span(seconds)


@given(st.floats(0, 100_000))
def test_a_preview_lies_within_its_clip(seconds: float):
    """From its first frame to its last one."""
    at, lasts = preview.span(seconds)
    assert 0 <= at
    assert at + lasts <= seconds + 0.001
    assert lasts <= 3


def test_the_command_counts_frames_on_a_grid():
    """Eight a second, the clip's last frame again where there are none; the animation begins at zero."""
    cut = preview.cut(ffmpeg.input("in")["0"], 3.0, 3.0)
    argv = ffmpeg.compile(preview.written(cut))
    assert (
        "[0:0]fps=eof_action=pass:fps=8:round=near:start_time=0[s0];[s0]tpad=stop=48:stop_mode=clone[s1];"
        "[s1]trim=end_frame=48:start_frame=24[s2];[s2]setpts=PTS-STARTPTS[s3]"
    ) == argv[argv.index("-filter_complex") + 1]
    assert "preview.webp" == argv[-1]


def test_a_clip_of_no_length_has_a_frame():
    """Some headers say that nothing lasts."""
    argv = ffmpeg.compile(preview.written(preview.cut(ffmpeg.input("in")["0"], 0.0, 0.0)))
    assert "trim=end_frame=1:start_frame=0" in argv[argv.index("-filter_complex") + 1]
