"""Every call times every fault: each time one fault in one call of a job, all jobs by one worker.

What the calls are is asked of the proxy, during a job that nothing befalls.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, unquote, urlsplit

from scripts.chaos_run import check, crew
from scripts.chaos_run import world as worlds
from scripts.chaos_run.corpus import RECIPE, Corpus
from scripts.chaos_run.crew import Watch, Worker
from scripts.chaos_run.faults import FAULTS, Docket, Flipped, Trial, fits
from scripts.chaos_run.proxy import proxying
from scripts.chaos_run.report import Report
from scripts.chaos_run.story import Courier, Delete, Op, Put
from scripts.chaos_run.world import World

_SCENES = ("a picture", "a clip", "a replacement", "a deletion")
_SLOTS = 8
_READ_SECONDS = 2  # that the worker waits for an answer
_PATIENCE = 120.0  # seconds for all that is under way
_TOKEN = re.compile(r"f\d{5}f")
_PLACES = (
    (re.compile(r"~[0-9a-f]{16}-[0-9a-f]{10}\.\d+/"), "~FOLDER/"),
    (re.compile(r"~[0-9a-f]{32}/"), "~VERSION/"),
    (re.compile(r"[0-9a-f]{40}\.json"), "RECORD.json"),
    (re.compile(r"failures/\d{4}-\d\d-\d\d/"), "failures/DAY/"),
    (_TOKEN, "KEY"),
    (re.compile(r"^/chaos-[0-9a-f]{8}-"), ""),
)


def token(text: str) -> str | None:
    """The token in a text that names a key."""
    found = _TOKEN.search(text)
    return found[0] if found else None


def sign(operation: str, path: str) -> str:
    """A call, the same for every job of a kind."""
    address = urlsplit(path)
    prefix = parse_qs(address.query).get("prefix", [""])[0]
    named = unquote(f"{address.path} {prefix}").strip()
    for pattern, name in _PLACES:
        named = pattern.sub(name, named)
    return f"{operation} {named}".strip()


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault in one call of one scene."""

    scene: str
    fault: str
    trial: Trial

    def __str__(self) -> str:
        return f"{self.scene}: {self.fault}: {self.trial.signature}"


@dataclass(kw_only=True)
class Court:
    """A run under way; `told` says of each token what is tried with it, `examples` what is called in each scene."""

    world: World
    worker: Worker
    docket: Docket
    corpus: Corpus
    random: Random
    told: dict[str, str] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def undisturbed(self, scene: str) -> list[Case]:
        """Every case of a scene: the calls that are made when nothing befalls any, times the faults that fit."""
        one = self._prepared(scene, "undisturbed")
        self._settled()
        self._begin(one, scene, None)
        self._settled()
        self.examples[scene] = list(self.docket.calls[one])
        return [
            Case(scene=scene, fault=name, trial=Trial(signature=signature, fault=fault))
            for signature, call in self.docket.calls[one].items()
            for name, fault in FAULTS.items()
            if fits(fault, call)
            and (name in _OF_POLLS or not call.operation.endswith("ReceiveMessage"))
            and (name != "flipped" or (one, signature) not in self.docket.errors)
        ]

    def hold(self, cases: Sequence[Case]) -> None:
        """All of them, some at a time; what has to wait until its message is seen again comes last."""
        ordered = sorted(cases, key=lambda case: "ReceiveMessage" in case.trial.signature)
        tokens = []
        for case in ordered:
            self._wait(_SLOTS)
            tokens.append(self._prepared(case.scene, str(case)))
        self._settled()
        for one, case in zip(tokens, ordered, strict=True):
            self._wait(_SLOTS)
            self._begin(one, case.scene, case.trial)
        self._settled()

    def unnoticed(self) -> list[str]:
        """What was flipped and not asked for again."""
        trials = self.docket.trials.items()
        flipped = [(one, trial.signature) for one, trial in trials if isinstance(trial.fault, Flipped)]
        return [self.told[one] for one, signature in flipped if not self._repeated(one, signature)]

    def _repeated(self, one: str, signature: str) -> bool:
        call, _, number = signature.rpartition(" #")
        return f"{call} #{int(number) + 1}" in self.docket.calls[one]

    def _prepared(self, scene: str, told: str) -> str:
        """A key, with what there is before the job that is tried."""
        one = f"f{len(self.told):05}f"
        self.told[one] = told
        if scene in {"a replacement", "a deletion"}:
            self._perform(Put(key=f"uploads/{one}", upload=self.corpus.one("png", self.random)))
        return one

    def _begin(self, one: str, scene: str, trial: Trial | None) -> None:
        key = f"uploads/{one}"
        self.docket.calls.pop(one, None)
        if trial:
            self.docket.trials[one] = trial
        if scene == "a deletion":
            self._perform(Delete(key=key))
        else:
            kind = "clip.mp4" if scene == "a clip" else "png"
            self._perform(Put(key=key, upload=self.corpus.one(kind, self.random)))

    def _perform(self, op: Op) -> None:
        self.world.perform(op)
        letters = Courier(bucket=self.world.resources.uploads, random=self.random).letters(op)
        self.world.send(replace(letters[0], delay=0))

    def _wait(self, less: int) -> None:
        """Until fewer messages can be seen or are being worked on."""
        self._until(lambda found: found["visible"] + found["in flight"] < less)

    def _settled(self) -> None:
        self._until(lambda found: not any(found.values()))

    def _until(self, over: Callable[[dict[str, int]], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not over(self.world.waiting()):
            if time.monotonic() > deadline or not self.worker.alive:
                return  # the checker says what is missing
            time.sleep(0.05)

    def name(self, finding: str) -> str:
        """A finding, and what was tried when it came about."""
        one = token(finding)
        return f"{finding} [{self.told.get(one or '')}]"


#: What can befall an answer with messages; a poll that nobody hears is like one that was never asked.
_OF_POLLS = {
    "latency",
    "reset instead of an answer",
    "reset while answering",
    "500 of what was done",
    "truncated",
    "stalled",
}


def run(folder: Path, *, seed: int, most: int | None) -> Report:
    """All trials, or `most` of them by chance."""
    began = time.monotonic()
    random = Random(seed)
    (folder / "corpus").mkdir()
    with ExitStack() as stack:
        world = stack.enter_context(worlds.running(folder))
        docket = Docket(token=token, sign=sign)
        endpoint = stack.enter_context(proxying(world.resources.endpoint, docket))
        settings = {"CHAOS_READ_SECONDS": _READ_SECONDS, "MEDIA_SLOTS": _SLOTS}
        variables = crew.environment(world.resources, folder, RECIPE, endpoint=endpoint, **settings)
        worker = Worker(name="worker", folder=folder, environment=variables)
        court = Court(world=world, worker=worker, docket=docket, corpus=Corpus(folder / "corpus"), random=random)
        watch = Watch()
        worker.start()
        with worker.ended():
            cases = [case for scene in _SCENES for case in court.undisturbed(scene)]
            possible = len(cases)
            chosen = cases if most is None else random.sample(cases, min(most, possible))
            court.hold(chosen)
            left = worker.terminate(within=30)
            watch.settle([])
        exits = [f"the worker ended with {left.code}"] if left.code else []
        figures = {"calls times faults": possible, "tried": len(chosen)}
        return _report(court, figures, {"orphans": watch.found, "bad exits": exits}, time.monotonic() - began)


#: A delete that comes while another one is on its way goes with others, in a DeleteMessageBatch.
_BY_ITSELF = "SQS.DeleteMessage "


def _report(court: Court, figures: dict[str, int], wrong: dict[str, list[str]], seconds: float) -> Report:
    world, worker = court.world, court.worker
    bucket, told = world.bucket(), world.told()
    found = check.check(world.histories, bucket, told, uploads=world.resources.uploads)
    ended = Counter(line["verdict"] for line in worker.lines("attempt_ended"))
    never = [
        what
        for one, what in court.told.items()
        if one in court.docket.trials and one not in court.docket.befallen and _BY_ITSELF not in what
    ]
    return Report(
        figures={
            **{f"calls of {scene}": len(calls) for scene, calls in court.examples.items()},
            **figures,
            "attempts": sum(ended.values()),
            "attempts by verdict": ", ".join(f"{n} {kind}" for kind, n in ended.items()),
            "settled at the second delivery": len(worker.lines("settling_failed")),
            "outcomes told": len(told),
            "seconds": round(seconds),
        },
        wrong={
            "lost": [court.name(one) for one in found.lost],
            "double": [court.name(one) for one in found.double],
            "partial": [court.name(one) for one in found.partial],
            "stray objects": [court.name(one) for one in found.stray],
            "messages left": [] if world.quiet() else [str(world.waiting())],
            "dead letters": world.dead(),
            "open multipart uploads": world.uploads_under_way(),
            **wrong,
            "scratch left": crew.scratch_left(worker.folder),
            "never came about": never,
            "flips unnoticed": court.unnoticed(),
        },
        details={"calls": court.examples},
    )
