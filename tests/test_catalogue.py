"""What an operator does with everything there is: walks over it, audits it, sends it again; on fakes."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.commands import reprocess
from service.commands import survey as surveying
from service.commands.audit import Auditor
from service.commands.catalogue import in_order, only_bucket
from service.commands.reprocess import Sent
from service.config import Settings
from service.core.audit import Audit, Kind
from service.core.job import Input
from service.core.manifest import Manifest, Serving, Status
from service.core.outcome import Misconfigured, Reason, Unavailable
from service.core.recipe import Recipe
from tests.fakes import film, photo
from tests.listings import PUBLISHED, FakeQueue, ListedUploads, backfill, catalogue
from tests.runtime.site import Site, places, received, rules

NOW = datetime(2026, 6, 1, tzinfo=UTC)  # long after the fakes' uploads
QUARTER = timedelta(minutes=15)
CUES = b"WEBVTT\n\n00:00.500 --> 00:02.000\nGood morning.\n"


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Site:
    site = Site(scratch=tmp_path)
    site.uploads = ListedUploads(published=site.store)
    return site


def uploads(site: Site) -> ListedUploads:
    """Those that can be listed."""
    assert isinstance(site.uploads, ListedUploads)
    return site.uploads


async def keys(found: AsyncGenerator[object, None]) -> list[str]:
    """Of all that was found."""
    return [str(getattr(one, "key", one)) async for one in found]


@dataclass(kw_only=True)
class Load:
    """Work that counts how much of it is done at the same time."""

    now: int = 0
    most: int = 0
    begun: list[int] = field(default_factory=list)

    async def work(self, number: int) -> int:
        """Later ones end earlier."""
        self.begun.append(number)
        self.now += 1
        self.most = max(self.most, self.now)
        for _ in range(10 - number % 10):
            await asyncio.sleep(0)
        self.now -= 1
        if number == 50:
            raise Unavailable("fifty")
        return number


async def numbers(most: int) -> AsyncGenerator[int, None]:
    """From 0 on."""
    for number in range(most):
        yield number


async def test_so_many_at_once_and_in_order() -> None:
    """Whatever ends first is given in its turn, and no more are begun than may be."""
    load = Load()
    assert list(range(40)) == [one async for one in in_order(numbers(40), load.work, at_once=8)]
    assert (8, 0) == (load.most, load.now)


async def test_a_failure_ends_the_rest() -> None:
    """It is raised in its turn; what is under way is stopped, and nothing is begun any more."""
    load, seen = Load(), list[int]()

    async def look() -> None:
        async for one in in_order(numbers(1_000_000), load.work, at_once=8):
            seen.append(one)

    with pytest.raises(Unavailable, match="fifty"):
        await look()
    assert (list(range(50)), 58) == (seen, len(load.begun))
    assert 1 == len(asyncio.all_tasks())


async def test_sources(site: Site) -> None:
    """Neither what the recipe ignores nor captions of another source; captions of nothing are an upload."""
    for key in ("a/", "a/1.jpg", "b.mp4", "b.mp4-extra.jpg", "b.mp4.en.vtt", "c.mp4.en.vtt", "d.geojson", "é.jpg"):
        uploads(site).put(key, b"x")
    all_of_it = catalogue(uploads(site))
    assert ["a/1.jpg", "b.mp4", "b.mp4-extra.jpg", "c.mp4.en.vtt", "é.jpg"] == await keys(all_of_it.sources())
    assert ["c.mp4.en.vtt", "é.jpg"] == await keys(all_of_it.sources(after="b.mp4-extra.jpg"))
    assert ["a/1.jpg", "b.mp4", "b.mp4-extra.jpg"] == await keys(all_of_it.sources(limit=3))
    roots = (Input(bucket="uploads", prefix="a/"), Input(bucket="uploads", prefix="c"))
    assert ["a/1.jpg", "c.mp4.en.vtt"] == await keys(catalogue(uploads(site), roots=roots).sources())


async def test_our_own_outputs_are_no_sources(site: Site) -> None:
    """Where one bucket is both."""
    for key in ("uploads/a.jpg", "media/uploads/a.jpg/manifest.json", "records/x.json"):
        site.store.objects[key] = b"x"
    both = catalogue(uploads(site), roots=(Input(bucket=PUBLISHED, prefix=""),))
    assert ["uploads/a.jpg"] == await keys(both.all())


async def audited(
    site: Site, *, queue: FakeQueue | None = None, gone: bool = True, recipe: Recipe | None = None, now: datetime = NOW
) -> Audit:
    """What an audit finds."""
    auditor = Auditor(
        catalogue=catalogue(uploads(site), recipe=recipe),
        older_than=QUARTER,
        now=now,
        backfill=backfill(queue) if queue else None,
    )
    return await auditor.audit(gone=gone)


def wrong(result: Audit) -> dict[Kind, list[str]]:
    """The keys of what was found, by kind."""
    return {kind: [key for _, key in heap.first] for kind, heap in result.wrong.items()}


@pytest.fixture(name="either", params=["plain", "versioned"])
def _either(request: pytest.FixtureRequest, site: Site) -> Site:
    """A site whose bucket keeps versions, and one whose bucket does not."""
    site.uploads = ListedUploads(published=site.store, versioned=request.param == "versioned")
    return site


async def test_all_is_well(either: Site) -> None:
    """What was processed is found no more; a versioned bucket needs no request more either."""
    for key in ("a.jpg", "~odd", "b.mp4"):
        either.uploads.put(key, film() if key == "b.mp4" else photo())
        await either.process(key)
    either.uploads.wire.calls.clear()
    result = await audited(either, gone=False)
    assert ({}, 3, True) == (wrong(result), result.looked.objects, result.settled)
    assert 0 == either.uploads.wire.count("head")
    assert {} == wrong(await audited(either))


async def test_every_lost_event_is_found_and_mended(either: Site) -> None:
    """Never processed, replaced, undeleted, and deleted; each job brings what it names up to date."""
    site = either
    for key in ("old.jpg", "back.jpg", "gone.jpg", "~gone"):
        site.uploads.put(key, photo())
        await site.process(key)
    site.uploads.delete("back.jpg")
    await site.process("back.jpg", received("deleted"))
    site.uploads.put("back.jpg", photo(note="again"))
    site.uploads.put("old.jpg", photo(note="new"))
    site.uploads.put("never.jpg", photo())
    for key in ("gone.jpg", "~gone"):
        site.uploads.delete(key)

    queue = FakeQueue()
    result = await audited(site, queue=queue)
    for number, (type_, key) in enumerate(queue.sent):
        assert "process" == type_
        await site.process(key, received(f"audit {number}"))

    expected = {
        Kind.MISSING: ["never.jpg"],
        Kind.STALE: ["back.jpg", "old.jpg"],
        Kind.GONE: ["gone.jpg", "~gone"],
    }
    assert expected == wrong(result)
    assert (5, 5, True) == (result.objects, result.enqueued, result.settled)
    assert {} == wrong(await audited(site))
    pages = [site.manifest(key) for key in ("gone.jpg", "~gone", "never.jpg")]
    assert [Status.DELETED, Status.DELETED, Status.READY] == [page.status for page in pages if page]


async def test_lost_deletes_are_not_looked_for_unasked(site: Site) -> None:
    """That takes a look at every page manifest."""
    uploads(site).put("gone.jpg", photo())
    await site.process("gone.jpg")
    uploads(site).delete("gone.jpg")
    assert {} == wrong(await audited(site, gone=False))


async def test_a_hash_that_nothing_tells_the_key_of(site: Site) -> None:
    """It can't be enqueued: it is told apart, and the audit does not end well."""
    uploads(site).put("~gone", photo())
    await site.process("~gone")
    uploads(site).delete("~gone")
    for key in [one for one in site.store.objects if one.endswith("outcome.json")]:
        del site.store.objects[key]
    result = await audited(site, queue=FakeQueue())
    assert ({}, 1, False) == (wrong(result), result.nameless.objects, result.settled)
    assert [(PUBLISHED, places("~gone").manifest)] == result.nameless.first


async def test_what_lies_elsewhere_is_not_looked_for(site: Site) -> None:
    """Of the names that are hashes all have to be read, but those of other prefixes are left alone."""
    for key in ("a/~x", "b/~x", "a/y", "b/y"):
        uploads(site).put(key, photo())
        await site.process(key)
        uploads(site).delete(key)
    auditor = Auditor(
        catalogue=catalogue(uploads(site), roots=(Input(bucket="uploads", prefix="a/"),)), older_than=QUARTER, now=NOW
    )
    assert {Kind.GONE: ["a/y", "a/~x"]} == {
        kind: sorted(found) for kind, found in wrong(await auditor.audit(gone=True)).items()
    }


async def test_what_is_young_is_not_judged(site: Site) -> None:
    """Its event is under way."""
    head = uploads(site).put("a.jpg", photo())
    uploaded = datetime.fromisoformat(head.last_modified)
    young = await audited(site, queue=FakeQueue(), now=uploaded + timedelta(minutes=14))
    assert ({}, 1, 0, True) == (wrong(young), young.young.objects, young.enqueued, young.settled)
    assert {Kind.MISSING: ["a.jpg"]} == wrong(await audited(site, now=uploaded + QUARTER))


@pytest.mark.parametrize(
    ("change", "hours", "found"),
    [
        ({"status": Status.PROCESSING}, 0.9, {}),
        ({"status": Status.PROCESSING}, 1.1, {Kind.UNFINISHED: ["a.jpg"]}),
        ({"status": Status.FAILED}, 1000, {}),
        (Reason.MODERATION_REVIEW, 1000, {}),
        (Reason.MODERATION_UNAVAILABLE, 24, {}),
        (Reason.MODERATION_UNAVAILABLE, 26, {Kind.UNFINISHED: ["a.jpg"]}),
        (Reason.ARCHIVED, 0, {Kind.UNFINISHED: ["a.jpg"]}),
    ],
)
async def test_what_stays_as_it_should_not(
    change: dict[str, object] | Reason, hours: float, found: dict[Kind, list[str]], site: Site
) -> None:
    """By what its manifest says, and for how long it has; one that was restored from an archive at once."""
    uploads(site).put("a.jpg", photo())
    await site.process("a.jpg")
    told = (
        change
        if isinstance(change, dict)
        else {"status": Status.QUARANTINED, "reason": {"code": change, "message": ""}}
    )
    page = Manifest.model_validate(site.ready("a.jpg").model_dump() | told)
    site.store.objects[places("a.jpg").manifest] = page.to_json()
    assert found == wrong(await audited(site, now=page.updated_at + timedelta(hours=hours)))


async def test_what_lies_in_an_archive_stays_rejected(site: Site) -> None:
    """It is no lost event, until it is restored."""
    uploads(site).put("a.jpg", photo())
    uploads(site).archived.add("a.jpg")
    await site.process("a.jpg")
    assert {} == wrong(await audited(site))
    uploads(site).archived.clear()
    assert {Kind.UNFINISHED: ["a.jpg"]} == wrong(await audited(site))


async def test_captions_that_never_come(site: Site) -> None:
    """A day is waited for them."""
    uploads(site).put("a.mp4", film())
    await site.process("a.mp4")
    page = site.ready("a.mp4")
    assert isinstance(page.serving, Serving)
    pending = page.model_copy(update={"serving": page.serving.model_copy(update={"captions": "pending"})})
    site.store.objects[places("a.mp4").manifest] = pending.to_json()
    later = page.updated_at + timedelta(hours=24)
    assert {} == wrong(await audited(site, now=later))
    assert {Kind.UNFINISHED: ["a.mp4"]} == wrong(await audited(site, now=later + timedelta(hours=2)))


async def test_captions_whose_event_was_lost(site: Site) -> None:
    """They were uploaded beside what was published without them; the worker knows whose they are."""
    uploads(site).put("a.mp4", film())
    uploads(site).put("b.jpg", photo())
    for key in ("a.mp4", "b.jpg"):
        await site.process(key)
    for key in ("a.mp4.en.vtt", "b.jpg.en.vtt"):
        uploads(site).put(key, CUES)
    queue = FakeQueue()
    found = wrong(await audited(site, queue=queue))
    for _, key in queue.sent:
        await site.process(key, received("audit"))
    assert {Kind.CAPTIONS: ["a.mp4.en.vtt"]} == found
    assert {} == wrong(await audited(site))


async def test_what_was_found_is_sent_ten_at_a_time(site: Site) -> None:
    """And counted as it is taken."""
    for number in range(25):
        uploads(site).put(f"{number:02}.jpg", photo())
    queue = FakeQueue()
    result = await audited(site, queue=queue)
    assert (25, 25, 3, True) == (result.objects, result.enqueued, queue.calls, result.settled)
    assert [f"{number:02}.jpg" for number in range(25)] == [key for _, key in queue.sent]


async def send(site: Site, queue: FakeQueue, sent: Sent, *, after: str = "", stop_at: int = 1000) -> None:
    """Send everything again, until so many have been sent."""
    await reprocess.send(
        catalogue(uploads(site)),
        backfill(queue),
        sent,
        now=NOW,
        after=after,
        stopped=lambda: sent.objects >= stop_at,
        pause=0,
    )


@pytest.fixture(name="many")
def _many(site: Site) -> Site:
    for number in range(35):
        uploads(site).put(f"{number:02}.jpg", photo())
    return site


ALL = [("reprocess", f"{number:02}.jpg") for number in range(35)]


async def test_everything_is_sent_once(many: Site) -> None:
    """In the order of the keys."""
    queue, sent = FakeQueue(), Sent()
    await send(many, queue, sent)
    assert (ALL, 35, "34.jpg") == (queue.sent, sent.objects, sent.last)


async def test_a_run_that_was_stopped_is_gone_on_with(many: Site) -> None:
    """After the last key that it told: nothing is sent twice, and nothing is left out."""
    queue, first, second = FakeQueue(), Sent(), Sent()
    await send(many, queue, first, stop_at=20)
    assert (20, "19.jpg") == (first.objects, first.last)
    await send(many, queue, second, after=str(first.last))
    assert (ALL, 15) == (queue.sent, second.objects)


async def test_a_batch_that_was_refused_is_sent_again(many: Site) -> None:
    """Those of it that were taken come twice, and no others."""
    queue, sent = FakeQueue(refuses={2}), Sent()
    await send(many, queue, sent)
    assert (35, 5) == (sent.objects, len(queue.sent) - len(set(queue.sent)))
    assert set(ALL) == set(queue.sent)


async def test_a_queue_that_takes_nothing(many: Site) -> None:
    """The run ends, and tells how far it came; only the batch that nobody confirmed comes twice."""
    queue, first, second = FakeQueue(refuses={2, 3, 4, 5}), Sent(), Sent()
    with pytest.raises(Unavailable):
        await send(many, queue, first)
    assert (10, "09.jpg") == (first.objects, first.last)
    await send(many, queue, second, after="09.jpg")
    twice = {one for one in queue.sent if queue.sent.count(one) > 1}
    assert (set(ALL), 25) == (set(queue.sent), second.objects)
    assert twice <= set(ALL[10:20])


async def test_a_survey_of_some_stands_for_all(many: Site) -> None:
    """Objects and bytes are counted; the rest is taken to be like those that were looked at."""
    for _, key in ALL:
        await many.process(key, received(key))
    wider = catalogue(uploads(many), recipe=rules(320, 640, 800))
    exact = await surveying.surveyed(wider, sample=0)
    some = await surveying.surveyed(wider, sample=7)
    assert (35, 35, True) == (exact.objects, exact.looked, exact.exact)
    assert (35, 7, False) == (some.objects, some.looked, some.exact)
    assert exact.bytes == some.bytes
    assert 70 == exact.estimated.whole.steps == pytest.approx(some.estimated.whole.steps)
    assert pytest.approx(exact.estimated.whole.dollars) == some.estimated.whole.dollars
    assert 3 == (await surveying.surveyed(wider, after="31.jpg")).objects
    assert 4 == (await surveying.surveyed(wider, limit=4)).objects


async def test_a_survey_compares_two_recipes(many: Site) -> None:
    """What the old one would have to make as well is not the new one's doing."""
    await many.process("00.jpg", recipe=rules(320))
    found = await surveying.surveyed(
        catalogue(uploads(many), recipe=rules(320, 640, 800)), old=rules(320, 640), sample=0
    )
    assert (4, 2) == (found.survey.whole.steps, found.survey.whole.owed)
    assert 34 == found.survey.media["unknown"].objects


def test_one_bucket_has_to_be_named_where_there_are_several() -> None:
    """Keys of several are in no order that could be gone on with."""
    values = {"queue_url": "q", "output_bucket": "published", "public_url": "/"}
    assert "a" == only_bucket(Settings(input_buckets="a/x/,a/y/", **values), None)  # type: ignore[arg-type]
    two = Settings(input_buckets="a,b", **values)  # type: ignore[arg-type]
    assert "b" == only_bucket(two, "b")
    with pytest.raises(Misconfigured, match="--bucket a or --bucket b"):
        only_bucket(two, None)
