"""Each minute goes out, the last one too, whatever happens to the lines; and what is sent is what the docs say."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from service import metrics
from service.core import emf as core
from service.core.emf import Series
from service.web import emf
from tests import emf as specification
from tests.fakes import Clock
from tests.runtime.lines import logged

ROOT = Path(__file__).parent.parent
OURS = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]


class Minutes:
    """Minutes that are over when a test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._begun, self._over = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        self._begun.release()
        await self._over.acquire()

    async def begin(self) -> None:
        """Wait until somebody waits for the end of one."""
        await self._begun.acquire()

    async def end(self) -> None:
        """Let it end, and what is done then be done."""
        self._over.release()
        await self.begin()


class Told:
    """What a worker has counted, and what was written of it; `refuses` are the writes that fail, in order."""

    def __init__(self, *, refuses: Callable[[int], bool] = lambda _at: False) -> None:
        self.done, self.busy, self.tries = 0.0, 0.0, 0
        self.texts: list[str] = []
        self._refuses = refuses
        clock = Clock(now=1_790_078_400.0)
        self.emitter = emf.Emitter(stage="prod", lane="light", write=self._write, read=self._read, clock=clock)

    def _read(self) -> tuple[Series, ...]:
        done = Series(name="media_attempts", kind="counter", labels=(("verdict", "done"),), value=self.done)
        return done, Series(name="media_slots_busy", kind="gauge", value=self.busy)

    def _write(self, text: str) -> None:
        self.tries += 1
        if self._refuses(self.tries):
            raise BrokenPipeError("nobody listens")
        self.texts.append(text)

    @property
    def minutes(self) -> list[dict[str, float]]:
        """What was written, by metric."""
        written = [[specification.checked(line) for line in text.split("\n")] for text in self.texts]
        return [{key[0]: value for key, value in specification.sums(one).items()} for one in written]


async def test_each_minute_is_sent_and_the_last_one_too() -> None:
    """By what it brought; the end has no gauges, since the worker that they speak of is gone."""
    told, minutes = Told(), Minutes()
    async with emf.emitting(told.emitter, sleep=minutes):
        await minutes.begin()
        told.done, told.busy = 3, 1
        await minutes.end()
        await minutes.end()
        told.done, told.busy = 5, 0
    assert [60.0, 60.0, 60.0] == minutes.asked
    counted = {"media_attempts": 3, "media_slots_busy": 1}
    assert [counted, {"media_slots_busy": 1}, {"media_attempts": 2}] == told.minutes


async def test_a_worker_that_never_began_sends_nothing() -> None:
    """One with a wrong setting ends with a word about it, and leaves no trace on the dashboard."""
    told = Told()
    with pytest.raises(LookupError):
        async with emf.emitting(told.emitter, sleep=Minutes()):
            raise LookupError
    assert [] == told.texts


async def test_what_was_counted_before_a_crash_is_sent() -> None:
    """The crash goes on."""
    told = Told()

    async def crash() -> None:
        async with emf.emitting(told.emitter, sleep=Minutes()):
            told.done = 1
            raise LookupError

    with pytest.raises(LookupError):
        await crash()
    assert [{"media_attempts": 1}] == told.minutes


async def test_a_minute_that_cannot_be_written_goes_out_with_the_next() -> None:
    """The log says so, and the worker works on."""
    told, minutes = Told(refuses=lambda at: at in {1, 2}), Minutes()
    with logged() as events:
        async with emf.emitting(told.emitter, sleep=minutes):
            await minutes.begin()
            told.done = 3
            await minutes.end()
            told.done = 4
            await minutes.end()
            await minutes.end()
    assert [{"media_attempts": 4, "media_slots_busy": 0}] == told.minutes
    assert 2 == events.count("metrics_not_written")


async def test_a_last_minute_that_cannot_be_written_ends_nothing() -> None:
    """It is lost then."""
    told = Told(refuses=lambda _at: True)
    async with emf.emitting(told.emitter, sleep=Minutes()):
        told.done = 1
    assert (1, []) == (told.tries, told.texts)


def test_a_log_that_cannot_be_written_either_ends_nothing() -> None:
    """Both go to standard output, which may be closed."""
    code = "import asyncio, sys\nfrom service.web import emf\n"
    code += "async def main():\n    async with emf.emitting(emf.Emitter(stage='a', lane='all')):\n"
    code += "        emf.metrics.forged.inc()\n        sys.stdout.close()\n"
    code += "asyncio.run(main())\nprint('well', file=sys.stderr)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (0, "well\n", "") == (said.returncode, said.stderr, said.stdout)


def test_lines_never_come_into_one_another() -> None:
    """Threads that log and a minute that is written share one lock: each line is whole."""
    code = "import threading\nfrom service import logs\nfrom service.web import emf\nlogs.configure(level='ERROR')\n"
    code += 'long = \'{"event": "metrics", "text": "\' + \'m\' * 70_000 + \'"}\'\n'
    code += "def log():\n    for _ in range(200): logs.log.error('logged', text='l' * 9_000)\n"
    code += "threads = [threading.Thread(target=log) for _ in range(4)]\n"
    code += "for one in threads: one.start()\n"
    code += "for _ in range(50): emf.write(long + '\\n' + long)\n"
    code += "for one in threads: one.join()"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    events = [json.loads(line)["event"] for line in said.stdout.splitlines()]
    assert (800, 100, 900) == (events.count("logged"), events.count("metrics"), len(events))


def test_a_snapshot_is_what_prometheus_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each family by its labels; buckets alone, not what lies below them; nothing of when they were made."""
    registry = CollectorRegistry()
    jobs = Counter("media_jobs", "Jobs.", ["status"], registry=registry)
    waited = Histogram("media_waited_seconds", "Waits.", buckets=(1, 5), registry=registry)
    monkeypatch.setattr(metrics, "REGISTRY", registry)
    jobs.labels("ready").inc(3)
    for seconds in (0.5, 1.0, 4.0, 9.0):
        waited.observe(seconds)
    buckets = ((1.0, 2.0), (5.0, 1.0), (float("inf"), 1.0))
    assert (
        Series(name="media_jobs", kind="counter", labels=(("status", "ready"),), value=3.0),
        Series(name="media_waited_seconds", kind="histogram", value=14.5, buckets=buckets),
    ) == metrics.snapshot()


def test_all_that_the_service_has_keeps_the_limits() -> None:
    """A line of every metric at once, with every bucket in use."""
    lines = core.lines(map(_in_use, OURS), stage="a" * 12, lane="light", at=1_790_078_400.0)
    found = specification.series(specification.checked(str(line)) for line in lines)
    assert {(one._name, label) for one in OURS for label in one._labelnames or [""]} == {key[:2] for key in found}


def _in_use(metric: MetricWrapperBase) -> Series:
    labels = tuple((label, "x" * 40) for label in metric._labelnames)
    if metric._type != "histogram":
        return Series(name=metric._name, kind=metric._type, labels=labels, value=1.0)
    bounds = metric._kwargs["buckets"]
    buckets = tuple((float(top), 1.0) for top in [*bounds, "inf"])
    return Series(name=metric._name, kind="histogram", labels=labels, value=3.0 * max(bounds), buckets=buckets)


def test_the_docs_name_every_metric_and_no_other() -> None:
    """With its kind, its labels and its unit."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(media_\w+)` \| (\w+) \|([^|]*)\| (\w+) \| [^|]+ \|$", text, re.MULTILINE)
    told = {name: (kind, tuple(re.findall(r"`(\w+)`", labels)), unit) for name, kind, labels, unit in rows}
    assert len(rows) == len(told)
    assert {one._name: (one._type, tuple(one._labelnames), core.unit(one._name)) for one in OURS} == told
