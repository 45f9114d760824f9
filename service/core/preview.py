"""A video's preview: a few seconds of it as a small animation without sound, for a list or for a pointer over it."""

from typing import Any

import ffmpeg

from service.core.command import stripped

FILE = "preview.webp"
PIXELS = "bgra"  #: what the frames of `written` have to be: of its own YUV, BT.601, libwebp makes RGB first anyway
SIDE = 320  #: pixels of the longer side
SECONDS = 3.0  #: how long it plays before it begins again; a shorter clip is shown as a whole

_RATE = 8  # frames a second
_AT = 0.3  # of the clip: behind titles and introductions, before the end is given away
_QUALITY = 50  # 60 to 140 kB; what libwebp leaves standing of a slow pan is not less at 70


def span(seconds: float) -> tuple[float, float]:
    """Where the preview of a clip begins and how long it lasts, in seconds."""
    lasts = min(SECONDS, seconds)
    return round(min(seconds * _AT, seconds - lasts), 3), lasts


def cut(frames: Any, at: float, seconds: float) -> Any:
    """The frames of a preview, in whatever size they have: always the same number, if there is a frame at all.

    Of a clip that ends before it, the last frame. `round` says the default: ffmpeg-python takes a storyboard's `fps`
    with the same options, that of an eighth of a second, for the same filter, and refuses to use it twice.
    """
    first = round(at * _RATE)
    end = first + max(1, round(seconds * _RATE))
    return (
        frames.filter("fps", fps=_RATE, round="near", start_time=0, eof_action="pass")
        .filter("tpad", stop_mode="clone", stop=end)
        .filter("trim", start_frame=first, end_frame=end)
        .filter("setpts", "PTS-STARTPTS")
    )


def written(frames: Any) -> Any:
    """An animated WebP that plays for ever, of frames that are `cut` and scaled."""
    options = {"c:v": "libwebp_anim", "quality": _QUALITY, "loop": 0, "fps_mode": "passthrough"}
    return ffmpeg.output(frames, FILE, f="webp", **options, **stripped())
