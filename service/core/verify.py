"""Is it what was asked for? A command's exit code does not say (ffmpeg ends with 0 on truncated and corrupt input)."""

from service.core.boxes import Index
from service.core.media import Clip
from service.core.outcome import Reason, Rejected
from service.core.step import Rendition, Sound

_LEAST_TOLERANCE = 1.0  # seconds
_TOLERANCE = 0.02  # of the duration


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
