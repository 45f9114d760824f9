"""Every ffmpeg and ffprobe command but those that encode, whole or in its telling part."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import command
from service.core.media import AUDIO_CODECS, VIDEO_CODECS
from service.core.sniff import StreamFile
from tests.core.samples import MOV, PHONE, PHONE_PICTURE, PHONE_SOUND, RULES, SONG

CODECS = (
    "aac,aac_latm,ac3,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf,alac,amrnb,libopencore_amrnb,amrwb,"
    "libopencore_amrwb,libdav1d,libaom-av1,av1,cinepak,dnxhd,dca,dvvideo,eac3,ffv1,flac,flv,gsm,libgsm,gsm_ms,libgsm_ms,"
    "h263,h263i,h263p,h264,hevc,huffyuv,mace3,mace6,mjpeg,mp1float,mp1,mp2float,mp2,mp3float,mp3,mp3adufloat,mp3adu,"
    "mp3on4float,mp3on4,mpeg1video,mpeg2video,mpeg4,msmpeg4v1,msmpeg4v2,msmpeg4,nellymoser,opus,libopus,pcm_alaw,"
    "pcm_bluray,pcm_dvd,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s16le_planar,pcm_s24be,"
    "pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,png,prores,qdm2,qtrle,rawvideo,speex,libspeex,svq1,svq3,theora,truehd,"
    "vc1,vorbis,libvorbis,vp6,vp6a,vp6f,vp8,libvpx,vp9,libvpx-vp9,wavpack,wmalossless,wmapro,wmav1,wmav2,wmv1,wmv2,wmv3,"
    "webvtt,subrip,srt,ass,ssa,mov_text,text,cc_dec,pgssub,dvdsub,dvbsub,xsub"
)
FFMPEG = "ffmpeg -nostdin -hide_banner -y -v error -max_alloc 1073741824 -progress pipe:1".split()
#: As ffmpeg-python sorts them, the forced demuxer in front.
GUARDS = ["-codec_whitelist", CODECS, *"-format_whitelist mov -max_pixels 120000000 -max_streams 33".split()]
GUARDS += ["-protocol_whitelist", "file"]
STRIPPED = "-fflags +bitexact -flags +bitexact"
ANY = StreamFile(demuxers=("mp3", "aac"), certain=False)


def value(args: list[str], option: str) -> str:
    """What stands after an option that occurs once."""
    assert 1 == args.count(option)
    return args[args.index(option) + 1]


def guarded(args: list[str]) -> None:
    """See that closed lists and limits stand before each input."""
    inputs = [at for at, arg in enumerate(args) if arg == "file:in"]
    assert inputs
    for begin, end in pairwise([0, *inputs]):
        before = args[begin:end]
        assert "file" == value(before, "-protocol_whitelist")
        for option in ("-format_whitelist", "-codec_whitelist", "-max_streams", "-max_pixels"):
            assert value(before, option)
    assert value(args, "-max_alloc")  # of the whole command


def test_probe():
    """The whole command that reads the headers."""
    expected = [
        *("ffprobe", "-hide_banner", "-v", "error", "-protocol_whitelist", "file", "-format_whitelist", "mov"),
        *("-codec_whitelist", CODECS, "-max_streams", "33", "-max_pixels", "120000000", "-f", "mov"),
        *("-max_alloc", "1073741824", "-show_format", "-show_streams", "-print_format", "json", "file:in"),
    ]
    assert expected == command.probe(MOV, RULES.limits)


def test_packets():
    """The whole command that reads the packets' times."""
    expected = [
        *("ffprobe", "-hide_banner", "-v", "error", "-protocol_whitelist", "file", "-format_whitelist", "mp3,aac"),
        *("-codec_whitelist", CODECS, "-max_streams", "33", "-max_pixels", "120000000", "-max_alloc", "1073741824"),
        *("-show_entries", "packet=stream_index,pts_time,dts_time,duration_time,flags:packet_side_data=side_data_type"),
        *("-print_format", "csv=print_section=0", "file:in"),
    ]
    assert expected == command.packets(ANY, RULES.limits)


def test_decode():
    """The whole command that decodes everything and keeps nothing; the first error ends it."""
    expected = [
        *FFMPEG,
        "-f",
        "mov",
        *GUARDS,
        "-xerror",
        "-i",
        "file:in",
        "-map",
        "0:1",
        "-map",
        "0:0",
        "-f",
        "null",
        "-",
    ]
    assert expected == command.decode(PHONE, RULES.limits)


@pytest.mark.parametrize(("target", "muxer"), [("speech.flac", "flac"), ("speech.s16le", "s16le")])
def test_speech(target: str, muxer: str):
    """The whole command for a machine that listens: one channel at 16 kHz; the picture is read for its clock."""
    graph = "[0:0]aresample=16000:async=1:first_pts=0[s0];[s0]aformat=channel_layouts=mono:sample_fmts=s16[s1]"
    expected = [
        *(*FFMPEG, "-f", "mov", *GUARDS, "-i", "file:in", "-filter_complex", graph),
        *f"-map [s1] -f {muxer} {STRIPPED} -map_chapters -1 -map_metadata -1 {target}".split(),
        *"-map 0:1 -f null -c copy -".split(),
    ]
    assert expected == command.speech(PHONE, 0, target, RULES.limits)


def test_speech_of_a_song():
    """There is nothing else to read."""
    args = command.speech(SONG, 0, "speech.flac", RULES.limits)
    assert ("speech.flac", 1) == (args[-1], args.count("-map"))


def test_trials():
    """What is tried out before any job is done is all that is not in every build: encoders, and the library for HDR."""
    abilities = [ability for ability, _ in command.trials()]
    assert ["libx264", "libwebp_anim", "aac"] == [one.removeprefix("encode with ") for one in abilities[:-1]]
    assert "map HDR to SDR with zscale" == abilities[-1]
    for ability, args in command.trials():
        assert "ffmpeg" == args[0]
        assert ability.rpartition(" ")[2] in " ".join(args)
        assert ["-f", "null", "-"] == args[args.index("null") - 1 :]


def test_remux():
    """The whole command for the plain file: our own tracks, copied, the index in front."""
    inputs = [
        *("-f", "mov", "-format_whitelist", "mov", "-protocol_whitelist", "file", "-i", "file:720p.mp4"),
        *("-f", "mov", "-format_whitelist", "mov", "-itsoffset", "-0.021333", "-protocol_whitelist", "file"),
        *("-i", "file:audio.mp4"),
    ]
    expected = [
        *FFMPEG,
        *inputs,
        *f"-map 0 -map 1 -f mp4 -c copy {STRIPPED} -map_chapters -1 -map_metadata -1 -movflags +faststart".split(),
        "video.mp4",
    ]
    assert expected == command.remux("720p.mp4", "audio.mp4", "video.mp4")


def test_inspect():
    """The whole command that probes one of our own files."""
    expected = [
        *("ffprobe", "-hide_banner", "-v", "error", "-protocol_whitelist", "file", "-f", "mov"),
        *("-show_streams", "-show_format", "-print_format", "json", "file:720p.mp4"),
    ]
    assert expected == command.inspect("mov", "720p.mp4")


COMMANDS = [
    command.probe(ANY, RULES.limits),
    command.packets(ANY, RULES.limits),
    command.decode(PHONE, RULES.limits),
    command.speech(PHONE, 0, "speech.flac", RULES.limits),
]


@pytest.mark.parametrize("args", COMMANDS, ids=["probe", "packets", "decode", "speech"])
def test_uploads_are_read_guarded(args: list[str]):
    """Whatever reads an upload has closed lists and limits before its only input, which has a constant name (FF-1)."""
    assert ["file:in"] == [arg for arg in args if arg.startswith("file:")]
    guarded(args)


def test_every_known_codec_may_be_decoded():
    """What planning takes for playable the decoder list lets through: by its own name, or by its decoders'."""
    renamed = {"amr_nb", "amr_wb", "dts", "flv1", "msmpeg4v3"}
    assert renamed == (VIDEO_CODECS | AUDIO_CODECS) - set(CODECS.split(","))


@given(
    stream=st.integers(2, 999),
    language=st.sampled_from(["en", "zh-Hant", None]),
    size=st.tuples(st.integers(1, 8000), st.integers(1, 8000)),
)
def test_no_upload_names_an_argument(stream: int, language: str | None, size: tuple[int, int]):
    """Only numbers and constants stand in a command: the same letters whatever the upload holds (FF-3)."""
    clip = replace(
        PHONE,
        video=replace(PHONE_PICTURE, width=size[0], height=size[1], codec="x'; rm -rf /"),
        audio=(replace(PHONE_SOUND, index=stream, language=language),),
        container="x'; rm -rf /",
    )
    for args in (
        command.decode(clip, RULES.limits),
        command.probe(clip.sniffed, RULES.limits),
        command.packets(clip.sniffed, RULES.limits),
        command.speech(clip, stream, "speech.flac", RULES.limits),
    ):
        assert not [arg for arg in args if set(arg) & set("'\"`$|&\n\0 ") or "rm" in arg.split("/")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("out_time_us=1500000", 1.5),
        ("out_time_us=1500000\n", 1.5),
        ("out_time_us=-42000", 0.0),
        ("out_time_us=0", 0.0),
        ("out_time_us=N/A", None),
        ("out_time_us=", None),
        ("out_time_us=--5", None),
        ("out_time_us=²", None),
        ("out_time_us=" + "9" * 5000, None),
        ("out_time_ms=1500000", None),
        ("out_time=00:00:01.500000", None),
        ("progress=continue", None),
        ("frame=10", None),
        ("", None),
    ],
)
def test_progress(line: str, expected: float | None):
    """Only one line of each report says how far the output is."""
    assert expected == command.progress_seconds(line)


@given(st.text() | st.text().map("out_time_us={}".format) | st.integers().map("out_time_us={}".format))
def test_any_progress_line(line: str):
    """Whatever the encoder prints is a time or nothing."""
    seconds = command.progress_seconds(line)
    assert seconds is None or seconds >= 0
