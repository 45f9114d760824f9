"""Moderation, decided: which frames are looked at and in which order, which one speaks for which, and the verdict.

The verdict is made of what the provider saw, anew each time: other rules need no second look.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from statistics import median
from typing import Literal

from service.core import taxonomy
from service.core.media import Clip, Media, Picture
from service.core.recipe import Moderation, Rule, Threshold
from service.core.record import Label, Screening
from service.core.step import Screen

SMALLEST = 80  #: pixels of a side, below which no provider takes a picture (Rekognition's limits page)
SMALL = "small"  #: why a picture was not looked at, where the recipe says so
UNKNOWN = "unknown"  #: the rule for labels that no other rule speaks of
_SURE = 100.0

_ALIKE_BITS = 2  # of 64: cuts change 9 and more
_ALIKE_LEVELS = 4.0  # of 255, of the mean colour: gradients alone know none
_ALIKE_FIELD = 20  # of 255, of any of 16 x 16 fields: so a picture cut in at 15 % of each side is never lost
_SAME_SCENE_BITS = 12  # blur and motion leave the coarse gradients; a cut changes half of them
_SAME_SCENE_LEVELS = 24.0
_DARK, _FLAT = 16.0, 6.0  # of 255: black with its noise, as cameras and encoders have it
_BLURRED = 0.1  # of the median sharpness: motion blur; cross-fades lie above

Says = Literal["allow", "review", "block"]
Because = tuple[str, float, float, str]  #: label, confidence in percent, when (as in `Look.at`), label of the rule
_SEVERITY: dict[Says, int] = {"allow": 0, "review": 1, "block": 2}


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What is measured of one frame: a difference hash of 64 bits, and levels from 0 to 255.

    `sharpness` is the variance of the Laplacian, `colour` the mean red, green and blue, `fields` the brightness of
    16 x 16 parts.
    """

    dhash: int
    luma: float
    deviation: float
    sharpness: float
    colour: tuple[float, float, float]
    fields: bytes


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What becomes of an upload, and because of what, the strongest first."""

    says: Says
    because: tuple[Because, ...] = ()


def plan(media: Media, rules: Moderation, *, affordable: int | None) -> Screen | None:
    """The frames to look at, at most `affordable` of them but at least one, which the budget may then refuse.

    None where moderation is off, or where there is sound alone: nothing is seen, and covers are not published.
    """
    if rules.provider == "off" or (isinstance(media, Clip) and media.video is None):
        return None
    most = max(1, rules.frames if affordable is None else min(rules.frames, affordable))
    if isinstance(media, Clip):
        return Screen(provider=rules.provider, at=_times(media.seconds, rules.interval_seconds, most), pad=False)
    small = min(media.width, media.height) < SMALLEST
    looked_at = () if small and rules.small == "skip" else _pages(media, most)
    return Screen(provider=rules.provider, at=looked_at, pad=small and bool(looked_at))


def _times(seconds: float, interval: float, most: int) -> tuple[float, ...]:
    """The middles of equal parts, none longer than `interval` while `most` allows: no shot of its length is missed."""
    count = max(1, min(most, math.ceil(seconds / interval - 1e-9)))
    return tuple(round((number + 0.5) * seconds / count, 3) for number in range(count))


def _pages(picture: Picture, most: int) -> tuple[float, ...]:
    """Spread evenly, the first and the last among them.

    As many as of a film: how long a page is shown is not known yet, and a slideshow of a hundred pictures hides one.
    """
    count = min(most, max(1, picture.frames))
    return tuple(float(round(n * (picture.frames - 1) / max(1, count - 1))) for n in range(count))


def coarse_to_fine(at: Sequence[float]) -> tuple[float, ...]:
    """The order of looking, by van der Corput's sequence from the middle on: what is cut off is spread."""
    bits = max(1, (len(at) - 1).bit_length())
    halves = (int(f"{number:0{bits}b}"[::-1], 2) ^ (1 << (bits - 1)) for number in range(1 << bits))
    return tuple(at[number] for number in dict.fromkeys(half * len(at) >> bits for half in halves))


def spacing(at: Sequence[float], seconds: float) -> float:
    """Seconds from one planned time to the next."""
    return (at[-1] - at[0]) / (len(at) - 1) if len(at) > 1 else seconds


def neighbours(at: float, apart: float) -> tuple[float, float]:
    """The times that may stand in for `at`, a third of the way to the next planned ones."""
    return max(0.0, round(at - apart / 3, 3)), round(at + apart / 3, 3)


def gap(at: Iterable[float], seconds: float) -> float:
    """The longest time, in seconds, within which nothing was looked at."""
    moments = [0.0, *sorted(at), seconds]
    longest = max(after - before for before, after in pairwise(moments))
    return round(max(0.0, longest), 3)


def alike(one: Traits, other: Traits) -> bool:
    """Whether one frame may speak for the other: cautious, since a cut must never be lost."""
    return _close(one, other, bits=_ALIKE_BITS, levels=_ALIKE_LEVELS) and all(
        abs(a - b) <= _ALIKE_FIELD for a, b in zip(one.fields, other.fields, strict=True)
    )


def _close(one: Traits, other: Traits, *, bits: int, levels: float) -> bool:
    return (one.dhash ^ other.dhash).bit_count() <= bits and all(
        abs(a - b) <= levels for a, b in zip(one.colour, other.colour, strict=True)
    )


def dark(frame: Traits) -> bool:
    """Whether it is black all over."""
    return frame.luma < _DARK and frame.deviation < _FLAT


def usual_sharpness(frames: Iterable[Traits]) -> float:
    """The median of those that are not black; 0 where all are."""
    return median([frame.sharpness for frame in frames if not dark(frame)] or [0.0])


def poor(frame: Traits, *, usual: float) -> bool:
    """Whether a neighbour should be looked at instead: black, or far more blurred than is usual in its clip."""
    return dark(frame) or frame.sharpness < _BLURRED * usual


def stand_in(frame: Traits, others: Sequence[Traits], *, usual: float) -> int | None:
    """Which of `others` is looked at instead of a poor frame: the sharpest that is not poor itself, if any is.

    For a blurred frame it has to show the same scene, or something else would hide what is in this one.
    """
    fit = [
        number
        for number, other in enumerate(others)
        if not poor(other, usual=usual)
        and (dark(frame) or _close(frame, other, bits=_SAME_SCENE_BITS, levels=_SAME_SCENE_LEVELS))
    ]
    return max(fit, key=lambda number: others[number].sharpness, default=None)


def verdict(screening: Screening, rules: Moderation) -> Verdict:
    """The strictest of what `rules` say of each label.

    What was not looked at to the end, or not at all, is never allowed; but the recipe may let small pictures pass.
    """
    found = [
        (said, (label.name, confidence(label), look.at, of))
        for look in screening.looks
        for label, said, of in _judged(look.labels, screening.provider, rules)
    ]
    unseen = screening.skipped != SMALL and (not screening.complete or not screening.looks)
    least: Says = "review" if unseen else "allow"
    says = max((least, *(said for said, _ in found)), key=_SEVERITY.__getitem__)
    return Verdict(says=says, because=_strongest(found))


def _strongest(found: Iterable[tuple[Says, Because]]) -> tuple[Because, ...]:
    """Of each label the look that counted most; what is allowed is no reason."""
    ranked = sorted(found, key=lambda one: (-_SEVERITY[one[0]], -one[1][1], one[1][2], one[1][0]))
    first: dict[str, Because] = {}
    for said, because in ranked:
        if said != "allow":
            first.setdefault(because[0], because)
    return tuple(first.values())


def hard_hit(labels: Sequence[Label], rules: Moderation) -> bool:
    """Whether these labels of one frame block the upload, whatever else is in it."""
    return any(said == "block" for _, said, _ in _judged(labels, rules.provider, rules))


def noteworthy(labels: Sequence[Label], rules: Moderation) -> float | None:
    """The strongest confidence at or above the lowest threshold of all: a frame that a reviewer may want to see."""
    thresholds = [one for rule in (*_rules(rules, rules.provider), rules.unknown) for one in (rule.review, rule.block)]
    lowest = min((one for one in thresholds if one is not None), default=math.inf)
    return max((c for c in map(confidence, labels) if c >= lowest), default=None)


def policy(rules: Moderation) -> str:
    """16 hex digits that name the rules that make a verdict."""
    made_of = rules.model_dump(mode="json", include={"provider", "unknown", "local", "rekognition"})
    return sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


def confidence(label: Label) -> float:
    """In percent; what is no percentage counts as certain."""
    return label.confidence if 0 <= label.confidence <= _SURE else _SURE


def _judged(labels: Sequence[Label], provider: str, rules: Moderation) -> list[tuple[Label, Says, str]]:
    """Each label, what its rule says, and that rule's label: its own, else that of the nearest label above it.

    A provider gives a label together with all that lie above it. Where a rule speaks of the lower one, it decides, and
    those above are set aside as far as they are no more certain: else no exception could ever be made.
    """
    own: dict[str, Threshold] = {rule.label: rule for rule in _rules(rules, provider)}
    explained: dict[str, float] = {}
    for label in labels:
        for above in taxonomy.parents(provider, label.name) if label.name in own else ():
            explained[above] = max(explained.get(above, -math.inf), confidence(label))
    judged = []
    for label in labels:
        if confidence(label) > explained.get(label.name, -math.inf):
            of = next((name for name in _line(provider, label) if name in own), UNKNOWN)
            judged.append((label, _said(own.get(of, rules.unknown), confidence(label)), of))
    return judged


def _line(provider: str, label: Label) -> tuple[str, ...]:
    """The label and those above it, the nearest first: as the provider says, then as the taxonomy does."""
    said = (label.parent, *taxonomy.parents(provider, label.parent)) if label.parent else ()
    return (label.name, *said, *taxonomy.parents(provider, label.name))


def _rules(rules: Moderation, provider: str) -> tuple[Rule, ...]:
    return {"local": rules.local.rules, "rekognition": rules.rekognition.rules}.get(provider, ())


def _said(threshold: Threshold, sure: float) -> Says:
    if threshold.block is not None and sure >= threshold.block:
        return "block"
    return "review" if threshold.review is not None and sure >= threshold.review else "allow"
