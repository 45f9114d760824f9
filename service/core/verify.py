"""Is it what was asked for? A command's exit code does not say (ffmpeg ends with 0 on truncated and corrupt input)."""

from dataclasses import dataclass

from service.core import pieces
from service.core.boxes import Index
from service.core.media import Clip
from service.core.outcome import Reason, Rejected, Unavailable, Unseekable
from service.core.step import Piece, Progressive, Rendition, Sound

_LEAST_TOLERANCE = 1.0  # seconds
_TOLERANCE = 0.02  # of the duration


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a file that was made holds: kinds of streams as ffprobe names them, sorted, and seconds, if it says so."""

    kinds: tuple[str, ...]
    duration: float | None


def check_progressive(step: Progressive, found: Found, *, seconds: float) -> None:
    """Whether the joined file holds its tracks, the longest of which lasts `seconds`; the upload is not at fault.

    :raises Unavailable: when it does not.
    """
    expected = tuple(sorted(kind for kind, track in (("video", step.video), ("audio", step.audio)) if track))
    if found.kinds != expected:
        raise Unavailable(f"tracks were joined to {found.kinds}, not {expected}")
    if found.duration is None or abs(found.duration - seconds) > max(_LEAST_TOLERANCE, seconds * _TOLERANCE):
        raise Unavailable(f"tracks of {seconds:.1f} s were joined to {found.duration} s")


def check_piece(piece: Piece, index: Index) -> None:
    """Whether a piece has all its frames; the last one has what is left.

    :raises Unseekable: when it has not.
    """
    wanted = pieces.lasts(piece)
    if wanted is not None and abs(index.duration - wanted) >= pieces.frame(piece) / 2:
        raise Unseekable(f"piece {piece.number} lasts {float(index.duration):.3f} s, not {float(wanted):.3f} s")


def check_track(step: Rendition | Sound, index: Index, clip: Clip) -> None:
    """Whether a rendition lasts as long as the source's main track does; longer is padding, shorter is loss.

    :raises Rejected: `damaged`.
    """
    lasts = float(index.duration)
    if lasts <= 0:
        raise Rejected(Reason.DAMAGED, "Nothing in it could be decoded.")
    if isinstance(step, Sound) and clip.video:
        return  # sound may end before the picture or go on after it
    if clip.seconds - lasts > max(_LEAST_TOLERANCE, clip.seconds * _TOLERANCE):
        raise Rejected(
            Reason.DAMAGED, f"It should last {clip.seconds:.1f} s, but only {lasts:.1f} s of it could be decoded."
        )
