"""One number changed at a time: what each costs and gains, against the oracle that has the same tasks and maxima."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

from scripts.simulation import figures, jobs, site
from scripts.simulation.policy import LanePolicy, Policy, Size, by_cpu, oracle
from scripts.simulation.world import World

MONTH_OF_WEEKS = 365.25 / 12 / 7

LaneChange = Callable[[LanePolicy], LanePolicy]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A policy, perhaps in another world."""

    name: str
    policy: Policy
    world: World


@dataclass(frozen=True, kw_only=True)
class Row:
    """Mean (and worst) over the seeds. `month`: dollars for tasks in a month of 20 uploads a day.

    `drain` and `cost` are multiples of the oracle's in the burst; `images` is the p95 age there, `wait` the p95 age of
    a trickle's images; seconds.
    """

    variant: str
    drain: float
    worst_drain: float
    cost: float
    worst_cost: float
    dollars: float
    minutes: float
    images: float
    wait: float
    month: float


def _lanes(policy: Policy, change: LaneChange) -> Policy:
    return replace(policy, light=change(policy.light), heavy=change(policy.heavy))


def _maximum(policy: Policy, light: int, heavy: int) -> Policy:
    return replace(policy, light=replace(policy.light, maximum=light), heavy=replace(policy.heavy, maximum=heavy))


def _size(lane: LanePolicy, vcpu: float, slots: int) -> LanePolicy:
    """0.5 GB, and 3 GB (MEDIA_CHILD_MEMORY_MB) a slot, in whole gigabytes; 4 vCPUs come with 8 or more."""
    return replace(lane, size=Size(vcpu=vcpu, memory=max(1 + 3 * slots, 8 if vcpu == 4 else 2), slots=slots))


def _target(lane: LanePolicy, target: float) -> LanePolicy:
    assert lane.tracking is not None
    return replace(lane, tracking=replace(lane.tracking, target=target))


def _tracked_in(lane: LanePolicy) -> LanePolicy:
    assert lane.tracking is not None
    return replace(lane, back=None, tracking=replace(lane.tracking, scales_in=True))


def _periods(lane: LanePolicy, periods: int) -> LanePolicy:
    assert lane.back is not None
    return replace(lane, back=replace(lane.back, periods=periods))


def _hasty(lane: LanePolicy) -> LanePolicy:
    assert lane.back is not None
    return replace(lane, back=replace(lane.back, cooldown=60.0))


def _out_periods(lane: LanePolicy, periods: int) -> LanePolicy:
    assert lane.out is not None
    return replace(lane, out=replace(lane.out, periods=periods))


def _out_cooldown(lane: LanePolicy, cooldown: float) -> LanePolicy:
    assert lane.out is not None
    return replace(lane, out=replace(lane.out, cooldown=cooldown))


def _unwoken(lane: LanePolicy) -> LanePolicy:
    return replace(lane, woken=False)


def _policies(base: Policy) -> Iterator[tuple[str, Policy]]:
    light, heavy = base.light, base.heavy
    yield "the defaults", base
    for small, large in ((2, 4), (4, 10), (10, 10), (10, 16), (10, 25), (20, 50)):
        yield f"maximum {small} light, {large} heavy", _maximum(base, small, large)
    yield "scale-in by target tracking (15 min)", _lanes(base, _tracked_in)
    for periods in (1, 2, 5, 10):
        yield f"scale-in after {periods} min", _lanes(base, partial(_periods, periods=periods))
    yield "scale-in cooldown 60 s", _lanes(base, _hasty)
    yield "no steps from zero, tracking alone", _lanes(base, lambda lane: replace(lane, out=None))
    yield "steps alone, no tracking", _lanes(base, lambda lane: replace(lane, tracking=None))
    for periods in (1, 3):
        yield f"steps after {periods} min of waiting", _lanes(base, partial(_out_periods, periods=periods))
    for cooldown in (60.0, 180.0, 300.0):
        yield f"step cooldown {cooldown:.0f} s", _lanes(base, partial(_out_cooldown, cooldown=cooldown))
    asleep = _lanes(base, lambda lane: replace(lane, kept_active=False))
    yield "not woken by the event", _lanes(base, _unwoken)
    yield "queues left to sleep", asleep
    yield "neither woken nor kept active", _lanes(asleep, _unwoken)
    for target in (1.0, 5.0, 60.0):
        yield f"light target {target:.0f} a task", replace(base, light=_target(light, target))
    for target in (2.0, 5.0):
        yield f"heavy target {target:.0f} a task", replace(base, heavy=_target(heavy, target))
    yield "light 0.5 vCPU, 1 slot", replace(base, light=_size(light, 0.5, 1))
    yield "light 2 vCPU, 2 slots", replace(base, light=_size(light, 2, 2))
    yield "heavy 2 vCPU, 2 slots", replace(base, heavy=_size(heavy, 2, 2))
    yield "heavy 4 vCPU, 1 slot, maximum 5", replace(base, heavy=replace(_size(heavy, 4, 1), maximum=5))
    yield "all on Spot", _lanes(base, lambda lane: replace(lane, spot=1.0))
    yield "CPU 60 %, minimum 1", by_cpu(base)


def variants(base: Policy) -> list[Variant]:
    """The policies, then the defaults in worlds that are slower or rougher than the one assumed."""
    found = [Variant(name=name, policy=policy, world=World()) for name, policy in _policies(base)]
    spotty = _lanes(base, lambda lane: replace(lane, spot=1.0))
    found += [
        Variant(name="world: metrics 3 to 4 min late", policy=base, world=World(metric_delay=(180.0, 240.0))),
        Variant(name="world: tasks start in 90 to 120 s", policy=base, world=World(start=(90.0, 120.0))),
        Variant(name="world: all on Spot, each task reclaimed hourly", policy=spotty, world=World(reclaims=1.0)),
    ]
    return found


def row(variant: Variant, seeds: int) -> Row | None:
    """The burst and the trickle under a variant, over seeds 1 to `seeds`; None if it leaves jobs undone for ever."""
    try:
        return _row(variant, seeds)
    except site.NeverEndsError:
        return None


def _row(variant: Variant, seeds: int) -> Row:
    policy, world = variant.policy, variant.world
    bursts, ratios = [], []
    for seed in range(1, seeds + 1):
        scenario = jobs.burst(seed)
        ours = figures.of(site.run(policy, scenario, world=world, seed=seed))
        best = figures.of(site.run(oracle(policy), scenario, world=world, seed=seed))
        bursts.append(ours)
        ratios.append((ours.drained / best.drained, ours.cost / best.cost))
    weeks = [figures.of(site.run(policy, jobs.trickle(seed), world=world, seed=seed)) for seed in (1, 2)]
    return Row(
        variant=variant.name,
        drain=fmean(drain for drain, _ in ratios),
        worst_drain=max(drain for drain, _ in ratios),
        cost=fmean(cost for _, cost in ratios),
        worst_cost=max(cost for _, cost in ratios),
        dollars=fmean(one.cost for one in bursts),
        minutes=fmean(one.drained for one in bursts) / 60,
        images=fmean(one.images.p95 for one in bursts),
        wait=fmean(one.images.p95 for one in weeks),
        month=fmean(one.cost for one in weeks) * MONTH_OF_WEEKS,
    )
