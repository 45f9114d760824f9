"""Uploads, deletions, duplicates, deaths and failures in any order: in the end the newest state, and nothing else."""

import asyncio
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from service.core import job as jobs
from service.core.job import Input
from service.core.manifest import Status
from service.runtime.worker import Pulse, Terms, Worker
from tests.fakes import Clock, FakeQueue, FakeUploads, Wire, film, photo
from tests.runtime.site import Site, job, places, rules
from tests.runtime.test_interruptions import Death, Failure

KEYS = ("a", "a/b.jpg")
BODIES = {
    "picture": photo(),
    "other picture": photo(width=500, note="other"),
    "film": film(seconds=2),
    "bad picture": photo(fault="damaged"),
    "text": b"Dear diary",
    "nothing": b"",
}
REJECTED = {"bad picture", "text", "nothing"}
VISIBILITY = 30
TERMS = Terms(
    inputs=(Input(bucket="uploads", prefix=""),),
    output_bucket="published",
    slots=1,
    visibility=VISIBILITY,
    drain_seconds=0,
)


class Life(RuleBasedStateMachine):
    """A bucket, a queue, and workers that come and go."""

    @initialize(versioned=st.booleans())
    def begin(self, *, versioned: bool) -> None:
        """Everything is empty."""
        self.clock = Clock()
        self.queue = FakeQueue(clock=self.clock, visibility=VISIBILITY)
        self.site = Site(scratch=Path(tempfile.mkdtemp()), uploads=FakeUploads(versioned=versioned))
        self.recipe = rules(320, 640)
        self.runner = asyncio.Runner()

    @rule(key=st.sampled_from(KEYS), name=st.sampled_from(sorted(BODIES)))
    def put(self, key: str, name: str) -> None:
        """Somebody uploads."""
        self.site.uploads.put(key, BODIES[name])
        self._notify(key)

    @rule(key=st.sampled_from(KEYS))
    def delete(self, key: str) -> None:
        """Somebody deletes."""
        if self.site.uploads.newest(key):
            self.site.uploads.delete(key)
            self._notify(key)

    @rule(key=st.sampled_from(KEYS))
    def undelete(self, key: str) -> None:
        """Somebody removes a delete marker."""
        history = self.site.uploads.history.get(("uploads", key))
        if self.site.uploads.versioned and history and history[-1].body is None:
            self.site.uploads.undelete(key)
            self._notify(key)

    @rule(widths=st.sampled_from([(320, 640), (320, 400, 640), (640,)]))
    def change_the_recipe(self, widths: tuple[int, ...]) -> None:
        """The product owner wants other widths, of everything."""
        self.recipe = rules(*widths)
        for key in KEYS:
            self.queue.put(jobs.envelope(job(key, "reprocess")))

    @precondition(lambda self: self.queue.letters)
    @rule(data=st.data())
    def duplicate(self, data: st.DataObject) -> None:
        """A message that is still there comes as another one too."""
        self.queue.put(self.queue.letters[data.draw(st.sampled_from(sorted(self.queue.letters)))].body)

    @precondition(lambda self: self.queue.letters)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """A worker handles a message, not always the oldest."""
        self._handle(data.draw(st.sampled_from(sorted(self.queue.letters))), Wire())

    @precondition(lambda self: self.queue.letters)
    @rule(data=st.data(), number=st.integers(1, 60))
    def deliver_to_one_that_dies(self, data: st.DataObject, number: int) -> None:
        """A worker is killed after so many calls."""
        self._handle(data.draw(st.sampled_from(sorted(self.queue.letters))), Death(number=number).wire())

    @precondition(lambda self: self.queue.letters)
    @rule(data=st.data(), number=st.integers(1, 60), had_effect=st.booleans())
    def deliver_to_one_that_fails(self, data: st.DataObject, number: int, *, had_effect: bool) -> None:
        """One call fails."""
        trouble = Failure(number=number, had_effect=had_effect)
        self._handle(data.draw(st.sampled_from(sorted(self.queue.letters))), trouble.wire())

    def _notify(self, key: str) -> None:
        self.queue.put(jobs.envelope(job(key)))

    def _handle(self, name: str, wire: Wire) -> None:
        """Whatever was received before has become visible again."""
        self.clock.now += 10_000
        queue = replace(self.queue, wire=wire)
        message = queue._given(name)
        pipeline = self.site.pipeline(wire, self.recipe)
        worker = Worker(queue=queue, pipeline=pipeline, terms=TERMS, pulse=Pulse(slots=1), jitter=Random(1))
        self.runner.run(_survived(worker, message))

    def teardown(self) -> None:
        """Every message is handled by somebody who lives; then all is as it should be."""
        if not hasattr(self, "runner"):
            return
        try:
            for _ in range(500):
                if self.queue.letters:
                    self._handle(min(self.queue.letters), Wire())
            assert {} == self.queue.letters
            self._check()
        finally:
            self.runner.close()
            shutil.rmtree(self.site.scratch)

    def _check(self) -> None:
        self.site.check(*KEYS, ready=False)
        given_up = {json.loads(dead.body)["source"]["key"] for dead in self.queue.dead or ()}
        for key in KEYS:
            newest, found = self.site.uploads.newest(key), self.site.manifest(key)
            if newest and newest.body is not None and key not in given_up:
                rejected = newest.body in {BODIES[name] for name in REJECTED}
                assert found
                assert (Status.REJECTED if rejected else Status.READY) == found.status
            assert found is None or _said(found.model_dump(mode="json")) in self._told(key)
        assert [] == list(self.site.scratch.iterdir())
        assert not any(places(key).manifest in self.site.store.objects for key in ("ab", "b.jpg"))

    def _told(self, key: str) -> list[dict[str, Any]]:
        return [_said(message["manifest"]) for _, message in self.site.outcomes.told if message["name"] == key]


def _said(manifest: dict[str, Any]) -> dict[str, Any]:
    """What a manifest says, whichever revision it is."""
    return {name: value for name, value in manifest.items() if name not in {"revision", "updated_at"}}


async def _survived(worker: Worker, message: object) -> None:
    """An attempt, in a task of its own as in the worker."""
    attempt = asyncio.ensure_future(worker._attempt(message))  # type: ignore[arg-type]  # it is a Message
    await asyncio.wait([attempt])
    if not attempt.cancelled():
        attempt.exception()  # a message that could not be settled comes back


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
