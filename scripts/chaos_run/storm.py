"""The storm: workers are killed while a story is told, until no message is left; then everything is looked at."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from scripts.chaos_run import check, crew, story
from scripts.chaos_run import world as worlds
from scripts.chaos_run.corpus import RECIPE, Corpus
from scripts.chaos_run.crew import Watch, Worker
from scripts.chaos_run.faults import Now
from scripts.chaos_run.proxy import proxying
from scripts.chaos_run.report import Report
from scripts.chaos_run.story import Courier, Op
from scripts.chaos_run.visitor import visiting
from scripts.chaos_run.world import World

_AHEAD = 24  # messages that wait at most: what is replaced is mostly still being worked on
_PAUSES = (0.5, 3.0)  # seconds between two deaths
_PATIENCE = 180.0  # seconds in which not one message is settled, after which something must be wrong
_TICK = 0.1
_QUIET = 3  # looks at an empty queue
EXIT_SECONDS = 5.0  # beyond the drain time
DRAIN = 2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What kind of storm."""

    jobs: int
    seed: int
    workers: int = 2
    one_in: int = 0  #: calls that a fault befalls; 0: none
    versioned: bool = False


@dataclass(kw_only=True)
class Storm:
    """A run under way."""

    world: World
    workers: list[Worker]
    random: Random
    ops: list[Op]
    courier: Courier
    watch: Watch = field(default_factory=Watch)
    kills: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    late: list[str] = field(default_factory=list)
    _dying: list[threading.Thread] = field(default_factory=list)

    def run(self) -> None:
        """Until the story is told and no message is left."""
        ops = iter(self.ops)
        strike, quiet, told = time.monotonic() + 3, 0, False
        moved, before = time.monotonic(), (-1, -1)
        for worker in self.workers:
            worker.start()
        while quiet < _QUIET:
            time.sleep(_TICK)
            waiting = self.world.waiting()
            total = sum(waiting.values())
            if not told and total < _AHEAD:
                told = not self._tell(ops)
            quiet = quiet + 1 if told and not total else 0
            if time.monotonic() > strike and not quiet:
                self._strike(self.random.choice(self.workers))
                strike = time.monotonic() + self.random.uniform(*_PAUSES)
            self._revive()
            self.watch.look(self.workers)
            if (self.world.sent, total) != before:
                moved, before = time.monotonic(), (self.world.sent, total)
            if time.monotonic() - moved > _PATIENCE:
                raise RuntimeError(f"nothing was settled for {_PATIENCE:.0f} s: {waiting}")

    def _tell(self, ops: Iterator[Op]) -> bool:
        op = next(ops, None)
        if op is None:
            return False
        self.world.perform(op)
        for letter in self.courier.letters(op):
            self.world.send(letter)
            self.duplicates += letter.duplicate
        return True

    def _strike(self, worker: Worker) -> None:
        if not worker.alive or any(one.is_alive() and one.name == worker.name for one in self._dying):
            return
        if self.random.random() < 0.5:
            self.kills["SIGKILL"] += 1
            worker.kill()
            return
        self.kills["SIGTERM"] += 1
        thread = threading.Thread(target=self._terminate, args=(worker,), name=worker.name)
        self._dying.append(thread)
        thread.start()

    def _terminate(self, worker: Worker) -> None:
        left = worker.terminate(within=DRAIN + EXIT_SECONDS + 5)
        if left.seconds > DRAIN + EXIT_SECONDS or left.code not in ({0} if left.started else {0, -signal.SIGTERM}):
            self.late.append(f"{worker.log.name}: ended with {left.code} after {left.seconds:.1f} s")

    def _revive(self) -> None:
        self._dying = [one for one in self._dying if one.is_alive()]
        dying = {one.name for one in self._dying}
        for worker in self.workers:
            if worker.name not in dying and not worker.alive:
                worker.start()

    def end(self) -> None:
        """All workers leave in peace, and nobody is left."""
        for thread in self._dying:
            thread.join()
        for worker in self.workers:
            if worker.alive:
                self._wait_until_started(worker)
                self._terminate(worker)
        self.watch.settle(self.workers)

    def _wait_until_started(self, worker: Worker) -> None:
        deadline = time.monotonic() + 60
        while worker.alive and not worker.started and time.monotonic() < deadline:
            time.sleep(_TICK)


def run(plan: Plan, folder: Path) -> Report:
    """One storm, from an empty bucket to a table of what was found."""
    began = time.monotonic()
    random = Random(plan.seed)
    (folder / "corpus").mkdir()
    corpus = Corpus(folder / "corpus")
    with ExitStack() as stack:
        world = stack.enter_context(worlds.running(folder, versioned=plan.versioned))
        judge = Now(random=Random(plan.seed), one_in=plan.one_in) if plan.one_in else None
        endpoint = stack.enter_context(proxying(world.resources.endpoint, judge)) if judge else None
        settings: dict[str, object] = {"CHAOS_READ_SECONDS": 2} if judge else {}
        variables = crew.environment(world.resources, folder, RECIPE, endpoint=endpoint, **settings)
        storm = Storm(
            world=world,
            workers=[Worker(name=f"worker{n}", folder=folder, environment=variables) for n in range(plan.workers)],
            random=random,
            ops=story.told(plan.jobs, corpus, random),
            courier=Courier(bucket=world.resources.uploads, random=random),
        )
        with _stopped(storm), visiting(world, seed=plan.seed) as visitor:
            storm.run()
            storm.end()
        return report(storm, visitor.halves, judge.count if judge else {}, time.monotonic() - began, folder)


@contextmanager
def _stopped(storm: Storm) -> Iterator[None]:
    try:
        yield
    finally:
        for worker in storm.workers:
            if worker.alive:
                worker.kill()


def report(storm: Storm, halves: list[str], faults: dict[str, int], seconds: float, folder: Path) -> Report:
    """What the checker says, and what was done."""
    world = storm.world
    bucket, told = world.bucket(), world.told()
    found = check.check(world.histories, bucket, told, uploads=world.resources.uploads)
    ended = [line for worker in storm.workers for line in worker.lines("attempt_ended")]
    return Report(
        figures={
            "jobs": len(storm.ops),
            "versions": sum(1 for history in world.histories.values() for one in history if one),
            "deletions": sum(1 for history in world.histories.values() for one in history if one is None),
            "messages": world.sent,
            "duplicates": storm.duplicates,
            "attempts that ended": len(ended),
            "attempts by verdict": ", ".join(f"{n} {kind}" for kind, n in Counter(e["verdict"] for e in ended).items()),
            "lives of workers": sum(worker.lives for worker in storm.workers),
            "kill -9": storm.kills["SIGKILL"],
            "SIGTERM": storm.kills["SIGTERM"],
            "faults": sum(faults.values()),
            "outcomes told": len(told),
            "objects": len(bucket),
            "seconds": round(seconds),
        },
        wrong={
            "lost": found.lost + worlds.missing(storm.courier.dead, world.dead()),
            "double": found.double,
            "partial": found.partial + halves,
            "stray objects": found.stray,
            "former versions kept": [f"{one}: was never swept" for one in check.unswept(bucket)],
            "open multipart uploads": world.uploads_under_way(),
            "orphans": storm.watch.found,
            "scratch left": crew.scratch_left(folder),
            "bad exits": storm.late,
            "settling failed": [str(line) for w in storm.workers for line in w.lines("settling_failed")]
            if not faults
            else [],
        },
        details={"faults": faults},
    )
