"""Playlists and manifests: their whole text from small indexes, and ffprobe's view of real ones."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from math import ceil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import dash, playlists, tracks
from service.core.boxes import Fragment, Index
from service.core.tracks import AudioTrack, CaptionTrack, VideoTrack
from tests.core.renditions import (
    EXACT_SOUND,
    LATE_SOUND,
    decoded,
    index_of,
    needs_ffmpeg,
    picture_folder,
    probed,
    sound,
    sound_folder,
    video,
)


def index(*fragments: tuple[str, int], codec: str = "avc1.64001f", priming: str = "0") -> Index:
    """An index of fragments of so many seconds and bytes; the first 100 bytes of each are its keyframe."""
    made, offset = [], 900
    for seconds, size in fragments:
        made.append(
            Fragment(offset=offset, bytes=size, duration=Fraction(seconds), starts_with_key=True, key_frame_bytes=100)
        )
        offset += size
    return Index(
        init_bytes=700,
        sidx_offset=700,
        sidx_bytes=200,
        codec=codec,
        timescale=30_000,
        priming=Fraction(priming),
        samples=len(made),
        segments=tuple(made),
    )


FIVE = index(("2.002", 1000), ("2.002", 3000), ("2.002", 2000), ("2.002", 2000), ("0.5", 500))

VIDEO = VideoTrack(
    folder="../~1/",
    file="video.mp4",
    playlist="video.m3u8",
    i_frames="i-frames.m3u8",
    codec="avc1.64001f",
    duration=12.012,
    peak=1_500_000,
    average=1_000_000,
    i_frame_peak=90_000,
    i_frame_average=80_000,
    init_bytes=700,
    sidx_offset=700,
    sidx_bytes=200,
    width=1280,
    height=720,
    frame_rate="30000/1001",
)
SMALL = replace(
    VIDEO, folder="../~2/", codec="avc1.64001e", peak=500_000, average=400_000, width=640, height=360, frame_rate="25"
)
LARGE = replace(VIDEO, folder="../~3/", peak=5_000_000, average=4_000_000, width=1920, height=1080)
SOUND = AudioTrack(
    folder="../~4/",
    file="sound.mp4",
    playlist="sound.m3u8",
    codec="mp4a.40.2",
    duration=12.0,
    peak=130_000,
    average=128_000,
    init_bytes=600,
    sidx_offset=620,
    sidx_bytes=100,
    language="en",
    name="English",
    channels=2,
    sample_rate=48_000,
)
GERMAN = replace(SOUND, folder="../~5/", stream=1, language="de", name="Deutsch", peak=140_000)
SPARE = replace(SOUND, folder="../~6/", peak=66_000, average=64_000)
TEXT = CaptionTrack(folder="../~7/", file="en.vtt", playlist="en.m3u8", language="en", name="English")


def test_media_playlist() -> None:
    """Fragments are joined by twos, and the odd last one keeps its true length."""
    expected = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="video.mp4",BYTERANGE="700@0"
#EXTINF:4.004000,
#EXT-X-BYTERANGE:4000@900
video.mp4
#EXTINF:4.004000,
#EXT-X-BYTERANGE:4000@4900
video.mp4
#EXTINF:0.500000,
#EXT-X-BYTERANGE:500@8900
video.mp4
#EXT-X-ENDLIST
"""
    assert expected == playlists.media(FIVE, file="video.mp4")


def test_i_frame_playlist() -> None:
    """Each fragment's keyframe is an entry that lasts until the next one."""
    expected = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:2
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-I-FRAMES-ONLY
#EXT-X-MAP:URI="video.mp4",BYTERANGE="700@0"
#EXTINF:2.002000,
#EXT-X-BYTERANGE:100@900
video.mp4
#EXTINF:0.500000,
#EXT-X-BYTERANGE:100@1900
video.mp4
#EXT-X-ENDLIST
"""
    assert expected == playlists.i_frames(index(("2.002", 1000), ("0.5", 600)), file="video.mp4")


def test_captions_playlist() -> None:
    """A WebVTT file is one segment as long as the stream."""
    expected = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:13
#EXT-X-PLAYLIST-TYPE:VOD
#EXTINF:12.012000,
en.vtt
#EXT-X-ENDLIST
"""
    assert expected == playlists.captions(file="en.vtt", duration=12.012)


def test_multivariant_playlist() -> None:
    """Every rung with every sound; rates are of the picture and the heaviest sound; the 2 Mbit/s rung comes first."""
    expected = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-1",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",\
URI="../~4/sound.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio-1",NAME="Deutsch",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",\
URI="../~5/sound.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",NAME="English",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,\
URI="../~7/en.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1640000,AVERAGE-BANDWIDTH=1128000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,\
FRAME-RATE=29.970,AUDIO="audio-1",SUBTITLES="captions"
../~1/video.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=5140000,AVERAGE-BANDWIDTH=4128000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1920x1080,\
FRAME-RATE=29.970,AUDIO="audio-1",SUBTITLES="captions"
../~3/video.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=640000,AVERAGE-BANDWIDTH=528000,CODECS="avc1.64001e,mp4a.40.2",RESOLUTION=640x360,\
FRAME-RATE=25.000,AUDIO="audio-1",SUBTITLES="captions"
../~2/video.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,AVERAGE-BANDWIDTH=80000,CODECS="avc1.64001f",RESOLUTION=1920x1080,\
URI="../~3/i-frames.m3u8"
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,AVERAGE-BANDWIDTH=80000,CODECS="avc1.64001f",RESOLUTION=1280x720,\
URI="../~1/i-frames.m3u8"
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,AVERAGE-BANDWIDTH=80000,CODECS="avc1.64001e",RESOLUTION=640x360,\
URI="../~2/i-frames.m3u8"
"""
    assert expected == playlists.multivariant([LARGE, VIDEO, SMALL], [SOUND, GERMAN], [TEXT])


def test_machine_made_captions_say_so() -> None:
    """Players can tell them from a person's: by their name, and in HLS by characteristics (4.4.6.1)."""
    heard = replace(TEXT, machine=True, name="")
    hls, mpd = playlists.multivariant([VIDEO], [], [TEXT, heard]), dash.manifest([VIDEO], [], [heard], duration=1)
    assert (
        """\
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="captions",NAME="en (automatic)",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,\
FORCED=NO,CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog,public.machine-generated",\
URI="../~7/en.m3u8"
"""
        in hls
    )
    assert hls.count("CHARACTERISTICS") == 1
    assert "<Label>en (automatic)</Label>" in mpd


def test_multivariant_playlist_without_sound() -> None:
    """A silent video names no audio group and no audio codec."""
    expected = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-STREAM-INF:BANDWIDTH=500000,AVERAGE-BANDWIDTH=400000,CODECS="avc1.64001e",RESOLUTION=640x360,FRAME-RATE=25.000
../~2/video.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,AVERAGE-BANDWIDTH=80000,CODECS="avc1.64001e",RESOLUTION=640x360,\
URI="../~2/i-frames.m3u8"
"""
    assert expected == playlists.multivariant([SMALL], [])


def test_multivariant_playlist_of_sound_alone() -> None:
    """Without pictures the bit rates of one sound are the variants."""
    expected = """\
#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-STREAM-INF:BANDWIDTH=130000,AVERAGE-BANDWIDTH=128000,CODECS="mp4a.40.2"
../~4/sound.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=66000,AVERAGE-BANDWIDTH=64000,CODECS="mp4a.40.2"
../~6/sound.m3u8
"""
    assert expected == playlists.multivariant([], [SOUND, SPARE])


def test_sound_alone_in_two_languages_is_one_variant() -> None:
    """Languages are never variants, which players would switch between: they are a group to choose from."""
    text = playlists.multivariant([], [SOUND, GERMAN])
    assert re.findall(r"^#EXT-X-STREAM-INF.*\n(.*)", text, re.MULTILINE) == ["../~4/sound.m3u8"]
    assert re.findall(r'LANGUAGE="(\w+)"', text) == ["en", "de"]
    assert 'CODECS="mp4a.40.2",AUDIO="audio-1"' in text


def test_bit_rates_of_a_sound_are_groups() -> None:
    """Each bit rate is a group with every language: where a language has fewer, its last one stands in."""
    text = playlists.multivariant([SMALL], [SOUND, GERMAN, SPARE])
    groups = re.findall(r'GROUP-ID="(.*?)".*URI="\.\./~(\d)', text)
    assert groups == [("audio-1", "4"), ("audio-1", "5"), ("audio-2", "6"), ("audio-2", "5")]
    assert re.findall(r'STREAM-INF:BANDWIDTH=(\d+).*AUDIO="(.*?)"', text) == [
        ("640000", "audio-1"),
        ("640000", "audio-2"),
    ]


def test_second_sound_of_a_language_is_not_chosen_automatically() -> None:
    """A commentary in the main language plays only for those who choose it; equal names are told apart."""
    text = playlists.multivariant([SMALL], [SOUND, replace(SOUND, stream=1)])
    media = re.findall(r'NAME="(.*?)".*DEFAULT=(\w+),AUTOSELECT=(\w+)', text)
    assert media == [("English", "YES", "YES"), ("English (2)", "NO", "NO")]


def test_dash_manifest() -> None:
    """One set for all rungs, one for each sound and for the captions; ranges are inclusive."""
    expected = """\
<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" type="static" \
mediaPresentationDuration="PT12.012S" minBufferTime="PT4S">
  <Period id="0" start="PT0S">
    <AdaptationSet contentType="video" mimeType="video/mp4" subsegmentAlignment="true" subsegmentStartsWithSAP="1">
      <Representation id="video-1" codecs="avc1.64001f" bandwidth="1500000" width="1280" height="720" \
frameRate="30000/1001" sar="1:1">
        <BaseURL>../~1/video.mp4</BaseURL>
        <SegmentBase indexRange="700-899">
          <Initialization range="0-699" />
        </SegmentBase>
      </Representation>
      <Representation id="video-2" codecs="avc1.64001e" bandwidth="500000" width="640" height="360" \
frameRate="25" sar="1:1">
        <BaseURL>../~2/video.mp4</BaseURL>
        <SegmentBase indexRange="700-899">
          <Initialization range="0-699" />
        </SegmentBase>
      </Representation>
    </AdaptationSet>
    <AdaptationSet contentType="audio" mimeType="audio/mp4" subsegmentAlignment="true" subsegmentStartsWithSAP="1" \
lang="en">
      <Label>English</Label>
      <Role schemeIdUri="urn:mpeg:dash:role:2011" value="main" />
      <Representation id="audio-1-1" codecs="mp4a.40.2" bandwidth="130000" audioSamplingRate="48000">
        <AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2" />
        <BaseURL>../~4/sound.mp4</BaseURL>
        <SegmentBase indexRange="620-719">
          <Initialization range="0-599" />
        </SegmentBase>
      </Representation>
      <Representation id="audio-1-2" codecs="mp4a.40.2" bandwidth="66000" audioSamplingRate="48000">
        <AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2" />
        <BaseURL>../~6/sound.mp4</BaseURL>
        <SegmentBase indexRange="620-719">
          <Initialization range="0-599" />
        </SegmentBase>
      </Representation>
    </AdaptationSet>
    <AdaptationSet contentType="text" mimeType="text/vtt" lang="en">
      <Label>English</Label>
      <Role schemeIdUri="urn:mpeg:dash:role:2011" value="caption" />
      <Representation id="text-1" bandwidth="1000">
        <BaseURL>../~7/en.vtt</BaseURL>
      </Representation>
    </AdaptationSet>
  </Period>
</MPD>
"""
    assert expected == dash.manifest([VIDEO, SMALL], [SOUND, SPARE], [TEXT], duration=12.012)


def _sets(manifest: str) -> list[tuple[str | None, str | None, int]]:
    """Kind, language and number of representations of each adaptation set."""
    space = "{urn:mpeg:dash:schema:mpd:2011}"
    found = ET.fromstring(manifest).iter(f"{space}AdaptationSet")
    return [(each.get("contentType"), each.get("lang"), len(each.findall(f"{space}Representation"))) for each in found]


@pytest.mark.parametrize(
    ("videos", "audios", "expected"),
    [
        ([VIDEO, SMALL], [], [("video", None, 2)]),
        ([], [SOUND], [("audio", "en", 1)]),
        ([SMALL], [SOUND, GERMAN, SPARE], [("video", None, 1), ("audio", "en", 2), ("audio", "de", 1)]),
        ([], [SOUND, replace(SOUND, stream=1)], [("audio", "en", 1), ("audio", "en", 1)]),
    ],
)
def test_dash_sets(videos: list[VideoTrack], audios: list[AudioTrack], expected: list[object]) -> None:
    """Only what players may switch between at will shares a set: rungs, and the bit rates of one sound."""
    assert expected == _sets(dash.manifest(videos, audios, duration=12.0))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (["2"] * 6, ["4", "4", "4"]),
        (["2"] * 5, ["4", "4", "2"]),
        (["2.002"] * 3 + ["1.96"], ["4.004", "3.962"]),
        (["1.984", "2.005", "2.005", "2.005"], ["3.989", "4.01"]),
        (["1"] * 9, ["4", "4", "1"]),
        (["5", "5", "1"], ["5", "5", "1"]),
        (["3", "3"], ["3", "3"]),
        (["2", "1.9", "0.05"], ["3.95"]),
        (["2", "2", "0.04"], ["4", "0.04"]),
        (["0.3"], ["0.3"]),
        (["2", "2", "2", "2", "0.016"], ["4", "4.016"]),  # a tail that a player would not look for
        (["0.016"], ["0.016"]),
    ],
)
def test_segments_are_as_near_to_four_seconds_as_fragments_come(seconds: list[str], expected: list[str]) -> None:
    """A fragment joins the segment before it only where that brings the segment nearer to its length."""
    segments = tracks.joined(index(*((each, 10) for each in seconds)))
    assert [Fraction(each) for each in expected] == [each.duration for each in segments]
    assert 10 * len(seconds) == sum(each.bytes for each in segments)


@pytest.mark.parametrize(("seconds", "expected"), [("0.3", 4), ("4.4", 4), ("4.5", 5), ("5.4", 5), ("9.999", 10)])
def test_target_duration(seconds: str, expected: int) -> None:
    """No entry rounds to more than the target duration, which is the same for all short and usual segments."""
    text = playlists.media(index((seconds, 10)), file="video.mp4")
    assert f"#EXT-X-TARGETDURATION:{expected}\n" in text


@pytest.mark.parametrize(
    ("fragments", "peak", "average"),
    [
        pytest.param([("2", 1000)] * 6, 2000 * 8 / 4, 6000 * 8 / 12, id="constant"),
        pytest.param([("2", 500)] * 2 + [("2", 2000)] * 2, 4000 * 8 / 4, 5000 * 8 / 8, id="a heavy segment"),
        pytest.param([("2", 500)] * 4 + [("0.1", 900)], 1900 * 8 / 4.1, 2900 * 8 / 8.1, id="a short, heavy tail"),
        pytest.param([("1", 500)], 4000, 4000, id="shorter than half a segment"),
    ],
)
def test_rates(fragments: list[tuple[str, int]], peak: float, average: float) -> None:
    """The peak is of segments that last 0.5 to 1.5 target durations together, so that a short tail is no peak."""
    track = tracks.audio_track(index(*fragments), file="a", playlist="b", channels=2, sample_rate=48_000)
    assert (ceil(peak), ceil(average)) == (track.peak, track.average)


def test_track_of_an_index_survives_json() -> None:
    """A track holds plain values alone: it comes back from its step record as it was."""
    names = {"file": "video.mp4", "playlist": "video.m3u8", "i_frames": "i-frames.m3u8"}
    track = tracks.video_track(FIVE, **names, width=1280, height=720, frame_rate="30000/1001")
    expected = VideoTrack(
        **names,
        codec="avc1.64001f",
        duration=8.508,
        peak=7993,
        average=7993,
        i_frame_peak=640,
        i_frame_average=471,
        init_bytes=700,
        sidx_offset=700,
        sidx_bytes=200,
        width=1280,
        height=720,
        frame_rate="30000/1001",
    )
    assert expected == track
    assert track == VideoTrack(**json.loads(json.dumps(asdict(track))))
    assert AudioTrack(**json.loads(json.dumps(asdict(SOUND)))) == SOUND
    assert CaptionTrack(**json.loads(json.dumps(asdict(TEXT)))) == TEXT


def test_priming_does_not_count_as_duration() -> None:
    """What an edit list hides is in the first entry, as players reckon it, and not in the track's duration."""
    primed = index(("2", 10), ("2", 10), priming="0.02")
    track = tracks.audio_track(primed, file="a", playlist="b", channels=2, sample_rate=48_000)
    assert track.duration == 3.98
    assert "#EXTINF:4.000000," in playlists.media(primed, file="a")


def test_fragment_without_a_key_frame_is_refused() -> None:
    """Nothing is called independent that is not."""
    first, second = index(("2", 10), ("2", 10)).segments
    broken = replace(index(), segments=(first, replace(second, starts_with_key=False)))
    with pytest.raises(ValueError, match="byte 910 does not start with a key frame"):
        playlists.media(broken, file="video.mp4")


@pytest.mark.parametrize("name", ["", "a b.mp4", 'a".mp4', "a\n#EXT-X-ENDLIST", "a\r", "é.mp4", "<a>", "#a"])
def test_names_that_are_no_uri_are_refused(name: str) -> None:
    """A file name that could end a line or a quoted string never gets into a playlist or manifest."""
    attempts = [
        lambda: playlists.media(FIVE, file=name),
        lambda: playlists.captions(file=name, duration=1.0),
        lambda: playlists.multivariant([replace(VIDEO, folder="", playlist=name)], []),
        lambda: dash.manifest([replace(VIDEO, folder="", file=name)], [], duration=1.0),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match="not a URI reference"):
            attempt()


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "en"),
        ("eng", "eng"),
        ("pt_BR", "pt-BR"),
        (" zh-Hant-TW ", "zh-Hant-TW"),
        ("und", None),
        ("zxx", None),
        ("", None),
        (None, None),
        ("English", None),
        ("e", None),
        ('en"', None),
        ("en\nfr", None),
        ("en-", None),
        ("en-waytoolongsubtag", None),
        ("ру", None),
    ],
)
def test_language(language: str | None, expected: str | None) -> None:
    """Only what can be a BCP 47 tag is named as a language."""
    assert expected == tracks.language(replace(SOUND, language=language))


@pytest.mark.parametrize(
    ("given_names", "expected"),
    [
        (["Main", "Commentary"], ["Main", "Commentary"]),
        (["", ""], ["en", "en (2)"]),
        (["A", "A (2)", "A"], ["A", "A (2)", "A (3)"]),
        (['say "hi"\n#EXT-X-ENDLIST'], ["say 'hi' #EXT-X-ENDLIST"]),
        (["\0\u202ea\ud800b\ufffe"], ["a b"]),
        (["می\u200cخواهم"], ["می\u200cخواهم"]),
        (["x" * 500], ["x" * 80]),
    ],
)
def test_names(given_names: list[str], expected: list[str]) -> None:
    """Names become one printable line without double quotes, none empty, none twice."""
    assert expected == tracks.names([replace(SOUND, name=name) for name in given_names], "Audio")


def test_sound_without_name_and_language_has_a_name() -> None:
    """A player's menu never has an empty line."""
    assert tracks.names([replace(SOUND, name="", language=None)], "Audio") == ["Audio"]


@given(st.lists(st.tuples(st.text(), st.none() | st.text()), min_size=1, max_size=3))
def test_no_metadata_breaks_a_manifest(metadata: list[tuple[str, str | None]]) -> None:
    """Whatever the upload's metadata say, the playlist keeps its lines and quotes, and the manifest is XML."""
    audios = [replace(SOUND, stream=at, name=name, language=tag) for at, (name, tag) in enumerate(metadata)]
    lines = playlists.multivariant([SMALL], audios).splitlines()
    media = [line for line in lines if line.startswith("#EXT-X-MEDIA")]
    assert len(audios) + 6 == len(lines)
    assert len({re.findall(r'NAME="([^"]+)"', line)[0] for line in media}) == len(audios)
    assert {0} == {line.count('"') % 2 for line in lines}
    assert len(audios) + 1 == len(_sets(dash.manifest([SMALL], audios, duration=1.0)))


# Real files


def _times(playlist: str) -> list[float]:
    return [float(seconds) for seconds in re.findall(r"#EXTINF:([\d.]+),", playlist)]


@needs_ffmpeg
@pytest.mark.parametrize(
    ("rate", "seconds", "expected"),
    [
        ("30000/1001", "10.5", [4.004, 4.004, 2.502500]),
        ("24000/1001", "10", [4.004, 4.004, 2.002]),
        ("25", "9.3", [4.0, 4.0, 1.32]),
        ("60", "8.04", [4.0, 4.0, 0.05]),
        ("10", "0.5", [0.5]),
    ],
)
def test_entries_are_as_long_as_the_pictures(
    tmp_path: Path, rate: str, seconds: str, expected: Sequence[float]
) -> None:
    """Segments of real pictures last exactly their frames, also at broadcast rates and in the odd last one."""
    file = video(tmp_path / "video.mp4", rate=rate, seconds=seconds)
    assert expected == pytest.approx(_times(playlists.media(index_of(file), file=file.name)), abs=2e-6)


@needs_ffmpeg
@pytest.mark.parametrize("rate", [48_000, 44_100])
@pytest.mark.parametrize("flags", [LATE_SOUND, EXACT_SOUND], ids=["late", "exact"])
def test_entries_are_as_long_as_the_sound(tmp_path: Path, rate: int, flags: tuple[str, ...]) -> None:
    """Segments of real sound are whole AAC frames of 1,024 samples, but for the last one."""
    file = sound(tmp_path / "sound.mp4", rate=rate, flags=flags)
    first, *_, last = _times(playlists.media(index_of(file), file=file.name))
    frames = {48_000: 2 * 94, 44_100: 2 * 87}[rate]
    assert frames * 1024 / rate == pytest.approx(first, abs=2e-6)
    assert 0 < last < 4


@needs_ffmpeg
@pytest.mark.parametrize("rate", ["30000/1001", "24000/1001"])
def test_ffprobe_opens_every_playlist(tmp_path: Path, rate: str) -> None:
    """Ffprobe reads the multivariant playlist and every playlist below it without a complaint."""
    clip = {"seconds": "10.5", "rate": rate}
    videos = [
        picture_folder(tmp_path / "~large", size="640x360", bit_rate="600k", **clip),
        picture_folder(tmp_path / "~small", size="320x180", bit_rate="200k", **clip),
    ]
    audios = [sound_folder(tmp_path / "~en", seconds="10.5", language="eng")]
    (tmp_path / "~").mkdir()
    for name, pictures, sounds in (("all", videos, audios), ("silent", videos, []), ("sound", [], audios)):
        playlist = tmp_path / "~" / f"{name}.m3u8"
        playlist.write_text(playlists.multivariant(pictures, sounds))
        kinds = set(probed(playlist, "stream=codec_type").split())
        assert {*(["video"] if pictures else []), *(["audio"] if sounds else [])} == kinds
        assert float(probed(playlist, "format=duration")) == pytest.approx(10.5, abs=0.05)
    for playlist in (*tmp_path.glob("*/video.m3u8"), *tmp_path.glob("*/sound.m3u8")):
        assert float(probed(playlist, "format=duration")) == pytest.approx(10.5, abs=0.05)
    for playlist in tmp_path.glob("*/i-frames.m3u8"):
        assert len(_times(playlist.read_text())) == 6


@needs_ffmpeg
def test_bandwidth_holds_for_every_segment(tmp_path: Path) -> None:
    """No segment of a real rendition needs more than the BANDWIDTH that its variant claims, nor the sum of all less."""
    track = picture_folder(tmp_path / "a", seconds="10", rate="30", size="320x180", bit_rate="300k")
    text = (tmp_path / "a/video.m3u8").read_text()
    sizes = [int(size) for size in re.findall(r"#EXT-X-BYTERANGE:(\d+)@", text)]
    rates = [size * 8 / seconds for size, seconds in zip(sizes, _times(text), strict=True)]
    assert track.average <= max(rates) <= track.peak
    assert sum(sizes) * 8 / track.duration == pytest.approx(track.average, rel=1e-4)


@needs_ffmpeg
def test_i_frame_entries_decode_to_one_picture(tmp_path: Path) -> None:
    """The init segment and one I-frame entry show the keyframe as the whole file shows it, and nothing else."""
    file = video(tmp_path / "video.mp4", seconds="6")
    data, found = file.read_bytes(), index_of(file)
    shown = []
    for each in found.segments:
        part = tmp_path / "part.mp4"
        part.write_bytes(data[: found.init_bytes] + data[each.offset : each.offset + each.key_frame_bytes])
        shown += decoded(part)
    assert decoded(file, "-skip_frame", "nokey") == shown
