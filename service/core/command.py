"""Steps to ffmpeg argv: built with ffmpeg-python, compiled, never run here.

Every command that reads an upload carries closed lists of demuxers, decoders and protocols, and limits on streams,
pixels and allocations, before its `-i`. File names are constants: no key, title or language ever is an argument.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ffmpeg

from service.core import colour, graphs
from service.core.media import AUDIO_CODECS, VIDEO_CODECS, Clip
from service.core.recipe import Limits
from service.core.sniff import StreamFile

SOURCE = "in"  #: what the upload is called in its scratch directory, whatever its key
_PACKET_ENTRIES = "packet=stream_index,pts_time,dts_time,duration_time,flags:packet_side_data=side_data_type"
SPEECH_RATE = 16_000  #: in hertz, of sound for speech recognition, which hears nothing above 8 kHz
PRIMING = 1024  #: samples that ffmpeg's AAC encoder puts before the sound, and an edit list takes away again
SAMPLE_RATE = 48_000  #: of every sound track, in hertz: what AAC encoders and players are best tested with

_MAX_ALLOC = 1 << 30  # of one block, in bytes: a decoder that wants more has believed a hostile header

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


def speech(clip: Clip, stream: int, target: str, limits: Limits) -> list[str]:
    """One sound track for a machine that listens: one channel at 16 kHz, as FLAC or bare, by `target`'s suffix.

    Its times are those of the published sound: see `evenly`.
    """
    source = ffmpeg.input(f"file:{SOURCE}", **guarded(clip.sniffed, limits))
    samples = evenly(source, stream, SPEECH_RATE).filter("aformat", channel_layouts="mono", sample_fmts="s16")
    heard = ffmpeg.output(samples, target, f=target.rpartition(".")[2], **stripped())
    return compiled(ffmpeg.merge_outputs(heard, *unheard(source, clip, [stream])))


def evenly(source: Any, stream: int, rate: int) -> Any:
    """The samples of a sound track, with silence before a late start and in gaps: so it stays with the picture."""
    return source[str(stream)].filter("aresample", rate, **{"async": 1, "first_pts": 0})


def unheard(source: Any, clip: Clip, heard: Sequence[int]) -> list[Any]:
    """An output that reads the other tracks and drops them, if there are any.

    Unread ones would not count for the clock that FFmpeg gives MPEG-TS.
    """
    others = [one.index for one in (clip.video, *clip.sounds) if one and one.index not in heard]
    return [ffmpeg.output(*(source[str(index)] for index in others), "-", c="copy", f="null")] if others else []


def stripped() -> dict[str, Any]:
    """Nothing of the source's tags, chapters or encoder strings goes on, and equal input gives equal bytes."""
    return {"map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact", "flags": "+bitexact"}


def decode(clip: Clip, limits: Limits) -> list[str]:
    """Decode the picture and every sound track, and write nothing; the first error ends it."""
    source = ffmpeg.input(f"file:{SOURCE}", xerror=None, **guarded(clip.sniffed, limits))
    indices = [stream.index for stream in (clip.video, *clip.sounds) if stream]
    return compiled(ffmpeg.output(*(source[str(index)] for index in indices), "-", f="null"))


def remux(video: str | None, sound: str | None, target: str) -> list[str]:
    """One plain MP4 from tracks that this service made, its index in front.

    ffmpeg moves an input that begins before zero, as sound does by the encoder's priming, to zero: that is taken back,
    or else the sound would be late by it, and the priming heard.
    """
    ours = {"protocol_whitelist": "file", "format_whitelist": "mov", "f": "mov"}
    earlier = {"itsoffset": f"{-PRIMING / SAMPLE_RATE:.6f}"}
    inputs = [
        ffmpeg.input(f"file:{track}", **ours, **(earlier if track == sound else {}))
        for track in (video, sound)
        if track is not None
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
    return ["ffmpeg", *flags, *graphs.apart(ffmpeg.compile(graph)[1:])]


def inspect(demuxer: str, name: str) -> list[str]:
    """ffprobe for a file that this service made."""
    return [
        *("ffprobe", "-hide_banner", "-v", "error", "-protocol_whitelist", "file", "-f", demuxer),
        *("-show_streams", "-show_format", "-print_format", "json", f"file:{name}"),
    ]


def trials() -> list[tuple[str, list[str]]]:
    """Commands that work on a moment of made-up picture and sound, each with what ffmpeg can do if it succeeds."""
    picture, sound = "testsrc2=size=64x64:duration=0.2", "sine=duration=0.2"
    flags = ["-nostdin", "-hide_banner", "-v", "error", "-f", "lavfi"]
    encoders = {"libx264": (picture, "-c:v"), "libwebp_anim": (picture, "-c:v"), "aac": (sound, "-c:a")}
    return [
        *(
            (f"encode with {codec}", ["ffmpeg", *flags, "-i", source, option, codec, "-f", "null", "-"])
            for codec, (source, option) in encoders.items()
        ),
        ("map HDR to SDR with zscale", colour.trial()),
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
