"""Every HLS playlist, as text: beside each rendition its media and I-frame playlist, over all of them one multivariant.

Section numbers are those of draft-pantos-hls-rfc8216bis-20, the second edition of HLS.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from service.core.boxes import Fragment, Index
from service.core.tracks import (
    SEGMENT_SECONDS,
    AudioTrack,
    CaptionTrack,
    VideoTrack,
    by_sound,
    checked_uri,
    joined,
    key_frames,
    language,
    names,
    target,
    uri,
)

_FIRST_VARIANT = 2_000_000  # bits a second: what players that begin with the first variant get on Wi-Fi (Apple)
# What a machine heard, it wrote down: speech, but neither music nor sounds (4.4.6.1); Apple's players then say so.
_MACHINE = 'CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog,public.machine-generated"'
_VOD = ("#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-INDEPENDENT-SEGMENTS")


def media(index: Index, *, file: str, seconds: int = SEGMENT_SECONDS) -> str:
    """The media playlist of a rendition, to lie beside its file: byte ranges of about `seconds` (4.4.4)."""
    segments = joined(index, seconds)
    return _byte_ranges(segments, index, file, [f"#EXT-X-TARGETDURATION:{target(segments, seconds)}", *_VOD])


def i_frames(index: Index, *, file: str) -> str:
    """The I-frame playlist of a picture rendition, to lie beside its file (4.4.3.6)."""
    keys = key_frames(index)
    head = [f"#EXT-X-TARGETDURATION:{target(keys, 1)}", *_VOD, "#EXT-X-I-FRAMES-ONLY"]
    return _byte_ranges(keys, index, file, head)


def captions(*, file: str, duration: float) -> str:
    """The media playlist of a WebVTT file for a stream of `duration` seconds: the whole file is one segment."""
    head = [f"#EXT-X-TARGETDURATION:{max(1, ceil(duration))}", "#EXT-X-PLAYLIST-TYPE:VOD"]
    return _text([*head, f"#EXTINF:{duration:.6f},", checked_uri(file), "#EXT-X-ENDLIST"])


def _byte_ranges(segments: Sequence[Fragment], index: Index, file: str, head: Sequence[str]) -> str:
    lines = [*head, f'#EXT-X-MAP:URI="{checked_uri(file)}",BYTERANGE="{index.init_bytes}@0"']
    for segment in segments:
        lines.append(f"#EXTINF:{float(segment.duration):.6f},")
        lines.append(f"#EXT-X-BYTERANGE:{segment.bytes}@{segment.offset}")
        lines.append(file)
    return _text([*lines, "#EXT-X-ENDLIST"])


def multivariant(
    videos: Sequence[VideoTrack], audios: Sequence[AudioTrack], subtitles: Sequence[CaptionTrack] = ()
) -> str:
    """The playlist that names every rendition (4.4.6); without pictures, each group of sounds is a variant.

    The first of `audios` is the default. The order of variants is that of `videos`, but for the one to start with.
    """
    groups = dict(enumerate(_groups(audios), start=1))
    pictures: list[VideoTrack | None] = [*_start_first(videos)] if videos else [None]
    lines = [line for at, group in groups.items() if videos or len(group) > 1 for line in _sounds(at, group)]
    lines += [_subtitle(track, name) for track, name in zip(subtitles, names(subtitles, "Captions"), strict=True)]
    for picture in pictures:
        for at, group in (groups or {0: []}).items():
            lines += _variant(picture, at, group, ['SUBTITLES="captions"'] if subtitles else [])
    return _text(["#EXT-X-INDEPENDENT-SEGMENTS", *lines, *(_i_frame_variant(video) for video in videos)])


def _groups(audios: Sequence[AudioTrack]) -> list[list[AudioTrack]]:
    """A group for each bit rate, with one track of every sound: its n-th, or its last (4.4.6.1.1)."""
    sounds = by_sound(audios)
    most = max((len(sound) for sound in sounds), default=0)
    return [[sound[min(at, len(sound) - 1)] for sound in sounds] for at in range(most)]


def _start_first(videos: Sequence[VideoTrack]) -> list[VideoTrack]:
    """The variant that players begin with comes first: the best of those that Wi-Fi surely carries."""
    light = [video for video in videos if video.peak <= _FIRST_VARIANT]
    first = max(light, key=_peak) if light else min(videos, key=_peak)
    return [first, *(video for video in videos if video is not first)]


def _peak(track: VideoTrack | AudioTrack) -> int:
    return track.peak


def _sounds(at: int, group: Sequence[AudioTrack]) -> list[str]:
    """The first one plays unless somebody chooses; the second of a language is only for those who choose it."""
    spoken = [language(track) for track in group]
    return [
        _tag(
            "MEDIA",
            f'TYPE=AUDIO,GROUP-ID="audio-{at}"',
            *_named(name, spoken[place]),
            f"DEFAULT={'NO' if place else 'YES'}",
            f"AUTOSELECT={'NO' if spoken[place] in spoken[:place] else 'YES'}",
            f'CHANNELS="{track.channels}"',
            f'URI="{uri(track, track.playlist)}"',
        )
        for place, (track, name) in enumerate(zip(group, names(group, "Audio"), strict=True))
    ]


def _subtitle(track: CaptionTrack, name: str) -> str:
    """Shown to whoever chooses them, or has told the system to show captions in that language."""
    choice = ["DEFAULT=NO,AUTOSELECT=YES,FORCED=NO", *([_MACHINE] if track.machine else [])]
    address = f'URI="{uri(track, track.playlist)}"'
    return _tag("MEDIA", 'TYPE=SUBTITLES,GROUP-ID="captions"', *_named(name, language(track)), *choice, address)


def _named(name: str, spoken: str | None) -> list[str]:
    return [f'NAME="{name}"', *([f'LANGUAGE="{spoken}"'] if spoken else [])]


def _variant(video: VideoTrack | None, at: int, group: Sequence[AudioTrack], more: Sequence[str]) -> list[str]:
    """A picture with the sounds of a group, or such sounds alone: then the default one is the variant's own."""
    attributes = _rates(video, group)
    if video is not None:
        attributes.append(f"RESOLUTION={video.width}x{video.height}")
        attributes.append(f"FRAME-RATE={float(Fraction(video.frame_rate)):.3f}")
    if group and (video is not None or len(group) > 1):
        attributes.append(f'AUDIO="audio-{at}"')
    own = group[0] if video is None else video
    return [_tag("STREAM-INF", *attributes, *more), uri(own, own.playlist)]


def _rates(video: VideoTrack | None, group: Sequence[AudioTrack]) -> list[str]:
    """Of the picture and of the heaviest sound that may play beside it (4.4.6.2)."""
    sound = max(group, key=_peak, default=None)
    played = [track for track in (video, sound) if track is not None]
    codecs = dict.fromkeys(track.codec for track in ([video] if video else []) + [*group])
    return [
        f"BANDWIDTH={sum(track.peak for track in played)}",
        f"AVERAGE-BANDWIDTH={sum(track.average for track in played)}",
        f'CODECS="{",".join(codecs)}"',
    ]


def _i_frame_variant(video: VideoTrack) -> str:
    return _tag(
        "I-FRAME-STREAM-INF",
        f"BANDWIDTH={video.i_frame_peak},AVERAGE-BANDWIDTH={video.i_frame_average}",
        f'CODECS="{video.codec}",RESOLUTION={video.width}x{video.height}',
        f'URI="{uri(video, video.i_frames)}"',
    )


def _tag(name: str, *attributes: str) -> str:
    return f"#EXT-X-{name}:{','.join(attributes)}"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(["#EXTM3U", "#EXT-X-VERSION:7", *lines, ""])
