"""Two workers on one key: whatever the order of their calls, they end in one consistent state."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from service.core.recipe import Recipe
from service.runtime.pipeline import Pipeline
from tests.fakes import FakeUploads, Wire, film, photo
from tests.runtime.referee import Referee
from tests.runtime.site import Site, job, places, received, rules

KEY = "a.jpg"
SEEDS = 40
BUCKETS = ["unversioned", "versioned"]


class Race:
    """Two workers, `one` and `two`, whose calls a referee puts in an order."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site = site
        self.referee = Referee(seed)
        self.wires = {name: self.referee.wire(name) for name in ("one", "two")}

    async def run(
        self, *, first: Callable[[], object] | None = None, type_: str = "process", recipe: Recipe | None = None
    ) -> None:
        """Each handles a message of its own; `two`, whose recipe it is, does something else first.

        Whoever fails is delivered the message again, when all is quiet.
        """
        one, two = (self.site.pipeline(self.wires[name]) for name in ("one", "two"))
        two = self.site.pipeline(self.wires["two"], recipe)
        failed = await self.referee.play(
            one=one.process(job(KEY, type_), received("one")), two=self._after(first, two, type_)
        )
        for name in (name for name, error in failed.items() if error):
            await self.site.process(KEY, received(name, count=2), type_=type_)

    async def _after(self, first: Callable[[], object] | None, pipeline: Pipeline, type_: str) -> None:
        if first:
            async with self.wires["two"].call("first"):
                first()
        await pipeline.process(job(KEY, type_), received("two"))


@pytest.mark.parametrize("body", [photo(), film(), photo(fault="damaged")], ids=["picture", "film", "refused"])
async def test_duplicates_at_the_same_time(body: bytes, tmp_path: Path) -> None:
    """Two messages of one upload: one publication, one message, and nothing that only one of them knows of."""
    for seed in range(SEEDS):
        site = Site(scratch=tmp_path)
        site.uploads.put(KEY, body)
        race = Race(site, seed)
        await race.run()
        site.check(KEY, ready=False)
        assert {f"{KEY}@1"} == set(site.told), race.referee.order


async def test_two_recipes_at_the_same_time(tmp_path: Path) -> None:
    """As in a rolling deployment: the page is that of the one or of the other, with all it needs."""
    for seed in range(SEEDS):
        site = Site(scratch=tmp_path)
        site.uploads.put(KEY, photo())
        await site.process(KEY, recipe=rules(640))
        race = Race(site, seed)
        await race.run(type_="reprocess", recipe=rules(320, 640, 800))
        site.check(KEY)
        assert len(site.products(KEY)) in {4, 6}, race.referee.order


@pytest.mark.parametrize("bucket", BUCKETS)
async def test_a_replacement_while_the_former_is_worked_on(bucket: str, tmp_path: Path) -> None:
    """The newest wins, and the aliases are its own."""
    for seed in range(SEEDS):
        site = Site(scratch=tmp_path, uploads=FakeUploads(versioned=bucket == "versioned"))
        site.uploads.put(KEY, photo(note="former"))
        race = Race(site, seed)
        await race.run(first=lambda site=site: site.uploads.put(KEY, photo(note="newer", width=500)))
        site.check(KEY)


@pytest.mark.parametrize("bucket", BUCKETS)
async def test_a_deletion_while_it_is_worked_on(bucket: str, tmp_path: Path) -> None:
    """Nothing of a deleted upload is left, and no page shows it."""
    for seed in range(SEEDS):
        site = Site(scratch=tmp_path, uploads=FakeUploads(versioned=bucket == "versioned"))
        site.uploads.put(KEY, photo())
        race = Race(site, seed)
        await race.run(first=lambda site=site: site.uploads.delete(KEY))
        site.check(KEY)


class Hold:
    """Stops a worker before the first call that begins with `call`, until it is let go."""

    def __init__(self, call: str) -> None:
        self._call = call
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    def wire(self) -> Wire:
        """What the worker's calls go over."""
        return Wire(before=self._before)

    async def _before(self, call: str) -> None:
        if call.startswith(self._call):
            self.reached.set()
            await self.go.wait()


async def held_at(site: Site, call: str, meanwhile: Callable[[], object]) -> None:
    """One worker stops before `call`; meanwhile something happens, and a second worker handles its event; go on."""
    hold = Hold(call)
    first = asyncio.ensure_future(site.pipeline(hold.wire()).process(job(KEY), received("one")))
    await hold.reached.wait()
    meanwhile()
    await site.process(KEY, received("two"))
    hold.go.set()
    await first


async def test_a_loser_leaves_the_aliases_to_the_winner(tmp_path: Path) -> None:
    """The former version's worker stops before its aliases, the newer one is published, the former goes on."""
    site = Site(scratch=tmp_path)
    site.uploads.put(KEY, photo(note="former"))
    await held_at(site, f"copy {places(KEY).aliases}", lambda: site.uploads.put(KEY, photo(note="newer")))
    site.check(KEY)


@pytest.mark.parametrize("call", ["draw", "write media/"])
async def test_a_delete_that_finds_nothing_stops_a_worker_that_began_before(call: str, tmp_path: Path) -> None:
    """One worker stops before it draws, or before it publishes; the upload is deleted, which a second one handles."""
    site = Site(scratch=tmp_path)
    site.uploads.put(KEY, photo())
    await held_at(site, call, lambda: site.uploads.delete(KEY))
    site.check(KEY)


@pytest.mark.parametrize("call", ["head", "fetch", "draw", "upload", "write records/", "write media/"])
@pytest.mark.parametrize("bucket", BUCKETS)
async def test_the_newest_version_wins_from_wherever_the_former_was(call: str, bucket: str, tmp_path: Path) -> None:
    """The former version's worker stops before a call, the newer one is published meanwhile, the former goes on."""
    site = Site(scratch=tmp_path, uploads=FakeUploads(versioned=bucket == "versioned"))
    site.uploads.put(KEY, photo(note="former"))
    await held_at(site, call, lambda: site.uploads.put(KEY, photo(note="newer")))
    newest = site.uploads.newest(KEY)
    assert newest
    assert newest.head.etag == site.ready(KEY).source.etag
    assert 1 == site.ready(KEY).revision
