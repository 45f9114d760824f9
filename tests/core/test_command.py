"""Every ffmpeg and ffprobe command, whole or in its telling part."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import command, plan
from service.core.media import AUDIO_CODECS, VIDEO_CODECS, Clip
from service.core.plan import Encode
from service.core.sniff import StreamFile
from service.core.step import Poster, Rendition, Sound
from tests.core.samples import MOV, PHONE, PHONE_PICTURE, PHONE_SOUND, RULES, SONG, limits, rules

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


def encoding(clip: Clip, recipe: str = "") -> Encode:
    """The group of a clip that decodes the source."""
    group = plan.make(clip, rules(recipe), version="v", done=()).groups[0]
    assert isinstance(group, Encode)
    return group


def argv(clip: Clip, recipe: str = "", **changed: float) -> list[str]:
    """The command that encodes a clip."""
    return command.encode(encoding(clip, recipe), limits(**changed))


def value(args: list[str], option: str) -> str:
    """What stands after an option that occurs once."""
    assert 1 == args.count(option)
    return args[args.index(option) + 1]


def test_portrait_clip_with_sound():
    """The whole command for a phone's clip: one decode, two rungs, a poster and the sound, each stripped of tags."""
    clip = replace(PHONE, video=replace(PHONE_PICTURE, width=320, height=568))
    graph = (
        "[0:1]split=3[s0][s1][s2];"
        "[s0]fps=eof_action=pass:fps=30000/1001:start_time=0[s3];[s3]scale=320:568:flags=bicubic[s4];"
        "[s4]setsar=1[s5];[s5]format=yuv420p[s6];"
        "[s1]fps=eof_action=pass:fps=30000/1001:start_time=0[s7];[s7]scale=240:426:flags=bicubic[s8];"
        "[s8]setsar=1[s9];[s9]format=yuv420p[s10];"
        "[s2]select=eq(n\\,0)+gte(t\\,1.000)[s11];[s11]scale=320:568[s12];[s12]format=rgb24[s13];"
        "[0:0]aresample=48000:async=1:first_pts=0[s14];[s14]aformat=channel_layouts=mono[s15]"
    )
    keyframes = "-force_key_frames expr:gte(t,n_forced*2) -g 1000 -map_chapters -1 -map_metadata -1"
    cmaf = "-movflags +cmaf+frag_keyframe+global_sidx -preset veryfast -profile:v high -sc_threshold 0"
    expected = [
        *FFMPEG,
        *("-f", "mov"),
        *GUARDS,
        *("-i", "file:in", "-filter_complex", graph),
        *f"-map [s6] -f mp4 -bufsize 1600000 -c:v libx264 -crf 23 {STRIPPED}".split(),
        *f"{keyframes} -maxrate 800000 {cmaf} 320p.mp4".split(),
        *f"-map [s10] -f mp4 -bufsize 800000 -c:v libx264 -crf 23 {STRIPPED}".split(),
        *f"{keyframes} -maxrate 400000 {cmaf} 240p.mp4".split(),
        *f"-map [s13] -f image2 -c:v png {STRIPPED} -fps_mode passthrough -frames:v 2".split(),
        *"-map_chapters -1 -map_metadata -1 -update 1 poster.png".split(),
        *f"-map [s15] -f mp4 -b:a 128000 -c:a aac {STRIPPED} -frag_duration 2000000".split(),
        *"-map_chapters -1 -map_metadata -1 -movflags +cmaf+global_sidx+delay_moov -use_editlist 1 audio.mp4".split(),
    ]
    assert expected == argv(clip)


def test_sound_alone():
    """The whole command for a song: no picture, no poster."""
    graph = "[0:0]aresample=48000:async=1:first_pts=0[s0];[s0]aformat=channel_layouts=mono[s1]"
    expected = [
        *FFMPEG,
        *("-f", "mov"),
        *GUARDS,
        *("-i", "file:in", "-filter_complex", graph),
        *f"-map [s1] -f mp4 -b:a 128000 -c:a aac {STRIPPED} -frag_duration 2000000".split(),
        *"-map_chapters -1 -map_metadata -1 -movflags +cmaf+global_sidx+delay_moov -use_editlist 1 audio.mp4".split(),
    ]
    assert expected == argv(SONG)


def test_what_is_done_is_not_decoded_for():
    """A group that lacks one rung alone makes that rung."""
    group = encoding(PHONE)
    args = command.encode(replace(group, steps=group.steps[1:2]), RULES.limits)
    assert ["720p.mp4"] == [arg for arg in args if arg.endswith((".mp4", ".png"))]
    assert value(args, "-filter_complex").startswith("[0:1]split=1[s0];[s0]fps=")


def test_silent_clip_has_no_sound():
    """No sound is mapped where there is none."""
    args = argv(replace(PHONE, audio=()))
    assert "aresample" not in value(args, "-filter_complex")
    assert "audio.mp4" not in args


@pytest.mark.parametrize(("channels", "layout"), [(1, "mono"), (2, "stereo"), (6, "stereo")])
def test_layout(channels: int, layout: str):
    """Surround is mixed down to stereo."""
    clip = replace(SONG, audio=(replace(PHONE_SOUND, channels=channels),))
    assert value(argv(clip), "-filter_complex").endswith(f"aformat=channel_layouts={layout}[s1]")


def test_interlaced():
    """Fields are joined before anything is scaled, and only where a frame says that it has them."""
    clip = replace(PHONE, video=replace(PHONE_PICTURE, interlaced=True))
    assert value(argv(clip), "-filter_complex").startswith("[0:1]yadif=deint=interlaced[s0];[s0]split=6")


def test_first_frame_as_poster():
    """A clip of no length has its first frame as poster: one frame, not two."""
    clip = replace(PHONE, timeline=replace(PHONE.timeline, duration=0.0, packets=1))
    args = argv(clip)
    assert "select=eq(n\\,0)+gte(t\\,0.000)" in value(args, "-filter_complex")
    assert "1" == value(args, "-frames:v")


def test_gop_seconds():
    """Keyframes are forced by the clock, so that they fall together at every frame rate."""
    assert "expr:gte(t,n_forced*1.5)" in argv(PHONE, "[video]\ngop_seconds = 1.5")
    assert "expr:gte(t,n_forced*4)" in argv(PHONE, "[video]\ngop_seconds = 4")


def test_recipe_reaches_the_encoder():
    """Preset, CRF, rates and limits are the recipe's."""
    clip = replace(PHONE, video=replace(PHONE_PICTURE, width=240, height=426))
    args = argv(clip, "[video]\npreset = 'slow'\ncrf = 30\n[audio]\nbit_rate = 96_000", streams=5, pixels=1000)
    told = [value(args, option) for option in ("-preset", "-crf", "-b:a", "-max_streams", "-max_pixels")]
    assert ["slow", "30", "96000", "6", "1000"] == told


def test_uncertain_format_is_not_forced():
    """Where the magic number names no format, ffmpeg chooses among the listed ones."""
    args = argv(replace(SONG, sniffed=ANY))
    assert "mp3,aac" == value(args, "-format_whitelist")
    assert "mp4" == value(args, "-f")  # the output's alone


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


def test_remux():
    """The whole command for the plain file: our own tracks, copied, the index in front."""
    inputs = [
        *("-f", "mov", "-format_whitelist", "mov", "-protocol_whitelist", "file", "-i", "file:720p.mp4"),
        *("-f", "mov", "-format_whitelist", "mov", "-protocol_whitelist", "file", "-i", "file:audio.mp4"),
    ]
    expected = [
        *FFMPEG,
        *inputs,
        *f"-map 0 -map 1 -f mp4 -c copy {STRIPPED} -map_chapters -1 -map_metadata -1 -movflags +faststart".split(),
        "video.mp4",
    ]
    assert expected == command.remux(["720p.mp4", "audio.mp4"], "video.mp4")


def test_inspect():
    """The whole command that probes one of our own files."""
    expected = [
        *("ffprobe", "-hide_banner", "-v", "error", "-protocol_whitelist", "file", "-f", "mov"),
        *("-show_streams", "-show_format", "-print_format", "json", "file:720p.mp4"),
    ]
    assert expected == command.inspect("mov", "720p.mp4")


COMMANDS = [
    argv(PHONE),
    argv(SONG),
    command.probe(ANY, RULES.limits),
    command.packets(ANY, RULES.limits),
    command.decode(PHONE, RULES.limits),
]


@pytest.mark.parametrize("args", COMMANDS, ids=["video", "sound", "probe", "packets", "decode"])
def test_uploads_are_read_guarded(args: list[str]):
    """Whatever reads an upload has closed lists and limits before its only input, which has a constant name (FF-1)."""
    assert ["file:in"] == [arg for arg in args if arg.startswith("file:")]
    before = args[: args.index("file:in")]
    assert "file" == value(before, "-protocol_whitelist")
    for option in ("-format_whitelist", "-codec_whitelist", "-max_streams", "-max_pixels", "-max_alloc"):
        assert value(before, option)


@pytest.mark.parametrize("args", COMMANDS[:2], ids=["video", "sound"])
def test_outputs_are_stripped(args: list[str]):
    """No output carries tags or chapters of the source, or the encoder's name and date."""
    outputs = args.count("-map")
    for option, told in (("-map_metadata", "-1"), ("-map_chapters", "-1"), ("-fflags", "+bitexact")):
        assert [told] * outputs == [args[at + 1] for at, arg in enumerate(args) if arg == option]


def test_every_known_codec_may_be_decoded():
    """What planning takes for playable the decoder list lets through: by its own name, or by its decoders'."""
    renamed = {"amr_nb", "amr_wb", "dts", "flv1", "msmpeg4v3"}
    assert renamed == (VIDEO_CODECS | AUDIO_CODECS) - set(CODECS.split(","))


_LANGUAGES = st.sampled_from(["en", "zh-Hant", None])


@given(
    stream=st.integers(0, 999),
    channels=st.integers(1, 64),
    language=_LANGUAGES,
    at=st.floats(0, 5),
    size=st.tuples(st.integers(1, 8000), st.integers(1, 8000)),
)
def test_no_upload_names_an_argument(
    stream: int, channels: int, language: str | None, at: float, size: tuple[int, int]
):
    """Only numbers and constants stand in a command: the same letters whatever the upload holds (FF-3)."""
    track = replace(PHONE_SOUND, index=stream, channels=channels, language=language)
    clip = replace(
        PHONE,
        video=replace(PHONE_PICTURE, width=size[0], height=size[1], codec="x'; rm -rf /"),
        audio=(track,),
        container="x'; rm -rf /",
        timeline=replace(PHONE.timeline, duration=at * 10),
    )
    for args in (argv(clip), command.decode(clip, RULES.limits), command.probe(clip.sniffed, RULES.limits)):
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


def test_names_of_files():
    """Files in the scratch directory are called after the steps alone."""
    made: list[Any] = [named.step for named in encoding(PHONE).steps]
    names = {
        "audio.mp4" if isinstance(one, Sound) else command.POSTER for one in made if not isinstance(one, Rendition)
    }
    rungs = {f"{one.name}.mp4" for one in made if isinstance(one, Rendition)}
    assert [Poster] == [type(one) for one in made if isinstance(one, Poster)]
    assert names | rungs == {arg for arg in argv(PHONE) if arg.endswith((".mp4", ".png"))}
