"""Tasks: what they do, and what is paid for.

A task shares its vCPUs among the jobs in its slots.
"""

from dataclasses import dataclass, field

from scripts.simulation.jobs import Job


@dataclass(frozen=True, kw_only=True)
class Session:
    """A span in which one task is paid for, in seconds; for `busy` seconds of it it held a job."""

    lane: str
    start: float
    end: float
    busy: float
    spot: bool = False


@dataclass(kw_only=True)
class Running:
    """A job in a slot. `left` in vCPU seconds; `forwards`: the job only learns here which lane it belongs to."""

    job: Job
    left: float
    cores: float
    forwards: bool = False


@dataclass(kw_only=True)
class Task:
    """A task from its order to its end. Times in seconds; `busy` are the spans in which it held a job."""

    number: int
    vcpu: float
    ordered: float
    spot: bool = False
    started: float | None = None
    stopped: float | None = None
    leaving: bool = False  # receives nothing any more
    running: dict[int, Running] = field(default_factory=dict)
    busy: list[tuple[float, float]] = field(default_factory=list)
    used: float = 0.0  # vCPU seconds
    version: int = 0  # of what it does: a finish that was planned for an older one is void
    _updated: float = 0.0
    _since: float = 0.0

    def advance(self, now: float) -> None:
        """Account for what was done since the last change."""
        share, span = self._share(), now - self._updated
        for one in self.running.values():
            one.left -= one.cores * share * span
            self.used += one.cores * share * span
        self._updated = now

    def begin(self, now: float, one: Running) -> None:
        """Put a job into a slot."""
        self.advance(now)
        if not self.running:
            self._since = now
        self.running[one.job.number] = one
        self.version += 1

    def end(self, now: float, number: int) -> Running:
        """Take a job out of its slot, done or not."""
        self.advance(now)
        one = self.running.pop(number)
        self.version += 1
        if not self.running:
            self.busy.append((self._since, now))
        return one

    def busy_until(self, now: float) -> float:
        """Seconds in which it held a job."""
        return sum(end - begin for begin, end in self.busy) + (now - self._since if self.running else 0.0)

    def next_end(self, now: float) -> tuple[float, int]:
        """When the first of its jobs will be done if nothing changes, and that job's number."""
        self.advance(now)
        share = self._share()
        return min((now + max(0.0, one.left) / (one.cores * share), number) for number, one in self.running.items())

    def _share(self) -> float:
        """Of the cores that a job could use, the part that it gets."""
        wanted = sum(one.cores for one in self.running.values())
        return min(1.0, self.vcpu / wanted) if wanted else 1.0
