"""A worker that dies, or fails, at each of its calls in turn; then the message is delivered again."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from service.core.outcome import Unavailable
from service.core.recipe import Recipe
from tests.fakes import FakeUploads, Wire, film, photo
from tests.runtime.site import Site, job, received, rules

KEY = "a.jpg"


@dataclass(kw_only=True)
class Death:
    """The worker is killed at the `number`-th call: that has its effect, and nothing that comes after has any."""

    number: int
    calls: int = 0
    came: bool = False

    def wire(self) -> Wire:
        """What the worker's calls go over."""
        return Wire(before=self._before, after=self._after)

    async def _before(self, _call: str) -> None:
        if self.came:
            raise asyncio.CancelledError

    async def _after(self, _call: str) -> None:
        self.calls += 1
        if self.calls == self.number:
            self.came = True
            raise asyncio.CancelledError


@dataclass(kw_only=True)
class Failure:
    """The `number`-th call fails, after it had its effect or before; the worker lives on."""

    number: int
    had_effect: bool
    calls: int = 0
    came: bool = False

    def wire(self) -> Wire:
        """What the worker's calls go over."""
        return Wire(after=self._count) if self.had_effect else Wire(before=self._count)

    async def _count(self, _call: str) -> None:
        self.calls += 1
        if self.calls == self.number:
            self.came = True
            raise Unavailable("this one call")


@dataclass(kw_only=True)
class Scene:
    """What there is before the message, and what the message is about."""

    recipe: Recipe = field(default_factory=rules)
    type_: str = "process"


async def a_picture(site: Site) -> Scene:
    """A first upload."""
    site.uploads.put(KEY, photo())
    return Scene()


async def a_film(site: Site) -> Scene:
    """A first upload, in two groups of steps."""
    site.uploads.put(KEY, film())
    return Scene()


async def a_long_film(site: Site) -> Scene:
    """A first upload that is encoded in three pieces."""
    site.uploads.put(KEY, film(seconds=900.0))
    return Scene()


async def a_bad_picture(site: Site) -> Scene:
    """A first upload that is refused."""
    site.uploads.put(KEY, photo(fault="damaged"))
    return Scene()


async def a_replacement(site: Site) -> Scene:
    """Another picture under the same key, smaller: one alias of the former goes."""
    site.uploads.put(KEY, photo(width=900))
    await site.process(KEY, received("former"))
    site.uploads.put(KEY, photo(width=500))
    return Scene()


async def a_deletion(site: Site) -> Scene:
    """The upload of a published picture is gone."""
    site.uploads.put(KEY, photo())
    await site.process(KEY, received("former"))
    site.uploads.delete(KEY)
    return Scene()


async def a_wider_recipe(site: Site) -> Scene:
    """A published picture is to have one more width."""
    site.uploads.put(KEY, photo())
    await site.process(KEY, received("former"))
    return Scene(recipe=rules(320, 640, 800), type_="reprocess")


async def a_reprocessing(site: Site) -> Scene:
    """A film that was given up is tried anew."""
    site.uploads.put(KEY, film())
    await site.pipeline().give_up(job(KEY), received("former"))
    return Scene(type_="reprocess")


@dataclass(frozen=True, kw_only=True)
class Case:
    """How the attempt ends, and in what kind of bucket."""

    trouble: Callable[[int], Death | Failure]
    versioned: bool


CASES = {
    "dies": Case(trouble=lambda number: Death(number=number), versioned=False),
    "fails before": Case(trouble=lambda number: Failure(number=number, had_effect=False), versioned=True),
    "fails after": Case(trouble=lambda number: Failure(number=number, had_effect=True), versioned=False),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize(
    "scene", [a_picture, a_film, a_long_film, a_bad_picture, a_replacement, a_deletion, a_wider_recipe, a_reprocessing]
)
async def test_an_attempt_that_ends_early_is_brought_to_its_end(
    scene: Callable[[Site], Awaitable[Scene]], case: Case, tmp_path: Path
) -> None:
    """Whichever call is the last: the next delivery ends as if nothing had been, and makes nothing twice."""
    expected = await _undisturbed(scene, versioned=case.versioned, scratch=tmp_path)
    number = 0
    while True:
        number += 1
        site = Site(scratch=tmp_path, uploads=FakeUploads(versioned=case.versioned))
        at = await scene(site)
        trouble = case.trouble(number)
        ended = await _attempt(site, at, trouble.wire(), count=1)
        if not trouble.came:
            break
        assert ended is not None, f"call {number} ended the attempt"
        recorded = {record.digest: record for record in site.records(KEY)}
        kept = {digest: record for digest, record in recorded.items() if record.steps[0].kind != "Piece"}
        wire = Wire()
        assert await _attempt(site, at, wire, count=2) is None

        assert expected == _seen(site), f"after call {number}"
        site.check(KEY, ready=False)
        again = {record.digest: record for record in site.records(KEY)}
        assert kept == {digest: again.get(digest) for digest in kept} or scene is a_deletion
        assert set(recorded).isdisjoint(_made(wire, again))
        assert [] == [key for key in site.objects() if key.startswith("work/")]
    assert number > 2


async def _undisturbed(scene: Callable[[Site], Awaitable[Scene]], *, versioned: bool, scratch: Path) -> object:
    site = Site(scratch=scratch, uploads=FakeUploads(versioned=versioned))
    at = await scene(site)
    await _attempt(site, at, Wire(), count=1)
    return _seen(site)


async def _attempt(site: Site, at: Scene, wire: Wire, *, count: int) -> BaseException | None:
    """One delivery; how it failed."""
    pipeline = site.pipeline(wire, at.recipe)
    working = asyncio.ensure_future(pipeline.process(job(KEY, at.type_), received(count=count)))
    await asyncio.wait([working])
    return asyncio.CancelledError() if working.cancelled() else working.exception()


def _seen(site: Site) -> object:
    """What a page and its owner see in the end: all but moments, attempts and repeated messages."""
    manifest = site.manifest(KEY)
    assert manifest
    last = f"{KEY}@{manifest.revision}"
    products = site.products(KEY) if manifest.status == "ready" else {}
    served = {name: re.sub(rb"-\w{10}\.\d+/", b"-attempt/", body) for name, body in products.items()}
    return manifest.status, manifest.reason, served, manifest.revision, sorted(set(site.told)), last in site.told


def _made(wire: Wire, records: object) -> set[str]:
    """The groups that were committed over this wire."""
    written = [call.split()[1] for call in wire.calls if call.startswith("write records/")]
    return {key.rpartition("/")[2].removesuffix(".json") for key in written}
