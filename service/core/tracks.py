"""What players are told of a rendition: plain values that live in its step record.

From tracks alone the multivariant playlist and the DASH manifest are written, at any time and in any folder. Section
numbers are those of draft-pantos-hls-rfc8216bis-20, the second edition of HLS.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, chain, count
from math import ceil

from service.core.boxes import Fragment, Index

SEGMENT_SECONDS = 4  # two GOPs: half the requests of one, and a change of rung is still near

# Of a last segment. Entries lie 21 ms late, by the encoder's priming, and hls.js 1.7 looks for the next one no further
# off than that one lasts: a shorter tail was never loaded, and so the stream never ended.
_SHORTEST_TAIL = Fraction(3, 100)
_JOINERS = "\u200c\u200d"  # not printable, but Persian, Hindi and emoji are spelled with them
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}")  # RFC 5646, 2.1, without rare forms
_LONGEST_NAME = 80
_NO_LANGUAGE = {"und", "mis", "mul", "zxx"}
_URI = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/%?]*")


@dataclass(frozen=True, kw_only=True)
class VideoTrack:
    """A picture rendition; sizes in square pixels, `frame_rate` a fraction as text, such as 30000/1001.

    The URIs `file`, `playlist` and `i_frames` are relative to `folder`; that is "" or ends in a slash, and is
    relative to the document that names the track. Rates are in bits a second: `peak` of the heaviest segment.
    """

    folder: str = ""
    file: str
    playlist: str
    i_frames: str
    codec: str
    duration: float
    peak: int
    average: int
    i_frame_peak: int
    i_frame_average: int
    init_bytes: int
    sidx_offset: int
    sidx_bytes: int
    width: int
    height: int
    frame_rate: str


@dataclass(frozen=True, kw_only=True)
class AudioTrack:
    """A sound rendition, otherwise as above; those of one `stream` and `language` are bit rates of one sound."""

    folder: str = ""
    file: str
    playlist: str
    codec: str
    duration: float
    peak: int
    average: int
    init_bytes: int
    sidx_offset: int
    sidx_bytes: int
    stream: int = 0
    language: str | None = None
    name: str = ""
    channels: int
    sample_rate: int


@dataclass(frozen=True, kw_only=True)
class CaptionTrack:
    """A WebVTT file, and the media playlist around it; `machine` says that no person wrote it."""

    folder: str = ""
    file: str
    playlist: str
    language: str | None = None
    name: str = ""
    machine: bool = False


Track = VideoTrack | AudioTrack | CaptionTrack


def video_track(
    index: Index, *, file: str, playlist: str, i_frames: str, width: int, height: int, frame_rate: str
) -> VideoTrack:
    """The track of a picture rendition; ValueError where a fragment does not start with a key frame."""
    segments, keys = joined(index), key_frames(index)
    return VideoTrack(
        file=file,
        playlist=playlist,
        i_frames=i_frames,
        codec=index.codec,
        duration=float(index.duration),
        peak=_peak(segments, target(segments)),
        average=_average(segments),
        i_frame_peak=_peak(keys, target(keys, 1)),
        i_frame_average=_average(keys),
        init_bytes=index.init_bytes,
        sidx_offset=index.sidx_offset,
        sidx_bytes=index.sidx_bytes,
        width=width,
        height=height,
        frame_rate=str(Fraction(frame_rate)),
    )


def audio_track(
    index: Index,
    *,
    file: str,
    playlist: str,
    channels: int,
    sample_rate: int,
    stream: int = 0,
    language: str | None = None,
    name: str = "",
) -> AudioTrack:
    """The track of a sound rendition; `language` and `name` may be anything: they are made safe when written."""
    segments = joined(index)
    return AudioTrack(
        file=file,
        playlist=playlist,
        codec=index.codec,
        duration=float(index.duration),
        peak=_peak(segments, target(segments)),
        average=_average(segments),
        init_bytes=index.init_bytes,
        sidx_offset=index.sidx_offset,
        sidx_bytes=index.sidx_bytes,
        stream=stream,
        language=language,
        name=name,
        channels=channels,
        sample_rate=sample_rate,
    )


def joined(index: Index, seconds: int = SEGMENT_SECONDS) -> tuple[Fragment, ...]:
    """Fragments joined to segments as near to `seconds` as whole fragments come; a mere tail belongs to the last.

    None is joined to more than rounds to `seconds`: the target duration of the stream would be another one.
    """
    segments: list[Fragment] = []
    for fragment in index.segments:
        if not fragment.starts_with_key:
            raise ValueError(f"the fragment at byte {fragment.offset} does not start with a key frame")
        if segments and _nearer(segments[-1].duration, fragment.duration, seconds):
            segments[-1] = _both(segments[-1], fragment)
        else:
            segments.append(fragment)
    if len(segments) > 1 and segments[-1].duration < _SHORTEST_TAIL:
        segments[-2:] = [_both(*segments[-2:])]
    return tuple(segments)


def _nearer(so_far: Fraction, more: Fraction, seconds: int) -> bool:
    fits = so_far + more + _SHORTEST_TAIL <= seconds + Fraction(1, 2)
    return fits and abs(so_far + more - seconds) < abs(so_far - seconds)


def _both(first: Fragment, second: Fragment) -> Fragment:
    return replace(first, bytes=first.bytes + second.bytes, duration=first.duration + second.duration)


def key_frames(index: Index) -> tuple[Fragment, ...]:
    """The key frame alone of each fragment; it is shown until the next one (4.4.3.6)."""
    return tuple(replace(fragment, bytes=fragment.key_frame_bytes) for fragment in index.segments)


def target(segments: Sequence[Fragment], at_least: int = SEGMENT_SECONDS) -> int:
    """The target duration (4.4.3.1), which has to be one for all playlists of a stream, however short a clip is."""
    return max(at_least, *(int(segment.duration + Fraction(1, 2)) for segment in segments))


def _average(segments: Sequence[Fragment]) -> int:
    seconds = sum((segment.duration for segment in segments), Fraction(0))
    return ceil(sum(segment.bytes for segment in segments) * 8 / seconds)


def _peak(segments: Sequence[Fragment], target_seconds: int) -> int:
    """The largest bit rate of segments in a row that last 0.5 to 1.5 target durations together (4.4.6.2)."""
    ends = list(accumulate((segment.duration for segment in segments), initial=Fraction(0)))
    bits = list(accumulate((segment.bytes * 8 for segment in segments), initial=0))
    least, most = Fraction(target_seconds, 2), Fraction(target_seconds * 3, 2)
    rates = (
        (bits[after] - bits[first]) / (ends[after] - start)
        for first, start in enumerate(ends)
        for after in range(bisect_left(ends, start + least), bisect_right(ends, start + most))
    )
    return ceil(max(rates, default=_average(segments)))


def uri(track: Track, name: str) -> str:
    """Where `name` of `track` lies, for the document that names the track; ValueError for what no URI can hold."""
    return checked_uri(track.folder + name)


def checked_uri(text: str) -> str:
    """The same text, if it can stand in a playlist as it is: percent-encoded, nothing that ends a line or a quote."""
    if not text or not _URI.fullmatch(text):
        raise ValueError(f"not a URI reference: {text!r}")
    return text


def language(track: AudioTrack | CaptionTrack) -> str | None:
    """The track's language as a BCP 47 tag, or None where it names none; upload metadata can say anything."""
    tag = (track.language or "").strip().replace("_", "-")
    if not _LANGUAGE.fullmatch(tag) or tag.lower() in _NO_LANGUAGE:
        return None
    return tag


def names(tracks: Sequence[AudioTrack | CaptionTrack], unnamed: str) -> list[str]:
    """A name a track, none twice: one line of printable text without double quotes (4.2), for people to choose by."""
    chosen: list[str] = []
    for track in tracks:
        name = _printable(track.name) or language(track) or unnamed
        if isinstance(track, CaptionTrack) and track.machine:
            name += " (automatic)"
        numbered = (f"{name} ({number})" for number in count(2))
        chosen.append(next(each for each in chain([name], numbered) if each not in chosen))
    return chosen


def _printable(text: str) -> str:
    kept = "".join(c if c.isprintable() or c in _JOINERS else " " for c in text).replace('"', "'")
    return " ".join(kept.split())[:_LONGEST_NAME].strip()


def by_sound(audios: Sequence[AudioTrack]) -> list[list[AudioTrack]]:
    """The bit rates of each sound, in the order given."""
    sounds: dict[tuple[int, str | None], list[AudioTrack]] = {}
    for track in audios:
        sounds.setdefault((track.stream, track.language), []).append(track)
    return list(sounds.values())
