"""Is it what was asked for? A command's exit code does not say (ffmpeg ends with 0 on truncated and corrupt input)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from service.core import entries, pieces
from service.core.boxes import Index
from service.core.entries import Entry
from service.core.media import Clip
from service.core.outcome import Reason, Rejected, Unavailable, Unseekable
from service.core.record import Damaged, Spent
from service.core.step import Piece, Progressive, Rendition, Sound

_LEAST_TOLERANCE = 1.0  # seconds
_TOLERANCE = 0.02  # of the duration

#: Demuxers that find the next frame wherever they begin: recordings of these are cut anywhere, and nothing is lost by
#: it but the frame at the cut, of each track.
_CUT_ANYWHERE = frozenset({"mpegts", "mpeg", "mp3", "aac", "ac3", "eac3", "dts"})


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command tells of itself: `errors` is how often it met something that it could not decode.

    `first` is what it said then, for an operator. `frames` and `seconds` are how much the first picture, and the
    furthest output, got; None where it never said.
    """

    spent: Spent
    errors: int = 0
    first: str = ""
    frames: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a file that was made holds: kinds of streams as ffprobe names them, sorted, and seconds, if it says so.

    `frames` are those of the picture, if there is one.
    """

    kinds: tuple[str, ...]
    duration: float | None
    frames: int | None = None


def damage(ran: Ran, clip: Clip, *, missing: float = 0.0) -> Damaged | None:
    """What a command lost of its source; None for nothing, as far as decoders notice: PCM has no way to."""
    cut = set(clip.container.split(",")) & _CUT_ANYWHERE
    errors = 0 if cut and ran.errors <= len(clip.sounds) + bool(clip.video) else ran.errors
    return Damaged(errors=errors, first=ran.first if errors else "", missing=missing) if errors or missing else None


def together(found: Iterable[Damaged | None]) -> Damaged | None:
    """The damage that several commands met, each in another part of the source."""
    damages = [one for one in found if one]
    return _damaged(damages, sum(one.errors for one in damages)) if damages else None


def worst(found: Iterable[Damaged | None]) -> Damaged | None:
    """The damage that several commands met in the same source."""
    damages = [one for one in found if one]
    return _damaged(damages, max(one.errors for one in damages)) if damages else None


def _damaged(damages: Sequence[Damaged], errors: int) -> Damaged:
    first = next((one.first for one in damages if one.first), "")
    return Damaged(errors=errors, first=first, missing=max(one.missing for one in damages))


def check_damage(found: Damaged | None, policy: Literal["publish", "reject"]) -> None:
    """Whether a source may be published as far as it could be decoded.

    :raises Rejected: `damaged`, where the policy is to reject.
    """
    if found and policy == "reject":
        parts = f"{found.errors:,} part{'s' if found.errors > 1 else ''} of it could not be decoded"
        sound = f"{found.missing:.1f} s of its sound are missing"
        said = ", and ".join(said for said, by in ((parts, found.errors), (sound, found.missing)) if by)
        raise Rejected(Reason.DAMAGED, f"It is damaged: {said}.")


def check_progressive(step: Progressive, found: Found, *, seconds: float, frames: int | None = None) -> None:
    """Whether the joined file holds its tracks, the longest of which lasts `seconds`; the upload is not at fault.

    The picture has `frames`, where that is known.

    :raises Unavailable: when it does not.
    """
    expected = tuple(sorted(kind for kind, track in (("video", step.video), ("audio", step.audio)) if track))
    if found.kinds != expected:
        raise Unavailable(f"tracks were joined to {found.kinds}, not {expected}")
    if found.duration is None or abs(found.duration - seconds) > _tolerated(seconds):
        raise Unavailable(f"tracks of {seconds:.1f} s were joined to {found.duration} s")
    if frames not in {None, found.frames}:
        raise Unavailable(f"{frames} frames were joined to {found.frames}")


def check_piece(piece: Piece, index: Index) -> None:
    """Whether a piece has all its frames; the last one has what is left.

    :raises Unseekable: when it has not.
    """
    wanted = pieces.lasts(piece)
    if wanted is not None and abs(index.duration - wanted) >= pieces.frame(piece) / 2:
        raise Unseekable(f"piece {piece.number} lasts {float(index.duration):.3f} s, not {float(wanted):.3f} s")


def check_frames(step: Rendition, index: Index, *, encoded: int | None = None) -> None:
    """Whether every frame of a rendition was written: at a constant rate its duration says how many there are.

    `encoded` is how many the encoder counted, where it is known.

    :raises Unavailable: when one is missing, for which the upload is not at fault.
    """
    shown = index.duration * Fraction(step.frame_rate)
    if abs(shown - index.samples) >= 1 or encoded not in {None, index.samples}:
        raise Unavailable(f"{step.name}: {index.samples} frames were written, {encoded or float(shown):g} encoded")


def check_track(step: Rendition | Sound, index: Index, clip: Clip) -> None:
    """Whether a rendition lasts as long as the source's main track does; longer is padding, shorter is loss.

    :raises Rejected: `damaged`.
    """
    lasts = float(index.duration)
    if lasts <= 0:
        raise Rejected(Reason.DAMAGED, "Nothing in it could be decoded.")
    if isinstance(step, Sound) and clip.video:
        return  # sound may end before the picture or go on after it: see `missing`
    if clip.seconds - lasts > _tolerated(clip.seconds):
        raise Rejected(
            Reason.DAMAGED, f"It should last {clip.seconds:.1f} s, but only {lasts:.1f} s of it could be decoded."
        )


def missing(step: Sound, index: Index, clip: Clip) -> float:
    """Seconds that the sound beside a picture ends before its packets do, if it is more than is tolerated.

    Whoever can see the picture may do with less sound: that is the policy's to say.
    """
    ends = dict(clip.timeline.ends).get(step.stream) if clip.timeline and clip.video else None
    if ends is None:
        return 0.0
    lost = ends - float(index.duration)
    return round(lost, 3) if lost > _tolerated(ends) else 0.0


def _tolerated(seconds: float) -> float:
    return max(_LEAST_TOLERANCE, seconds * _TOLERANCE)


def check_playlist(text: str, sizes: Mapping[str, int]) -> None:
    """Whether every entry of a playlist that was written, HLS of any kind or DASH, lies in its file and has bytes.

    `sizes` are the bytes of each file, by the URI that the playlist has for it.

    :raises Unavailable: when one does not, or there is none, or the playlist has no end.
    """
    try:
        found = entries.read(text)
    except ValueError as error:
        raise Unavailable(f"a playlist was written that can't be read: {error}") from error
    if not found:
        raise Unavailable("a playlist was written that names nothing")
    for entry in found:
        _check_entry(entry, sizes)


def _check_entry(entry: Entry, sizes: Mapping[str, int]) -> None:
    size = sizes.get(entry.uri)
    if size is None:
        raise Unavailable(f"a playlist names {entry.uri}, which was not made")
    end = size if entry.end is None else entry.end
    if not 0 <= entry.begin < end <= size:
        raise Unavailable(f"a playlist names bytes {entry.begin} to {end} of {entry.uri}, which has {size}")
