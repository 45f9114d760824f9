"""Whole filter chains: what comes in is always said, and what comes out is always the same."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import ffmpeg
import pytest

from service.core import colour, media
from service.core.media import VideoStream
from tests.core.samples import MOV, PHONE_PICTURE

HD = replace(PHONE_PICTURE, width=1920, height=1080)
PQ = replace(HD, width=3840, height=2160, transfer="smpte2084", primaries="bt2020", matrix="bt2020nc")
HLG = replace(PQ, transfer="arib-std-b67")
MAPPED = (
    "format=gbrpf32le,tonemap=mobius:desat=0:param=0.3:peak=4.926,zscale=m=bt709:p=bt709:r=tv:t=bt709,format=yuv420p"
)
FLAGS = "flags=bicubic+accurate_rnd"
RGB_FLAGS = f"{FLAGS}+full_chroma_int"
TAGGED = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"


def chain(frames: Any) -> str:
    """The filters of a stream, in order, without the names of what is between them."""
    graph = ffmpeg.compile(ffmpeg.output(frames, "-"))
    links = graph[graph.index("-filter_complex") + 1].split(";")
    return ",".join(link.split("]", 1)[1].rsplit("[", 1)[0] for link in links)


def standard(video: VideoStream, size: tuple[int, int] | None = None) -> str:
    """The filters that tone-map."""
    return chain(colour.standard(ffmpeg.input("in"), video, size))


def scaled(video: VideoStream, pixel_format: str = "yuv420p") -> str:
    """The filters that scale."""
    return chain(colour.scaled(ffmpeg.input("in"), video, 640, 360, pixel_format=pixel_format))


@pytest.mark.parametrize("transfer", [None, "bt709", "smpte170m", "iec61966-2-1", "bt2020-10"])
def test_sdr_passes(transfer: str | None):
    """There is nothing to map, nor anything that costs time."""
    frames = ffmpeg.input("in")
    assert frames is colour.standard(frames, replace(HD, transfer=transfer), (640, 360))
    assert not colour.hdr(replace(HD, transfer=transfer))


def test_pq():
    """Scaled while it is ten bits, then to linear light of which paper is 1, then tones, then BT.709."""
    expected = (
        f"scale=1280:720:{FLAGS}:in_range=tv:out_range=tv,setsar=1,format=yuv420p10le,"
        f"zscale=min=bt2020nc:npl=203:p=bt709:pin=bt2020:rin=tv:t=linear:tin=smpte2084,{MAPPED}"
    )
    assert expected == standard(PQ, (1280, 720))


def test_hlg():
    """The system gamma of HLG goes by luma."""
    expected = (
        f"scale=720:1280:{FLAGS}:in_range=tv:out_range=tv,setsar=1,format=yuv420p10le,"
        f"zscale=agamma=0:min=bt2020nc:npl=203:p=bt709:pin=bt2020:rin=tv:t=linear:tin=arib-std-b67,{MAPPED}"
    )
    assert expected == standard(HLG, (720, 1280))


@pytest.mark.parametrize(
    ("video", "size", "scale"),
    [
        (PQ, None, "1920:1080"),
        (replace(PQ, width=2160, height=3840), None, "1080:1920"),
        (replace(PQ, width=640, height=359), None, "640:358"),
        (PQ, (1281, 1), "1280:2"),
    ],
)
def test_size_of_tone_mapping(video: VideoStream, size: tuple[int, int] | None, scale: str):
    """As given, or bounded; always even."""
    assert standard(video, size).startswith(f"scale={scale}:")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"primaries": None}, "min=bt2020nc:npl=203:p=bt709:pin=bt2020:"),
        ({"primaries": "smpte432"}, "min=bt2020nc:npl=203:p=bt709:pin=smpte432:"),
        ({"primaries": "x;[0]"}, "min=bt2020nc:npl=203:p=bt709:pin=bt2020:"),
        ({"matrix": "ictcp", "primaries": "smpte432"}, "min=ictcp:npl=203:p=bt709:pin=bt2020:"),
        ({"matrix": "bt2020c"}, "min=bt2020nc:npl=203:p=bt709:pin=bt2020:"),
        ({"matrix": "smpte170m"}, "min=bt2020nc:npl=203:p=bt709:pin=bt2020:"),
        ({"matrix": "gbr"}, ":out_color_matrix=bt2020:out_range=tv,"),
        ({"full_range": True}, ":in_range=pc:out_range=tv,"),
    ],
)
def test_what_hdr_declares(changed: dict[str, Any], told: str):
    """What zscale knows is passed on; what is no HDR format is taken for BT.2020."""
    assert told in standard(replace(PQ, **changed), (640, 360))


@pytest.mark.parametrize(
    ("video", "source"),
    [
        (HD, ":in_color_matrix=bt709:in_range=tv"),
        (replace(HD, matrix="smpte170m"), ":in_color_matrix=smpte170m:in_range=tv"),
        (replace(HD, matrix="bt470bg", full_range=True), ":in_color_matrix=bt470:in_range=pc"),
        (replace(HD, matrix="bt2020nc"), ":in_color_matrix=bt2020:in_range=tv"),
        (replace(HD, matrix="gbr", full_range=True), ""),
        (replace(PQ, full_range=True), ":in_color_matrix=bt709:in_range=tv"),
    ],
)
def test_scaled_to_renditions_and_pictures(video: VideoStream, source: str):
    """BT.709 in limited range for films, the matrix of JFIF in full range for JPEG, no matrix for RGB."""
    bt709, jfif = ":out_color_matrix=bt709:out_range=tv", ":out_color_matrix=bt601:out_range=pc"
    assert f"scale=640:360:{FLAGS}{source}{bt709},setsar=1,format=yuv420p,{TAGGED}" == scaled(video)
    assert f"scale=640:360:{FLAGS}{source}{jfif},setsar=1,format=yuv420p,format=yuvj420p" == scaled(video, "yuvj420p")
    assert f"scale=640:360:{RGB_FLAGS}{source},setsar=1,format=rgb24" == scaled(video, "rgb24")


def test_records_of_before():
    """What was written before colours were read is taken for HD."""
    old = VideoStream(
        index=0,
        codec="h264",
        width=640,
        height=360,
        frame_rate=Fraction(25),
        bit_rate=None,
        interlaced=False,
        transfer=None,
    )
    assert scaled(HD) == scaled(old)


def test_tags():
    """All four, by the names that encoders know them by."""
    expected = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "color_range": "tv"}
    assert expected == colour.tags()


def test_trial():
    """It tries the very filters that films go through, on a picture of its own."""
    graph = (
        "[0]format=yuv420p10le[s0];[s0]zscale=min=bt2020nc:npl=203:p=bt709:pin=bt2020:rin=tv:t=linear:tin=smpte2084[s1];"
        "[s1]format=gbrpf32le[s2];[s2]tonemap=mobius:desat=0:param=0.3:peak=4.926[s3];"
        "[s3]zscale=m=bt709:p=bt709:r=tv:t=bt709[s4];[s4]format=yuv420p[s5]"
    )
    expected = "ffmpeg -nostdin -hide_banner -v error -f lavfi -i testsrc2=size=64x64:duration=0.1".split()
    assert [*expected, "-filter_complex", graph, "-map", "[s5]", "-f", "null", "-"] == colour.trial()


def read(**said: Any) -> VideoStream:
    """What is known of a picture of which ffprobe says this."""
    stream = {
        "index": 0,
        "codec_name": "h264",
        "codec_type": "video",
        "width": 640,
        "height": 360,
        "pix_fmt": "yuv420p",
    }
    video = media.from_ffprobe({"streams": [stream | said]}, size=1, sniffed=MOV).video
    assert video
    return video


@pytest.mark.parametrize(
    ("said", "matrix"),
    [
        ({"color_space": "bt709"}, "bt709"),
        ({"color_space": "bt470bg", "height": 1080}, "bt470bg"),
        ({"color_space": "bt2020nc"}, "bt2020nc"),
        ({"height": 719}, "smpte170m"),
        ({"height": 720}, "bt709"),
        ({"width": 1280, "height": 576}, "smpte170m"),
        ({"height": 360, "width": 720, "tags": {"rotate": "90"}}, "smpte170m"),
        ({"height": 480, "color_space": "unknown"}, "smpte170m"),
        ({"height": 720, "color_space": "gbr"}, "bt709"),
        ({"color_space": "bt709:x"}, "smpte170m"),
        ({"color_transfer": "smpte2084"}, "bt2020nc"),
        ({"color_transfer": "arib-std-b67", "color_space": "ictcp"}, "ictcp"),
        *(({"pix_fmt": name, "color_space": "bt709"}, "gbr") for name in "rgb24 bgr0 0rgb argb abgr gbrp10le".split()),
        *(({"pix_fmt": name}, "gbr") for name in "pal8 x2rgb10le rgb48be bgra rgba64le".split()),
        *(({"pix_fmt": name}, "smpte170m") for name in [None, "gray", "yuvj420p", "nv12"]),
    ],
)
def test_matrix_that_is_read(said: dict[str, Any], matrix: str):
    """As declared, else by the lines as coded; RGB whatever is declared."""
    assert matrix == read(**said).matrix


LIGHT = {"side_data_type": "Mastering display metadata"}


def dolby(compatibility: object) -> dict[str, Any]:
    """Dolby Vision over a base layer of this kind."""
    return {"side_data_type": "DOVI configuration record", "dv_bl_signal_compatibility_id": compatibility}


@pytest.mark.parametrize(
    ("declared", "sides", "transfer"),
    [
        ("smpte2084", [], "smpte2084"),
        ("bt709", [LIGHT, dolby(1)], "bt709"),
        (None, [LIGHT], "smpte2084"),
        ("unknown", [LIGHT], "smpte2084"),
        ("reserved", [{"side_data_type": "Content light level metadata"}], "smpte2084"),
        (None, [LIGHT, dolby(4)], "arib-std-b67"),
        (None, [dolby(1)], "smpte2084"),
        (None, [dolby(2)], None),
        (None, [dolby(0)], None),
        (None, [dolby("x"), {"side_data_type": ["x"]}, 3, None], None),
        (None, [], None),
    ],
)
def test_transfer_that_is_read(declared: str | None, sides: list[Any], transfer: str | None):
    """Where nothing is declared, the metadata of HDR10 and of Dolby Vision give it away."""
    assert transfer == read(color_transfer=declared, side_data_list=sides).transfer


@pytest.mark.parametrize(
    ("said", "full"),
    [
        ({}, False),
        ({"color_range": "tv"}, False),
        ({"color_range": "pc"}, True),
        ({"pix_fmt": "yuvj422p"}, True),
        ({"color_range": ["pc"]}, False),
    ],
)
def test_range_that_is_read(said: dict[str, Any], *, full: bool):
    """Full range is declared, or in the name of the pixel format."""
    assert full == read(**said).full_range


@pytest.mark.parametrize("name", ["\ud800", "<b>", "a b", "x" * 101, "", None, 3, ["bt2020"]])
def test_primaries_are_published_only_if_harmless(name: object):
    """What does not look like one of ffprobe's own names is unknown."""
    assert read(color_primaries=name).primaries is None
