"""ffmpeg argv for the top rung of a source that complies: its picture as it is, in the form of the encoded rungs."""

from typing import Any

import ffmpeg

from service.core import compliance
from service.core.command import SOURCE, compiled, guarded, stripped
from service.core.media import Clip, Timeline, VideoStream
from service.core.recipe import Limits

#: Of H.264 (table 7-1), what is kept: slices, IDR slices, and parameter sets, which `compliance.faults` tells of. Gone
#: are SEI (an encoder's name and settings, a camera's notes, line-21 captions), delimiters and filler.
_KEPT = "1|5|7|8"
_BT709 = "video_full_range_flag=0:colour_primaries=1:transfer_characteristics=1:matrix_coefficients=1"


def copy(clip: Clip, name: str, limits: Limits) -> list[str]:
    """One ffmpeg command that decodes nothing; for a clip that there are no `reasons_against`."""
    source = ffmpeg.input(f"file:{SOURCE}", **guarded(clip.sniffed, limits))
    return compiled(copied(source, clip, name))


def copied(source: Any, clip: Clip, name: str) -> Any:
    """The picture of `source` in a CMAF file `name`, tagged as BT.709, on the grid of frames that `fps` makes.

    FFmpeg 5.1 converts what `setts` says only half to another time base: the track keeps the source's.
    """
    video, timeline = clip.video, clip.timeline
    if video is None or timeline is None or video.tick is None:
        raise ValueError("there is no picture to copy")
    filters = [f"filter_units=pass_types={_KEPT}", f"h264_metadata={_BT709}", _times(video, timeline)]
    options = {
        "c:v": "copy",
        "bsf:v": ",".join(filters),
        "tag:v": "avc1",
        "video_track_timescale": video.tick.denominator,
        "movflags": "+cmaf+frag_keyframe+global_sidx",
    }
    return ffmpeg.output(source[str(video.index)], name, f="mp4", **options, **stripped())


def _times(video: VideoStream, timeline: Timeline) -> str:
    """The n-th packet is decoded when frame n is, less the frames by which any is decoded early: Matroska says none."""
    rate, ticks = video.frame_rate, compliance.ticks(video)
    shown = f"round(PTS*TB*{rate.numerator}/{rate.denominator})*{ticks}"
    return f"setts=pts={shown}:dts=(N-{timeline.reorder})*{ticks}:duration={ticks}"
