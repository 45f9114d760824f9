"""One service: its queues, its tasks, the metrics that AWS makes of them, and the scaling that follows."""

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random

from scripts.simulation.jobs import Job
from scripts.simulation.policy import LanePolicy
from scripts.simulation.scaling import LOW_MINUTES, Autoscaler, Sample
from scripts.simulation.tasks import Running, Session, Task
from scripts.simulation.world import Clock, World

MINUTE = 60.0


class Lane:
    """A service under a policy. `begun` and `done` are told of each job; `forwards` says which only pass through."""

    def __init__(
        self,
        name: str,
        policy: LanePolicy,
        *,
        world: World,
        clock: Clock,
        seed: int,
        begun: Callable[[Job], None],
        done: Callable[[Job, bool], None],
    ) -> None:
        self.name, self.policy, self._world, self._clock = name, policy, world, clock
        self._begun, self._done = begun, done
        self._queue: deque[tuple[Job, bool]] = deque()
        self._backfill: deque[tuple[Job, bool]] = deque()
        self.tasks: list[Task] = []
        self.alive: dict[int, Task] = {}
        self._free: dict[int, Task] = {}  # those with a free slot; the one that waits longest first
        self.desired = 0
        self.lost = 0.0  # vCPU seconds of unfinished work that Spot took away
        self._samples: deque[Sample] = deque(maxlen=LOW_MINUTES + 5)
        self._autoscaler = Autoscaler(policy)
        self._starts, self._delays, self._spot = (
            Random(f"{seed} {name} {what}") for what in ("starts", "delays", "spot")
        )
        self._touched = self._asleep_until = 0.0
        self._used = self._gone = 0.0  # vCPU seconds at the last minute, and of the tasks that are gone
        self._fell_asleep = not policy.kept_active and policy.minimum == 0
        self._want(policy.minimum, at_once=True)
        phase = Random(f"{seed} {name} phase")
        clock.at(phase.uniform(0, MINUTE), self._measure)
        clock.at(phase.uniform(0, MINUTE), self._scale)

    # ---- the queue

    def put(self, job: Job, *, forwards: bool = False) -> None:
        """A message arrives."""
        self._touch()
        (self._backfill if job.backfill else self._queue).append((job, forwards))
        self._deliver()

    def announce(self) -> None:
        """An upload's event reaches the rule that wakes this service."""
        if self.policy.woken and self.desired == 0:
            self._clock.at(self._clock.now + self._world.wake, self._wake)

    @property
    def settled(self) -> bool:
        """Nothing is left to do, and no task above the minimum is left to pay for."""
        waiting = self._queue or self._backfill or any(task.running for task in self.alive.values())
        return not waiting and len(self.alive) <= self.policy.minimum

    def _touch(self) -> None:
        now, world = self._clock.now, self._world
        if not self.policy.kept_active and (self._fell_asleep or now - self._touched > world.asleep_after):
            self._asleep_until = now + world.asleep_delay
        self._fell_asleep, self._touched = False, now

    def _deliver(self) -> None:
        while self._free and (self._queue or self._backfill):
            job, forwards = (self._queue or self._backfill).popleft()
            task = self._free.pop(next(iter(self._free)))
            self._begin(task, job, forwards=forwards)

    def _begin(self, task: Task, job: Job, *, forwards: bool) -> None:
        self._touch()
        work, cores = (self._world.forward, 1.0) if forwards else (job.work, min(job.cores, task.vcpu))
        task.begin(self._clock.now, Running(job=job, left=work, cores=cores, forwards=forwards))
        if len(task.running) < self.policy.size.slots:
            self._free[task.number] = task
        if not forwards:
            self._begun(job)
        self._plan(task)

    def _plan(self, task: Task) -> None:
        if task.running:
            when, number = task.next_end(self._clock.now)
            self._clock.at(when, partial(self._finish, task, number, task.version))

    def _finish(self, task: Task, number: int, version: int) -> None:
        if version != task.version:
            return
        one = task.end(self._clock.now, number)
        self._done(one.job, one.forwards)
        if not task.leaving and self._surplus() > 0:
            self._retire(task)  # protection is refused (DEPLOYMENT_BLOCKED): receive no more, finish, go
        if not task.leaving:
            self._free.pop(task.number, None)
            self._free[task.number] = task
        elif not task.running:
            self._stop(task)
        self._plan(task)
        self._deliver()

    # ---- tasks

    def _surplus(self) -> int:
        return sum(not task.leaving for task in self.alive.values()) - self.desired

    def _want(self, desired: int, *, at_once: bool = False) -> None:
        self.desired = desired
        for _ in range(-self._surplus()):
            self._order(at_once=at_once)
        idle = [task for task in self.alive.values() if not task.running and not task.leaving]
        idle.sort(key=lambda task: task.started is not None)  # those that are not even up go first
        for task in idle[: max(0, self._surplus())]:
            self._retire(task)
            self._stop(task)

    def _wake(self) -> None:
        if self.desired == 0:
            self._want(1)

    def _order(self, *, at_once: bool = False) -> None:
        now = self._clock.now
        task = Task(number=len(self.tasks), vcpu=self.policy.size.vcpu, ordered=now, spot=self._next_is_spot())
        self.tasks.append(task)
        self.alive[task.number] = task
        delay = self._starts.uniform(*self._world.start)
        self._clock.at(now if at_once else now + delay, partial(self._start, task))

    def _next_is_spot(self) -> bool:
        """As the weights of a capacity provider strategy share out the tasks above its base."""
        above = len(self.alive) + 1 - self.policy.on_demand
        return sum(task.spot for task in self.alive.values()) < int(above * self.policy.spot + 0.5)

    def _start(self, task: Task) -> None:
        if task.stopped is not None:
            return
        now, world = self._clock.now, self._world
        task.started = now
        task.advance(now)
        self._free[task.number] = task
        if task.spot and world.reclaims:
            self._clock.at(now + self._spot.expovariate(world.reclaims / 3600), partial(self._reclaim, task))
        self._deliver()

    def _retire(self, task: Task) -> None:
        task.leaving = True
        self._free.pop(task.number, None)

    def _stop(self, task: Task) -> None:
        assert not task.running, "a protected task is never stopped"
        if task.stopped is None:
            task.stopped = self._clock.now + self._world.stop
            self._gone += task.used
            del self.alive[task.number]

    def _reclaim(self, task: Task) -> None:
        """Spot's notice: nothing more is received, and a replacement is ordered at once."""
        if task.stopped is None:
            self._retire(task)
            self._clock.at(self._clock.now + (self._world.drain if task.running else 0), partial(self._vanish, task))
            self._want(self.desired)

    def _vanish(self, task: Task) -> None:
        """What did not finish goes back to the queue, and begins anew."""
        for number in list(task.running):
            one = task.end(self._clock.now, number)
            self.lost += (self._world.forward if one.forwards else one.job.work) - one.left
            (self._backfill if one.job.backfill else self._queue).append((one.job, one.forwards))
        self._stop(task)
        self._deliver()

    def sessions(self, now: float) -> list[Session]:
        """What is paid for, until `now`."""
        end = [min(now, task.stopped or now) for task in self.tasks]
        return [
            Session(
                lane=self.name,
                start=task.ordered,
                end=max(until, task.ordered),
                busy=task.busy_until(until),
                spot=task.spot,
            )
            for task, until in zip(self.tasks, end, strict=True)
        ]

    # ---- metrics and scaling

    def _measure(self) -> None:
        """A minute's datapoints, gathered now and seen by alarms later."""
        now = self._clock.now
        self._clock.at(now + MINUTE, self._measure)
        up = [task for task in self.alive.values() if task.started is not None]
        inflight = sum(len(task.running) for task in up)
        delay = self._delays.uniform(*self._world.metric_delay)
        cpu = self._cpu(len(up))
        if up:
            self._touch()  # a long poll is an action on the queue, too
        visible = len(self._queue) + len(self._backfill)
        available = max(now + delay, self._asleep_until + delay)
        self._samples.append(Sample(available=available, visible=visible, inflight=inflight, running=len(up), cpu=cpu))

    def _cpu(self, running: int) -> float:
        """Per cent of the last minute."""
        now = self._clock.now
        for task in self.alive.values():
            task.advance(now)
        used = self._gone + sum(task.used for task in self.alive.values())
        spent, self._used = used - self._used, used
        return min(100.0, 100 * max(0.0, spent) / (MINUTE * self.policy.size.vcpu * running)) if running else 0.0

    def _scale(self) -> None:
        now = self._clock.now
        self._clock.at(now + MINUTE, self._scale)
        known = [one for one in self._samples if one.available <= now]
        running = sum(task.started is not None for task in self.alive.values())
        wanted = self._autoscaler.decide(now, known, running=running, desired=self.desired)
        if wanted != self.desired:
            self._want(wanted)
