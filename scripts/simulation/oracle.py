"""A service run in knowledge of every arrival: the yardstick.

A task is up at the very moment that a job needs one, having been ordered in time, and is gone at the end of its last
job; between two jobs it is kept when that is cheaper than another start. Same sizes, maximum, start and bill as the
policies have; no metric, no reclaim. First come, first served: with one slot a task, starting a machine earlier or
having one more never makes such a schedule longer, so no policy can drain sooner.
"""

from collections import deque
from collections.abc import Callable
from functools import partial

from scripts.simulation.jobs import Job
from scripts.simulation.policy import LanePolicy
from scripts.simulation.tasks import Running, Session, Task
from scripts.simulation.world import Clock, World


class ForesightLane:
    """A lane's interface over tasks that are there when needed."""

    def __init__(
        self,
        name: str,
        policy: LanePolicy,
        *,
        world: World,
        clock: Clock,
        begun: Callable[[Job], None],
        done: Callable[[Job, bool], None],
    ) -> None:
        self.name, self.policy, self._world, self._clock = name, policy, world, clock
        self._begun, self._done = begun, done
        self._queue: deque[Job] = deque()
        self._backfill: deque[Job] = deque()
        self._tasks: list[Task] = []
        self._idle: list[Task] = []  # the one that was used last at the end: its next start may be saved
        self.lost = 0.0

    @property
    def settled(self) -> bool:
        """Nothing is left to do."""
        return not self._queue and not self._backfill and len(self._idle) == len(self._tasks)

    def put(self, job: Job, *, forwards: bool = False) -> None:
        """A job arrives; an oracle never sends one to the wrong lane."""
        assert not forwards
        (self._backfill if job.backfill else self._queue).append(job)
        self._deliver()

    def announce(self) -> None:
        """No news to an oracle."""

    def _deliver(self) -> None:
        while (self._queue or self._backfill) and (task := self._room()):
            job = (self._queue or self._backfill).popleft()
            cores = min(job.cores, task.vcpu)
            task.begin(self._clock.now, Running(job=job, left=job.work, cores=cores))
            self._begun(job)
            self._plan(task)

    def _room(self) -> Task | None:
        """The idle task that was used last, else a new one, else the least loaded."""
        if self._idle:
            return self._idle.pop()
        if len(self._tasks) < self.policy.maximum:
            self._tasks.append(Task(number=len(self._tasks), vcpu=self.policy.size.vcpu, ordered=0.0))
            return self._tasks[-1]
        least = min(self._tasks, key=lambda task: len(task.running))
        return least if len(least.running) < self.policy.size.slots else None

    def _plan(self, task: Task) -> None:
        when, number = task.next_end(self._clock.now)
        self._clock.at(when, partial(self._finish, task, number, task.version))

    def _finish(self, task: Task, number: int, version: int) -> None:
        if version != task.version:
            return
        one = task.end(self._clock.now, number)
        self._done(one.job, False)  # noqa: FBT003
        if task.running:
            self._plan(task)
        else:
            self._idle.append(task)
        self._deliver()

    def sessions(self, now: float) -> list[Session]:
        """What is paid for; Spot's price for Spot's share of the tasks, as the policies pay it."""
        found = [session for task in self._tasks for session in self._sessions_of(task, now)]
        spots = int(max(0, len(found) - self.policy.on_demand) * self.policy.spot + 0.5)
        return [
            Session(lane=one.lane, start=one.start, end=one.end, busy=one.busy, spot=n < spots)
            for n, one in enumerate(sorted(found, key=lambda one: one.start))
        ]

    def _sessions_of(self, task: Task, now: float) -> list[Session]:
        start = sum(self._world.start) / 2
        spans: list[tuple[float, float, float]] = []
        for begin, end in task.busy:
            if spans and begin - spans[-1][1] <= start:
                first, _, busy = spans.pop()
                spans.append((first, end, busy + end - begin))
            else:
                spans.append((begin, end, end - begin))
        return [
            Session(lane=self.name, start=begin - start, end=min(end, now), busy=busy) for begin, end, busy in spans
        ]
