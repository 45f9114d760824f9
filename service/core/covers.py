"""A picture that lies beside a video to be its poster: whether it is shown, and as what.

It is an upload like any other: what a moderation provider sees in it is judged by the rules of the day, and whatever is
not allowed outright is not shown. Then the poster is a frame of the video, which has a verdict of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from service.core import screening
from service.core.media import Clip, Media, Picture
from service.core.outcome import Reason, Rejected
from service.core.recipe import Limits, Rules
from service.core.record import StepRecord
from service.core.step import Cover, UploadedPoster

SHOWN = "uploaded"  #: what outcomes say of one that is shown
UNAVAILABLE = "unavailable"  #: and of one that nobody could be asked about
_MOST_BYTES = 50_000_000  # a picture of 120 megapixels has no more; it is fetched before anything is known of it
_MAX_SIDE = 16_383  # of WebP


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """A picture beside a source: the object `key` in its version with this ETag."""

    key: str
    etag: str


def most_bytes(limits: Limits) -> int:
    """The largest file that is looked at."""
    return min(limits.bytes, _MOST_BYTES)


def cover(clip: Clip, uploaded: Uploaded | None, rules: Rules) -> Cover | None:
    """The step that looks at it, where there is a video for it to be the poster of."""
    if uploaded is None or clip.video is None:
        return None
    asked = rules.moderation
    return Cover(key=uploaded.key, etag=uploaded.etag, provider=asked.provider, small=asked.small)


def still(media: Media) -> Picture:
    """What is shown of an upload: its first page.

    :raises Rejected: `unsupported_type`, where it is no picture.
    """
    if isinstance(media, Clip):
        raise Rejected(Reason.UNSUPPORTED_TYPE, "A poster has to be a picture.")
    return replace(media, frames=1, animated=False)


def allowed(seen: StepRecord, rules: Rules) -> Picture | None:
    """What was seen, if it may be shown by these rules."""
    return seen.picture if seen.picture and _says(seen, rules) == "allow" else None


def _says(seen: StepRecord, rules: Rules) -> str:
    return screening.verdict(seen.screening, rules.moderation).says if seen.screening else "allow"


def poster(step: Cover, digest: str, picture: Picture, rules: Rules) -> UploadedPoster:
    """As wide as the poster may be, and as images are; `digest` is that of `step`."""
    tallest = max(1, picture.width * _MAX_SIDE // picture.height)
    largest = min(picture.width, rules.video.poster_width, tallest)
    widths = [largest, *(width for width in reversed(rules.images.widths) if width < largest)]
    return UploadedPoster(
        key=step.key,
        etag=step.etag,
        cover=digest,
        sizes=tuple((width, max(1, round(picture.height * width / picture.width))) for width in widths),
        formats=rules.images.formats,
        quality=tuple(getattr(rules.images.quality, format_) for format_ in rules.images.formats),
        background=rules.images.background,
    )


def told(steps: Mapping[str, StepRecord], rules: Rules) -> str | None:
    """What became of it, of the `steps` of an outcome: `SHOWN`, else why it is not; None where there is none."""
    looked = next((seen for seen in steps.values() if seen.kind == Cover.__name__), None)
    drawn = next((one for one in steps.values() if one.kind == UploadedPoster.__name__), None)
    if looked is None:
        return None
    refused = looked.refused or (drawn.refused if drawn else ())
    return refused[0] if refused else SHOWN if drawn else _says(looked, rules)
