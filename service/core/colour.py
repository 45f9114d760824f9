"""Every film's colours brought to SDR in BT.709, limited range: ffmpeg-python streams in and out, nothing is run.

`standard` once, before the frames are split, then `scaled` for each size that is wanted.
"""

from typing import Any

import ffmpeg

from service.core.media import HDR_TRANSFERS, VideoStream

_DIFFUSE_WHITE = 203  # nits: paper in HDR (ITU-R BT.2408, table 1); what is no brighter keeps the tones of SDR
_PEAK = 1000 / _DIFFUSE_WHITE  # what cameras and studios grade for; files that say otherwise are often wrong
_KNEE = 0.3  # of diffuse white: linear up to there (18 % grey and skin), highlights above it are pressed together
_LONGEST = 1920  # pixels: a frame is 12 bytes a pixel on its way, and several are under way at once

#: What HDR comes in and zscale knows by this name; others are mistakes, and mean BT.2020.
_PRIMARIES = frozenset({"bt2020", "smpte431", "smpte432", "bt709"})
_MATRICES = frozenset({"bt2020nc", "ictcp", "bt709"})
_BT709 = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709"}
_SWSCALE = {"bt470bg": "bt470", "bt2020nc": "bt2020", "bt2020c": "bt2020", "ictcp": "bt2020"}  # names that differ
_RGB = ("rgb", "bgr", "gbr", "argb", "abgr")  # pixel formats begin so
_FLAGS = "bicubic+accurate_rnd"  # bicubic alone loses up to 8 levels of 255 from one matrix to another
_FLAGS_RGB = f"{_FLAGS}+full_chroma_int"  # or else each pixel borrows its neighbour's colour


def hdr(video: VideoStream) -> bool:
    """Whether it is graded for brighter screens: PQ (SMPTE ST 2084) or HLG (ARIB STD-B67)."""
    return video.transfer in HDR_TRANSFERS


def standard(frames: Any, video: VideoStream, size: tuple[int, int] | None = None) -> Any:
    """HDR is tone-mapped to `yuv420p`; SDR passes as it is.

    HDR comes out at `size`, in square pixels: give the largest that is wanted, for time and memory go by it. None is
    the picture's own size, its longer side at most 1920.
    """
    if not hdr(video):
        return frames
    width, height = size or _fit(video)
    source = {"out_color_matrix": "bt2020"} if video.matrix == "gbr" else {"in_range": _range(video)}
    small = frames.filter("scale", _even(width), _even(height), flags=_FLAGS, out_range="tv", **source)
    return _tone_mapped(small.filter("setsar", 1).filter("format", "yuv420p10le"), **_declared(video))


def _declared(video: VideoStream) -> dict[str, str]:
    """What zscale is told: frames do not always carry what the file says, and it refuses to guess."""
    matrix = video.matrix if video.matrix in _MATRICES else "bt2020nc"
    known = video.primaries in _PRIMARIES and matrix != "ictcp"  # which is defined in BT.2020 alone
    return {"tin": video.transfer or "", "min": matrix, "pin": video.primaries or "" if known else "bt2020"}


def _tone_mapped(frames: Any, **declared: str) -> Any:
    """Without `desat` the three channels of a pixel are scaled alike, which keeps the hue.

    The gamma of HLG goes by a pixel's luma; zscale's approximation goes by its channels, and makes colours gaudy.
    """
    exact = {"agamma": 0} if declared["tin"] == "arib-std-b67" else {}
    return (
        frames.filter("zscale", t="linear", npl=_DIFFUSE_WHITE, p="bt709", rin="tv", **declared, **exact)
        .filter("format", "gbrpf32le")
        .filter("tonemap", "mobius", param=_KNEE, desat=0, peak=f"{_PEAK:.3f}")
        .filter("zscale", t="bt709", m="bt709", p="bt709", r="tv")
        .filter("format", "yuv420p")
    )


def scaled(frames: Any, video: VideoStream, width: int, height: int, *, pixel_format: str = "yuv420p") -> Any:
    """Frames that `standard` gave, at a size in square pixels, in BT.709 of limited range.

    RGB formats show the same picture; `yuvj420p` is what JPEG is: BT.601 in full range (JFIF).
    """
    small = frames.filter("scale", width, height, **_source(video), **_target(pixel_format)).filter("setsar", 1)
    if pixel_format.startswith(_RGB):
        return small.filter("format", pixel_format)
    if pixel_format.startswith("yuvj"):  # FFmpeg 7 converts no matrix on its way into these
        return small.filter("format", pixel_format.replace("yuvj", "yuv")).filter("format", pixel_format)
    return small.filter("format", pixel_format).filter("setparams", range="tv", **_BT709)


def _source(video: VideoStream) -> dict[str, str]:
    """What swscale is to take the frames for; RGB speaks for itself."""
    if hdr(video):
        return {"in_color_matrix": "bt709", "in_range": "tv"}
    if video.matrix == "gbr":
        return {}
    return {"in_color_matrix": _SWSCALE.get(video.matrix, video.matrix), "in_range": _range(video)}


def _target(pixel_format: str) -> dict[str, str]:
    if pixel_format.startswith(_RGB):
        return {"flags": _FLAGS_RGB}
    if pixel_format.startswith("yuvj"):
        return {"flags": _FLAGS, "out_color_matrix": "bt601", "out_range": "pc"}
    return {"flags": _FLAGS, "out_color_matrix": "bt709", "out_range": "tv"}


def _range(video: VideoStream) -> str:
    return "pc" if video.full_range else "tv"


def _fit(video: VideoStream) -> tuple[int, int]:
    scale = min(1.0, _LONGEST / max(video.width, video.height))
    return round(video.width * scale), round(video.height * scale)


def _even(side: int) -> int:
    """Chroma is half as wide and high, and zscale refuses half a sample."""
    return max(2, side // 2 * 2)


def tags() -> dict[str, str]:
    """Output options of an encoder: H.264 says it in its VUI, and MP4 in `colr`."""
    return {**_BT709, "color_range": "tv"}


def trial() -> list[str]:
    """A command that tone-maps a moment of made-up picture: it fails where ffmpeg was built without zscale (zimg)."""
    made_up = ffmpeg.input("testsrc2=size=64x64:duration=0.1", f="lavfi").filter("format", "yuv420p10le")
    mapped = _tone_mapped(made_up, tin="smpte2084", min="bt2020nc", pin="bt2020")
    return [
        "ffmpeg",
        "-nostdin",
        "-hide_banner",
        "-v",
        "error",
        *ffmpeg.compile(ffmpeg.output(mapped, "-", f="null"))[1:],
    ]
