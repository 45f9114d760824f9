"""What a run amounts to: ages, drain time, tasks, cost and waste; and its course over time, for the plots."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.simulation.policy import Policy
from scripts.simulation.site import Done, Run
from scripts.simulation.tasks import Session
from scripts.simulation.world import World


@dataclass(frozen=True, kw_only=True)
class Ages:
    """Seconds from an upload until the work on it began."""

    count: int
    median: float
    p95: float
    p99: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """`drained`: seconds from the first arrival until the last job was done; of live images and of the backfill, too.

    `cost` in dollars, `costs` by lane; `lost` is work that Spot took away, in vCPU seconds.

    `waste` is the share of the paid task seconds in which a task held no job: starting, waiting, stopping.
    """

    policy: str
    images: Ages
    videos: Ages
    backfill: Ages
    drained: float
    images_drained: float
    backfill_drained: float
    peak: dict[str, int]
    cost: float
    costs: dict[str, float]
    waste: float
    lost: float


@dataclass(frozen=True, kw_only=True)
class Course:
    """Values at equally spaced times: messages waiting, ages of the oldest live uploads that wait, tasks, dollars.

    All times and ages in seconds.
    """

    times: tuple[float, ...]
    waiting: tuple[float, ...]
    oldest_image: tuple[float, ...]
    oldest_video: tuple[float, ...]
    tasks: tuple[float, ...]
    cost: tuple[float, ...]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))] if ordered else 0.0


def _ages(jobs: Sequence[Done]) -> Ages:
    waited = [one.begun - one.at for one in jobs]
    return Ages(count=len(jobs), median=quantile(waited, 0.5), p95=quantile(waited, 0.95), p99=quantile(waited, 0.99))


def cost(policy: Policy, session: Session, *, until: float | None = None, least: float = World.least_billed) -> float:
    """Dollars for one task, so far or in all: by the second, from a minute on."""
    size = (policy.light if session.lane == "light" else policy.heavy).size
    end = session.end if until is None else min(session.end, until)
    return max(least, end - session.start) * size.price(spot=session.spot) if end > session.start else 0.0


def _peak(sessions: Sequence[Session], lane: str) -> int:
    mine = [one for one in sessions if one.lane == lane]
    changes = sorted([(one.start, 1) for one in mine] + [(one.end, -1) for one in mine])
    count = most = 0
    for _, change in changes:
        count += change
        most = max(most, count)
    return most


def _drained(jobs: Sequence[Done]) -> float:
    return max(one.done for one in jobs) - min(one.at for one in jobs) if jobs else 0.0


def of(run: Run) -> Figures:
    """The figures of a run."""
    live = [one for one in run.jobs if not one.backfill]
    images = [one for one in live if one.kind == "image"]
    costs = {
        lane: sum(cost(run.policy, one) for one in run.sessions if one.lane == lane) for lane in ("light", "heavy")
    }
    paid = sum(one.end - one.start for one in run.sessions)
    return Figures(
        policy=run.policy.name,
        images=_ages(images),
        videos=_ages([one for one in live if one.kind == "video"]),
        backfill=_ages([one for one in run.jobs if one.backfill]),
        drained=_drained(run.jobs),
        images_drained=_drained(images),
        backfill_drained=_drained([one for one in run.jobs if one.backfill]),
        peak={lane: _peak(run.sessions, lane) for lane in ("light", "heavy")},
        cost=sum(costs.values()),
        costs=costs,
        waste=1 - sum(one.busy for one in run.sessions) / paid if paid else 0.0,
        lost=run.lost,
    )


def course(run: Run, end: float, points: int = 400) -> Course:
    """How the run went, from 0 to `end`."""
    times = tuple(end * n / (points - 1) for n in range(points))
    arrived = sorted(one.at for one in run.jobs)
    begun = sorted(one.begun for one in run.jobs)
    waiting = tuple(float(bisect_right(arrived, t) - bisect_right(begun, t)) for t in times)
    live = [one for one in run.jobs if not one.backfill]
    images, videos = ([one for one in live if one.kind == kind] for kind in ("image", "video"))
    tasks = tuple(float(sum(one.start <= t < one.end for one in run.sessions)) for t in times)
    spent = tuple(sum(cost(run.policy, one, until=t) for one in run.sessions) for t in times)
    return Course(
        times=times,
        waiting=waiting,
        oldest_image=_oldest(images, times),
        oldest_video=_oldest(videos, times),
        tasks=tasks,
        cost=spent,
    )


def _oldest(jobs: Sequence[Done], times: Sequence[float]) -> tuple[float, ...]:
    """At each time, how long the job that waits longest has waited."""
    by_begin = sorted(jobs, key=lambda one: one.begun)
    begun, earliest = [one.begun for one in by_begin], _earliest_after([one.at for one in by_begin])
    return tuple(max(0.0, t - earliest[bisect_right(begun, t)]) for t in times)


def _earliest_after(arrivals: Sequence[float]) -> list[float]:
    """For each n, the earliest of `arrivals[n:]`; infinity at the end."""
    found = [float("inf")]
    for at in reversed(arrivals):
        found.append(min(found[-1], at))
    return found[::-1]
