"""The deployment under one policy and one scenario, from the first upload until nothing is left to pay for."""

from dataclasses import dataclass
from functools import partial

from scripts.simulation.jobs import Job, Kind, Scenario
from scripts.simulation.lane import Lane
from scripts.simulation.oracle import ForesightLane
from scripts.simulation.policy import LanePolicy, Policy
from scripts.simulation.tasks import Session
from scripts.simulation.world import Clock, World


class NeverEndsError(RuntimeError):
    """A policy leaves jobs undone, or tasks running, for ever."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """A job that is finished. Seconds: `begun` is when the attempt that finished it began."""

    number: int
    kind: Kind
    backfill: bool
    at: float
    begun: float
    done: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that happened. `end`: when the last task was gone. `lost`: vCPU seconds of work that was done again."""

    policy: Policy
    scenario: Scenario
    jobs: tuple[Done, ...]
    sessions: tuple[Session, ...]
    end: float
    lost: float


class _Site:
    def __init__(self, policy: Policy, world: World, seed: int) -> None:
        self.clock = Clock()
        self._foresight = policy.foresight
        self._begun: dict[int, float] = {}
        self.done: dict[int, Done] = {}
        self.light = self._lane("light", policy.light, world, seed)
        self.heavy = self._lane("heavy", policy.heavy, world, seed)

    def _lane(self, name: str, policy: LanePolicy, world: World, seed: int) -> Lane | ForesightLane:
        begun, done = self._note, self._finish
        if self._foresight:
            return ForesightLane(name, policy, world=world, clock=self.clock, begun=begun, done=done)
        return Lane(name, policy, world=world, clock=self.clock, seed=seed, begun=begun, done=done)

    def arrive(self, job: Job) -> None:
        """Live uploads go to intake; a film is known as one only after the light lane looked.

        Only the event that wakes goes by the name; who names a film `.jpg` waits for the alarm.
        """
        if not job.backfill:
            self.light.announce()
        if not job.backfill and job.kind == "video":
            self.heavy.announce()
        if job.backfill or (self._foresight and job.kind == "video"):
            self.heavy.put(job)
        else:
            self.light.put(job, forwards=job.kind == "video")

    def _note(self, job: Job) -> None:
        self._begun[job.number] = self.clock.now

    def _finish(self, job: Job, forwarded: bool) -> None:  # noqa: FBT001
        if forwarded:
            self.heavy.put(job)
            return
        assert job.number not in self.done, f"job {job.number} is done twice"
        self.done[job.number] = Done(
            number=job.number,
            kind=job.kind,
            backfill=job.backfill,
            at=job.at,
            begun=self._begun[job.number],
            done=self.clock.now,
        )

    @property
    def settled(self) -> bool:
        """Nobody works, nobody waits, and only the minimum is paid for."""
        return self.light.settled and self.heavy.settled


def run(policy: Policy, scenario: Scenario, *, world: World | None = None, seed: int = 1) -> Run:
    """The scenario under a policy. NeverEndsError: two days after the last arrival somebody still works, or waits."""
    world = world or World()
    site = _Site(policy, world, seed)
    for job in scenario.jobs:
        site.clock.at(job.at, partial(site.arrive, job))
    last = max((job.at for job in scenario.jobs), default=0.0)
    while not (len(site.done) == len(scenario.jobs) and site.settled and site.clock.now >= scenario.horizon):
        if site.clock.now > max(scenario.horizon, last) + world.patience:
            raise NeverEndsError(f"{policy.name}: {len(scenario.jobs) - len(site.done)} jobs are never done")
        if not site.clock.step():
            break
    end = max(site.clock.now + world.stop, scenario.horizon)
    return Run(
        policy=policy,
        scenario=scenario,
        jobs=tuple(sorted(site.done.values(), key=lambda one: one.number)),
        sessions=(*site.light.sessions(end), *site.heavy.sessions(end)),
        end=end,
        lost=site.light.lost + site.heavy.lost,
    )
