"""The page manifest: how each state becomes it, and that it never tells what it must not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import manifest, products
from service.core.manifest import Manifest, Serving, Source, Status
from service.core.media import Media
from service.core.outcome import Reason, Rejected
from service.core.places import Places
from service.core.record import Entry, File, Hint, Look, Product, Record, Role, Screening, Spent, StepRecord
from tests.core.samples import PHONE, PHOTO, SONG

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FIRST = Source(etag="e1", version_id="v1", last_modified="2026-11-23T11:00:00+00:00", size=10)
SECOND = Source(etag="e2", version_id="v2", last_modified="2026-11-23T11:30:00+00:00", size=20)
HINT = Hint(thumbhash="3OcRJYB4d3h/iIeHeEh3eIhw+j2w", color="#aabbcc")
SERVING = Serving(
    kind="image",
    width=4000,
    height=3000,
    products=(
        Product(role=Role.IMAGE, url="https://cdn/1.webp", content_type="image/webp", bytes=5, width=320, height=240),
    ),
    placeholder=HINT,
    html="<picture></picture>",
)
DAMAGED = Rejected(Reason.DAMAGED, "It is damaged.")

Step = Callable[[Manifest | None, Source, datetime], Manifest]


def processing(before: Manifest | None, source: Source, now: datetime) -> Manifest:
    """Under way."""
    return manifest.processing(before, source, percent=40, eta_seconds=90, started_at=NOON, now=now)


def ready(before: Manifest | None, source: Source, now: datetime) -> Manifest:
    """Published."""
    return manifest.ready(before, source, SERVING, now=now)


def rejected(before: Manifest | None, source: Source, now: datetime) -> Manifest:
    """Refused."""
    return manifest.rejected(before, source, DAMAGED, now=now)


def failed(before: Manifest | None, source: Source, now: datetime) -> Manifest:
    """Given up."""
    return manifest.failed(before, source, now=now)


def held(before: Manifest | None, source: Source, now: datetime) -> Manifest:
    """Waits for a person."""
    return manifest.quarantined(before, source, Reason.MODERATION_REVIEW, now=now)


def unchecked(before: Manifest | None, source: Source, now: datetime) -> Manifest:
    """Nobody could be asked."""
    return manifest.quarantined(before, source, Reason.MODERATION_UNAVAILABLE, now=now)


def blocked(before: Manifest | None, source: Source, now: datetime) -> Manifest:
    """May not be shown."""
    error = Rejected(Reason.MODERATION_BLOCKED, "It may not be shown here.")
    return manifest.rejected(before, source, error, now=now)


STEPS: list[Step] = [processing, ready, rejected, failed, held, unchecked, blocked]


def test_first_is_processing():
    """The first thing a page hears: nothing but the state, the source and since when."""
    expected = {
        "media_worker": 1,
        "status": "processing",
        "reason": None,
        "percent": 40,
        "eta_seconds": 90,
        "started_at": "2026-11-23T12:00:00Z",
        "revision": 1,
        "updated_at": "2026-11-23T12:00:00Z",
        "source": {
            "etag": "e1",
            "version_id": "v1",
            "last_modified": "2026-11-23T11:00:00+00:00",
            "size": 10,
        },
        "serving": None,
    }
    assert expected == processing(None, FIRST, NOON).model_dump(mode="json")


def test_ready():
    """A page that is ready says what to show, and no percentage."""
    found = ready(processing(None, FIRST, NOON), FIRST, NOON)
    expected = Manifest(status=Status.READY, revision=2, updated_at=NOON, source=FIRST, serving=SERVING)
    assert expected == found


@pytest.mark.parametrize("change", [rejected, failed, processing, held, unchecked])
def test_replacement_that_is_not_ready_keeps_the_former(change: Step):
    """What was served before is served on while its replacement is under way, refused or given up."""
    found = change(ready(None, FIRST, NOON), SECOND, NOON)
    assert (SERVING, SECOND) == (found.serving, found.source)


@pytest.mark.parametrize("source", [FIRST, SECOND], ids=["itself", "its replacement"])
def test_what_may_not_be_shown_withdraws_what_was(source: Source):
    """Whoever uploads it again in the place of something harmless does not keep that alive; nor does it itself."""
    found = blocked(ready(None, FIRST, NOON), source, NOON)
    assert (None, Status.REJECTED, "moderation_blocked") == (found.serving, found.status, found.reason.code)


@pytest.mark.parametrize(
    ("change", "code"), [(held, Reason.MODERATION_REVIEW), (unchecked, Reason.MODERATION_UNAVAILABLE)]
)
def test_quarantined_says_why(change: Step, code: Reason):
    """That it waits, and what for; never what was seen."""
    found = change(None, FIRST, NOON)
    assert (Status.QUARANTINED, code, None) == (found.status, found.reason.code, found.serving)
    assert {"code", "message"} == set(found.reason.model_dump())
    assert found.reason.message.startswith("It ")


def test_nothing_else_is_quarantined():
    """A reason that says nothing of waiting is a mistake of ours, and found at once."""
    with pytest.raises(KeyError):
        manifest.quarantined(None, FIRST, Reason.DAMAGED, now=NOON)


def test_rejected_says_why():
    """A refusal tells the uploader its reason; the next state forgets it."""
    found = rejected(None, FIRST, NOON)
    assert (Status.REJECTED, Reason.DAMAGED, "It is damaged.") == (
        found.status,
        found.reason.code,
        found.reason.message,
    )
    assert None is ready(found, SECOND, NOON).reason


def test_failed_blames_nobody():
    """What this service could not do is no fault of the file."""
    found = failed(None, FIRST, NOON)
    assert (Status.FAILED, Reason.INTERNAL) == (found.status, found.reason.code)


def test_deleted_drops_everything():
    """A source that is gone serves nothing and names no version."""
    found = manifest.deleted(ready(None, FIRST, NOON), now=NOON)
    assert Manifest(status=Status.DELETED, revision=2, updated_at=NOON, source=Source()) == found


@pytest.mark.parametrize(
    "path",
    [[processing], [held], [unchecked, held], [held, blocked], [failed], [processing, rejected], [blocked, processing]],
)
def test_nothing_is_told_before_the_first_ready(path: list[Step]):
    """Before a version is allowed nothing of it is told but status, reason and source: no colour, hash or size."""
    found = None
    for change in path:
        found = change(found, FIRST, NOON)
    told = {name for name, value in found.model_dump(exclude_defaults=True).items() if value is not None}
    assert set() == told - {
        "status",
        "reason",
        "source",
        "revision",
        "updated_at",
        "percent",
        "eta_seconds",
        "started_at",
    }


def test_undeleted():
    """After an undelete the version is new to the page, although it was published before."""
    gone = manifest.deleted(ready(None, FIRST, NOON), now=NOON)
    assert not manifest.speaks_of(gone, FIRST)
    assert 3 == ready(gone, FIRST, NOON).revision


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (FIRST, FIRST, True),
        (FIRST, SECOND, False),
        (FIRST, FIRST.model_copy(update={"etag": "other"}), True),
        (FIRST, FIRST.model_copy(update={"version_id": None}), False),
        (Source(etag="e", last_modified="t"), Source(etag="e", last_modified="t"), True),
        (Source(etag="e", last_modified="t"), Source(etag="e", last_modified="u"), False),
        (Source(etag="e", last_modified="t"), Source(etag="f", last_modified="t"), False),
        (Source(), FIRST, False),
        (Source(), Source(etag="e", last_modified="t"), False),
    ],
)
def test_speaks_of(one: Source, other: Source, *, same: bool):
    """A version is known by its id, or by ETag and time where the bucket keeps none."""
    assert same == manifest.speaks_of(ready(None, one, NOON), other)


def test_idempotency_key():
    """One for each revision of each upload."""
    first = ready(None, FIRST, NOON)
    assert "a/b.jpg@1" == manifest.idempotency_key("a/b.jpg", first)
    assert "a/b.jpg@2" == manifest.idempotency_key("a/b.jpg", failed(first, SECOND, NOON))


def test_final_states():
    """Every state but `processing` is final, and told to whoever wants to know."""
    assert {"ready", "rejected", "quarantined", "failed", "deleted"} == manifest.FINAL


SCHEMA = Manifest.model_json_schema()
PUBLISHED = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


@given(path=st.lists(st.sampled_from([*STEPS, None]), min_size=1, max_size=8))
def test_any_history(path: list[Step | None]):
    """In any order of states each write is one revision further, reads back, fits the schema and has one state."""
    now, found = NOON, None
    for change in path:
        if change is None and found is None:
            continue
        now += timedelta(seconds=1)
        after = change(found, SECOND, now) if change else manifest.deleted(found, now=now)
        assert (found.revision + 1 if found else 1) == after.revision
        assert now == after.updated_at
        assert after == Manifest.model_validate_json(after.to_json())
        assert (after.percent is not None) == (after.status is Status.PROCESSING)
        assert (after.reason is not None) == (after.status in {Status.REJECTED, Status.FAILED, Status.QUARANTINED})
        assert (after.serving is not None) == (
            change is ready or bool(change not in {None, blocked} and found and found.serving)
        )
        PUBLISHED.validate(after.model_dump(mode="json"))
        found = after


def test_schema_refuses_what_is_no_manifest():
    """The schema is of use: it refuses what a page could not rely on."""
    whole = ready(None, FIRST, NOON).model_dump(mode="json")
    wrong: list[dict[str, Any]] = [{"status": "done"}, {"revision": "1"}, {"serving": {}}, {"media_worker": 2}]
    assert [True] + [False] * 4 == [PUBLISHED.is_valid(whole | change) for change in ({}, *wrong)]


AT = Places(name="a b.jpg")
BASE = "https://cdn.example"


def image(digest: str, name: str, width: int, **changed: Any) -> StepRecord:
    """A variant that was done."""
    entry = Entry(role=Role.IMAGE, alias=name, width=width, height=width)
    file = File(name=name, content_type="image/webp", bytes=width, sha256="0" * 64, product=entry)
    return StepRecord(digest=digest, kind="Variant", files=(file,), **changed)


def record(*steps: StepRecord, folder: str = "media/a b.jpg/~1-m.1/") -> Record:
    """A group that was done."""
    spent = Spent(wall_seconds=0, cpu_seconds=0, peak_memory_bytes=0)
    return Record(version="v", digest="g", folder=folder, made_at=NOON, made_by={}, spent=spent, steps=steps)


def served(records: list[Record], wanted: list[str], media: Media = PHOTO) -> Serving:
    """What a page may show."""
    order = {digest: at for at, digest in enumerate(wanted)}
    return manifest.serve(media, records, wanted=order, base=BASE, at=AT)


def test_product():
    """A product has its immutable address, and the stable one where it has a name."""
    expected = Product(
        role=Role.IMAGE,
        url="https://cdn.example/media/a%20b.jpg/~1-m.1/320.webp",
        alias_url="https://cdn.example/media/a%20b.jpg/~/320.webp",
        content_type="image/webp",
        bytes=320,
        width=320,
        height=320,
    )
    assert (expected,) == served([record(image("x", "320.webp", 320))], ["x"]).products


def test_order_is_the_plan_s():
    """Products come in the order of the plan, whatever record they were found in."""
    records = [
        record(image("c", "1280.webp", 1280), image("a", "320.webp", 320)),
        record(image("b", "640.webp", 640), folder="media/a b.jpg/~2-m.1/"),
    ]
    assert [320, 640, 1280] == [one.width for one in served(records, ["a", "b", "c"]).products]


def test_only_what_is_wanted():
    """What the recipe no longer asks for stays in its record."""
    records = [record(image("old", "100.webp", 100), image("a", "320.webp", 320))]
    assert [320] == [one.width for one in served(records, ["a"]).products]


def test_step_in_two_records():
    """Two workers that did a step at the same time: the first record counts, and nothing is shown twice."""
    records = [
        record(image("a", "320.webp", 320), image("b", "640.webp", 640)),
        record(image("b", "640.webp", 640), folder="media/a b.jpg/~2-m.2/"),
    ]
    found = served(records, ["a", "b"])
    assert [320, 640] == [one.width for one in found.products]
    assert all("/~1-m.1/" in one.url for one in found.products)


def test_placeholder():
    """The hint is of a step that is wanted, and there is none where the recipe wants none."""
    hint = StepRecord(digest="h", kind="Placeholder", placeholder=HINT)
    records = [record(image("a", "320.webp", 320), hint)]
    assert HINT == served(records, ["a", "h"]).placeholder
    assert None is served(records, ["a"]).placeholder


def test_parts_are_no_products():
    """Tracks and their playlists are in the record alone: a page enters by the package."""
    parts = StepRecord(
        digest="r",
        kind="Rendition",
        files=(File(name="720p.mp4", content_type="video/mp4", bytes=1, sha256="0" * 64),),
    )
    package = StepRecord(
        digest="p",
        kind="Package",
        files=(
            File(
                name="index.m3u8",
                content_type="application/vnd.apple.mpegurl",
                bytes=1,
                sha256="0" * 64,
                product=Entry(role=Role.HLS, alias="index.m3u8"),
            ),
        ),
    )
    found = served([record(parts, package)], ["r", "p"], PHONE)
    assert [Role.HLS] == [one.role for one in found.products]
    assert [("index.m3u8", "p")] == [(file.name, "p") for _, file, _ in manifest.entries([record(parts, package)])]


@pytest.mark.parametrize(
    ("media", "measures"),
    [
        (PHOTO, ("image", 4000, 3000, None)),
        (PHONE, ("video", 1080, 1920, 10.0)),
        (SONG, ("audio", None, None, 10.0)),
        (replace(PHONE, timeline=replace(PHONE.timeline, duration=1 / 3)), ("video", 1080, 1920, 0.333)),
    ],
)
def test_measures(media: Media, measures: tuple[object, ...]):
    """Sizes as displayed, durations to the millisecond."""
    found = served([record(image("a", "320.webp", 320))], ["a"], media)
    assert measures == (found.kind, found.width, found.height, found.duration)


def caption(digest: str, language: str | None, *, machine: bool) -> StepRecord:
    """Captions that were made, or uploaded."""
    files = tuple(
        File(name=one.name, content_type=one.content_type, bytes=1, sha256="0" * 64, product=one.entry)
        for one in products.captions(language, machine=machine)
    )
    return StepRecord(digest=digest, kind="Transcript", files=files)


MACHINE, UPLOADED = caption("m", "en", machine=True), caption("u", "de", machine=False)


@pytest.mark.parametrize(
    ("steps", "pending", "state"),
    [
        ([], False, "none"),
        ([], True, "pending"),
        ([MACHINE], False, "machine"),
        ([UPLOADED], False, "uploaded"),
        ([UPLOADED, MACHINE], False, "uploaded"),
        ([UPLOADED], True, "pending"),
    ],
)
def test_state_of_captions(steps: list[StepRecord], state: str, *, pending: bool):
    """What a page may wait for, and who wrote what it has."""
    wanted = {step.digest: at for at, step in enumerate(steps)}
    found = manifest.serve(PHONE, [record(*steps)], wanted=wanted, base=BASE, at=AT, pending=pending)
    assert state == found.captions


def test_caption_products_name_their_language():
    """WebVTT for the page, SRT for editors, each with its language and whether a machine wrote it."""
    found = served([record(MACHINE, UPLOADED)], ["m", "u"], PHONE).products
    said = [(one.role, one.content_type, one.language, one.machine) for one in found]
    assert [
        (Role.CAPTIONS, "text/vtt", "en", True),
        (Role.CAPTIONS, "application/x-subrip", "en", True),
        (Role.CAPTIONS, "text/vtt", "de", False),
        (Role.CAPTIONS, "application/x-subrip", "de", False),
    ] == said
    assert all(one.alias_url and one.alias_url.endswith(one.url.rpartition("/")[2]) for one in found)


def test_what_moderation_saw_is_no_product():
    """Its frames are in no manifest, whatever plan they are wanted by."""
    frame = File(name="frame-1.jpg", content_type="image/jpeg", bytes=1, sha256="0" * 64)
    screening = Screening(provider="local", model="m", planned=1, looks=(Look(at=0.0, file="frame-1.jpg"),))
    seen = StepRecord(digest="s", kind="Screen", files=(frame,), screening=screening)
    assert () == served([record(seen, folder="quarantine/a b.jpg/~1-m.1/")], ["s"], PHONE).products
