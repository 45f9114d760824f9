"""What an audit says of a source: by its manifest, and by the names of manifests."""

from datetime import UTC, datetime, timedelta

import pytest

from service.core import audit, places
from service.core.audit import Audit, Heap, Kind
from service.core.job import Input
from service.core.manifest import Manifest, Source, Status
from service.core.outcome import Reason
from service.core.sources import Listed

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SOURCE = Source(etag="e", last_modified=NOW.isoformat())
LISTED = Listed(bucket="b", key="a.jpg", etag="e", modified=NOW, size=1)
HASH = places.name("b", "~x", several_buckets=False)


def page(status: Status = Status.READY, *, source: Source = SOURCE, reason: Reason | None = None) -> Manifest:
    """A page manifest."""
    why = {"code": reason, "message": ""} if reason else None
    return Manifest.model_validate(
        {"status": status, "revision": 1, "updated_at": NOW, "source": source, "reason": why}
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, Kind.MISSING),
        (page(), None),
        (page(source=Source(etag="f", last_modified=NOW.isoformat())), Kind.STALE),
        (page(source=Source(etag="e", last_modified=NOW.isoformat(), version_id="v")), Kind.STALE),
        (page(Status.DELETED, source=Source()), Kind.STALE),
        (page(Status.FAILED), None),
        (page(Status.REJECTED, reason=Reason.DAMAGED), None),
        (page(Status.REJECTED, reason=Reason.ARCHIVED), Kind.UNFINISHED),
        (page(Status.QUARANTINED, reason=Reason.MODERATION_REVIEW), None),
        (page(Status.PROCESSING), None),
    ],
)
def test_kinds(found: Manifest | None, expected: Kind | None):
    """A final state of the newest version is what should be there; what was restored should not stay rejected."""
    assert expected == audit.kind(found, SOURCE, archived=False, now=NOW)


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (None, False),
        (page(), False),
        (page(source=Source(etag="e", last_modified=NOW.isoformat(), version_id="v")), False),
        (page(source=Source(etag="f", last_modified=NOW.isoformat())), True),
        (page(Status.DELETED, source=Source()), True),
        (page(Status.REJECTED, reason=Reason.ARCHIVED), True),
    ],
)
def test_when_the_object_itself_is_asked_for(found: Manifest | None, asked: bool):  # noqa: FBT001
    """Where the listing and the manifest disagree, and for what lay in an archive."""
    assert asked == audit.needs_head(found, LISTED)


def test_every_kind_is_explained():
    """In the table."""
    assert set(Kind) == set(audit.MEANINGS)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("media/a.jpg/manifest.json", "a.jpg"),
        ("media/a/b c.jpg/manifest.json", "a/b c.jpg"),
        ("media/line\nbreak/manifest.json", "line\nbreak"),
        (f"media/{HASH}/manifest.json", HASH),
        (f"media/b/{HASH}/manifest.json", f"b/{HASH}"),
        ("media/a.jpg/~0123456789abcdef-0123456789.1/manifest.json", None),
        ("media/a.jpg/~/manifest.json", None),
        (f"media/{HASH}/~0123456789abcdef-0123456789.1/index.m3u8", None),
        ("media/a.jpg/~/index.m3u8", None),
        ("records/a.jpg/manifest.json", None),
    ],
)
def test_names_of_manifests(key: str, name: str | None):
    """As `places` makes them, and nothing else that lies there."""
    assert name == audit.name_of(key)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("key", ["a.jpg", "b/c.jpg", "manifest.json", "~x"])
def test_names_lead_back_to_keys(key: str, several: bool):  # noqa: FBT001
    """Where they are no hashes."""
    name = places.name("b", key, several_buckets=several)
    assert name == audit.name_of(places.Places(name=name).manifest)
    expected = None if key in {"manifest.json", "~x"} else key
    assert expected == audit.key_of(name, "b", several_buckets=several)


@pytest.mark.parametrize(
    ("prefixes", "several", "expected"),
    [
        ([("b", "")], False, [("b", "media/")]),
        ([("b", "x/")], False, [("b", "media/x/"), ("b", "media/~")]),
        ([("b", "x/"), ("b", "y/")], False, [("b", "media/x/"), ("b", "media/y/"), ("b", "media/~")]),
        ([("a", ""), ("b", "x/")], True, [("a", "media/a/"), ("b", "media/b/x/"), ("b", "media/b/~")]),
    ],
)
def test_where_manifests_are(prefixes: list[tuple[str, str]], several: bool, expected: list[tuple[str, str]]):  # noqa: FBT001
    """Below the prefixes, and where the names are hashes, whose keys may be below them too."""
    roots = [Input(bucket=bucket, prefix=prefix) for bucket, prefix in prefixes]
    assert tuple(expected) == audit.manifests_of(roots, several_buckets=several)


def test_a_heap_keeps_the_first_few():
    """And counts all."""
    heap = Heap()
    for number in range(9):
        heap.add("b", str(number), 2)
    assert (9, 18, [("b", str(number)) for number in range(5)]) == (heap.objects, heap.bytes, heap.first)


@pytest.mark.parametrize(
    ("found", "enqueued", "nameless", "settled"),
    [(0, 0, 0, True), (2, 0, 0, False), (2, 2, 0, True), (2, 2, 1, False), (0, 0, 1, False)],
)
def test_when_nothing_is_left_to_do(found: int, enqueued: int, nameless: int, settled: bool):  # noqa: FBT001
    """Nothing was found, or all of it was sent."""
    result = Audit(enqueued=enqueued)
    for _ in range(found):
        result.wrong[Kind.MISSING].add("b", "k", 1)
    for _ in range(nameless):
        result.nameless.add("b", "k", 1)
    assert settled == result.settled


def test_a_job_may_be_silent_for_an_hour():
    """Longer than that nobody works on it."""
    found = page(Status.PROCESSING)
    kinds = [audit.kind(found, SOURCE, archived=False, now=NOW + timedelta(minutes=m)) for m in (59, 60, 61)]
    assert [None, None, Kind.UNFINISHED] == kinds
