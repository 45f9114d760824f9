"""The way of a job on fakes: what is published, what is not done twice, what is told, and what it costs."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.core.job import Job, Type
from service.core.manifest import Manifest, Status
from service.core.outcome import Crowded, Elsewhere, Misconfigured, Reason, Unavailable
from service.core.places import is_record
from service.runtime import progress
from service.runtime.lease import Message
from service.runtime.room import Room
from tests.fakes import FakeUploads, Wire, film, photo
from tests.runtime.site import S3_CALLS, TOOL_CALLS, Site, job, places, received, rules

KEY = "a.jpg"


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Site:
    return Site(scratch=tmp_path)


@pytest.fixture(name="versioned")
def _versioned(tmp_path: Path) -> Site:
    return Site(scratch=tmp_path, uploads=FakeUploads(versioned=True))


def reason(manifest: Manifest | None) -> str | None:
    """Why a version is not ready."""
    return manifest.reason.code if manifest and manifest.reason else None


PICTURE = {"320.webp", "640.webp", "320.jpg", "640.jpg"}
POSTERS = {"poster.webp", "poster.jpg", "poster-320.webp", "poster-320.jpg"}
FILM = {"index.m3u8", "index.mpd", "video.mp4", "storyboard.vtt", "preview.webp", *POSTERS}
SOUND = {"index.m3u8", "index.mpd", "audio.m4a", "waveform.json", "waveform.png"}


@pytest.mark.parametrize(
    ("body", "kind", "products"),
    [
        (photo(), "image", PICTURE),
        (film(), "video", FILM),
        (film(width=0), "audio", SOUND),
    ],
    ids=["picture", "film", "sound"],
)
async def test_an_upload_is_published(body: bytes, kind: str, products: set[str], site: Site) -> None:
    """Its products, its aliases, its records and its outcome are there, and nothing else, not in scratch either."""
    site.uploads.put("some where/ä b.jpg", body)
    await site.process("some where/ä b.jpg")
    serving = site.ready("some where/ä b.jpg").serving
    assert serving
    assert (kind, products) == (serving.kind, set(site.products("some where/ä b.jpg")))
    site.check("some where/ä b.jpg")
    assert ["some where/ä b.jpg@1"] == site.told
    assert [] == list(site.scratch.iterdir())


async def test_a_duplicate_costs_two_calls(site: Site) -> None:
    """The manifest is read and the upload looked at; nothing is written, made or told."""
    site.uploads.put(KEY, photo())
    await site.process(KEY)
    before = site.objects()
    wire = await site.process(KEY, received("another"))
    assert [f"read {places(KEY).manifest}", f"head {KEY}"] == wire.calls
    assert (before, [f"{KEY}@1"]) == (site.objects(), site.told)


async def test_a_message_that_comes_again_tells_again(site: Site) -> None:
    """Whoever published may have died before telling: the same message, with the same idempotency key."""
    site.uploads.put(KEY, photo())
    await site.process(KEY)
    before = site.objects()
    wire = await site.process(KEY, received(count=2))
    assert [f"{KEY}@1"] * 2 == site.told
    assert site.outcomes.told[0] == site.outcomes.told[1]
    assert (before, 0) == (site.objects(), wire.count(*TOOL_CALLS))


async def test_what_a_dead_worker_left_is_swept_although_another_one_published(site: Site) -> None:
    """Killed amid its uploads; a duplicate is published; then the first message comes again, and finds all done."""
    site.uploads.put(KEY, photo())
    await _killed(site, "upload", received("dead"))
    await site.process(KEY, received("duplicate"))
    assert 4 < len([key for key in site.objects() if "/~" in key and key.startswith("media/") and "/~/" not in key])
    wire = await site.process(KEY, received("dead", 2))
    assert 0 == wire.count(*TOOL_CALLS)
    site.check(KEY)


async def test_what_a_dead_worker_left_of_a_former_version_is_swept(site: Site) -> None:
    """Killed amid its uploads; a newer version is published; then the first message comes again."""
    site.uploads.put(KEY, photo(note="former"))
    await _killed(site, "upload", received("dead"))
    site.uploads.put(KEY, photo(note="newer"))
    await site.process(KEY, received("newer"))
    await site.process(KEY, received("dead", 2))
    site.check(KEY)


@pytest.mark.parametrize("type_", ["process", "reprocess"])
async def test_what_a_dead_worker_copied_to_aliases_is_mended(type_: Type, site: Site) -> None:
    """Killed before its manifest; the next upload is refused: the aliases are those of the former, or none."""
    for former in ("none", "one"):
        if former == "one":
            site.uploads.put(KEY, photo(note="former"))
            await site.process(KEY, received("former"))
        site.uploads.put(KEY, photo(note="dead", width=500))
        await _killed(site, "copy", received(f"dead after {former}"))
        site.uploads.put(KEY, photo(fault="damaged", note=former))
        await site.process(KEY, received(f"refused after {former}"))
        await site.process(KEY, received(f"dead after {former}", 2), type_=type_)
        site.check(KEY, ready=False)


async def _killed(site: Site, call: str, message: Message) -> None:
    """A worker dies after its first such call."""
    dead = False

    async def before(_call: str) -> None:
        if dead:
            raise asyncio.CancelledError

    async def after(told: str) -> None:
        nonlocal dead
        dead = dead or told.startswith(call)

    working = asyncio.ensure_future(site.pipeline(Wire(before=before, after=after)).process(job(KEY), message))
    await asyncio.wait([working])
    assert working.cancelled()


async def test_what_was_replaced_before_its_turn_is_published_as_it_is_now(site: Site) -> None:
    """Two uploads, two messages: the first to be handled publishes the newest, the second finds it done."""
    site.uploads.put(KEY, photo(note="former"))
    newest = site.uploads.put(KEY, photo(note="newer"))
    await site.process(KEY, received("former"))
    wire = await site.process(KEY, received("newer"))
    assert (newest.etag, 1) == (site.ready(KEY).source.etag, site.ready(KEY).revision)
    assert 2 == len(wire.calls)
    site.check(KEY)


async def test_what_is_replaced_before_it_is_fetched_is_not_missed(site: Site) -> None:
    """HEAD said one thing, GET finds another: the job starts over, with what is there."""
    site.uploads.put(KEY, photo(note="former"))
    bodies = [photo(note="newer")]

    async def another(call: str) -> None:
        if call.startswith("fetch") and bodies:
            site.uploads.put(KEY, bodies.pop())

    wire = Wire(before=another)
    await site.pipeline(wire).process(job(KEY), received())
    assert (2, 1) == (wire.count("fetch"), wire.count("draw"))
    site.check(KEY)


async def test_a_version_that_is_replaced_while_it_is_made_gives_way(versioned: Site) -> None:
    """It is published, since it was current when its turn came; the newer one follows at once."""
    versioned.uploads.put(KEY, photo(note="former", width=900))
    newer = iter([photo(note="newer", width=500)])

    async def another(call: str) -> None:
        if call.startswith("draw") and (body := next(newer, None)):
            versioned.uploads.put(KEY, body)

    await versioned.pipeline(Wire(before=another)).process(job(KEY), received("former"))
    assert 2 == versioned.ready(KEY).revision
    await versioned.process(KEY, received("newer"))
    assert 2 == versioned.ready(KEY).revision
    assert {"320.webp", "500.webp", "320.jpg", "500.jpg"} == set(versioned.products(KEY))
    versioned.check(KEY)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (photo(fault="damaged"), "damaged"),
        (film(fault="time_limit"), "time_limit"),
        (b"\xff\xd8\xffnonsense", "damaged"),
        (b"", "empty"),
        (b"%PDF-1.7", "unsupported_type"),
        (bytes(100_001), "too_large"),
    ],
)
async def test_a_bad_replacement_leaves_what_was_served(body: bytes, code: str, site: Site) -> None:
    """The status tells of the newest version, and why it is not shown; the page goes on showing the former."""
    site.uploads.put(KEY, photo())
    await site.process(KEY)
    former = site.ready(KEY)
    site.uploads.put(KEY, body)
    await site.process(KEY, received("newer"))
    now = site.manifest(KEY)
    assert now
    assert (Status.REJECTED, code, 2, former.serving) == (now.status, reason(now), now.revision, now.serving)
    assert [f"{KEY}@1", f"{KEY}@2"] == site.told
    site.check(KEY, ready=False)


@pytest.mark.parametrize("body", [b"", bytes(100_001)], ids=["empty", "too large"])
async def test_what_its_size_condemns_is_not_fetched(body: bytes, site: Site) -> None:
    """Refused by what S3 says of it."""
    site.uploads.put(KEY, body)
    wire = await site.process(KEY)
    assert 0 == wire.count("fetch", *TOOL_CALLS)


async def test_a_rejected_version_is_not_tried_again(site: Site) -> None:
    """A duplicate changes nothing; a request to reprocess does, as the recipe may have changed."""
    site.uploads.put(KEY, photo(fault="damaged"))
    await site.process(KEY)
    assert 2 == len((await site.process(KEY)).calls)
    await site.process(KEY, type_="reprocess")
    assert 2 == (site.manifest(KEY) or site.ready(KEY)).revision


@pytest.mark.parametrize("bucket", ["unversioned", "versioned"])
async def test_a_deleted_upload_is_gone_and_others_stay(bucket: str, tmp_path: Path) -> None:
    """`a`, `a/b.jpg` and `ab` are three keys; of `a` the tombstone alone is left."""
    site = Site(scratch=tmp_path, uploads=FakeUploads(versioned=bucket == "versioned"))
    for key in ("a", "a/b.jpg", "ab"):
        site.uploads.put(key, photo(note=key))
        await site.process(key)
    site.uploads.delete("a")
    await site.process("a", received("deletion"))
    gone = site.manifest("a")
    assert gone
    assert (Status.DELETED, None, 2) == (gone.status, gone.serving, gone.revision)
    assert [places("a").manifest] == [
        key for key in site.objects() if key.startswith("media/a/") and "b.jpg" not in key
    ]
    assert [] == [key for key in site.objects() if key.startswith("records/a/~")]
    site.check("a", "a/b.jpg", "ab")
    assert "a@2" == site.told[-1]


async def test_an_upload_that_comes_back_is_made_anew(versioned: Site) -> None:
    """The delete marker is removed: the same version as before, of which nothing was left."""
    versioned.uploads.put(KEY, photo())
    await versioned.process(KEY)
    versioned.uploads.delete(KEY)
    await versioned.process(KEY, received("deletion"))
    versioned.uploads.undelete(KEY)
    wire = await versioned.process(KEY, received("undeletion"))
    assert (3, 1) == (versioned.ready(KEY).revision, wire.count("draw"))
    versioned.check(KEY)


async def test_a_new_width_costs_one_drawing(site: Site) -> None:
    """The other widths are not drawn again, and nothing is deleted."""
    site.uploads.put(KEY, photo())
    await site.process(KEY)
    before = site.objects()
    wire = await site.process(KEY, received("wider"), recipe=rules(320, 500, 640), type_="reprocess")
    assert ["draw 500.webp 500.jpg"] == [call for call in wire.calls if call.startswith("draw")]
    assert {"320.webp", "500.webp", "640.webp", "320.jpg", "500.jpg", "640.jpg"} == set(site.products(KEY))
    outcome = site.outcome(KEY)
    assert (2, 5) == (len(outcome.made), len(outcome.reused))  # four widths and the placeholder
    assert {key for key in before if "/~/" in key or "/~" not in key} <= set(site.objects())
    site.check(KEY)


async def test_a_width_less_is_no_drawing_and_no_alias(site: Site) -> None:
    """What nobody wants any more is not served; its alias goes, its file stays with its record."""
    site.uploads.put(KEY, photo())
    await site.process(KEY)
    wire = await site.process(KEY, received("narrower"), recipe=rules(640), type_="reprocess")
    assert (0, {"640.webp", "640.jpg"}) == (wire.count("draw"), set(site.products(KEY)))
    assert {places(KEY).alias("640.webp"), places(KEY).alias("640.jpg")} == {
        key for key in site.objects() if key.startswith(places(KEY).aliases)
    }
    site.check(KEY)


async def test_reprocessing_what_is_as_it_should_be_changes_nothing(site: Site) -> None:
    """The same serving: no revision, no message, nothing made."""
    site.uploads.put(KEY, film())
    await site.process(KEY)
    before = site.objects()
    wire = await site.process(KEY, received("again"), type_="reprocess")
    assert (before, [f"{KEY}@1"], 0) == (site.objects(), site.told, wire.count("run", "draw"))


@pytest.mark.parametrize("key", ["folder/", "map.geojson", "some/.DS_Store"])
async def test_what_the_recipe_ignores_is_no_upload(key: str, site: Site) -> None:
    """No call is made."""
    site.uploads.put(key, b"anything")
    wire = await site.process(key)
    assert ([], {}) == (wire.calls, site.objects())


@pytest.fixture(name="announced")
def _announced(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site whose jobs are slow ones from their first moment."""
    monkeypatch.setattr(progress, "_FIRST_AFTER", 0.0)
    monkeypatch.setattr(progress, "_THEN_EVERY", 0.001)
    return site


async def test_a_slow_job_is_announced(announced: Site) -> None:
    """The manifest says how far it is, each time one revision further; then it is ready, and told once."""
    announced.uploads.put(KEY, film())
    written = asyncio.Event()
    seen: list[Manifest] = []

    async def hold(call: str) -> None:
        if call.startswith("upload") and "index.m3u8" in call:
            await written.wait()

    async def note(call: str) -> None:
        if (found := announced.manifest(KEY)) and call.startswith("write media/"):
            seen.append(found)
            written.set()

    await announced.pipeline(Wire(before=hold, after=note)).process(job(KEY), received())
    *processing, ready = seen
    assert {Status.PROCESSING} == {one.status for one in processing}
    assert None not in {one.started_at for one in processing}
    percents = [one.percent for one in processing if one.percent is not None]
    assert percents == sorted(set(percents))
    assert [*range(1, len(seen) + 1)] == [one.revision for one in seen]
    assert (Status.READY, [f"{KEY}@{len(seen)}"]) == (ready.status, announced.told)
    announced.check(KEY)


async def test_a_slow_replacement_leaves_what_was_served(announced: Site) -> None:
    """The page goes on showing the former while the newer is made."""
    announced.uploads.put(KEY, photo())
    await announced.process(KEY)
    former = announced.ready(KEY)
    announced.uploads.put(KEY, film())
    hold = asyncio.Event()

    async def wait(call: str) -> None:
        if call.startswith("run"):
            await hold.wait()

    async def look(call: str) -> None:
        if call.startswith("write media/"):
            seen.append(announced.manifest(KEY))
            hold.set()

    seen: list[Manifest | None] = []
    await announced.pipeline(Wire(before=wait, after=look)).process(job(KEY), received("newer"))
    assert seen[0]
    assert (Status.PROCESSING, former.serving) == (seen[0].status, seen[0].serving)


async def test_a_job_that_was_overtaken_leaves_nothing_behind(announced: Site) -> None:
    """Amid its uploads it learns that a newer version is published: it gives up, and sweeps what it had put up."""
    announced.uploads.put(KEY, film(note="former"))
    begun, published, uploading = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold(call: str) -> None:
        if call.startswith("run"):
            await published.wait()
        if call.endswith("360p.m3u8"):
            uploading.set()
            await asyncio.Event().wait()
        if call.startswith("write media/") and begun.is_set():
            await uploading.wait()

    async def announce(call: str) -> None:
        if call.startswith("write media/"):
            begun.set()

    wire = Wire(before=hold, after=announce)
    former = asyncio.ensure_future(announced.pipeline(wire).process(job(KEY), received("former")))
    await begun.wait()
    announced.uploads.put(KEY, photo(note="newer"))
    await announced.process(KEY, received("newer"))
    published.set()
    await former
    assert wire.count("upload") > 1
    assert PICTURE == set(announced.products(KEY))
    announced.check(KEY)


async def test_a_fresh_picture_costs_at_most_eight_calls_more_than_it_has_products_and_aliases(site: Site) -> None:
    """S3 requests, all of them (design, section 8)."""
    site.uploads.put(KEY, photo())
    wire = await site.process(KEY)
    serving = site.ready(KEY).serving
    assert serving
    aliases = sum(product.alias_url is not None for product in serving.products)
    assert wire.count(*S3_CALLS) <= len(serving.products) + aliases + 8


async def test_whoever_always_loses_leaves_it_for_later(site: Site) -> None:
    """After five lost races there is no room for the job: that is no failure of the upload; it is made once."""
    site.uploads.put(KEY, photo())
    number = 0

    async def overtake(call: str) -> None:
        nonlocal number
        if call == f"write {places(KEY).manifest}":
            number += 1
            other = Manifest(
                status=Status.PROCESSING,
                revision=number,
                updated_at=datetime.now(UTC),
                source={"etag": "another"},  # type: ignore[arg-type]  # pydantic makes it a Source
            )
            site.store.objects[places(KEY).manifest] = other.to_json()

    wire = Wire(before=overtake)
    with pytest.raises(Crowded, match="lost the race"):
        await site.pipeline(wire).process(job(KEY), received())
    assert (5, 1, 1) == (number, wire.count("fetch"), wire.count("draw"))


async def test_a_document_of_somebody_else_stops_the_job(site: Site) -> None:
    """Nothing is overwritten; an operator has to look."""
    site.uploads.put(KEY, photo())
    site.store.objects[places(KEY).manifest] = b"<html>"
    with pytest.raises(Misconfigured):
        await site.process(KEY)
    assert {places(KEY).manifest: b"<html>"} == site.objects()


async def test_failures_are_counted_until_the_version_is_given_up(site: Site) -> None:
    """Four are a matter of time, the fifth is published; what was served before still is, and a new try starts anew."""
    site.uploads.put(KEY, photo())
    await site.process(KEY)
    former = site.ready(KEY)
    site.uploads.put(KEY, photo(note="newer"))
    pipeline = site.pipeline()
    counts = [await pipeline.note_failure(job(KEY), received(), Unavailable(f"try {n}")) for n in range(5)]
    assert [1, 2, 3, 4, 5] == counts
    await pipeline.give_up(job(KEY), received())
    failed = site.manifest(KEY)
    assert failed
    assert (Status.FAILED, "internal", former.serving) == (failed.status, reason(failed), failed.serving)
    (outcome,) = [
        json.loads(body) for key, body in site.objects().items() if key.endswith("outcome.json") and b"try" in body
    ]
    assert [f"Unavailable('try {n}')" for n in range(5)] == [one["error"] for one in outcome["failures"]]
    assert 2 == len((await site.process(KEY)).calls)
    assert 1 == await pipeline.note_failure(job(KEY, "reprocess"), received(), Unavailable("anew"))
    await site.process(KEY, received("redrive"), type_="reprocess")
    site.check(KEY)


async def test_a_failure_of_what_is_gone_is_the_first(site: Site) -> None:
    """There is no version to count it for, and nothing to give up."""
    pipeline = site.pipeline()
    assert 1 == await pipeline.note_failure(job(KEY), received(), Unavailable("down"))
    await pipeline.give_up(job(KEY), received())
    assert ({}, []) == (site.objects(), site.told)


async def test_an_archived_object_is_told_as_such(site: Site) -> None:
    """It lies in Glacier: nothing is fetched."""
    head = site.uploads.put(KEY, photo())
    pipeline = site.pipeline()

    class Archive(FakeUploads):
        async def head(self, bucket: str, key: str) -> object:  # type: ignore[override]
            return replace(head, archived=True)

    await replace(pipeline, uploads=Archive()).process(job(KEY), received())
    assert Reason.ARCHIVED == reason(site.manifest(KEY))


async def test_keys_of_two_buckets_do_not_meet(site: Site) -> None:
    """With several input buckets the bucket's name comes first."""
    site.uploads.put(KEY, photo(note="one"), bucket="one")
    site.uploads.put(KEY, photo(note="two"), bucket="two")
    pipeline = replace(site.pipeline(), several_buckets=True)
    for bucket in ("one", "two"):
        await pipeline.process(Job(bucket=bucket, key=KEY, type="process", cause="test"), received(bucket))
    assert {f"media/{bucket}/{KEY}/manifest.json" for bucket in ("one", "two")} == {
        key for key in site.objects() if key.endswith("/manifest.json")
    }


async def test_trouble_after_the_commit_is_no_failure_of_the_version(site: Site) -> None:
    """Nobody can be told for a while: the page stays ready, however often that is tried."""
    site.uploads.put(KEY, photo())
    await site.process(KEY)
    pipeline = site.pipeline()
    counted = [await pipeline.note_failure(job(KEY), received(), Unavailable("SNS is down")) for _ in range(6)]
    await pipeline.give_up(job(KEY), received())
    assert [1] * 6 == counted
    assert 1 == site.ready(KEY).revision


async def test_an_upload_right_after_a_delete_is_not_swept_with_it(site: Site) -> None:
    """It is published between the delete's first look and its last; all of it stays."""
    site.uploads.put(KEY, photo(note="former"))
    await site.process(KEY)
    site.uploads.delete(KEY)
    newer = iter([photo(note="newer", width=500)])

    async def upload(call: str) -> None:
        if call.startswith("keys records/") and (body := next(newer, None)):
            site.uploads.put(KEY, body)
            await site.process(KEY, received("newer"))

    await site.pipeline(Wire(before=upload)).process(job(KEY), received("delete"))
    site.check(KEY)
    assert site.ready(KEY).serving


async def test_a_restored_upload_is_made_after_all(site: Site) -> None:
    """It was refused because it lay in an archive; the restore's event is of the same version."""
    site.uploads.put(KEY, photo())
    site.uploads.archived.add(KEY)
    await site.process(KEY)
    site.uploads.archived.clear()
    await site.process(KEY, received("restored"))
    assert site.ready(KEY).serving


async def test_a_job_without_end_is_rejected_once(site: Site) -> None:
    """The wall clock ends it, and says so to whoever uploaded it: five such tries would be days of nothing."""
    site.uploads.put(KEY, photo())

    async def never(call: str) -> None:
        if call.startswith("draw"):
            await asyncio.Event().wait()

    endless = replace(site.pipeline(Wire(before=never)), job_seconds=0.05)
    await endless.process(job(KEY), received())
    manifest = site.manifest(KEY)
    assert manifest
    assert manifest.reason
    assert "time_limit" == manifest.reason.code


@pytest.fixture(name="light")
def _light(tmp_path: Path) -> Site:
    """Beside a heavy queue: its workers take pictures alone."""
    return Site(scratch=tmp_path, room=Room(streams=False))


@pytest.mark.parametrize("body", [film(), film(width=0)], ids=["film", "sound"])
async def test_a_light_worker_leaves_streams_to_others(body: bytes, light: Site) -> None:
    """It sees the beginning, and neither says nor makes anything."""
    light.uploads.put(KEY, body)
    with pytest.raises(Elsewhere):
        await light.process(KEY)
    assert ([], {}) == (light.told, light.objects())
    light.room.streams = True
    await light.process(KEY, received("in the heavy queue"))
    assert light.ready(KEY).serving


async def test_a_light_worker_makes_pictures(light: Site) -> None:
    """And whatever is no media gets its reason here."""
    light.uploads.put(KEY, photo())
    light.uploads.put("b.pdf", b"%PDF-1.7")
    await light.process(KEY)
    await light.process("b.pdf")
    assert light.ready(KEY).serving
    assert "unsupported_type" == reason(light.manifest("b.pdf"))


async def test_a_light_worker_does_what_needs_no_source(light: Site) -> None:
    """A film whose steps all have records is published, told again, or withdrawn, by whoever is asked."""
    light.room.streams = True
    light.uploads.put(KEY, film())
    await light.process(KEY)
    light.room.streams = False
    wire = await light.process(KEY, type_="reprocess")
    assert [] == [call for call in wire.calls if call.startswith("fetch")]
    light.uploads.delete(KEY)
    await light.process(KEY, received("gone"))
    assert Status.DELETED is (light.manifest(KEY) or light.ready(KEY)).status


@pytest.mark.parametrize(
    ("manifest", "type_"), [("kept", "reprocess"), ("gone", "reprocess"), ("gone", "process")], ids=str
)
@pytest.mark.parametrize("files", ["all", "one"])
async def test_what_somebody_deleted_is_made_again(manifest: str, type_: Type, files: str, site: Site) -> None:
    """Records of what is not there are no good; an event alone does not look, as long as the page is there."""
    site.uploads.put(KEY, photo())
    await site.process(KEY)
    before = site.ready(KEY).serving
    made = sorted(key for key in site.objects() if key.startswith(places(KEY).attempts) and "/~/" not in key)
    await site.store.delete(made if files == "all" else made[:1])
    if manifest == "gone":
        await site.store.delete([places(KEY).manifest])
    await site.process(KEY, received("again"), type_=type_)
    after = site.ready(KEY).serving
    assert before
    assert after
    assert [product.alias_url for product in before.products] == [product.alias_url for product in after.products]
    site.check(KEY)


async def test_a_clip_that_was_examined_less_closely_before_is_examined_again(site: Site) -> None:
    """Its colours, say, were not asked for then; what was said of a picture still holds."""
    for key, body, again in (("a.mkv", film(), True), ("a.jpg", photo(), False)):
        site.uploads.put(key, body)
        await site.process(key)
        for at in [one for one in site.objects() if one.startswith(places(key).versions) and is_record(one)]:
            old = json.loads(site.objects()[at]) | {"examined": 0}
            await site.store.overwrite(at, json.dumps(old).encode())
        wire = await site.process(key, received(f"again {key}"), type_="reprocess")
        assert again == bool([call for call in wire.calls if call.startswith(("probe", "inspect "))])
