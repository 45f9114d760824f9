"""The page manifest as one reconciliation sees it."""

from datetime import UTC, datetime
from functools import partial

import pytest

from service.core import manifest
from service.core.manifest import Manifest, Source, Status
from service.core.outcome import Conflict, Misconfigured, Reason, Rejected
from service.core.places import Places
from service.runtime.page import Page
from tests.fakes import FakeStore

AT = Places(name="a.jpg")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = Source(etag="e", last_modified="2026-01-01T00:00:00+00:00", size=1)
REJECTED = partial(manifest.rejected, source=SOURCE, error=Rejected(Reason.DAMAGED, "It is cut off."), now=NOW)
PROCESSING = partial(manifest.processing, source=SOURCE, percent=1, eta_seconds=None, started_at=NOW, now=NOW)


async def test_each_write_replaces_the_one_before() -> None:
    """Each is one revision further, and what is in the store."""
    store = FakeStore()
    page = await Page.read(store, AT)
    assert page.manifest is None
    await page.write(PROCESSING)
    written = await page.write(REJECTED)
    assert (2, written) == (written.revision, Manifest.model_validate_json(store.objects[AT.manifest]))
    assert written == (await Page.read(store, AT)).manifest


@pytest.mark.parametrize("before", [0, 1])
async def test_whoever_reads_first_and_writes_second_loses(before: int) -> None:
    """Whether there was a manifest or none; the page keeps what it read."""
    store = FakeStore()
    for _ in range(before):
        await (await Page.read(store, AT)).write(PROCESSING)
    mine, theirs = await Page.read(store, AT), await Page.read(store, AT)
    written = await theirs.write(REJECTED)
    read = mine.manifest
    with pytest.raises(Conflict):
        await mine.write(PROCESSING)
    assert (read, written) == (mine.manifest, (await Page.read(store, AT)).manifest)


async def test_what_is_no_manifest_is_not_overwritten() -> None:
    """Somebody put something else in its place: an operator has to look."""
    store = FakeStore()
    store.objects[AT.manifest] = b'{"my own": "document"}'
    with pytest.raises(Misconfigured, match=r"media/a.jpg/manifest.json is no page manifest"):
        await Page.read(store, AT)


def page(status: Status) -> Page:
    """A page that tells of `SOURCE`."""
    return Page(FakeStore(), AT, Manifest(status=status, revision=1, updated_at=NOW, source=SOURCE), '"e"')


@pytest.mark.parametrize("status", [Status.READY, Status.REJECTED, Status.FAILED, Status.QUARANTINED])
def test_a_page_tells_of_a_version_in_its_final_states(status: Status) -> None:
    """Whoever comes later finds it done."""
    assert page(status).tells_of(SOURCE)


@pytest.mark.parametrize(
    ("status", "change"),
    [
        (Status.PROCESSING, {}),
        (Status.READY, {"etag": "another"}),
        (Status.READY, {"last_modified": "2026-01-01T00:00:01+00:00"}),
        (Status.READY, {"version_id": "v1"}),
    ],
)
def test_a_page_does_not_tell_of_others(status: Status, change: dict[str, str]) -> None:
    """`processing` is no final state; the same bytes put again are another version."""
    assert not page(status).tells_of(SOURCE.model_copy(update=change))
