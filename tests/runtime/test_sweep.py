"""What was replaced is deleted after a grace, and nothing else is."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from service.core.job import Job, Later
from service.core.outcome import Conflict
from service.core.record import Outcome
from service.runtime.page import Page
from tests.fakes import FakeUploads, Wire, film, photo
from tests.runtime.site import Site, job, places, received, rules

KEY = "a.jpg"


@pytest.fixture(name="site", params=[False, True], ids=["plain", "versioned"])
def _site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return Site(scratch=tmp_path, uploads=FakeUploads(versioned=request.param))


async def replaced(site: Site, *bodies: bytes) -> Job:
    """Uploads under one key, each published before the next; what is asked for when the last one is."""
    asked: Later | None = None
    for number, body in enumerate(bodies):
        site.uploads.put(KEY, body)
        asked = await site.deliver(job(KEY), received(f"upload {number}"))
        assert bool(asked) == bool(number)
    assert asked
    assert site.grace == asked.after
    assert ("sweep", KEY) == (asked.job.type, asked.job.key)
    return asked.job


def outcomes(site: Site) -> list[Outcome]:
    """What became of each version."""
    return [Outcome.model_validate_json(body) for key, body in site.objects().items() if key.endswith("/outcome.json")]


async def test_what_was_replaced_goes(site: Site) -> None:
    """Files and records of steps; what became of the former version is still told."""
    sweep = await replaced(site, photo(width=900), photo(width=700), film(seconds=900.0))
    before = site.ready(KEY)
    others = site.public(KEY)
    assert None is await site.deliver(sweep, received("sweep"))
    assert before == site.ready(KEY)
    site.check(KEY)
    assert others > site.public(KEY)
    assert 1 == len({record.version for record in site.records(KEY)})
    outcomes = [one for one in site.objects() if one.endswith("/outcome.json")]
    assert 3 == len(outcomes)
    wire = await site.process(KEY, received("again"), type_="reprocess")
    assert [] == [call for call in wire.calls if call.startswith(("draw", "run", "inspect"))]


async def test_what_the_recipe_no_longer_asks_for_goes(site: Site) -> None:
    """As a whole group: the second one. Of the first the placeholder is still served, so that it stays as it is."""
    site.uploads.put(KEY, photo())
    await site.process(KEY)
    for wanted, records in ((rules(320, 640, 800), 2), (rules(500), 2)):
        asked = await site.deliver(job(KEY, "reprocess"), received(str(wanted)), recipe=wanted)
        assert asked
        assert None is await site.deliver(asked.job, received(f"sweep {wanted}"), recipe=wanted)
        site.check(KEY)
        assert records == len([record for record in site.records(KEY) if record.steps])


async def test_what_was_bought_stays(site: Site) -> None:
    """What moderation saw of this version is not paid for twice."""
    wanted = rules(320, moderation="local")
    site.uploads.put(KEY, photo())
    await site.deliver(job(KEY), recipe=wanted)
    wanted = rules(500, moderation="local")
    asked = await site.deliver(job(KEY, "reprocess"), received("wider"), recipe=wanted)
    assert asked
    await site.deliver(asked.job, received("sweep"), recipe=wanted)
    kinds = sorted(step.kind for record in site.records(KEY) for step in record.steps)
    assert ["Placeholder", "Screen", *["Variant"] * 4] == kinds


async def test_nothing_goes_while_another_version_is_on_its_way(site: Site) -> None:
    """Not even of the one before: its page is the one that is shown, until the new one is ready."""
    sweep = await replaced(site, photo(width=900), photo(width=700))
    site.uploads.put(KEY, photo(width=800))
    before = site.objects()
    assert None is await site.deliver(sweep, received("sweep"))
    assert before == site.objects()


@pytest.mark.parametrize("ended", ["rejected", "deleted"])
async def test_nothing_goes_of_a_page_that_is_not_ready(ended: str, site: Site) -> None:
    """A replacement that fails leaves the former one in its place, and what was made of it."""
    sweep = await replaced(site, photo(width=900), photo(width=700))
    if ended == "rejected":
        site.uploads.put(KEY, photo(fault="damaged"))
        await site.process(KEY, received("damaged"))
    else:
        site.uploads.delete(KEY)
        await site.process(KEY, received("gone"))
    before = {one for one in site.objects() if not one.endswith("outcome.json")}
    await site.deliver(sweep, received("sweep"))
    assert before == {one for one in site.objects() if not one.endswith("outcome.json")}


async def test_a_page_that_changes_in_between_is_looked_at_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody publishes between the look and the deletion."""
    sweep = await replaced(site, photo(width=900), photo(width=700))
    checked = Page.check
    refusals = [Conflict("it was replaced")]

    async def check(page: Page) -> None:
        if refusals:
            raise refusals.pop()
        await checked(page)

    monkeypatch.setattr(Page, "check", check)
    await site.deliver(sweep, received("sweep"))
    site.check(KEY)
    assert 1 == len({record.version for record in site.records(KEY)})


async def test_what_was_replaced_a_moment_ago_is_kept(site: Site) -> None:
    """Whoever asked for the sweep meant another one's predecessor: pages may still show this one's."""
    site.grace = 900
    sweep = await replaced(site, photo(width=900), photo(width=700))
    before = site.objects()
    asked = await site.deliver(sweep, received("sweep"))
    assert asked
    assert ("sweep", 900) == (asked.job.type, asked.after)
    assert before == site.objects()


@pytest.mark.parametrize("died", ["while it was made", "before it was told"])
async def test_whoever_finishes_asks_for_the_sweep(died: str, site: Site) -> None:
    """Not only who began: a replacement that meets a deployment leaves as much behind as any."""
    site.uploads.put(KEY, photo(width=900))
    await site.process(KEY)
    site.uploads.put(KEY, photo(width=700))

    async def die(call: str) -> None:
        if call.startswith("draw" if died == "while it was made" else "tell"):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await site.deliver(job(KEY), received("second"), wire=Wire(before=die))
    asked = await site.deliver(job(KEY), received("second", 2))
    assert asked
    await site.deliver(asked.job, received("sweep"))
    assert 1 == len({record.version for record in site.records(KEY)})
    site.check(KEY)


async def test_a_version_that_was_never_published_goes_as_well(site: Site) -> None:
    """Its worker died, and whoever came next found another one."""

    async def die(call: str) -> None:
        if call.startswith("write media/"):
            raise asyncio.CancelledError

    site.uploads.put(KEY, photo(width=900))
    with pytest.raises(asyncio.CancelledError):
        await site.deliver(job(KEY), received("first"), wire=Wire(before=die))
    site.uploads.put(KEY, photo(width=700))
    asked = await site.deliver(job(KEY), received("first", 2))
    assert asked
    await site.deliver(asked.job, received("sweep"))
    assert 1 == len({record.version for record in site.records(KEY)})
    site.check(KEY)


@pytest.mark.parametrize("had_effect", [False, True])
async def test_a_sweep_that_dies_is_done_again(site: Site, *, had_effect: bool) -> None:
    """Whichever call is the last: files go before the records that know of them."""
    sweep = await replaced(site, photo(width=900), photo(width=700))
    number = 0
    while True:
        number += 1
        calls = count(1)

        async def die(_call: str, calls: Iterator[int] = calls, number: int = number) -> None:
            if next(calls) == number:
                raise asyncio.CancelledError

        wire = Wire(after=die) if had_effect else Wire(before=die)
        try:
            await site.deliver(sweep, received(f"sweep {number}"), wire=wire)
        except asyncio.CancelledError:
            continue
        break
    assert number > 3
    site.check(KEY)
    assert 1 == len({record.version for record in site.records(KEY)})


async def test_what_is_being_made_stays(site: Site) -> None:
    """A new recipe is at work on the same version: what it has committed since is in no outcome yet."""
    sweep = await replaced(site, photo(width=900), photo(width=700))

    async def die(call: str) -> None:
        if call.startswith("overwrite"):
            raise asyncio.CancelledError

    wanted = rules(500)
    with pytest.raises(asyncio.CancelledError):
        await site.deliver(job(KEY, "reprocess"), received("wider"), wire=Wire(before=die), recipe=wanted)
    await site.deliver(sweep, received("sweep"))
    wire = Wire()
    await site.deliver(job(KEY, "reprocess"), received("wider", 2), wire=wire, recipe=wanted)
    assert [] == [call for call in wire.calls if call.startswith("draw")]
    site.check(KEY)


@pytest.mark.parametrize("trouble", ["it failed", "another recipe died"])
async def test_an_outcome_that_is_not_the_pages_deletes_nothing(trouble: str, site: Site) -> None:
    """Outcomes are written before pages, and failures in their place: neither says what is served."""
    sweep = await replaced(site, photo(width=900), photo(width=700))

    async def die(call: str) -> None:
        if call.startswith("write media/"):
            raise asyncio.CancelledError

    if trouble == "it failed":
        page = await Page.read(site.store, places(KEY))
        assert page.manifest
        (outcome,) = [one for one in outcomes(site) if one.etag == page.manifest.source.etag]
        late = outcome.model_copy(update={"status": "retrying", "made": (), "reused": ()})
        await site.store.overwrite(places(KEY).outcome(outcome.version), late.to_json())
    else:
        with pytest.raises(asyncio.CancelledError):
            await site.deliver(job(KEY, "reprocess"), received("wider"), wire=Wire(before=die), recipe=rules(500))
    before = site.objects()
    await site.deliver(sweep, received("sweep"))
    assert before == site.objects()


async def test_whoever_lost_the_race_to_publish_the_same_keeps_nothing_from_going(site: Site) -> None:
    """The outcome of the version is then later than its page, but lists what the page shows."""
    sweep = await replaced(site, photo(width=900), photo(width=700))
    shown = site.ready(KEY)
    (outcome,) = [one for one in outcomes(site) if one.etag == shown.source.etag]
    assert outcome.ended_at
    late = outcome.model_copy(update={"ended_at": outcome.ended_at + timedelta(seconds=5), "worker": "another"})
    await site.store.overwrite(places(KEY).outcome(outcome.version), late.to_json())
    site.grace = -10
    assert None is await site.deliver(sweep, received("sweep"))
    assert shown == site.ready(KEY)
    site.check(KEY)
    assert {outcome.version} == {record.version for record in site.records(KEY)}
