"""What reprocessing would do: the steps that a worker would do again under a recipe, and what they cost, foreseen."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field

from service.core import explain, gate, plan, screening, spend, step
from service.core.explain import Estimate
from service.core.media import Clip, Media, Picture
from service.core.outcome import Rejected
from service.core.plan import Assemble, Beside, Named, Plan
from service.core.recipe import Prices, Rules
from service.core.record import StepRecord
from service.core.screening import Says
from service.core.step import Cover, Embedded, Screen, Subtitles, Transcript
from service.core.tracks import CaptionTrack

UNKNOWN, REFUSED = "unknown", "refused"  #: beside the kinds of media

_NOTHING = Plan(steps=(), groups=())
_CUES = CaptionTrack(file="", playlist="")
_COVER = Picture(formats=("JPEG",), width=1280, height=720, frames=1, animated=False, alpha=False)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What records tell of one version; `media` is None where it was never examined, or no record was left of it.

    `decided` is what a reviewer said.
    """

    version: str
    size: int
    archived: bool = False
    media: Media | None = None
    done: Mapping[str, StepRecord] = field(default_factory=dict)
    decided: Says | None = None
    beside: Beside = plan.NOTHING_BESIDE


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """What a worker would do of one version: steps `again`, in its order, and how many it would find done.

    `kind` is that of the media, else `unknown` or `refused`.
    """

    known: Known
    kind: str
    again: tuple[Named, ...] = ()
    reused: int = 0


def foresee(known: Known, rules: Rules) -> Foreseen:
    """What a job of type `reprocess` would do under `rules`, by the same plans that it is worked by.

    What is not looked at yet is taken to be allowed, and speech not heard yet to have words: so it is at most that.
    """
    try:
        gate.check_head(known.size, rules.limits, archived=known.archived)
        if known.media is None:
            return Foreseen(known=known, kind=UNKNOWN)
        gate.check_again(known.media, rules.limits)
    except Rejected:
        return Foreseen(known=known, kind=REFUSED)
    says, seen = _moderated(known, known.media, rules)
    planned, made = (_NOTHING, ()) if says == "block" else _made(known, known.media, rules)
    digests = {named.digest for named in made}
    reused = sum(named.digest in known.done and named.digest not in digests for named in planned.steps)
    return Foreseen(known=known, kind=_kind(known.media), again=(*seen, *made), reused=reused)


def _kind(media: Media) -> str:
    return "image" if isinstance(media, Picture) else media.kind


def _moderated(known: Known, media: Media, rules: Rules) -> tuple[Says, tuple[Named, ...]]:
    """The verdict, and the look that is taken first."""
    provider = rules.moderation.provider
    if known.decided or provider == "off":
        return known.decided or "allow", ()
    unit = "rekognition_image" if provider == "rekognition" else None
    affordable = spend.affordable(unit, rules.spend, rules.prices, {})
    if affordable == 0:
        return "block", ()  # nobody may be asked: nothing is made
    wanted = screening.plan(media, rules.moderation, affordable=affordable)
    if wanted is None:
        return "allow", ()
    digest = step.digest(wanted, version=known.version)
    if digest in known.done and (seen := known.done[digest].screening):
        return screening.verdict(seen, rules.moderation).says, ()
    return "allow", (Named(digest=digest, step=wanted),)


def _made(known: Known, media: Media, rules: Rules) -> tuple[Plan, tuple[Named, ...]]:
    """Plan, take the first group for done, and plan again, as the worker does; captions last."""
    done, again = dict(known.done), dict[str, Named]()
    while True:
        planned = plan.make(media, rules, version=known.version, done=done, beside=known.beside)
        group = planned.groups[0] if planned.groups else planned.later
        if group is None:
            return planned, tuple(again.values())
        for named in group.steps:
            again[named.digest], done[named.digest] = named, _taken(named)


def _taken(named: Named) -> StepRecord:
    track = _CUES if isinstance(named.step, Subtitles | Embedded | Transcript) else None
    picture = _COVER if isinstance(named.step, Cover) else None
    return StepRecord(digest=named.digest, kind=type(named.step).__name__, captions=track, picture=picture)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Sums; `seconds` of video and sound, `touched` objects of which some step would run again.

    `squares` of each object's dollars say how far the sum may be off where only some objects were looked at.
    """

    objects: float = 0
    touched: float = 0
    bytes: float = 0
    seconds: float = 0
    steps: float = 0
    reused: float = 0
    owed: float = 0
    cpu_seconds: float = 0
    dollars: float = 0
    squares: float = 0

    def __add__(self, other: "Tally") -> "Tally":
        others = asdict(other)
        return Tally(**{name: value + others[name] for name, value in asdict(self).items()})

    def times(self, factor: float) -> "Tally":
        """As many times as much."""
        return Tally(**{name: value * factor for name, value in asdict(self).items()})


@dataclass(kw_only=True)
class Survey:
    """What reprocessing would do, by kind of media and by kind of step; `units` that would be bought."""

    media: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    steps: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    units: Counter[str] = field(default_factory=Counter)

    @property
    def whole(self) -> Tally:
        """All kinds of media together."""
        return sum(self.media.values(), Tally())

    def add(self, found: Foreseen, prices: Prices, *, owed: Iterable[str] = ()) -> None:
        """One more version; `owed` are the digests that another recipe would have to make as well."""
        owing, bill = set(owed), Tally()
        for named, cost in _bills(found, prices):
            one = Tally(steps=1, owed=named.digest in owing, cpu_seconds=cost.cpu_seconds, dollars=cost.dollars)
            self.steps[type(named.step).__name__.lower()] += one
            self.units.update(cost.units)
            bill += one
        media = found.known.media
        self.media[found.kind] += bill + Tally(
            objects=1,
            touched=bool(found.again),
            bytes=found.known.size,
            seconds=media.seconds if isinstance(media, Clip) else 0.0,
            reused=found.reused,
            squares=bill.dollars**2,
        )

    def times(self, factor: float) -> "Survey":
        """As many times as much of everything."""
        return Survey(
            media={kind: tally.times(factor) for kind, tally in self.media.items()},
            steps={kind: tally.times(factor) for kind, tally in self.steps.items()},
            units=Counter({unit: count * factor for unit, count in self.units.items()}),
        )


def _bills(found: Foreseen, prices: Prices) -> Iterator[tuple[Named, Estimate]]:
    """What each step would cost alone."""
    media = found.known.media
    for named in found.again:
        assert media
        screen = named.step if isinstance(named.step, Screen) else None
        alone = _NOTHING if screen else Plan(steps=(), groups=(Assemble(steps=(named,)),))
        yield named, explain.cost(alone, media, prices, screen=screen)


@dataclass(frozen=True, kw_only=True)
class Surveyed:
    """A survey of `objects` of so many bytes, of which `looked` were looked at: the rest is taken to be like them."""

    survey: Survey
    objects: int
    bytes: int
    looked: int

    @property
    def exact(self) -> bool:
        """Whether every object was looked at."""
        return self.looked >= self.objects

    @property
    def estimated(self) -> Survey:
        """For all objects."""
        return self.survey if self.exact or not self.looked else self.survey.times(self.objects / self.looked)

    @property
    def margin(self) -> float:
        """Dollars that the sum may be off, up or down, nineteen times of twenty: two standard errors of a sample."""
        if self.exact or self.looked < 2:
            return 0.0
        seen = self.survey.whole
        mean = seen.dollars / self.looked
        variance = max(0.0, seen.squares - self.looked * mean**2) / (self.looked - 1)
        return 2 * self.objects * math.sqrt(variance / self.looked * (1 - self.looked / self.objects))
