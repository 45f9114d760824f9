"""ffmpeg argv for the frames of a clip that moderation looks at: by seeks, or in one pass over the whole clip.

Either way a frame is the one that is shown at a time, not the next one after it: a slide that is on for half a minute
has one frame, and a time that falls into it means that frame.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import ffmpeg

from service.core import colour, screening
from service.core.command import SOURCE, compiled, guarded, stripped
from service.core.media import Clip, VideoStream
from service.core.recipe import Limits

SWEPT = "swept-%05d.jpg"  #: files of `sweep`, numbered from 1
_SIDE = 640  # pixels of the longer side: what detectors look at is smaller still
_QUALITY = 3  # of mjpeg, 2 to 31: a detector sees no difference to less, and it is encoded once more

_INDEXED = frozenset({"mov", "matroska"})  # elsewhere a seek is a guess at a byte
_APART = 10.0  # seconds: encoders put their keyframes up to so far apart (250 frames), and half of that is decoded
_LONGEST_LEAD = 1.0  # seconds before a time within which the frame that is shown then has begun
_TOLERATED = 0.5  # seconds that the picture may begin later than zero, or end before the sound
_MOST_SEEKS = 8  # in one process
_SEEK_PIXELS = 16_000_000  # of all decoders together: 8 of 1080p take 300 MB
_CPU_SECONDS = 2.6e-9  # for a pixel: H.264 at 37 Mb/s in 1080p took 80 s for 15 000 frames


def seekable(clip: Clip, at: Sequence[float]) -> bool:
    """Whether seeks find the frames that are shown at these times, and are likely to decode less than a pass."""
    timeline = clip.timeline
    return (
        timeline is not None
        and clip.sniffed.certain
        and clip.sniffed.demuxers[0] in _INDEXED
        and screening.spacing(at, clip.seconds) > _APART
        and abs(timeline.end - timeline.duration) <= _TOLERATED
        and _lead(clip) <= _LONGEST_LEAD
    )


def seeks_at_once(clip: Clip) -> int:
    """How many seeks go into one process, for its memory."""
    pixels = clip.video.width * clip.video.height if clip.video else 1
    return max(1, min(_MOST_SEEKS, _SEEK_PIXELS // pixels))


def pass_cpu_seconds(clip: Clip) -> float:
    """About what a pass costs."""
    packets = clip.timeline.packets if clip.timeline else 0
    return packets * (clip.video.width * clip.video.height if clip.video else 0) * _CPU_SECONDS


def seeks(clip: Clip, wanted: Sequence[tuple[float, str]], limits: Limits) -> list[str]:
    """The frames that are shown at some times, each into a file; what can't be found is not written."""
    assert clip.video
    outputs = [_sought(clip, clip.video, at, file, limits) for at, file in wanted]
    return compiled(ffmpeg.merge_outputs(*outputs))


def _sought(clip: Clip, video: VideoStream, at: float, file: str, limits: Limits) -> Any:
    """Decoding begins at the keyframe, frames count from `start` on, and the last one up to `at` is kept."""
    start = max(0.0, at - _lead(clip))
    options = guarded(clip.sniffed, limits) | {"ss": f"{start:.3f}", "threads": 1}
    frames = ffmpeg.input(f"file:{SOURCE}", **options)[str(video.index)]
    shown = frames.filter("fps", fps=1, round="up", start_time=f"{at - start:.3f}")
    return _written(shown, video, file, **{"frames:v": 1, "update": 1})


def _lead(clip: Clip) -> float:
    """Seconds within which any time has a frame before it."""
    assert clip.video
    longest = clip.timeline.longest_gap if clip.timeline else 0.0
    return max(longest, float(2 / clip.video.frame_rate)) + 0.05


def sweep(clip: Clip, at: Sequence[float], limits: Limits) -> list[str]:
    """Decode the whole clip once: three frames for each planned time, its neighbours before and after it."""
    assert clip.video
    source = ffmpeg.input(f"file:{SOURCE}", **guarded(clip.sniffed, limits))
    rate = Fraction(1 / _swept_apart(clip, at)).limit_denominator(100_000)
    first = screening.neighbours(at[0], screening.spacing(at, clip.seconds))[0]
    shown = (
        source[str(clip.video.index)]
        .filter("setpts", "PTS-STARTPTS")
        .filter("fps", fps=str(rate), round="up", start_time=f"{first:.3f}")
    )
    return compiled(_written(shown, clip.video, SWEPT, **{"frames:v": 3 * len(at), "fps_mode": "passthrough"}))


def swept_number(clip: Clip, at: Sequence[float], time: float) -> int:
    """The number, from 1, of the file that `sweep` writes for a planned time or a neighbour of one."""
    first = screening.neighbours(at[0], screening.spacing(at, clip.seconds))[0]
    return 1 + max(0, min(3 * len(at) - 1, round((time - first) / _swept_apart(clip, at))))


def _swept_apart(clip: Clip, at: Sequence[float]) -> float:
    return max(0.001, screening.spacing(at, clip.seconds) / 3)


def _written(frames: Any, video: VideoStream, file: str, **options: Any) -> Any:
    width, height = _fit(video)
    shown = colour.standard(frames, video, (width, height))
    scaled = colour.scaled(shown, video, width, height, pixel_format="yuvj420p")
    return ffmpeg.output(scaled, file, f="image2", **{"c:v": "mjpeg", "q:v": _QUALITY}, **options, **stripped())


def _fit(video: VideoStream) -> tuple[int, int]:
    scale = min(1.0, _SIDE / max(video.width, video.height))
    return max(2, round(video.width * scale / 2) * 2), max(2, round(video.height * scale / 2) * 2)
