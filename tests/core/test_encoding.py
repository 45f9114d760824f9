"""The ffmpeg commands that make things of a clip: each one whole, or in its telling part."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core import encoding, plan, posters
from service.core.media import AudioStream, Clip, VideoStream
from service.core.plan import Encode
from service.core.products import expected
from service.core.step import Poster, Preview, Rendition, Sound, Sprites, Step, Waveform
from tests.core.samples import PHONE, PHONE_PICTURE, PHONE_SOUND, RULES, SONG, limits, rules
from tests.core.test_command import ANY, FFMPEG, GUARDS, STRIPPED, guarded, value

SMALL = replace(PHONE, video=replace(PHONE_PICTURE, width=320, height=180))
LONG = replace(
    SMALL, duration=900.0, timeline=replace(PHONE.timeline, duration=900.0, packets=27_000, reach=900.0, end=900.0)
)
SURROUND = replace(PHONE_SOUND, index=2, channels=6, default=False)
TWO = replace(SMALL, audio=(PHONE_SOUND, SURROUND))
BARE = "[video]\nstoryboard = false\npreview = false\n"
AS_IT_IS = "[audio]\nloudness = false\n"

#: Filters with their options as ffmpeg-python sorts them.
EVEN = "fps=eof_action=pass:fps=30000/1001:start_time=0"
BT709 = "in_color_matrix=bt709:in_range=tv:out_color_matrix=bt709:out_range=tv"
FLAGS = f"flags=bicubic+accurate_rnd:{BT709}"
JPEG = "flags=bicubic+accurate_rnd:in_color_matrix=bt709:in_range=tv:out_color_matrix=bt601:out_range=pc"
RGB = "flags=bicubic+accurate_rnd+full_chroma_int:in_color_matrix=bt709:in_range=tv"
PARAMS = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
SELECT = "select=" + "+".join(
    ["eq(n\\,0)"] + [f"gte(t\\,{at})*lt(prev_t\\,{at})" for at in "0.800 2.083 3.367 4.650 5.933 7.217 8.500".split()]
)
MIXED = "aresample=48000:async=1:first_pts=0"
MEASURED = (
    "aformat=sample_fmts=fltp",
    "ametadata=mode=delete",
    "apad=pad_len=4863",
    "ebur128=dualmono=1:metadata=1:peak=true",
)
LEVELS = (
    "aformat=sample_fmts=fltp",
    "ametadata=mode=delete",
    "atrim=end_sample=960000",
    "asetnsamples=n=240:p=0",
    "astats=measure_overall=Min_level+Max_level:measure_perchannel=none:metadata=1:reset=1",
)
MONO, STEREO = (f"aformat=channel_layouts={layout}:sample_fmts=fltp" for layout in ("mono", "stereo"))

BARED = "-map_chapters -1 -map_metadata -1"
POSTER = f"-f image2 -c:v ppm {STRIPPED} -fps_mode passthrough -frames:v 8 {BARED} candidate-%02d.ppm"
SHEETS = f"-f image2 -c:v mjpeg {STRIPPED} -fps_mode passthrough {BARED} -q:v 5 storyboard-%d.jpg"
PREVIEW = f"-f webp -c:v libwebp_anim {STRIPPED} -fps_mode passthrough -loop 0 {BARED} -quality 50 preview.webp"
NOTHING = "-f null -"


def chain(begin: str, first: int, *filters: str) -> str:
    """Filters one after another from an input on, their outputs numbered from `first`."""
    labels = [begin, *(f"[s{first + at}]" for at in range(len(filters)))]
    return ";".join(f"{labels[at]}{name}{labels[at + 1]}" for at, name in enumerate(filters))


def rung(width: int, height: int) -> tuple[str, ...]:
    """What a rung's frames go through."""
    return EVEN, f"scale={width}:{height}:{FLAGS}", "setsar=1", "format=yuv420p", PARAMS


def tone_mapped(width: int, height: int) -> tuple[str, ...]:
    """What HDR goes through before."""
    return (
        f"scale={width}:{height}:flags=bicubic+accurate_rnd:in_range=tv:out_range=tv",
        *("setsar=1", "format=yuv420p10le"),
        "zscale=min=bt2020nc:npl=203:p=bt709:pin=bt2020:rin=tv:t=linear:tin=smpte2084",
        "format=gbrpf32le",
        "tonemap=mobius:desat=0:param=0.3:peak=4.926",
        "zscale=m=bt709:p=bt709:r=tv:t=bt709",
        "format=yuv420p",
    )


def candidate(width: int, height: int) -> tuple[str, ...]:
    """What a candidate for the poster goes through once it is selected."""
    return f"scale={width}:{height}:{RGB}", "setsar=1", "format=rgb24"


def tiled(width: int, height: int, count: int, tile: str) -> tuple[str, ...]:
    """What the sheets' frames go through once they are sampled."""
    small = (f"scale={width}:{height}:{JPEG}", "setsar=1", "format=yuv420p", "format=yuvj420p")
    return *small, f"tpad=stop={count}:stop_mode=clone", f"trim=end_frame={count}", f"tile={tile}"


def cut(first: int, end: int) -> tuple[str, ...]:
    """How the preview's frames are found."""
    held, kept = f"tpad=stop={end}:stop_mode=clone", f"trim=end_frame={end}:start_frame={first}"
    return "fps=eof_action=pass:fps=8:round=near:start_time=0", held, kept, "setpts=PTS-STARTPTS"


def animated(width: int, height: int) -> tuple[str, ...]:
    """What they go through then."""
    return f"scale={width}:{height}:{RGB}", "setsar=1", "format=bgra"


def told(filters: Sequence[str], log: str) -> tuple[str, ...]:
    """Filters whose findings are written to a log."""
    return *filters, f"ametadata=file={log}:mode=print"


def video(name: str, most: int) -> str:
    """The options of a rung's file."""
    colours = "-color_primaries bt709 -color_range tv -color_trc bt709 -colorspace bt709"
    keyframes = f"-force_key_frames expr:gte(t,n_forced*2) -g 1000 {BARED}"
    cmaf = "-movflags +cmaf+frag_keyframe+global_sidx -preset veryfast -profile:v high -sc_threshold 0"
    buffer = f"-f mp4 -bufsize {most * 2} -c:v libx264 {colours} -crf 23 {STRIPPED}"
    return f"{buffer} {keyframes} -maxrate {most} {cmaf} {name}.mp4"


def audio(name: str = "audio") -> str:
    """The options of a sound's file."""
    aac = f"-f mp4 -b:a 128000 -c:a aac {STRIPPED} -frag_duration 2000000 {BARED}"
    return f"{aac} -movflags +cmaf+global_sidx+delay_moov -use_editlist 1 {name}.mp4"


SOURCE = ["-f", "mov", *GUARDS, "-i", "file:in"]


def whole(graphs: Sequence[str], outputs: Sequence[tuple[str, str]], inputs: Sequence[str] = SOURCE) -> list[str]:
    """A command: each graph by itself, and each output with what is mapped to it."""
    parts = [part for graph in graphs for part in ("-filter_complex", graph)]
    mapped = [part for label, options in outputs for part in ("-map", label, *options.split())]
    return [*FFMPEG, *inputs, *parts, *mapped]


def group(clip: Clip, recipe: str = "") -> Encode:
    """What a clip is decoded for, pieces apart."""
    (found,) = [one for one in plan.make(clip, rules(recipe), version="v", done={}).groups if isinstance(one, Encode)]
    return found


def argv(clip: Clip, recipe: str = "", **changed: float) -> list[str]:
    """The command that decodes a clip."""
    return encoding.encode(group(clip, recipe), limits(**changed))


def graphs(args: Sequence[str]) -> list[str]:
    """All filter graphs of a command."""
    return [args[at + 1] for at, arg in enumerate(args) if arg == "-filter_complex"]


def sounds(clip: Clip, recipe: str = "") -> list[Sound]:
    """The sound tracks of a clip."""
    return [named.step for named in group(clip, recipe).steps if isinstance(named.step, Sound)]


@pytest.mark.parametrize(
    ("size", "rungs", "tile", "preview"),
    [
        ((640, 360), [("360p", 640, 360), ("240p", 426, 240)], (160, 90), (320, 180)),
        ((320, 568), [("320p", 320, 568), ("240p", 240, 426)], (90, 160), (180, 320)),
    ],
    ids=["landscape", "portrait"],
)
def test_clip_with_sound(
    size: tuple[int, int],
    rungs: list[tuple[str, int, int]],
    tile: tuple[int, int],
    preview: tuple[int, int],
):
    """The whole command: one decode, two rungs, a poster, a sheet, a preview; the sound is measured, no more."""
    clip = replace(PHONE, video=replace(PHONE_PICTURE, width=size[0], height=size[1]))
    (first, *one), (second, *other) = rungs
    outputs = [
        ("[s6]", video(first, 800_000)),
        ("[s11]", video(second, 400_000)),
        ("[s15]", POSTER),
        ("[s23]", SHEETS),
        ("[s30]", PREVIEW),
        ("[s37]", NOTHING),
    ]
    kinds = [
        ";".join(["[0:1]split=2[s0][s1]", chain("[s0]", 2, *rung(*one)), chain("[s1]", 7, *rung(*other))]),
        chain("[0:1]", 12, SELECT, *candidate(*size)),
        chain("[0:1]", 16, "fps=eof_action=pass:fps=1:start_time=0", *tiled(*tile, 10, "10x1")),
        chain("[0:1]", 24, *cut(24, 48), *animated(*preview)),
        chain("[0:0]", 31, MIXED, MONO, *told(MEASURED, "audio.r128.txt")),
    ]
    assert whole(kinds, outputs) == argv(clip)


def test_sound_alone():
    """The whole command for a song: it is mixed once, measured, and drawn; no picture, no poster."""
    graph = ";".join(
        [
            chain("[0:0]", 0, MIXED, MONO),
            "[s1]asplit=2[s2][s3]",
            chain("[s2]", 4, *told(MEASURED, "audio.r128.txt")),
            chain("[s3]", 9, *told(LEVELS, "audio.levels.txt")),
        ]
    )
    assert whole([graph], [("[s8]", NOTHING), ("[s14]", NOTHING)]) == argv(SONG)


def test_sound_that_stays_as_loud_as_it_is():
    """The whole command for a song under `loudness = false`: it is encoded at once, beside its waveform."""
    graph = ";".join(
        [
            chain("[0:0]", 0, MIXED, MONO),
            "[s1]asplit=2[s2][s3]",
            chain("[s3]", 4, *told(LEVELS, "audio.levels.txt")),
        ]
    )
    assert whole([graph], [("[s2]", audio()), ("[s9]", NOTHING)]) == argv(SONG, AS_IT_IS)


@pytest.mark.parametrize("recipe", ["", AS_IT_IS], ids=["measured", "as it is"])
def test_sound_without_a_waveform(recipe: str):
    """Nothing is split that is wanted once."""
    filters = (MIXED, MONO) if recipe else (MIXED, MONO, *told(MEASURED, "audio.r128.txt"))
    outputs = [("[s1]", audio())] if recipe else [("[s6]", NOTHING)]
    assert whole([chain("[0:0]", 0, *filters)], outputs) == argv(SONG, f"{recipe or '[audio]'}\nwaveform = false")


def test_several_sound_tracks():
    """The whole command: every track is measured by itself, surround as the stereo that it becomes."""
    kinds = [
        ";".join(["[0:1]split=1[s0]", chain("[s0]", 1, *rung(320, 180))]),
        chain("[0:1]", 6, SELECT, *candidate(320, 180)),
        chain("[0:0]", 10, MIXED, MONO, *told(MEASURED, "audio.r128.txt")),
        chain("[0:2]", 17, MIXED, STEREO, *told(MEASURED, "audio-1.r128.txt")),
    ]
    outputs = [("[s5]", video("180p", 400_000)), ("[s9]", POSTER), ("[s16]", NOTHING), ("[s23]", NOTHING)]
    assert whole(kinds, outputs) == argv(TWO, BARE)


def test_several_sound_tracks_as_loud_as_they_are():
    """They are encoded beside the picture, in the one decode."""
    args = argv(TWO, BARE + AS_IT_IS)
    assert [f"[0:0]{MIXED}[s10];[s10]{MONO}[s11]", f"[0:2]{MIXED}[s12];[s12]{STEREO}[s13]"] == graphs(args)[2:]
    assert ["180p.mp4", "candidate-%02d.ppm", "audio.mp4", "audio-1.mp4"] == [
        arg for arg in args if arg.endswith((".mp4", ".ppm"))
    ]


def test_hdr():
    """The whole command: rungs are tone-mapped once, at the largest size; of the rest only the frames that are kept."""
    hdr = replace(PHONE_PICTURE, width=640, height=360, transfer="smpte2084", primaries="bt2020", matrix="bt2020nc")
    kinds = [
        ";".join(
            [
                chain("[0:1]", 0, *tone_mapped(640, 360)),
                "[s7]split=2[s8][s9]",
                chain("[s8]", 10, *rung(640, 360)),
                chain("[s9]", 15, *rung(426, 240)),
            ]
        ),
        chain("[0:1]", 20, SELECT, *tone_mapped(640, 360), *candidate(640, 360)),
        chain(
            "[0:1]", 32, "fps=eof_action=pass:fps=1:start_time=0", *tone_mapped(160, 90), *tiled(160, 90, 10, "10x1")
        ),
        chain("[0:1]", 48, *cut(24, 48), *tone_mapped(320, 180), *animated(320, 180)),
    ]
    outputs = [
        ("[s14]", video("360p", 800_000)),
        ("[s19]", video("240p", 400_000)),
        ("[s31]", POSTER),
        ("[s47]", SHEETS),
        ("[s62]", PREVIEW),
    ]
    assert whole(kinds, outputs) == argv(replace(PHONE, video=hdr, audio=()))


def test_interlaced():
    """The whole command: fields are joined before anything is scaled, and only where a frame says that it has them.

    Frames of the poster are far apart, so each one is made whole by itself; small ones have fewer lines than a field.
    """
    woven = replace(SMALL, video=replace(SMALL.video, interlaced=True), audio=())
    kinds = [
        ";".join(["[0:1]yadif=deint=interlaced[s0]", "[s0]split=1[s1]", chain("[s1]", 2, *rung(320, 180))]),
        chain("[0:1]", 7, SELECT, "estdif=deint=interlaced:mode=frame", *candidate(320, 180)),
        chain("[0:1]", 12, "fps=eof_action=pass:fps=1:start_time=0", *tiled(160, 90, 10, "10x1")),
        chain("[0:1]", 20, *cut(24, 48), *animated(320, 180)),
    ]
    outputs = [("[s6]", video("180p", 400_000)), ("[s11]", POSTER), ("[s19]", SHEETS), ("[s26]", PREVIEW)]
    assert whole(kinds, outputs) == argv(woven)


def test_long_clip():
    """The whole command beside the pieces: keyframes alone, but for the preview, which has a decoder of its own."""
    at = "72.000 187.500 303.000 418.500 534.000 649.500 765.000".split()
    moments = [f"gte(t\\,{each})*lt(prev_t\\,{each})" for each in at]
    select = "select=" + "+".join(["eq(n\\,0)", *moments])
    inputs = [
        *("-f", "mov", *GUARDS, "-skip_frame:v", "nokey", "-i", "file:in"),
        *("-f", "mov", *GUARDS, "-ss", "270.000", "-t", "4.0", "-i", "file:in"),
    ]
    kinds = [
        chain("[0:1]", 0, select, *candidate(320, 180)),
        chain("[0:1]", 4, "fps=eof_action=pass:fps=1/5:start_time=0", *tiled(160, 90, 180, "10x9")),
        chain("[1:1]", 12, *cut(0, 24), *animated(320, 180)),
        chain("[0:0]", 19, MIXED, MONO, *told(MEASURED, "audio.r128.txt")),
    ]
    outputs = [("[s3]", POSTER), ("[s11]", SHEETS), ("[s18]", PREVIEW), ("[s25]", NOTHING)]
    assert whole(kinds, outputs, inputs) == argv(LONG)


def test_every_frame_where_there_are_rungs():
    """A long clip that is encoded in one go is decoded whole, and by one decoder."""
    (whole_clip, *_) = plan.make(LONG, RULES, version="v", done={}, whole=True).groups
    assert isinstance(whole_clip, Encode)
    args = encoding.encode(whole_clip, RULES.limits)
    assert (1, False) == (args.count("-i"), "-skip_frame:v" in args)


def test_master():
    """The whole command that encodes what was measured; the other tracks are read, for their clock, and dropped."""
    best, _ = sounds(TWO)
    graph = chain("[0:0]", 0, MIXED, MONO, "volume=3.50dB:precision=float")
    rest = [*"-map 0:1 -map 0:2 -f null -c copy -".split()]
    assert [*whole([graph], [("[s2]", audio())]), *rest] == encoding.master(TWO, {best: 3.5}, RULES.limits)


def test_master_of_several_tracks():
    """The whole command: each track with its own gain; one that is right as it is goes through no filter for it."""
    best, other = sounds(TWO)
    kinds = [
        chain("[0:0]", 0, MIXED, MONO, "volume=-7.25dB:precision=float"),
        chain("[0:2]", 3, MIXED, STEREO),
    ]
    outputs = [("[s2]", audio()), ("[s4]", audio("audio-1"))]
    expected_argv = [*whole(kinds, outputs), *"-map 0:1 -f null -c copy -".split()]
    assert expected_argv == encoding.master(TWO, {best: -7.25, other: 0.0}, RULES.limits)


def test_master_of_a_song():
    """The whole command: there is nothing else to read."""
    (only,) = sounds(SONG)
    graph = chain("[0:0]", 0, MIXED, MONO, "volume=1.00dB:precision=float")
    assert whole([graph], [("[s2]", audio())]) == encoding.master(SONG, {only: 1.0}, RULES.limits)


@pytest.mark.parametrize("clip", [SONG, TWO], ids=["song", "clip"])
def test_what_is_measured_is_what_is_encoded(clip: Clip):
    """The samples reach the meter and the encoder by the same filters."""
    measured = [graph.split(";")[:2] for graph in graphs(argv(clip)) if "ebur128" in graph]
    encoded = graphs(encoding.master(clip, dict.fromkeys(sounds(clip), 1.0), RULES.limits))
    names = [[part.split("]")[1].split("[")[0] for part in chains] for chains in measured]
    assert names == [[part.split("]")[1].split("[")[0] for part in graph.split(";")[:2]] for graph in encoded]


def test_what_is_done_is_not_decoded_for():
    """A group that lacks one rung alone makes that rung."""
    all_of_it = group(PHONE)
    args = encoding.encode(replace(all_of_it, steps=all_of_it.steps[1:2]), RULES.limits)
    assert ["720p.mp4"] == [arg for arg in args if arg.endswith((".mp4", ".ppm", ".jpg", ".webp"))]
    assert value(args, "-filter_complex").startswith("[0:1]split=1[s0];[s0]fps=")


@pytest.mark.parametrize("kind", [Poster, Sprites, Preview, Sound, Waveform, Rendition])
def test_each_kind_alone(kind: type[Step]):
    """Whatever the recipe adds later is made without the rest: as much of it is written as its step has files for.

    The other track is read all the same: what begins first says when zero is.
    """
    for clip in (SMALL, SONG):
        all_of_it = group(clip, AS_IT_IS)
        steps = tuple(named for named in all_of_it.steps if isinstance(named.step, kind))
        if not steps:
            continue
        args = encoding.encode(replace(all_of_it, steps=steps), RULES.limits)
        others = len(clip.sounds) + bool(clip.video) - 1
        assert len(steps) == len(graphs(args)) == args.count("-map") - others


def test_silent_clip_has_no_sound():
    """No sound is mapped where there is none."""
    args = argv(replace(PHONE, audio=()))
    assert not [graph for graph in graphs(args) if "aresample" in graph]
    assert not [arg for arg in args if arg.startswith("audio")]
    assert "null" not in args


@pytest.mark.parametrize(("channels", "layout"), [(1, "mono"), (2, "stereo"), (6, "stereo")])
def test_layout(channels: int, layout: str):
    """Surround is mixed down to stereo, for whoever wants the samples."""
    clip = replace(SONG, audio=(replace(PHONE_SOUND, channels=channels),))
    master = encoding.master(clip, dict.fromkeys(sounds(clip), 1.0), RULES.limits)
    for args in (argv(clip, "[audio]\nwaveform = false"), argv(clip, f"{AS_IT_IS}waveform = false"), master):
        assert f"[s0];[s0]aformat=channel_layouts={layout}:sample_fmts=fltp[s1]" in value(args, "-filter_complex")


def test_first_frame_as_poster():
    """A clip of no length has its first frame as poster, by its number: one frame, not two."""
    clip = replace(PHONE, timeline=replace(PHONE.timeline, duration=0.0, end=0.0, packets=1))
    (poster,) = [graph for graph in graphs(argv(clip)) if "select=" in graph]
    assert poster.startswith("[0:1]select=eq(n\\,0)[")


def test_gop_seconds():
    """Keyframes are forced by the clock, so that they fall together at every frame rate."""
    assert "expr:gte(t,n_forced*1.5)" in argv(PHONE, "[video]\ngop_seconds = 1.5")
    assert "expr:gte(t,n_forced*4)" in argv(PHONE, "[video]\ngop_seconds = 4")


def test_recipe_reaches_the_encoder():
    """Preset, CRF, rates and limits are the recipe's; the sound's are in the command that masters it as well."""
    recipe = "[video]\npreset = 'slow'\ncrf = 30\n[audio]\nbit_rate = 96_000\nloudness = false"
    args = argv(SMALL, recipe, streams=5, pixels=1000)
    options = ("-preset", "-crf", "-b:a", "-max_streams", "-max_pixels")
    assert ["slow", "30", "96000", "6", "1000"] == [value(args, option) for option in options]
    mastered = encoding.master(SMALL, dict.fromkeys(sounds(SMALL, recipe), 1.0), limits(streams=5, pixels=1000))
    assert ["96000", "6", "1000"] == [value(mastered, option) for option in options[2:]]


def test_uncertain_format_is_not_forced():
    """Where the magic number names no format, ffmpeg chooses among the listed ones."""
    unknown = replace(SONG, sniffed=ANY)
    for args in (argv(unknown, AS_IT_IS), encoding.master(unknown, {sounds(unknown)[0]: 1.0}, RULES.limits)):
        assert "mp3,aac" == value(args, "-format_whitelist")
        assert "-f" not in args[: args.index("-i")]


COMMANDS = [
    argv(PHONE),
    argv(LONG),
    argv(SONG, "[audio]\nwaveform = false"),
    argv(PHONE, AS_IT_IS),
    encoding.master(TWO, dict.fromkeys(sounds(TWO), 1.0), RULES.limits),
]


@pytest.mark.parametrize("args", COMMANDS, ids=["video", "long", "sound", "as it is", "master"])
def test_uploads_are_read_guarded(args: list[str]):
    """Whatever reads an upload has closed lists and limits before each input, whose name is a constant (FF-1)."""
    assert {"file:in"} == {arg for arg in args if arg.startswith("file:")}
    guarded(args)


@pytest.mark.parametrize("args", COMMANDS, ids=["video", "long", "sound", "as it is", "master"])
def test_outputs_are_stripped(args: list[str]):
    """No file carries tags or chapters of the source, or the encoder's name and date."""
    files = [arg for arg in args if arg.endswith((".mp4", ".ppm", ".jpg", ".webp"))]
    for option, said in (("-map_metadata", "-1"), ("-map_chapters", "-1"), ("-fflags", "+bitexact")):
        assert [said] * len(files) == [args[at + 1] for at, arg in enumerate(args) if arg == option]


_HOSTILE = "x'; rm -rf /"
_SIDE = st.integers(1, 8000)
_TRACKS = st.builds(
    replace,
    st.just(PHONE_SOUND),
    index=st.integers(2, 999),
    channels=st.integers(1, 64),
    language=st.sampled_from(["en", "zh-Hant", None]),
)
_PICTURES = st.builds(
    replace,
    st.just(PHONE_PICTURE),
    width=_SIDE,
    height=_SIDE,
    codec=st.just(_HOSTILE),
    transfer=st.sampled_from(["bt709", "smpte2084", _HOSTILE]),
)


@given(track=_TRACKS, picture=_PICTURES, seconds=st.floats(0, 900), recipe=st.sampled_from(["", AS_IT_IS]))
@example(track=SURROUND, picture=PHONE_PICTURE, seconds=0.125, recipe="")
def test_no_upload_names_an_argument(track: AudioStream, picture: VideoStream, seconds: float, recipe: str):
    """Only numbers and constants stand in a command: the same letters whatever the upload holds (FF-3)."""
    clip = replace(
        PHONE,
        video=picture,
        audio=(track, PHONE_SOUND),
        container=_HOSTILE,
        timeline=replace(PHONE.timeline, duration=seconds, end=seconds),
    )
    tracks = dict.fromkeys(sounds(clip, recipe), -1.25)
    for args in (argv(clip, recipe), encoding.master(clip, tracks, RULES.limits)):
        assert not [arg for arg in args if set(arg) & set("'\"`$|&\n\0 ") or "rm" in arg.split("/")]


@given(
    seconds=st.floats(0, 21_600) | st.integers(1, 10_000).map(lambda number: number / 1000),
    channels=st.integers(1, 8),
    recipe=st.sampled_from(["", AS_IT_IS]),
)
@example(seconds=0.125, channels=1, recipe="")
@example(seconds=0.125, channels=2, recipe=AS_IT_IS)
def test_any_song_has_a_command(seconds: float, channels: int, recipe: str):
    """Whatever it lasts: what is wanted of one sound twice is split for it."""
    track = replace(PHONE_SOUND, channels=channels)
    song = replace(SONG, audio=(track,), timeline=replace(SONG.timeline, duration=seconds, end=seconds))
    args = argv(song, recipe)
    assert (1, 2) == (len(graphs(args)), args.count("-map"))


def test_names_of_files():
    """Files in the scratch directory are called after the steps alone: tracks, sheets and preview as they stay.

    Candidates and logs are looked at, and gone before anything is kept.
    """
    steps = [named.step for named in group(PHONE).steps]
    kept = {step: [one.name for one in expected(step) if one.name.endswith(".mp4")] for step in steps}
    rungs = [name for step in steps if isinstance(step, Rendition) for name in kept[step]]
    (sound,) = sounds(PHONE)
    (poster,) = [step for step in steps if isinstance(step, Poster)]
    written = {arg for arg in argv(PHONE) if arg.endswith((".mp4", ".ppm", ".jpg", ".webp"))}
    assert {*rungs, "candidate-%02d.ppm", "storyboard-%d.jpg", "preview.webp"} == written
    candidates = {posters.CANDIDATES % number for number in range(1, len(poster.at) + 1)}
    assert candidates.isdisjoint(one.name for step in steps for one in expected(step))
    assert {*kept[sound]} == {arg for arg in encoding.master(PHONE, {sound: 1.0}, RULES.limits) if ".mp4" in arg}
    assert "audio.r128.txt" == encoding.measure(sound)
    assert "audio.levels.txt" == encoding.course(Waveform(sound=sound, samples_per_pixel=32))
