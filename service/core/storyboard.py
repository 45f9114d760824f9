"""A video's storyboard: small frames in sheets, and the WebVTT file by which players show them over their seek bar.

A frame stands for an equal part of the clip and is what is shown in the middle of it, as near as one can be to every
moment of the part.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import ffmpeg

from service.core import sizes, tracks, webvtt
from service.core.command import stripped

SHEETS = "storyboard-%d.jpg"  #: files of `sprites`, numbered from 1
VTT = "storyboard.vtt"  #: beside them
PIXELS = "yuvj420p"  #: what the frames of `sprites` have to be

_SIDE = 160  # pixels of a tile's longer side: what players show over a seek bar
_MOST = 360  # tiles: a file of 40 kB for shaka-player, which makes an object of each cue at once
_INTERVALS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)  # seconds, about
_COLUMNS, _ROWS = 10, 10  # of the largest sheet, some 300 kB: loaded when the first of its tiles is shown
_QUALITY = 5  # of mjpeg, 2 to 31: skies have no steps yet, and a tile has 2 to 3 kB


@dataclass(frozen=True, kw_only=True)
class Layout:
    """`count` tiles of `seconds` of video, row by row on `sheets` sheets; `width` and `height` are a tile's, even.

    The sheets are of one size; what the last one has no tile for is black.
    """

    seconds: float
    width: int
    height: int
    columns: int
    rows: int
    count: int

    @property
    def interval(self) -> float:
        """Seconds from one tile to the next."""
        return self.seconds / self.count

    @property
    def sheets(self) -> int:
        """How many files there are."""
        return math.ceil(self.count / (self.columns * self.rows))

    @property
    def sheet_size(self) -> tuple[int, int]:
        """Width and height of each file in pixels."""
        return self.columns * self.width, self.rows * self.height

    @property
    def names(self) -> tuple[str, ...]:
        """The files, in order."""
        return tuple(SHEETS % number for number in range(1, self.sheets + 1))

    def place(self, tile: int) -> tuple[int, int, int]:
        """Sheet, and column and row on it, of a tile, all from 0."""
        sheet, on_it = divmod(tile, self.columns * self.rows)
        row, column = divmod(on_it, self.columns)
        return sheet, column, row


def layout(seconds: float, width: int, height: int) -> Layout:
    """The storyboard of a clip of `width` x `height` pixels as displayed: a tile a second, fewer of a long one."""
    seconds = max(0.001, round(seconds, 3))
    interval = next((each for each in _INTERVALS if seconds / each <= _MOST), seconds / _MOST)
    count = max(1, round(seconds / interval))
    columns = min(_COLUMNS, count)
    sheets = math.ceil(count / (columns * _ROWS))
    tile_width, tile_height = sizes.within(width, height, _SIDE)
    return Layout(
        seconds=seconds,
        width=tile_width,
        height=tile_height,
        columns=columns,
        rows=math.ceil(count / (sheets * columns)),
        count=count,
    )


def sampled(frames: Any, plan: Layout) -> Any:
    """The frame of each tile, in whatever size it has; keyframes alone do as well, as far as they are near.

    `fps` rounds a frame's time to the nearest beginning of a tile, so that the last frame before a tile's middle is
    its frame. Passing at the end makes one of a clip that is shorter than half of a tile.
    """
    rate = Fraction(plan.count * 1000, round(plan.seconds * 1000))
    return frames.filter("fps", fps=str(rate), start_time=0, eof_action="pass")


def sprites(frames: Any, plan: Layout) -> Any:
    """The sheets of frames that are `sampled` and scaled to tiles: all that are planned, if there is a frame at all.

    A clip that ends early is filled with its last frame.
    """
    sheets = (
        frames.filter("tpad", stop_mode="clone", stop=plan.count)
        .filter("trim", end_frame=plan.count)
        .filter("tile", f"{plan.columns}x{plan.rows}")
    )
    options = {"c:v": "mjpeg", "q:v": _QUALITY, "fps_mode": "passthrough"}
    return ffmpeg.output(sheets, SHEETS, f="image2", **options, **stripped())


def vtt(plan: Layout, uris: Sequence[str]) -> str:
    """WebVTT whose cues name a part of a sheet each (Media Fragments URI 1.0, 4.2.2), as players read it.

    `uris` are those of the sheets, relative to this file.

    :raises ValueError: for another number of sheets, or what no URI can hold.
    """
    if len(uris) != plan.sheets:
        raise ValueError(f"{len(uris)} URIs for {plan.sheets} sheets")
    sheets = [tracks.checked_uri(uri) for uri in uris]
    cues = (_cue(plan, sheets, tile) for tile in range(plan.count))
    return "\n\n".join(["WEBVTT", *cues]) + "\n"


def _cue(plan: Layout, sheets: Sequence[str], tile: int) -> str:
    sheet, column, row = plan.place(tile)
    begins, ends = (webvtt.clock(number * plan.seconds / plan.count) for number in (tile, tile + 1))
    x, y = column * plan.width, row * plan.height
    return f"{begins} --> {ends}\n{sheets[sheet]}#xywh={x},{y},{plan.width},{plan.height}"
