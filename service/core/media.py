"""What a file holds: the values that probing gives and planning reads."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from service.core.captions import clean
from service.core.outcome import Reason, Rejected
from service.core.sniff import StreamFile

Kind = Literal["image", "video", "audio"]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture; width and height in pixels as displayed, after orientation."""

    formats: tuple[str, ...]
    width: int
    height: int
    frames: int
    animated: bool
    alpha: bool


@dataclass(frozen=True, kw_only=True)
class VideoStream:
    """The moving picture; width and height in square pixels as displayed, `frame_rate` what ffprobe declares.

    Colours as ffprobe names them (ITU-T H.273); `matrix` is a good guess where nothing is declared, "gbr" for RGB.
    `upright` says that frames are stored as they are displayed: square pixels, neither turned nor cropped. `tick` is
    the unit of packet times in seconds, `starts` the seconds from where the file begins to the first frame.
    """

    index: int
    codec: str
    width: int
    height: int
    frame_rate: Fraction
    bit_rate: int | None
    interlaced: bool
    transfer: str | None
    profile: str | None = None
    level: int | None = None
    pixel_format: str | None = None
    progressive: bool = False
    upright: bool = False
    tick: Fraction | None = None
    starts: float | None = None
    primaries: str | None = None
    matrix: str = "bt709"
    full_range: bool = False


@dataclass(frozen=True, kw_only=True)
class AudioStream:
    """One sound track; `language` as declared, BCP 47 or ISO 639-2, or None."""

    index: int
    codec: str
    channels: int
    sample_rate: int
    language: str | None
    default: bool


@dataclass(frozen=True, kw_only=True)
class TextStream:
    """One track of subtitles in text; `language` as above, `title` one line by whoever made the file.

    `forced` says that it is for those who asked for none: what is said in a foreign language.
    """

    index: int
    codec: str
    language: str | None
    title: str | None
    default: bool
    forced: bool


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What the packets of the main track say: seconds from first to last, and the longest gap between two.

    `reach` is from the first to the last packet of any track, `end` where the last one ends, from zero; `streams` are
    the indices of the tracks that have packets, None where nobody counted; `longest_gop` is the longest time from one
    keyframe to the next. `ends` says of each track when its last packet ends, from the beginning of the first one.

    Of a picture only, by `cadence.Cadence`: `regular` where frames lie on the grid of the declared rate, `closed` where
    no frame crosses a keyframe, `intact` where no packet is marked as corrupt or to be thrown away and the decoder is
    set up once. A frame is decoded up to `reorder` frames before it is shown, and `landmarks` are the numbers of the
    keyframes that begin each minute.
    """

    duration: float
    packets: int
    longest_gap: float
    reach: float
    end: float = 0.0
    streams: tuple[int, ...] | None = None
    longest_gop: float = 0.0
    keyframes: int = 0
    regular: bool = False
    closed: bool = False
    intact: bool = False
    reorder: int = 0
    landmarks: tuple[int, ...] = ()
    ends: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Video or sound; `duration` is the header's word in seconds, `timeline` the packets'.

    `sniffed` says which demuxers may open it. `bitmaps` counts the subtitles that are no text but pictures of it.
    """

    container: str
    size: int
    duration: float | None
    bit_rate: int | None
    video: VideoStream | None
    audio: tuple[AudioStream, ...]
    streams: int
    probe_score: int
    sniffed: StreamFile
    timeline: Timeline | None = None
    texts: tuple[TextStream, ...] = ()
    bitmaps: int = 0

    @property
    def kind(self) -> Kind:
        """Video where there is a moving picture, else audio."""
        return "video" if self.video else "audio"

    @property
    def sounds(self) -> tuple[AudioStream, ...]:
        """The sound tracks that have packets: phones and screen recorders declare some that stay empty."""
        if self.timeline is None or self.timeline.streams is None:
            return self.audio
        heard = self.timeline.streams
        return tuple(track for track in self.audio if track.index in heard)

    @property
    def seconds(self) -> float:
        """The duration to plan with: the packets' where they were read."""
        return self.timeline.duration if self.timeline else (self.duration or 0.0)

    @property
    def heard_until(self) -> float:
        """How long all tracks last together, in seconds: sound may outlast the picture, and no clock begins at zero."""
        return max(self.seconds, self.timeline.reach if self.timeline else 0.0)


Media = Picture | Clip

_ENCRYPTED_TAGS = frozenset({"encv", "enca", "drms", "drmi"})
_ENCRYPTION = frozenset({"Encryption initialization data", "Encryption info"})
_MAX_FRAME_RATE = 240  # what phones film slow motion at
_HARMLESS = frozenset({"CPB properties"})  # side data that says nothing about how a frame is shown
_INTERLACED = frozenset({"tt", "bb", "tb", "bt"})  # field orders, as ffprobe names them
_UNSAID = frozenset({None, "unknown", "reserved", "unspecified"})
_MATRICES = frozenset("bt709 fcc bt470bg smpte170m smpte240m bt2020nc bt2020c ictcp".split())
_HD_LINES = 720  # from there on BT.709 is meant where nothing is declared, below it BT.601
_RGB = re.compile(r"(0|a|x2?)?(rgb|bgr)|gbr|pal8")  # pixel formats begin so
_BASE_LAYERS = {1: "smpte2084", 4: "arib-std-b67"}  # of Dolby Vision, by its compatibility ID
_LIGHT = frozenset({"Mastering display metadata", "Content light level metadata"})  # SMPTE ST 2086 and CTA-861.3

HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})  #: PQ and HLG

#: Decoders that may run: what cameras, phones, browsers and editors write, and no more.
VIDEO_CODECS = frozenset(
    "h264 hevc vp8 vp9 av1 mpeg1video mpeg2video mpeg4 h263 msmpeg4v1 msmpeg4v2 msmpeg4v3 wmv1 wmv2 wmv3 vc1 flv1 vp6 "
    "vp6f vp6a svq1 svq3 mjpeg theora prores dnxhd dvvideo cinepak rawvideo huffyuv ffv1 png qtrle".split()
)
AUDIO_CODECS = frozenset(
    "aac aac_latm mp1 mp2 mp3 mp3adu mp3on4 ac3 eac3 truehd dts opus vorbis flac alac wavpack wmav1 wmav2 wmapro "
    "wmalossless amr_nb amr_wb gsm gsm_ms speex nellymoser qdm2 mace3 mace6 adpcm_ima_wav adpcm_ima_qt adpcm_ms "
    "adpcm_swf pcm_u8 pcm_s8 pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f32be "
    "pcm_f64le pcm_f64be pcm_mulaw pcm_alaw pcm_s16le_planar pcm_bluray pcm_dvd".split()
)

#: Subtitles that are text; those of DVDs, Blu-rays and television are pictures.
TEXT_CODECS = frozenset("subrip srt ass ssa mov_text webvtt text".split())
_BITMAPS = frozenset({"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle", "xsub"})
_LONGEST_TITLE = 80  # characters


def from_ffprobe(document: Mapping[str, Any], *, size: int, sniffed: StreamFile) -> Clip:
    """Read ffprobe's `-show_format -show_streams` document; nothing in it is trusted to be there, or of any type.

    :raises Rejected: `no_media`, `encrypted`, `unsupported_type` or `damaged` where nothing in it can be played.
    """
    streams = [s for s in _list(document.get("streams")) if isinstance(s, dict)]
    container = _table(document.get("format"))
    video = _first_video(streams, begins=_number(container.get("start_time")))
    audio = tuple(_audio(s) for s in streams if _playable(s, "audio", AUDIO_CODECS) and _channels(s))
    if not (video or audio) or (video is None and any(_moving(s) for s in streams)):
        raise _not_playable(streams)
    return Clip(
        container=_word(container.get("format_name")) or "",
        size=size,
        duration=_seconds(container.get("duration")),
        bit_rate=_whole(container.get("bit_rate")),
        video=video,
        audio=audio,
        streams=len(streams),
        probe_score=_whole(container.get("probe_score")) or 0,
        sniffed=sniffed,
        texts=tuple(_text(s) for s in streams if _playable(s, "subtitle", TEXT_CODECS)),
        bitmaps=sum(_word(s.get("codec_name")) in _BITMAPS for s in streams),
    )


def _playable(stream: Mapping[str, Any], kind: str, codecs: frozenset[str]) -> bool:
    known = stream.get("codec_type") == kind and _word(stream.get("codec_name")) in codecs
    return known and _whole(stream.get("index")) is not None and not _encrypted(stream)


def _first_video(streams: Sequence[Mapping[str, Any]], *, begins: float | None) -> VideoStream | None:
    moving = (s for s in streams if _moving(s) and _playable(s, "video", VIDEO_CODECS))
    return next((_video(s, begins) for s in moving if _whole(s.get("width")) and _whole(s.get("height"))), None)


def _moving(stream: Mapping[str, Any]) -> bool:
    """Whether it is meant to be seen: a cover is not, and the sound below it is worth publishing alone."""
    return stream.get("codec_type") == "video" and not _disposed(stream, "attached_pic")


def _not_playable(streams: Sequence[Mapping[str, Any]]) -> Rejected:
    if any(_encrypted(s) for s in streams):
        return Rejected(Reason.ENCRYPTED, "The file is encrypted (DRM); upload it without protection.")
    av = [s for s in streams if _moving(s) or s.get("codec_type") == "audio"]
    unknown = sorted({_word(s.get("codec_name")) or "unknown" for s in av} - VIDEO_CODECS - AUDIO_CODECS)
    if unknown:
        return Rejected(Reason.UNSUPPORTED_TYPE, f"Its codec is not supported: {', '.join(unknown)}.")
    if av:
        return Rejected(Reason.DAMAGED, "Its tracks have neither a picture size nor sound channels.")
    return Rejected(Reason.NO_MEDIA, "The file holds neither a picture nor sound.")


def _video(stream: Mapping[str, Any], begins: float | None) -> VideoStream:
    width, height = int(stream["width"]), int(stream["height"])
    starts = _number(stream.get("start_time"))
    aspect = _ratio(stream.get("sample_aspect_ratio"), separator=":") or Fraction(1)
    if Fraction(1, 8) <= aspect <= 8:  # outside of this it is a damaged header, not an anamorphic lens
        width = max(1, round(width * aspect))
    if _rotation(stream) % 180 == 90:
        width, height = height, width
    transfer = _transfer(stream)
    return VideoStream(
        index=int(stream["index"]),
        codec=str(stream["codec_name"]),
        width=width,
        height=height,
        frame_rate=_frame_rate(stream),
        bit_rate=_whole(stream.get("bit_rate")),
        interlaced=_word(stream.get("field_order")) in _INTERLACED,
        transfer=transfer,
        primaries=_word(stream.get("color_primaries")),
        matrix=_matrix(stream, transfer),
        full_range=_word(stream.get("color_range")) == "pc" or _pixel_format(stream).startswith("yuvj"),
        profile=_profile(stream.get("profile")),
        level=_whole(stream.get("level")),
        pixel_format=_word(stream.get("pix_fmt")),
        progressive=_word(stream.get("field_order")) == "progressive",
        upright=aspect == 1 and not _altered(stream),
        tick=_ratio(stream.get("time_base")),
        starts=None if begins is None or starts is None else starts - begins,
    )


def _transfer(stream: Mapping[str, Any]) -> str | None:
    """As declared, else what the metadata of HDR give away: those of HDR10 say how bright PQ becomes."""
    declared = _word(stream.get("color_transfer"))
    if declared not in _UNSAID:
        return declared
    sides = [_table(side) for side in _list(stream.get("side_data_list"))]
    layers = (_BASE_LAYERS.get(_whole(side.get("dv_bl_signal_compatibility_id")) or 0) for side in sides)
    lit = any(str(side.get("side_data_type")) in _LIGHT for side in sides)
    return next((layer for layer in layers if layer), "smpte2084" if lit else declared)


def _matrix(stream: Mapping[str, Any], transfer: str | None) -> str:
    """As declared, else by the lines that are coded."""
    declared = _word(stream.get("color_space"))
    if _RGB.match(_pixel_format(stream)):
        return "gbr"
    if declared in _MATRICES:
        return str(declared)
    if transfer in HDR_TRANSFERS:
        return "bt2020nc"
    return "bt709" if int(stream["height"]) >= _HD_LINES else "smpte170m"


def _pixel_format(stream: Mapping[str, Any]) -> str:
    return _word(stream.get("pix_fmt")) or ""


def _audio(stream: Mapping[str, Any]) -> AudioStream:
    tags = _table(stream.get("tags"))
    return AudioStream(
        index=int(stream["index"]),
        codec=str(stream["codec_name"]),
        channels=_channels(stream),
        sample_rate=_whole(stream.get("sample_rate")) or 48_000,
        language=_language(tags.get("language") or tags.get("LANGUAGE")),
        default=_disposed(stream, "default"),
    )


def _text(stream: Mapping[str, Any]) -> TextStream:
    tags = _table(stream.get("tags"))
    return TextStream(
        index=int(stream["index"]),
        codec=str(stream["codec_name"]),
        language=_language(tags.get("language") or tags.get("LANGUAGE")),
        title=_title(tags.get("title")),
        default=_disposed(stream, "default"),
        forced=_disposed(stream, "forced"),
    )


def _title(tag: object) -> str | None:
    """The first words of it: anybody may have written anything."""
    return clean(tag[: 4 * _LONGEST_TITLE])[:_LONGEST_TITLE].strip() or None if isinstance(tag, str) else None


def _frame_rate(stream: Mapping[str, Any]) -> Fraction:
    """The declared rate, unless it is only a time base, as for 600 frames a second; then the average."""
    declared, average = (_ratio(stream.get(k)) for k in ("r_frame_rate", "avg_frame_rate"))
    sane = [rate for rate in (declared, average) if rate and 1 <= rate <= _MAX_FRAME_RATE]
    return sane[0] if sane else Fraction(25)


def _altered(stream: Mapping[str, Any]) -> bool:
    """Whether a player has to do something to each frame: turn, mirror, crop, map colours, wrap it round a sphere."""
    tags = _table(stream.get("tags"))
    sides = [_table(side).get("side_data_type") for side in _list(stream.get("side_data_list"))]
    return "rotate" in tags or any(side not in _HARMLESS for side in sides)


def _profile(value: object) -> str | None:
    """As ffprobe names it, such as `Constrained Baseline`: short and harmless."""
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9:. ]{1,40}", value) else None


def _rotation(stream: Mapping[str, Any]) -> int:
    said = [_number(_table(side).get("rotation")) for side in _list(stream.get("side_data_list"))]
    said.append(_number(_table(stream.get("tags")).get("rotate")))
    return next((round(degrees) for degrees in said if degrees is not None), 0)


def _encrypted(stream: Mapping[str, Any]) -> bool:
    """ffprobe names the format below the encryption; what is left of that is its side data (ISO/IEC 23001-7)."""
    sides = [_table(side).get("side_data_type") for side in _list(stream.get("side_data_list"))]
    return (
        any(isinstance(side, str) and side in _ENCRYPTION for side in sides)
        or _word(stream.get("codec_tag_string")) in _ENCRYPTED_TAGS
    )


def _disposed(stream: Mapping[str, Any], flag: str) -> bool:
    return bool(_table(stream.get("disposition")).get(flag))


def _channels(stream: Mapping[str, Any]) -> int:
    return _whole(stream.get("channels")) or 0


def _language(tag: object) -> str | None:
    text = _word(tag) or ""
    return text if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}", text) and text != "und" else None


def _ratio(text: object, *, separator: str = "/") -> Fraction | None:
    over, _, under = text.partition(separator) if isinstance(text, str) else ("", "", "")
    numerator, denominator = _whole(over), _whole(under)
    return Fraction(numerator, denominator) if numerator and denominator else None


def _whole(value: object) -> int | None:
    """A natural number of at most 18 digits, or None."""
    if isinstance(value, int):
        return value if 0 <= value < 10**18 and not isinstance(value, bool) else None
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value) else None


def _number(value: object) -> float | None:
    """A finite number, or None."""
    try:
        number = float(str(value)) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _seconds(value: object) -> float | None:
    seconds = _number(value)
    return seconds if seconds and seconds > 0 else None


def _word(value: object) -> str | None:
    """A name from ffprobe's own tables, or a list of them: short and harmless, so that it may be published."""
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.,+-]{1,100}", value) else None


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
