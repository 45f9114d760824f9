"""Steps to ffmpeg argv: built with ffmpeg-python, compiled, never run here.

Every command that reads an upload carries closed lists of demuxers, decoders and protocols, and limits on streams,
pixels and allocations, before its `-i`. File names are constants: no key, title or language ever is an argument.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import ffmpeg

from service.core import pieces
from service.core.media import AUDIO_CODECS, VIDEO_CODECS, Clip
from service.core.plan import Encode
from service.core.recipe import Limits
from service.core.sniff import StreamFile
from service.core.step import Piece, Poster, Rendition, Sound

SOURCE = "in"  #: what the upload is called in its scratch directory, whatever its key
POSTER = "poster.png"
_PACKET_ENTRIES = "packet=stream_index,pts_time,dts_time,duration_time,flags:packet_side_data=side_data_type"
SPEECH_RATE = 16_000  #: in hertz, of sound for speech recognition, which hears nothing above 8 kHz
SAMPLE_RATE = 48_000  #: of every sound track, in hertz: what AAC encoders and players are best tested with

_MAX_ALLOC = 1 << 30  # of one block, in bytes: a decoder that wants more has believed a hostile header
_SOUND_FRAGMENT = 2_000_000  # microseconds; a GOP's length, so that both kinds of track seek alike

_PROGRESS = re.compile(r"out_time_us=(-?[0-9]{1,18})")
_ADVANCES = re.compile(r"(frame|out_time_us|total_size)= *(-?[0-9]{1,18})")

#: Decoders whose name is not their codec's.
_DECODERS = {
    "av1": "libdav1d,libaom-av1,av1",
    "mp3": "mp3float,mp3",
    "mp2": "mp2float,mp2",
    "mp1": "mp1float,mp1",
    "amr_nb": "amrnb,libopencore_amrnb",
    "amr_wb": "amrwb,libopencore_amrwb",
    "flv1": "flv",
    "msmpeg4v3": "msmpeg4",
    "dts": "dca",
    "opus": "opus,libopus",
    "vorbis": "vorbis,libvorbis",
    "vp8": "vp8,libvpx",
    "vp9": "vp9,libvpx-vp9",
    "gsm": "gsm,libgsm",
    "gsm_ms": "gsm_ms,libgsm_ms",
    "speex": "speex,libspeex",
    "mp3adu": "mp3adufloat,mp3adu",
    "mp3on4": "mp3on4float,mp3on4",
    "h263": "h263,h263i,h263p",
}
#: ffprobe fails on a file whose captions it may not open, although nobody asks it to decode them.
_CAPTIONS = "webvtt,subrip,srt,ass,ssa,mov_text,text,cc_dec,pgssub,dvdsub,dvbsub,xsub"
_CODEC_WHITELIST = ",".join([*(_DECODERS.get(c, c) for c in sorted(VIDEO_CODECS | AUDIO_CODECS)), _CAPTIONS])


def guarded(sniffed: StreamFile, limits: Limits) -> dict[str, Any]:
    """Options before `-i` for bytes that nobody has vetted (FF-1, FF-2)."""
    guards: dict[str, Any] = {
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(sniffed.demuxers),
        "codec_whitelist": _CODEC_WHITELIST,
        "max_streams": limits.streams + 1,  # one more, so that the gate can say that there are too many
        "max_pixels": limits.pixels,
    }
    return guards | ({"f": sniffed.demuxers[0]} if sniffed.certain else {})


def probe(sniffed: StreamFile, limits: Limits) -> list[str]:
    """ffprobe for the headers, as JSON on stdout."""
    return [
        *_ffprobe(sniffed, limits),
        *("-show_format", "-show_streams", "-print_format", "json", f"file:{SOURCE}"),
    ]


def packets(sniffed: StreamFile, limits: Limits) -> list[str]:
    """ffprobe for all packets, a line each: stream, then pts, dts, duration in seconds, flags, and side data."""
    return [
        *_ffprobe(sniffed, limits),
        *("-show_entries", _PACKET_ENTRIES),
        *("-print_format", "csv=print_section=0", f"file:{SOURCE}"),
    ]


def _ffprobe(sniffed: StreamFile, limits: Limits) -> list[str]:
    guards = guarded(sniffed, limits) | {"max_alloc": _MAX_ALLOC}
    options = [part for name, value in guards.items() for part in (f"-{name}", str(value))]
    return ["ffprobe", "-hide_banner", "-v", "error", *options]


def encode(group: Encode, limits: Limits) -> list[str]:
    """One ffmpeg command that decodes the source once and makes every step of `group`."""
    clip = group.clip
    source = ffmpeg.input(f"file:{SOURCE}", **guarded(clip.sniffed, limits))
    steps = [named.step for named in group.steps]
    outputs = [*_pictures(source, clip, steps), *_sounds(source, steps)]
    return compiled(ffmpeg.merge_outputs(*outputs))


def encode_piece(piece: Piece, clip: Clip, limits: Limits) -> list[str]:
    """One ffmpeg command that decodes a part of the source and makes that part of every rung.

    The frames are those of the whole: counted on the same grid, from a moment that lies on it.
    """
    assert clip.video
    begin = pieces.sought(piece)
    seek = {"ss": _seconds(begin)} if begin else {}
    source = ffmpeg.input(f"file:{SOURCE}", **guarded(clip.sniffed, limits), **seek)
    end = {} if piece.frames is None else {"end_frame": piece.lead + piece.frames}
    frames = (
        _frames(source, clip)
        .filter("fps", fps=piece.rungs[0].frame_rate, start_time=0, eof_action="pass")
        .filter("trim", start_frame=piece.lead, **end)
        .filter("setpts", "PTS-STARTPTS")
        .filter_multi_output("split", len(piece.rungs))
    )
    outputs = [
        _written(_scaled(frames[at], rung), rung, pieces.file(piece, rung), begins=pieces.begins(piece))
        for at, rung in enumerate(piece.rungs)
    ]
    return compiled(ffmpeg.merge_outputs(*outputs))


def _seconds(moment: Fraction) -> str:
    """To the microsecond, which is what ffmpeg counts in."""
    return f"{float(moment):.6f}"


def _frames(source: Any, clip: Clip) -> Any:
    assert clip.video
    frames = source[str(clip.video.index)]
    return frames.filter("yadif", deint="interlaced") if clip.video.interlaced else frames


def _pictures(source: Any, clip: Clip, steps: Sequence[object]) -> list[Any]:
    shown = [step for step in steps if isinstance(step, Rendition | Poster)]
    if not shown or clip.video is None:
        return []
    split = _frames(source, clip).filter_multi_output("split", len(shown))
    return [
        _rendition(split[at], step) if isinstance(step, Rendition) else _poster(split[at], step)
        for at, step in enumerate(shown)
    ]


def _rendition(frames: Any, step: Rendition) -> Any:
    """`fps` from zero makes a late picture start with the sound; no last frame is dropped for being short."""
    even = frames.filter("fps", fps=step.frame_rate, start_time=0, eof_action="pass")
    return _written(_scaled(even, step), step, f"{step.name}.mp4", begins=Fraction(0))


def _scaled(frames: Any, step: Rendition) -> Any:
    scaled = frames.filter("scale", step.width, step.height, flags="bicubic")
    return scaled.filter("setsar", 1).filter("format", "yuv420p")


def _written(frames: Any, step: Rendition, name: str, *, begins: Fraction) -> Any:
    """A track whose first frame is shown `begins` seconds into the whole."""
    later = {"output_ts_offset": _seconds(begins)} if begins else {}
    options = {
        "c:v": "libx264",
        "preset": step.preset,
        "crf": step.crf,
        "maxrate": step.max_bit_rate,
        "bufsize": step.max_bit_rate * 2,
        "profile:v": "high",
        "force_key_frames": f"expr:gte(t,n_forced*{step.gop_seconds:g})",
        "sc_threshold": 0,
        "g": 1000,  # the keyframes are the forced ones, whatever the frame rate
        "movflags": "+cmaf+frag_keyframe+global_sidx" + ("+frag_discont" if begins else ""),
    }
    return ffmpeg.output(frames, name, f="mp4", **options, **later, **stripped())


def _poster(frames: Any, step: Poster) -> Any:
    """The first frame, and over it the one that is wanted: a clip that ends early still has a poster."""
    chosen = frames.filter("select", f"eq(n,0)+gte(t,{step.at:.3f})").filter("scale", step.width, step.height)
    options = {"frames:v": 2 if step.at > 0 else 1, "update": 1, "fps_mode": "passthrough", "c:v": "png"}
    return ffmpeg.output(chosen.filter("format", "rgb24"), POSTER, f="image2", **options, **stripped())


def _sounds(source: Any, steps: Sequence[object]) -> list[Any]:
    return [_sound(source, step) for step in steps if isinstance(step, Sound)]


def _sound(source: Any, step: Sound) -> Any:
    """Silence is put before a late start and into gaps, so that sound and picture stay together.

    The edit list is known only when samples have been seen: without `delay_moov` ffmpeg leaves it out.
    """
    layout = "mono" if step.channels == 1 else "stereo"
    samples = (
        source[str(step.stream)]
        .filter("aresample", SAMPLE_RATE, **{"async": 1, "first_pts": 0})
        .filter("aformat", channel_layouts=layout)
    )
    options = {
        "c:a": "aac",
        "b:a": step.bit_rate,
        "movflags": "+cmaf+global_sidx+delay_moov",
        "use_editlist": 1,  # takes the encoder's priming, 21 ms, away again
        "frag_duration": _SOUND_FRAGMENT,
    }
    return ffmpeg.output(samples, f"{step.name}.mp4", f="mp4", **options, **stripped())


def speech(clip: Clip, stream: int, target: str, limits: Limits) -> list[str]:
    """One sound track for a machine that listens: one channel at 16 kHz, as FLAC or bare, by `target`'s suffix.

    Its times are those of the published sound: see `_sound`.
    """
    source = ffmpeg.input(f"file:{SOURCE}", **guarded(clip.sniffed, limits))
    samples = (
        source[str(stream)]
        .filter("aresample", SPEECH_RATE, **{"async": 1, "first_pts": 0})
        .filter("aformat", channel_layouts="mono", sample_fmts="s16")
    )
    heard = ffmpeg.output(samples, target, f=target.rpartition(".")[2], **stripped())
    others = [one.index for one in (clip.video, *clip.sounds) if one and one.index != stream]
    if not others:
        return compiled(heard)
    # unread tracks would not count for the clock that FFmpeg gives MPEG-TS
    read = ffmpeg.output(*(source[str(index)] for index in others), "-", c="copy", f="null")
    return compiled(ffmpeg.merge_outputs(heard, read))


def stripped() -> dict[str, Any]:
    """Nothing of the source's tags, chapters or encoder strings goes on, and equal input gives equal bytes."""
    return {"map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact", "flags": "+bitexact"}


def decode(clip: Clip, limits: Limits) -> list[str]:
    """Decode the picture and every sound track, and write nothing; the first error ends it."""
    source = ffmpeg.input(f"file:{SOURCE}", xerror=None, **guarded(clip.sniffed, limits))
    indices = [stream.index for stream in (clip.video, *clip.sounds) if stream]
    return compiled(ffmpeg.output(*(source[str(index)] for index in indices), "-", f="null"))


def remux(tracks: Sequence[str], target: str) -> list[str]:
    """One plain MP4 from tracks that this service made, its index in front."""
    inputs = [
        ffmpeg.input(f"file:{track}", protocol_whitelist="file", format_whitelist="mov", f="mov") for track in tracks
    ]
    return compiled(ffmpeg.output(*inputs, target, f="mp4", c="copy", movflags="+faststart", **stripped()))


def compiled(graph: Any) -> list[str]:
    """The whole ffmpeg command of a graph: silent but for errors, and for progress on stdout."""
    flags = [
        "-nostdin",
        "-hide_banner",
        "-y",
        "-v",
        "error",
        "-max_alloc",
        str(_MAX_ALLOC),
        "-progress",
        "pipe:1",
    ]
    return ["ffmpeg", *flags, *ffmpeg.compile(graph)[1:]]


def inspect(demuxer: str, name: str) -> list[str]:
    """ffprobe for a file that this service made."""
    return [
        *("ffprobe", "-hide_banner", "-v", "error", "-protocol_whitelist", "file", "-f", demuxer),
        *("-show_streams", "-show_format", "-print_format", "json", f"file:{name}"),
    ]


def trials() -> list[tuple[str, list[str]]]:
    """Commands that encode a moment of made-up picture and sound, each with the name of its encoder."""
    sources = {"libx264": "testsrc2=size=64x64:duration=0.2", "aac": "sine=duration=0.2"}
    flags = ["-nostdin", "-hide_banner", "-v", "error", "-f", "lavfi"]
    return [
        (codec, ["ffmpeg", *flags, "-i", source, "-c:v" if codec == "libx264" else "-c:a", codec, "-f", "null", "-"])
        for codec, source in sources.items()
    ]


def progress_seconds(line: str) -> float | None:
    """How far a command is, in seconds of output, from a line of `-progress`; None for other lines."""
    found = _PROGRESS.fullmatch(line.strip())
    return max(0.0, int(found[1]) / 1_000_000) if found else None


@dataclass(kw_only=True)
class Progress:
    """Tells lines of `-progress` that say something new: ffmpeg 7 goes on printing them while nothing advances."""

    _furthest: dict[str, int] = field(default_factory=dict, init=False)

    def advances(self, line: str) -> bool:
        """Whether it is further than ever: by frames, by seconds or by bytes."""
        found = _ADVANCES.fullmatch(line.strip())
        if not found or int(found[2]) <= self._furthest.get(found[1], 0):
            return False
        self._furthest[found[1]] = int(found[2])
        return True
