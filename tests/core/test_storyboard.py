"""The geometry of a storyboard, and the file by which players find a tile."""

import re
from itertools import pairwise

import ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import storyboard
from service.core.storyboard import Layout

CUE = re.compile(r"(\d{2,}):(\d\d):(\d\d\.\d{3}) --> (\d{2,}):(\d\d):(\d\d\.\d{3})\n(.+)#xywh=(\d+),(\d+),(\d+),(\d+)")
layouts = st.builds(
    storyboard.layout, st.floats(0, 100_000), st.integers(1, 8000), st.integers(1, 8000)
)  # more than a day, of any shape


def cues(text: str) -> list[tuple[float, float, str, tuple[int, ...]]]:
    head, *blocks = text.rstrip("\n").split("\n\n")
    assert "WEBVTT" == head
    found = [CUE.fullmatch(block) for block in blocks]
    assert all(found)
    return [
        (int(h) * 3600 + int(m) * 60 + float(s), int(h2) * 3600 + int(m2) * 60 + float(s2), uri, tuple(map(int, xywh)))
        for h, m, s, h2, m2, s2, uri, *xywh in (one.groups() for one in found if one)
    ]


@pytest.mark.parametrize(
    ("seconds", "interval", "count", "grid", "sheets"),
    [
        (0.04, 0.04, 1, (1, 1), 1),
        (1.4, 1.4, 1, (1, 1), 1),
        (5.17, 1.034, 5, (5, 1), 1),
        (30.02, 1.0007, 30, (10, 3), 1),
        (110, 1, 110, (10, 6), 2),
        (360, 1, 360, (10, 9), 4),
        (600, 2, 300, (10, 10), 3),
        (5400, 20, 270, (10, 9), 3),
        (7200, 20, 360, (10, 9), 4),
        (6 * 3600, 60, 360, (10, 9), 4),
    ],
)
def test_short_clips_have_a_tile_a_second_and_long_films_a_few_hundred(
    seconds: float, interval: float, count: int, grid: tuple[int, int], sheets: int
):
    """Sheets are of one size, and the last one is about as full as the others."""
    plan = storyboard.layout(seconds, 1920, 1080)
    assert (count, grid, sheets) == (plan.count, (plan.columns, plan.rows), plan.sheets)
    assert plan.interval == pytest.approx(interval, abs=1e-4)


@pytest.mark.parametrize(
    ("size", "tile"),
    [
        ((1920, 1080), (160, 90)),
        ((1080, 1920), (90, 160)),
        ((640, 480), (160, 120)),
        ((500, 500), (160, 160)),
        ((4000, 500), (160, 20)),
        ((500, 4000), (20, 160)),
        ((64, 36), (64, 36)),
        ((17, 7), (16, 8)),
        ((1, 1), (2, 2)),
    ],
)
def test_tiles_keep_the_shape_and_are_even(size: tuple[int, int], tile: tuple[int, int]):
    """160 pixels the longer side, never enlarged."""
    plan = storyboard.layout(10, *size)
    assert tile == (plan.width, plan.height)


@given(layouts)
def test_every_layout_is_within_limits(plan: Layout):
    """At most 360 tiles on sheets of at most 10 x 10, none of them without a tile."""
    assert 1 <= plan.count <= 361
    assert 1 <= plan.columns <= 10
    assert 1 <= plan.rows <= 10
    assert (plan.sheets - 1) * plan.columns * plan.rows < plan.count <= plan.sheets * plan.columns * plan.rows
    assert 0 == plan.width % 2 == plan.height % 2
    assert max(plan.width, plan.height) <= 160


@given(layouts)
def test_cues_cover_the_whole_clip_and_name_each_tile_once(plan: Layout):
    """Without a gap, from zero to the end; each rectangle lies within its sheet."""
    found = cues(storyboard.vtt(plan, plan.names))
    assert 0.0 == found[0][0]
    assert plan.seconds == pytest.approx(found[-1][1], abs=0.0006)
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert plan.count == len({(uri, xywh) for _, _, uri, xywh in found})
    assert list(plan.names) == list(dict.fromkeys(uri for _, _, uri, _ in found))
    width, height = plan.sheet_size
    assert all(x + w <= width and y + h <= height for _, _, _, (x, y, w, h) in found)


def test_cues_read_row_by_row_in_relative_uris():
    """As in the players' own examples."""
    plan = Layout(seconds=3600.5, width=160, height=90, columns=2, rows=1, count=3)
    assert (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:20:00.167\n../a/storyboard-1.jpg#xywh=0,0,160,90\n\n"
        "00:20:00.167 --> 00:40:00.333\n../a/storyboard-1.jpg#xywh=160,0,160,90\n\n"
        "00:40:00.333 --> 01:00:00.500\n../a/storyboard-2.jpg#xywh=0,0,160,90\n"
    ) == storyboard.vtt(plan, ["../a/storyboard-1.jpg", "../a/storyboard-2.jpg"])


@pytest.mark.parametrize("uris", [[], ["a.jpg", "b.jpg"], ["a b.jpg"], ["a.jpg\n\n00:00"], ["a.jpg#xywh=0,0,1,1"]])
def test_what_is_no_list_of_sheets_is_refused(uris: list[str]):
    """Too few, too many, and what could end a line or name another part."""
    with pytest.raises(ValueError, match="URI"):
        storyboard.vtt(storyboard.layout(10, 160, 90), uris)


def test_the_command_counts_frames_on_a_grid_of_tiles():
    """As many frames as there are tiles, whatever the clip holds; the rate is exact."""
    plan = storyboard.layout(30.02, 1920, 1080)
    argv = ffmpeg.compile(storyboard.sprites(storyboard.sampled(ffmpeg.input("in")["0"], plan), plan))
    assert (
        "[0:0]fps=eof_action=pass:fps=1500/1501:start_time=0[s0];[s0]tpad=stop=30:stop_mode=clone[s1];"
        "[s1]trim=end_frame=30[s2];[s2]tile=10x3[s3]"
    ) == argv[argv.index("-filter_complex") + 1]
