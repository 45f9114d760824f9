"""What ffprobe's documents say of real files, and that no document can break the reader."""

import sys
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import media
from service.core.media import AudioStream, Clip, VideoStream
from service.core.outcome import Reason, Rejected
from service.core.record import Document
from tests.core.samples import MOV, PHONE, SONG, probed


def clip(document: dict[str, Any]) -> Clip:
    """The clip that a document describes."""
    return media.from_ffprobe(document, size=1000, sniffed=MOV)


def refusal(document: dict[str, Any]) -> Rejected:
    """Why nothing in a document can be played."""
    with pytest.raises(Rejected) as caught:
        clip(document)
    return caught.value


def picture(**changed: Any) -> dict[str, Any]:
    """A video stream as ffprobe prints it."""
    stream = {"index": 0, "codec_name": "h264", "codec_type": "video", "width": 640, "height": 360}
    return stream | {"r_frame_rate": "25/1", "avg_frame_rate": "25/1"} | changed


def sound(**changed: Any) -> dict[str, Any]:
    """An audio stream as ffprobe prints it."""
    stream = {"index": 1, "codec_name": "aac", "codec_type": "audio", "channels": 2, "sample_rate": "44100"}
    return stream | changed


def shown(**changed: Any) -> VideoStream:
    """The picture of a clip that has only one."""
    video = clip({"streams": [picture(**changed)]}).video
    assert video
    return video


def heard(**changed: Any) -> AudioStream:
    """The sound of a clip that has only one."""
    return clip({"streams": [sound(**changed)]}).audio[0]


def test_phone_held_upright():
    """A turned clip has its displayed size; its sound comes first in the file and keeps its index."""
    expected = Clip(
        container="mov,mp4,m4a,3gp,3g2,mj2",
        size=242_100,
        duration=2.068333,
        bit_rate=936_406,
        video=VideoStream(
            index=1,
            codec="h264",
            width=320,
            height=568,
            frame_rate=Fraction(30_000, 1001),
            bit_rate=863_528,
            interlaced=False,
            transfer="bt709",
            progressive=True,
            starts=0.0,
            matrix="smpte170m",
        ),
        audio=(AudioStream(index=0, codec="aac", channels=1, sample_rate=44_100, language=None, default=True),),
        streams=2,
        probe_score=100,
        sniffed=MOV,
    )
    assert expected == media.from_ffprobe(probed("portrait_phone"), size=242_100, sniffed=MOV)


@pytest.mark.parametrize(
    ("name", "picture", "sounds"),
    [
        ("film_with_surround", (854, 480, 24, False, None), [(1, "aac", 6, True)]),
        ("turned_270", (320, 568, 30, False, "bt709"), []),
        ("anamorphic", (501, 288, 25, False, None), [(1, "mp2", 2, False)]),
        ("interlaced", (640, 360, 25, True, None), []),
        ("camcorder", (1920, 1080, 50, True, None), [(1, "ac3", 2, False)]),
        ("hdr", (1920, 1080, 30, False, "smpte2084"), [(1, "aac", 2, True)]),
        ("captions", (1280, 720, 25, False, None), [(1, "aac", 2, True)]),
        ("two_sounds", (1024, 576, 25, False, None), [(1, "pcm_s16le", 2, False), (2, "pcm_s16le", 2, False)]),
    ],
)
def test_real_videos(name: str, picture: tuple[object, ...], sounds: list[tuple[object, ...]]):
    """Sizes are square pixels as displayed; subtitles are neither picture nor sound."""
    found = clip(probed(name))
    video = found.video
    assert video
    assert picture == (video.width, video.height, video.frame_rate, video.interlaced, video.transfer)
    assert sounds == [(one.index, one.codec, one.channels, one.default) for one in found.audio]


@pytest.mark.parametrize(
    ("name", "codec", "duration"), [("song_with_cover", "mp3", 0.052245), ("speech", "flac", 11.0)]
)
def test_real_sounds(name: str, codec: str, duration: float):
    """A cover is no moving picture: a song with one is sound."""
    found = clip(probed(name))
    assert ("audio", None, duration) == (found.kind, found.video, found.duration)
    assert [codec] == [one.codec for one in found.audio]


def test_codec_that_is_not_supported():
    """The codec's name is told; that of the cover beside it is not."""
    error = refusal(probed("unknown_sound_with_cover"))
    assert (Reason.UNSUPPORTED_TYPE, "Its codec is not supported: dsd_lsbf_planar.") == (error.reason, error.message)


_UNFIT = ["\ud800", "<b>", "a b", "x" * 101, "", None, 3, ["h264"], {"h264": 1}]


@pytest.mark.parametrize("name", _UNFIT, ids=lambda one: repr(one)[:20])
def test_names_are_published_only_if_harmless(name: object):
    """What does not look like one of ffprobe's own names is told as unknown: messages and records are for people."""
    assert "Its codec is not supported: unknown." == refusal({"streams": [picture(codec_name=name)]}).message
    found = clip({"streams": [picture(color_transfer=name)], "format": {"format_name": name}})
    assert ("", None) == (found.container, found.video.transfer)


@pytest.mark.parametrize(
    ("streams", "reason"),
    [
        ([], Reason.NO_MEDIA),
        ([{"index": 0, "codec_type": "subtitle", "codec_name": "subrip"}], Reason.NO_MEDIA),
        ([picture(disposition={"attached_pic": 1})], Reason.NO_MEDIA),
        ([picture(codec_tag_string="encv")], Reason.ENCRYPTED),
        ([sound(codec_tag_string="enca")], Reason.ENCRYPTED),
        ([sound(codec_tag_string="drms")], Reason.ENCRYPTED),
        ([picture(codec_name="rv40")], Reason.UNSUPPORTED_TYPE),
        ([picture(codec_name=None)], Reason.UNSUPPORTED_TYPE),
        ([picture(width=0)], Reason.DAMAGED),
        ([picture(height=None)], Reason.DAMAGED),
        ([sound(channels=0)], Reason.DAMAGED),
        ([picture(index=None)], Reason.DAMAGED),
    ],
)
def test_nothing_to_play(streams: list[dict[str, Any]], reason: Reason):
    """Each way of having nothing to play has its reason."""
    assert reason == refusal({"streams": streams}).reason


def test_playable_sound_beside_an_encrypted_picture():
    """A video whose picture cannot be shown is refused, not published as its sound alone."""
    with pytest.raises(Rejected) as refused:
        clip({"streams": [picture(codec_tag_string="encv"), sound()]})
    assert Reason.ENCRYPTED == refused.value.reason


def test_encryption_is_seen_in_side_data():
    """ffprobe replaces the tag of an encrypted track by that of what is below; the side data gives it away."""
    hidden = picture(side_data_list=[{"side_data_type": "Encryption initialization data"}])
    with pytest.raises(Rejected) as refused:
        clip({"streams": [hidden]})
    assert Reason.ENCRYPTED == refused.value.reason


def test_unknown_picture_beside_known_sound():
    """So is one whose codec nobody here may decode."""
    with pytest.raises(Rejected) as refused:
        clip({"streams": [picture(codec_name="rv40"), sound()]})
    assert Reason.UNSUPPORTED_TYPE == refused.value.reason


@pytest.mark.parametrize(
    ("changed", "size"),
    [
        ({}, (640, 360)),
        ({"sample_aspect_ratio": "1:1"}, (640, 360)),
        ({"sample_aspect_ratio": "4:3"}, (853, 360)),
        ({"sample_aspect_ratio": "0:1"}, (640, 360)),
        ({"sample_aspect_ratio": "N/A"}, (640, 360)),
        ({"sample_aspect_ratio": "9999:1"}, (640, 360)),
        ({"sample_aspect_ratio": "1:9999"}, (640, 360)),
        ({"side_data_list": [{"rotation": 90}]}, (360, 640)),
        ({"side_data_list": [{"rotation": -90}]}, (360, 640)),
        ({"side_data_list": [{"rotation": 180}]}, (640, 360)),
        ({"side_data_list": [{"rotation": -270.0}]}, (360, 640)),
        ({"side_data_list": [{"side_data_type": "Stereo 3D"}, {"rotation": 90}]}, (360, 640)),
        ({"side_data_list": [{"rotation": 45}]}, (640, 360)),
        ({"tags": {"rotate": "90"}}, (360, 640)),
        ({"tags": {"rotate": "-90"}}, (360, 640)),
        ({"tags": {"rotate": "upright"}}, (640, 360)),
        ({"sample_aspect_ratio": "4:3", "side_data_list": [{"rotation": 90}]}, (360, 853)),
        ({"sample_aspect_ratio": "1:8", "width": 1}, (1, 360)),
    ],
)
def test_displayed_size(changed: dict[str, Any], size: tuple[int, int]):
    """Pixels are made square first, then the picture is turned; what makes no sense counts as absent."""
    video = shown(**changed)
    assert size == (video.width, video.height)


@pytest.mark.parametrize(
    ("declared", "average", "expected"),
    [
        ("30000/1001", "30000/1001", Fraction(30_000, 1001)),
        ("60/1", "31/1", Fraction(60)),
        ("90000/1", "25/1", Fraction(25)),
        ("1000/1", "0/0", Fraction(25)),
        ("0/0", "24/1", Fraction(24)),
        ("1/90", "1/100", Fraction(25)),
        ("240/1", "240/1", Fraction(240)),
        (None, None, Fraction(25)),
        ("²/¹", "x", Fraction(25)),
    ],
)
def test_frame_rate(declared: str | None, average: str | None, expected: Fraction):
    """The declared rate, unless it is only a time base; then the average, then 25."""
    assert expected == shown(r_frame_rate=declared, avg_frame_rate=average).frame_rate


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"language": "deu"}, "deu"),
        ({"LANGUAGE": "en"}, "en"),
        ({"language": "pt-BR"}, "pt-BR"),
        ({"language": "zh-Hant-TW"}, "zh-Hant-TW"),
        ({"language": "und"}, None),
        ({"language": ""}, None),
        ({"language": "English"}, None),
        ({"language": "en\n"}, None),
        ({"language": 'en"><script>'}, None),
        ({"language": "en-aaaa-bbbb-cccc-dddd-eeee"}, None),
        ({"language": "en" + "-abcd" * 10_000}, None),
        ({}, None),
    ],
)
def test_language(tags: dict[str, str], expected: str | None):
    """A language is a short tag or nothing: it goes into playlists."""
    assert expected == heard(tags=tags).language


@pytest.mark.parametrize(
    ("rate", "expected"), [("48000", 48_000), (44_100, 44_100), ("0", 48_000), (-8000, 48_000), (None, 48_000)]
)
def test_sample_rate(rate: object, expected: int):
    """A rate that makes no sense counts as absent."""
    assert expected == heard(sample_rate=rate).sample_rate


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("1.5", 1.5), (2, 2.0), ("0", None), ("-3", None), ("nan", None), ("inf", None), ("N/A", None), (None, None)],
)
def test_duration(duration: object, expected: float | None):
    """A duration is positive and finite, or unknown."""
    assert expected == clip({"streams": [sound()], "format": {"duration": duration}}).duration


@pytest.mark.parametrize("index", [-1, "-1", "0:1", "a", 1.5, None, True, 10**30])
def test_stream_without_a_sensible_index(index: object):
    """A stream that cannot be named in a command is not played."""
    found = clip({"streams": [picture(index=index), picture(index=5), sound()]})
    assert found.video
    assert (5, 3) == (found.video.index, found.streams)


def test_first_of_several_pictures():
    """Of several moving pictures the first that has a size counts."""
    streams = [picture(width=0), picture(index=2, width=320), picture(index=3)]
    video = clip({"streams": streams}).video
    assert video
    assert 2 == video.index


@pytest.mark.parametrize(
    ("found", "kind", "seconds"),
    [
        (PHONE, "video", 10.0),
        (SONG, "audio", 10.0),
        (replace(PHONE, timeline=None, duration=9.5), "video", 9.5),
        (replace(PHONE, timeline=None, duration=None), "video", 0.0),
    ],
)
def test_kind_and_seconds(found: Clip, kind: str, seconds: float):
    """Plans go by the packets' duration where they were read, else by the header's."""
    assert (kind, seconds) == (found.kind, found.seconds)


class Told(Document):
    """Any document that a clip's values are written into."""

    clip: dict[str, Any]


_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [-1, 10**400, -(10**5000), 2**63, sys.float_info.max, "9" * 5000, "-0", "1e999", "٣", "²", "\ud800"]
    ),
    st.floats(),
    st.text(max_size=8),
    st.from_regex(r"-?[0-9]{1,20}[/:]-?[0-9]{1,20}", fullmatch=True),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)
_SIDE = st.one_of(_ODD, st.fixed_dictionaries({"rotation": _ODD}))
_STREAM = st.fixed_dictionaries(
    {
        "index": st.integers(0, 9) | _ODD,
        "codec_type": st.sampled_from(["video", "audio"]) | _ODD,
        "codec_name": st.sampled_from(["h264", "aac"]) | _ODD,
    },
    optional={
        "codec_tag_string": st.sampled_from(["avc1", "encv"]) | _ODD,
        "width": st.integers(1, 9000) | _ODD,
        "height": st.integers(1, 9000) | _ODD,
        "channels": st.integers(1, 8) | _ODD,
        "sample_aspect_ratio": _ODD,
        "r_frame_rate": _ODD,
        "avg_frame_rate": _ODD,
        "bit_rate": _ODD,
        "sample_rate": _ODD,
        "field_order": _ODD,
        "color_transfer": _ODD,
        "disposition": _ODD | st.dictionaries(st.sampled_from(["default", "attached_pic"]), _ODD),
        "tags": _ODD | st.dictionaries(st.sampled_from(["language", "LANGUAGE", "rotate"]), _ODD),
        "side_data_list": _ODD | st.lists(_SIDE, max_size=3),
    },
)
_FORMAT = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("format_name", "duration", "bit_rate", "probe_score", "nb_streams"), _ODD)
)
_DOCUMENT = st.fixed_dictionaries(
    {}, optional={"streams": _ODD | st.lists(_STREAM, max_size=3), "format": _ODD | _FORMAT}
)


def read(document: dict[str, Any]) -> Clip | Rejected:
    """What a document gives: nothing else is ever raised."""
    try:
        return clip(document)
    except Rejected as error:
        return error


@given(_DOCUMENT)
def test_no_document_breaks_the_reader(document: dict[str, Any]):
    """The prober has seen hostile bytes: whatever it prints is a clip with sane values, or a refusal to publish."""
    match read(document):
        case Rejected(message=message):
            assert len(message.encode()) < 1000
        case found:
            check(found)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"sample_aspect_ratio": "1:1"}, True),
        ({"side_data_list": [{"side_data_type": "CPB properties"}]}, True),
        ({"sample_aspect_ratio": "4:3"}, False),
        ({"side_data_list": [{"side_data_type": "Display Matrix", "rotation": 0}]}, False),
        ({"side_data_list": [{"side_data_type": "Frame Cropping"}]}, False),
        ({"side_data_list": [{}]}, False),
        ({"tags": {"rotate": "180"}}, False),
    ],
)
def test_upright(changed: dict[str, Any], *, expected: bool):
    """Stored as it is displayed; what nobody knows may mean that something is to be done."""
    assert expected == shown(**changed).upright


def test_what_a_copy_depends_on():
    """Profiles have spaces in their names, and nothing is taken for granted."""
    said = {"profile": "Constrained Baseline", "level": 31, "pix_fmt": "yuv420p", "time_base": "1/90000"}
    found = shown(**said, field_order="progressive")
    assert ("Constrained Baseline", 31, "yuv420p") == (found.profile, found.level, found.pixel_format)
    assert (True, Fraction(1, 90_000), None) == (found.progressive, found.tick, found.starts)
    unknown = shown(profile="<b>", level=-99, field_order="unknown", time_base="0/0")
    assert (None, None, False, None) == (unknown.profile, unknown.level, unknown.progressive, unknown.tick)


def test_when_the_picture_begins():
    """From where the file does: players begin there."""
    late = clip({"format": {"start_time": "1.4"}, "streams": [picture(start_time="1.9")]}).video
    assert late
    assert pytest.approx(0.5) == late.starts


def check(found: Clip) -> None:
    """Values that are safe to plan with, to name in an argv and to publish."""
    assert found.video or found.audio
    assert found.duration is None or 0 < found.duration < float("inf")
    assert min(found.probe_score, found.bit_rate or 0) >= 0
    for stream in found.audio:
        assert min(stream.index, stream.channels - 1, stream.sample_rate - 1) >= 0
    if video := found.video:
        assert min(video.index, video.width - 1, video.height - 1, video.bit_rate or 0) >= 0
        assert 1 <= video.frame_rate <= 240
    assert Told(clip={"container": found.container, "transfer": video.transfer if video else None}).to_json()
