"""A video's poster: which moments are candidates, how they are taken from a decode, and which of them is the best."""

from collections.abc import Sequence
from typing import Any

import ffmpeg

from service.core import screening
from service.core.command import stripped
from service.core.screening import Traits

CANDIDATES = "candidate-%02d.ppm"  #: files of `written`, numbered from 1: raw RGB, which costs no time to write
PIXELS = "rgb24"  #: what the frames of `written` have to be

_COUNT = 8  # of 1280 x 720 they are 22 MB on disk; more of them rarely show another scene
_FIRST, _LAST = 0.08, 0.85  # shares of the clip: titles lie before them, credits after
_APART = 0.25  # seconds: what is nearer looks the same

_DARKEST, _LIGHTEST = 24, 232  # of 255: fields beyond them show nothing
_MIDDLE = 118.0  # of 255: a grey card in sRGB
_RICH = 50.0  # deviation of a picture with all its tones
_TONES_WEIGHT = 1.5  # a frame of a fade is sharp enough, but has no contrast
_LUMA_WEIGHT = 0.25  # bright pictures are seldom wrong, see `_LIGHTEST`
_LATE_WEIGHT = 0.25  # from first to last: it decides between takes of one scene


def times(seconds: float) -> tuple[float, ...]:
    """When to look for a poster in a clip, in seconds: at the very first frame, which any clip has, then spread."""
    spread = seconds * (_LAST - _FIRST)
    count = min(_COUNT - 1, 1 + int(spread / _APART))
    apart = spread / max(1, count - 1)
    return (0.0, *(round(seconds * _FIRST + number * apart, 3) for number in range(count)))


def selected(frames: Any, at: Sequence[float]) -> Any:
    """The first frame, and the first one at or after each time; fewer where times fall between two frames.

    Nothing is held back, and whether frames are all that there are or keyframes alone makes no difference.
    """
    later = (f"gte(t,{time:.3f})*lt(prev_t,{time:.3f})" for time in at if time > 0)
    return frames.filter("select", "+".join(["eq(n,0)", *later]))


def written(frames: Any) -> Any:
    """Each frame, `selected` and scaled, as a file; no more than that, should times go to and fro."""
    options = {"c:v": "ppm", "fps_mode": "passthrough", "frames:v": _COUNT}
    return ffmpeg.output(frames, CANDIDATES, f="image2", **options, **stripped())


def best(frames: Sequence[Traits]) -> int:
    """Which frame tells the most: sharp for its clip, with light and with contrast, rather an early one.

    :raises ValueError: when there are none.
    """
    usual = _usual_sharpness(frames)
    return max(range(len(frames)), key=lambda at: _score(frames[at], usual=usual) - _LATE_WEIGHT * at / len(frames))


def _usual_sharpness(frames: Sequence[Traits]) -> float:
    """The upper quartile of those that are not black: in a shaken clip most are blurred, but some are not.

    What is sharper still is text or gravel, and no better for it.
    """
    sharpness = sorted(frame.sharpness for frame in frames if not screening.dark(frame))
    return sharpness[len(sharpness) * 3 // 4] if sharpness else 0.0


def _score(frame: Traits, *, usual: float) -> float:
    seen = sum(_DARKEST <= level <= _LIGHTEST for level in frame.fields) / len(frame.fields)
    sharp = min(1.0, frame.sharpness / usual) if usual else 0.0
    tones = _TONES_WEIGHT * min(1.0, frame.deviation / _RICH)
    return sharp + seen + tones - _LUMA_WEIGHT * abs(frame.luma - _MIDDLE) / _MIDDLE
