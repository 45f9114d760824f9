"""Long videos in pieces: a worker that is killed loses one of them, and others may make the rest."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from service.core.media import Clip
from service.core.step import Piece, Rendition

LONG = 600  # seconds: a shorter video is encoded again as a whole
SECONDS = 300  # of one piece

#: Demuxers that find any moment by an index of keyframes; others guess by the byte, or read from the beginning.
_INDEXED = frozenset({"mov", "matroska"})


#: Seconds from one keyframe to the next, or for which one picture stands: what is decoded for nothing with each piece.
_MOST_IN_VAIN = 60


def are_worth_it(clip: Clip) -> bool:
    """Whether a video is long, and can be begun anywhere without much that is decoded for nothing."""
    if clip.video is None or clip.timeline is None or clip.sniffed.demuxers[0] not in _INDEXED:
        return False
    in_vain = max(clip.timeline.longest_gop, clip.timeline.longest_gap)
    return clip.seconds > LONG and in_vain <= _MOST_IN_VAIN


def cut(clip: Clip, rungs: Sequence[Rendition]) -> tuple[Piece, ...]:
    """Pieces of about equal length that begin at whole frames; the last one goes on to the end, wherever that is.

    Those of rungs that have the source's keyframes begin at such.
    """
    rate = Fraction(rungs[0].frame_rate)
    starts = _starts(clip, rate)
    if any(rung.gop_seconds == 0 for rung in rungs):
        starts = _at_keyframes(starts, clip)
    lead, count = _lead(clip, rate), len(starts)
    return tuple(
        Piece(
            number=number,
            first=first,
            frames=starts[number + 1] - first if number + 1 < count else None,
            lead=min(first, lead),
            rungs=tuple(rungs),
        )
        for number, first in enumerate(starts)
    )


def _starts(clip: Clip, rate: Fraction) -> list[int]:
    count = max(1, round(clip.seconds / SECONDS))
    return [round(number * Fraction(clip.seconds).limit_denominator(1000) / count * rate) for number in range(count)]


def _at_keyframes(starts: Sequence[int], clip: Clip) -> list[int]:
    """The nearest ones that are known by number, none twice."""
    known = (clip.timeline.landmarks if clip.timeline else ()) or (0,)
    return sorted({min(known, key=lambda at: abs(at - start)) for start in starts})


def _lead(clip: Clip, rate: Fraction) -> int:
    """Frames in a second more than the longest time for which one picture stands."""
    gap = clip.timeline.longest_gap if clip.timeline else 0.0
    return ceil((gap + 1) * rate)


def file(piece: Piece, rung: Rendition) -> str:
    """What the part of a rendition is called."""
    return f"{rung.name}-{piece.number:03}.mp4"


def begins(piece: Piece) -> Fraction:
    """Seconds from the beginning of the video."""
    return piece.first / _rate(piece)


def sought(piece: Piece) -> Fraction:
    """Seconds from the beginning of the video, of the first frame that is decoded."""
    return (piece.first - piece.lead) / _rate(piece)


def lasts(piece: Piece) -> Fraction | None:
    """Seconds; None for the last one."""
    return None if piece.frames is None else piece.frames / _rate(piece)


def frame(piece: Piece) -> Fraction:
    """Seconds of one frame."""
    return 1 / _rate(piece)


def _rate(piece: Piece) -> Fraction:
    return Fraction(piece.rungs[0].frame_rate)
