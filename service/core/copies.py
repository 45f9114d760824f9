"""Whether the largest rung is the source's own picture: as the recipe, the source and what was tried of it say.

A copy is tried before anything is decoded, and believed only as long as nothing speaks against it: a decoder that
met damage, which no copy shows, or a rung whose keyframes came to lie elsewhere. Records keep what was found, so
that it is not tried again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from service.core import compliance, ladder, step
from service.core.boxes import Index
from service.core.media import Clip
from service.core.recipe import Video
from service.core.record import Damaged, StepRecord
from service.core.step import Copy, Rendition

_DAMAGED = "parts of it can't be decoded"


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The rungs from the largest down, and what is `against` a copy; `futile` is the digest of one that was made."""

    rungs: tuple[Copy | Rendition, ...]
    against: tuple[str, ...] = ()
    futile: str | None = None


def choose(
    clip: Clip,
    wanted: Video,
    *,
    frame_rate: Fraction,
    bit_rate: int | None,
    watched: bool,
    version: str,
    done: Mapping[str, StepRecord],
) -> Ladder:
    """The ladder of a clip that has a picture, for which `done` holds what records say of this version.

    :param watched: whether anything is decoded of it even if no rung is.
    """
    assert clip.video
    encoded = ladder.rungs(clip.video, wanted, frame_rate=frame_rate, bit_rate=bit_rate)
    (top, *_) = ladder.rungs(clip.video, wanted, frame_rate=frame_rate, bit_rate=None)
    if not wanted.copied:
        return Ladder(rungs=encoded, against=("the recipe wants it encoded",))
    against = compliance.reasons_against(clip, wanted, max_bit_rate=top.max_bit_rate, frame_rate=frame_rate)
    if len(encoded) == 1 and not watched:
        against += ("nothing would be decoded of it, and nobody know whether it can be",)
    if against:
        return Ladder(rungs=encoded, against=against)
    copied: tuple[Copy | Rendition, ...] = (_copy(top), *(replace(rung, gop_seconds=0.0) for rung in encoded[1:]))
    digests = [step.digest(rung, version=version) for rung in copied]
    if found := tuple(dict.fromkeys(_found(digests, done))):
        return Ladder(rungs=encoded, against=found, futile=digests[0])
    return Ladder(rungs=copied)


def unfit(index: Index, damaged: Damaged | None, rhythm: str) -> tuple[str, ...]:
    """Why a rung that was encoded beside a copy of this `rhythm`, and the copy, are not what they were made for."""
    errors = damaged.errors if damaged else 0
    aligned = compliance.rhythm(index) == rhythm
    return (*((_DAMAGED,) if errors else ()), *(() if aligned else ("a rung has its keyframes elsewhere",)))


def _copy(top: Rendition) -> Copy:
    return Copy(
        name=top.name,
        width=top.width,
        height=top.height,
        frame_rate=top.frame_rate,
        max_bit_rate=top.max_bit_rate,
    )


def _found(digests: list[str], done: Mapping[str, StepRecord]) -> Iterator[str]:
    """Damage is the source's, whichever step met it."""
    for digest in digests:
        if digest in done:
            yield from done[digest].refused
    if any(record.damaged and record.damaged.errors for record in done.values()):
        yield _DAMAGED
