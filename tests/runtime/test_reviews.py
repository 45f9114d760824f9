"""What a reviewer says: released by copies, or purged; once, for what was seen, wherever a worker dies."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.core.job import Job, Type
from service.core.manifest import Status
from service.core.outcome import Crowded, Transient, Unscreened
from service.core.recipe import Recipe
from service.core.record import Decision
from service.runtime.lease import Message
from tests.fakes import FakeScribe, Wire, film, photo
from tests.runtime.referee import Referee
from tests.runtime.site import Site, job, places, received, rules
from tests.runtime.test_interruptions import Death, Failure
from tests.runtime.test_moderation import (
    ALLOWED,
    BLOCKED,
    EVERYTHING,
    KEY,
    LAX,
    OFF,
    ON,
    REVIEWED,
    STRICT,
    Watch,
    fails_with,
    says,
    state,
)

BODIES = pytest.mark.parametrize("body", [photo(), film()], ids=["picture", "film"])


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Site:
    return Site(scratch=tmp_path)


def said(type_: Type, revision: int, key: str = KEY) -> Job:
    """What a reviewer sends."""
    return Job(bucket="uploads", key=key, type=type_, cause="Ann", revision=revision)


async def review(
    site: Site,
    type_: Type,
    revision: int | None = None,
    *,
    message: Message | None = None,
    wire: Wire | None = None,
    recipe: Recipe = ON,
) -> Wire:
    """A reviewer says it of the page as it is now, or of another revision."""
    found, wire = site.manifest(KEY), wire or Wire()
    assert found
    one = said(type_, revision or found.revision)
    await site.deliver(one, message or received("review"), wire=wire, recipe=recipe)
    return wire


async def waiting(site: Site, body: bytes | None = None) -> None:
    """Something waits for a reviewer."""
    says(site, REVIEWED)
    site.uploads.put(KEY, body or photo())
    await site.process(KEY, recipe=ON)
    assert (Status.QUARANTINED, "moderation_review") == state(site)


def folders(site: Site) -> set[str]:
    """Where records say that their files lie, but for what a judge saw."""
    return {record.folder.partition("/")[0] for record in site.records(KEY) if not record.steps[0].screening}


def decisions(site: Site) -> list[str]:
    """What reviewers said of versions."""
    found = [key for key in site.store.objects if key.endswith("/decision.json")]
    return [Decision.model_validate_json(site.store.objects[key]).says for key in found]


# -- approve ------------------------------------------------------------------------------------------------------


@BODIES
async def test_what_is_approved_is_public_by_copies(body: bytes, site: Site) -> None:
    """Nothing is fetched, decoded, encoded or asked; the records move, and the quarantine is empty."""
    await waiting(site, body)
    assert {"quarantine"} == folders(site)
    wire = await review(site, "approve")
    assert 2 == site.ready(KEY).revision
    assert (0, 0) == (wire.count(*EVERYTHING), wire.count("upload"))
    assert ({"media"}, set(), ["allow"]) == (folders(site), site.held(KEY), decisions(site))
    moderation = site.outcome(KEY).moderation
    assert moderation
    assert ("allow", "reviewer") == (moderation.says, moderation.by)
    site.check(KEY)


@BODIES
async def test_approved_is_what_would_have_been_allowed(body: bytes, site: Site, tmp_path: Path) -> None:
    """A page sees no difference: the same products with the same content."""
    other = Site(scratch=tmp_path)
    other.uploads.put(KEY, body)
    await other.process(KEY, recipe=OFF)
    await waiting(site, body)
    await review(site, "approve")
    assert set(other.products(KEY)) == set(site.products(KEY))
    assert len(other.public(KEY)) == len(site.public(KEY))


async def test_approved_twice_is_approved_once(site: Site) -> None:
    """The same message again, and a duplicate of it: one revision, and one key for whoever is told."""
    await waiting(site)
    await review(site, "approve", 1)
    before = site.objects()
    await review(site, "approve", 1, message=received("review", 2))
    await review(site, "approve", 1, message=received("duplicate"))
    assert (before, {f"{KEY}@1", f"{KEY}@2"}) == (site.objects(), set(site.told))


async def _as_it_is(_site: Site) -> None:
    """Nothing happens."""


async def _reprocessed_as_unavailable(site: Site) -> None:
    with pytest.raises(Unscreened):
        await site.process(KEY, received("later"), recipe=rules(moderation="rekognition"), type_="reprocess")


async def _replaced_and_waiting(site: Site) -> None:
    site.uploads.put(KEY, photo(note="newer"))
    await site.process(KEY, received("newer"), recipe=ON)


async def _replaced_unseen(site: Site) -> None:
    site.uploads.put(KEY, photo(note="newer"))


async def _released_by_rules(site: Site) -> None:
    await site.process(KEY, received("later"), recipe=LAX, type_="reprocess")


@pytest.mark.parametrize("type_", ["approve", "reject"])
@pytest.mark.parametrize(
    ("then", "revision"),
    [
        (_as_it_is, 2),
        (_as_it_is, 99),
        (_reprocessed_as_unavailable, 1),
        (_replaced_and_waiting, 1),
        (_replaced_unseen, 1),
        (_released_by_rules, 1),
    ],
)
async def test_what_was_not_seen_is_not_decided(
    then: Callable[[Site], Awaitable[None]], revision: int, type_: Type, site: Site
) -> None:
    """The page has changed since, or the upload has: nothing is written, nothing is public that was not."""
    await waiting(site)
    await then(site)
    before = site.objects()
    await review(site, type_, revision, message=received("review", 2))
    assert (before, []) == (site.objects(), decisions(site))


async def test_a_key_that_nobody_knows_is_not_decided(site: Site) -> None:
    """Neither one that was never uploaded, nor one that was never processed."""
    await site.deliver(said("approve", 1), recipe=ON)
    site.uploads.put(KEY, photo())
    await site.deliver(said("approve", 1), recipe=ON)
    assert {} == site.objects()


@pytest.mark.parametrize("type_", ["approve", "reject"])
async def test_what_was_refused_as_damaged_is_not_decided(type_: Type, site: Site) -> None:
    """There is nothing that could be shown."""
    site.uploads.put(KEY, photo(fault="damaged"))
    await site.process(KEY, recipe=OFF)
    before = site.objects()
    await review(site, type_)
    assert before == site.objects()


async def test_what_is_ready_needs_no_approval(site: Site) -> None:
    """It is refused, and changes nothing."""
    site.uploads.put(KEY, photo())
    await site.process(KEY, recipe=ON)
    before = site.objects()
    await review(site, "approve")
    assert before == site.objects()


@BODIES
async def test_what_was_blocked_can_be_approved(body: bytes, site: Site) -> None:
    """It is made then, without asking the judge again; the frames that were evidence are gone."""
    says(site, BLOCKED)
    site.uploads.put(KEY, body)
    await site.process(KEY, recipe=ON)
    wire = await review(site, "approve")
    shown = [call for call in wire.calls if call.startswith("frames") and "candidate" not in call]
    assert (0, [], 0) == (wire.count("look"), shown, wire.count("inspect", "probe") - (body == film()))
    assert set() == site.held(KEY)
    site.check(KEY)


async def test_what_nobody_could_be_asked_about_can_be_approved(site: Site) -> None:
    """A person has looked at it: no judge has to."""
    site.uploads.put(KEY, photo())
    await fails_with(site, Unscreened("down"))
    wire = await review(site, "approve")
    assert 0 == wire.count("look", "frames")
    await site.process(KEY, received(count=2), recipe=ON)
    assert 2 == site.ready(KEY).revision
    site.check(KEY)


@BODIES
async def test_what_was_tidied_away_is_made_again(body: bytes, site: Site) -> None:
    """A lifecycle rule emptied the quarantine before the reviewer came; or half of it."""
    await waiting(site, body)
    for key in sorted(site.held(KEY))[::2]:
        del site.store.objects[key]
    wire = await review(site, "approve")
    assert (0, 1) == (wire.count("look"), wire.count("fetch"))
    site.check(KEY)
    assert set() == site.held(KEY)


async def test_what_was_approved_stays_so(site: Site) -> None:
    """Stricter rules, another width: the reviewer's word counts for this version, and not for the next one."""
    await waiting(site)
    await review(site, "approve")
    wire = await site.process(KEY, received("re"), recipe=STRICT, type_="reprocess")
    assert (0, Status.READY) == (wire.count("look"), state(site)[0])
    site.uploads.put(KEY, photo(note="newer"))
    await site.process(KEY, received("newer"), recipe=ON)
    assert (Status.QUARANTINED, "moderation_review") == state(site)
    site.check(KEY, ready=False)


async def test_an_approved_replacement_takes_the_place_of_the_former(site: Site) -> None:
    """Aliases and all; until then the former was shown."""
    site.uploads.put(KEY, photo(note="former", width=900))
    await site.process(KEY, received("former"), recipe=OFF)
    await waiting(site, photo(note="newer", width=500))
    await review(site, "approve")
    assert {"320.webp", "500.webp", "320.jpg", "500.jpg"} == set(site.products(KEY))
    site.check(KEY)


async def test_what_waits_under_two_recipes_is_released_whole(site: Site) -> None:
    """One more width was made while it waited: both groups are copied."""
    await waiting(site)
    wider = rules(320, 640, 800, moderation="local")
    await site.process(KEY, received("wider"), recipe=wider, type_="reprocess")
    wire = await review(site, "approve", recipe=wider)
    assert (0, 6) == (wire.count(*EVERYTHING), len(site.products(KEY)))
    site.check(KEY)


# -- reject -------------------------------------------------------------------------------------------------------


@BODIES
@pytest.mark.parametrize("replaces", [True, False], ids=["replacement", "first"])
async def test_what_is_rejected_is_gone(body: bytes, site: Site, *, replaces: bool) -> None:
    """Files, frames, ticket, and whatever was shown; the decision, the outcome and what was seen stay."""
    if replaces:
        site.uploads.put(KEY, photo(note="former"))
        await site.process(KEY, received("former"), recipe=OFF)
    await waiting(site, body)
    await review(site, "reject")
    assert (Status.REJECTED, "moderation_blocked") == state(site)
    found = site.manifest(KEY)
    assert found
    assert (None, set(), set(), ["block"]) == (found.serving, site.public(KEY), site.held(KEY), decisions(site))
    (record,) = site.records(KEY)
    assert record.steps[0].screening
    names = {key.rpartition("/")[2] for key in site.store.objects if key.startswith(places(KEY).versions)}
    assert {"decision.json", "outcome.json", f"{record.digest}.json"} == names
    site.check(KEY, ready=False)


@BODIES
@pytest.mark.parametrize("recipe", [OFF, ON], ids=["off", "on"])
async def test_what_is_ready_can_be_rejected(body: bytes, recipe: Recipe, site: Site) -> None:
    """Somebody has complained: it is withdrawn, aliases and all, and stays so for good, without asking the judge."""
    site.uploads.put(KEY, body)
    await site.process(KEY, recipe=recipe)
    await review(site, "reject", recipe=recipe)
    assert ((Status.REJECTED, "moderation_blocked"), set()) == (state(site), site.public(KEY))
    for type_ in ("process", "reprocess", "captions"):
        watch = Watch.begin(site)
        wire = watch.wire()
        await site.deliver(job(KEY, type_), received(type_), wire=wire, recipe=recipe)
        assert ((Status.REJECTED, "moderation_blocked"), 0) == (
            state(site),
            wire.count("look", "frames", "draw", "run"),
        )
        assert (set(), set()) == (site.public(KEY), site.held(KEY))
    site.check(KEY, ready=False)


async def test_a_reviewer_may_think_again(site: Site) -> None:
    """Approved, rejected, approved: each of what was seen then, and late duplicates of the first change nothing."""
    await waiting(site)
    await review(site, "approve")
    await review(site, "reject", message=received("second"))
    assert (Status.REJECTED, "moderation_blocked") == state(site)
    await review(site, "approve", 1, message=received("late duplicate"))
    assert (Status.REJECTED, "moderation_blocked") == state(site)
    await review(site, "approve", message=received("third"))
    assert 4 == site.ready(KEY).revision
    site.check(KEY)


async def test_what_is_deleted_is_not_approved(site: Site) -> None:
    """Whatever the reviewer says, the source is gone, and everything with it, the decision too."""
    await waiting(site)
    site.uploads.delete(KEY)
    await review(site, "approve")
    assert {places(KEY).manifest} == set(site.store.objects)


async def test_what_is_approved_is_listened_to_then(tmp_path: Path) -> None:
    """Not before, and the page does not wait for it."""
    site = Site(scratch=tmp_path, scribe=FakeScribe())
    recipe = rules(moderation="local", captions="whisper")
    says(site, REVIEWED)
    site.uploads.put(KEY, film())
    await site.process(KEY, recipe=recipe)
    assert {} == site.scribe.begun
    wire = await review(site, "approve", recipe=recipe)
    assert (1, "machine", 3) == (wire.count("listen"), _captions(site), site.ready(KEY).revision)
    site.check(KEY)


def _captions(site: Site) -> str:
    serving = site.ready(KEY).serving
    assert serving
    return serving.captions


# -- wherever the worker dies -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What there is, and what the reviewer says of it."""

    body: bytes
    labels: tuple[object, ...]
    type_: Type
    former: bool = False
    tidied: bool = False

    async def begin(self, folder: Path) -> Site:
        """Everything that happens before the reviewer."""
        site = Site(scratch=folder)
        if self.former:
            site.uploads.put(KEY, photo(note="former", width=500))
            await site.process(KEY, received("former"), recipe=OFF)
        says(site, self.labels)  # type: ignore[arg-type]  # they are labels
        site.uploads.put(KEY, self.body)
        await site.process(KEY, recipe=ON)
        for key in sorted(site.held(KEY))[::2] if self.tidied else ():
            del site.store.objects[key]
        return site


SCENES = {
    "picture approved": Scene(body=photo(), labels=REVIEWED, type_="approve", former=True),
    "film approved": Scene(body=film(), labels=REVIEWED, type_="approve"),
    "block approved": Scene(body=photo(), labels=BLOCKED, type_="approve"),
    "tidied approved": Scene(body=film(), labels=REVIEWED, type_="approve", tidied=True),
    "picture rejected": Scene(body=photo(), labels=REVIEWED, type_="reject", former=True),
    "ready rejected": Scene(body=film(), labels=ALLOWED, type_="reject"),
}
TROUBLE: dict[str, Callable[[int], Death | Failure]] = {
    "dies": lambda number: Death(number=number),
    "fails": lambda number: Failure(number=number, had_effect=number % 2 == 0),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
async def test_a_review_that_ends_at_any_call(
    scene: Scene, trouble: Callable[[int], Death | Failure], tmp_path: Path
) -> None:
    """The next delivery ends as if nothing had been: no half-released files, no twins, and nobody is asked."""
    calm = await scene.begin(tmp_path)
    revision = calm.manifest(KEY).revision  # type: ignore[union-attr]  # there is one
    await review(calm, scene.type_)
    number = 0
    while True:
        number += 1
        site = await scene.begin(tmp_path)
        watch, cut = Watch.begin(site), trouble(number)
        error = await _reviewed(site, scene.type_, revision, watch.wire(cut.wire()), count=1)
        if not cut.came:
            break
        assert error, f"call {number} ended the attempt"
        wire = watch.wire()
        assert await _reviewed(site, scene.type_, revision, wire, count=2) is None
        assert _seen(calm) == _seen(site), f"after call {number}"
        assert 0 == wire.count("look")
        site.check(KEY, ready=False)
    assert number > 8


async def _reviewed(site: Site, type_: Type, revision: int, wire: Wire, *, count: int) -> BaseException | None:
    work = site.deliver(said(type_, revision), received("review", count), wire=wire, recipe=ON)
    working = asyncio.ensure_future(work)
    await asyncio.wait([working])
    return asyncio.CancelledError() if working.cancelled() else working.exception()


def _seen(site: Site) -> object:
    """What a page, its owner and a reviewer see in the end: all but moments and attempts."""
    found = site.manifest(KEY)
    assert found
    assert f"{KEY}@{found.revision}" in site.told
    listed = sorted(re.sub(r"-\w{10}\.\d+/", "/", key) for key in site.objects() if not key.startswith("records/"))
    records = sorted(key for key in site.objects() if key.startswith("records/"))
    return *state(site), found.revision, found.serving is None, listed, records, decisions(site)


async def test_two_reviewers_who_do_not_agree(tmp_path: Path) -> None:
    """Of the same revision, at the same time: one of them has it, whole, and the decision is the one that shows."""
    for seed in (*range(16), 89):  # in the last one aliases are copied between a purge's look and its deletes
        site = Site(scratch=tmp_path)
        await waiting(site)
        referee = Referee(seed)
        pipelines = {name: site.pipeline(referee.wire(name), ON) for name in ("approve", "reject")}
        failed = await referee.play(
            approve=pipelines["approve"].process(said("approve", 1), received("approve")),  # type: ignore[arg-type]
            reject=pipelines["reject"].process(said("reject", 1), received("reject")),  # type: ignore[arg-type]
        )
        for name in (name for name, error in failed.items() if error):
            assert isinstance(failed[name], Transient | Crowded), referee.order  # what it copied was purged
            await review(site, name, 1, message=received(name, 2))  # type: ignore[arg-type]  # it is a type
        (decision,) = decisions(site)
        assert ({"allow": Status.READY, "block": Status.REJECTED}[decision]) == state(site)[0], referee.order
        if decision == "block":
            site.check(KEY, ready=False)
        else:  # a copy that was made twice may be left
            assert site.products(KEY)


async def test_a_duplicate_while_it_is_approved(tmp_path: Path) -> None:
    """The approval comes twice at the same time: released once, and nothing is left behind."""
    for seed in range(30):
        site = Site(scratch=tmp_path)
        await waiting(site)
        referee = Referee(seed)
        pipelines = [site.pipeline(referee.wire(name), ON) for name in ("one", "two")]
        failed = await referee.play(
            one=pipelines[0].process(said("approve", 1), received("one")),  # type: ignore[arg-type]
            two=pipelines[1].process(said("approve", 1), received("two")),  # type: ignore[arg-type]
        )
        for name in (name for name, error in failed.items() if error):
            await review(site, "approve", 1, message=received(name, 2))
        assert 2 == site.ready(KEY).revision, referee.order
        assert set() == site.held(KEY), referee.order
        site.check(KEY)


@pytest.mark.parametrize("type_", ["approve", "reject"])
async def test_a_review_while_the_source_changes(type_: Type, tmp_path: Path) -> None:
    """Deleted or replaced at the same time: nothing of the former is public in the end, nor is any of it left."""
    for seed in range(24):
        site = Site(scratch=tmp_path)
        await waiting(site)
        watch, referee = Watch.begin(site), Referee(seed)
        wires = {name: watch.wire(referee.wire(name)) for name in ("review", "event")}
        site.uploads.delete(KEY)
        if seed % 2:
            site.uploads.put(KEY, photo(note="newer"))
        failed = await referee.play(
            review=site.pipeline(wires["review"], ON).process(said(type_, 1), received("review")),  # type: ignore[arg-type]
            event=site.pipeline(wires["event"], ON).process(job(KEY), received("event")),  # type: ignore[arg-type]
        )
        if failed["review"]:
            await site.deliver(said(type_, 1), received("review", 2), recipe=ON)
        if failed["event"]:
            await site.process(KEY, received("event", 2), recipe=ON)
        assert set() == site.public(KEY), referee.order
        site.check(KEY, ready=False)


async def test_a_deletion_while_it_is_released(tmp_path: Path) -> None:
    """The reviewer's worker has begun; then the upload is deleted, which another worker handles meanwhile."""
    number = 0
    while True:
        number += 1
        site = Site(scratch=tmp_path)
        await waiting(site)
        count = 0

        async def deleted(_call: str, site: Site = site, number: int = number) -> None:
            nonlocal count
            count += 1
            if count == number:
                site.uploads.delete(KEY)
                await site.process(KEY, received("event"), recipe=ON)

        try:
            await site.deliver(said("approve", 1), received("review"), recipe=ON, wire=Wire(before=deleted))
        except Transient:  # what it was about to copy is gone
            await site.deliver(said("approve", 1), received("review", 2), recipe=ON)
        if count < number:
            break
        assert {places(KEY).manifest} == set(site.store.objects), f"before call {number}"
    assert number > 10


async def test_an_approval_that_fails_is_counted(site: Site) -> None:
    """It ends among the dead letters, and the page goes on waiting; to purge is tried for ever."""
    await waiting(site)
    pipeline, error = site.pipeline(recipe=ON), RuntimeError("a mistake of ours")
    assert [1, 2] == [await pipeline.note_failure(said("approve", 1), received(), error) for _ in range(2)]
    await pipeline.give_up(said("approve", 1), received())
    assert (Status.QUARANTINED, "moderation_review") == state(site)
    assert [1, 1] == [await pipeline.note_failure(said("reject", 1), received(), error) for _ in range(2)]
    await review(site, "approve")
    site.check(KEY)
