"""SIGTERM at random moments: the worker leaves within its time, and every message is done or to be seen again."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from scripts.chaos_run import check, crew
from scripts.chaos_run import world as worlds
from scripts.chaos_run.corpus import RECIPE, Corpus
from scripts.chaos_run.crew import Watch, Worker
from scripts.chaos_run.report import Report
from scripts.chaos_run.story import Courier, Put
from scripts.chaos_run.world import World

_DRAINS = (0, 0, 2)  # seconds: with two, what runs here mostly ends; with none, it is interrupted
_EXIT_SECONDS = 5.0  # beyond the drain time
_SEEN_SECONDS = 5.0  # within which what is not done can be seen again
_LONGEST_LIFE = 3.0  # seconds after its start
_WAITING = 10  # messages, whenever one is stopped
_PATIENCE = 120.0


@dataclass(kw_only=True)
class Stops:
    """A run under way."""

    world: World
    worker: Worker
    corpus: Corpus
    random: Random
    watch: Watch = field(default_factory=Watch)
    exits: list[float] = field(default_factory=list)  #: seconds each took
    again: int = 0  #: messages that were seen again after a stop
    bad: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    def stop(self) -> None:
        """Start one, stop it at any moment, and look at what it leaves."""
        self._fill()
        drain = self.random.choice(_DRAINS)
        self.worker.environment = {**self.worker.environment, "MEDIA_DRAIN_SECONDS": str(drain)}
        self.worker.start()
        while self.worker.alive and not self.worker.started:
            time.sleep(0.05)
        time.sleep(self.random.uniform(0, _LONGEST_LIFE))
        busy = self.world.waiting()["in flight"]
        left = self.worker.terminate(within=drain + _EXIT_SECONDS + 10)
        self.exits.append(left.seconds)
        if left.code or left.seconds > drain + _EXIT_SECONDS:
            self.bad.append(f"{self.worker.log.name}: ended with {left.code} after {left.seconds:.1f} s, {busy} jobs")
        self._check_messages()
        self.watch.settle([])

    def _fill(self) -> None:
        for _ in range(_WAITING - sum(self.world.waiting().values())):
            put = Put(key=f"uploads/{len(self.world.histories):05}", upload=self.corpus.any(self.random))
            self.world.perform(put)
            letters = Courier(bucket=self.world.resources.uploads, random=self.random).letters(put)
            self.world.send(letters[0])

    def _check_messages(self) -> None:
        """None is hidden any more: its visibility alone would hide it for a minute."""
        deadline = time.monotonic() + _SEEN_SECONDS
        while hidden := self.world.waiting()["in flight"]:
            if time.monotonic() > deadline:
                self.hidden.append(f"{self.worker.log.name}: {hidden} messages still hidden after {_SEEN_SECONDS} s")
                return
            time.sleep(0.1)
        self.again += len(self.worker.released())

    def finish(self) -> None:
        """One more, that does the rest."""
        self.worker.start()
        deadline = time.monotonic() + _PATIENCE
        while not self.world.quiet() and time.monotonic() < deadline:
            time.sleep(0.2)
        self.worker.terminate(within=_EXIT_SECONDS + 10)


def run(folder: Path, *, seed: int, stops: int) -> Report:
    """So many stops, then what a site owner sees."""
    began = time.monotonic()
    random = Random(seed)
    (folder / "corpus").mkdir()
    with worlds.running(folder) as world:
        variables = crew.environment(world.resources, folder, RECIPE, MEDIA_VISIBILITY_SECONDS=60)
        worker = Worker(name="worker", folder=folder, environment=variables)
        run = Stops(world=world, worker=worker, corpus=Corpus(folder / "corpus"), random=random)
        with worker.ended():
            for _ in range(stops):
                run.stop()
            run.finish()
        found = check.check(world.histories, world.bucket(), world.told(), uploads=world.resources.uploads)
        exits = sorted(run.exits)
        return Report(
            figures={
                "SIGTERM": len(exits),
                "jobs": len(world.histories),
                "released by a stop": run.again,
                "longest exit": f"{exits[-1]:.2f} s",
                "median exit": f"{exits[len(exits) // 2]:.2f} s",
                "seconds": round(time.monotonic() - began),
            },
            wrong={
                "bad exits": run.bad,
                "messages hidden": run.hidden,
                "lost": found.lost,
                "double": found.double,
                "partial": found.partial,
                "stray objects": found.stray,
                "messages left": [] if world.quiet() else [str(world.waiting())],
                "dead letters": world.dead(),
                "orphans": run.watch.found,
                "scratch left": crew.scratch_left(folder),
            },
        )
