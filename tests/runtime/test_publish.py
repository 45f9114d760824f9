"""What is told and written down of a final state."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.core.job import Job
from service.core.manifest import Manifest
from service.core.places import failure
from service.core.record import Unready
from tests.fakes import photo
from tests.runtime.site import Site, job, places, received, rules

KEY = "a b.jpg"


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Site:
    return Site(scratch=tmp_path)


async def test_the_message_carries_the_page_manifest(site: Site) -> None:
    """A site's database needs nothing else; the manifest in it is the one in the store."""
    site.uploads.put(KEY, photo())
    await site.process(KEY)
    ((key, message),) = site.outcomes.told
    assert f"{KEY}@1" == key == message["idempotency_key"]
    assert (1, "outcome", KEY, places(KEY).manifest) == (
        message["media_worker"],
        message["type"],
        message["name"],
        message["manifest_key"],
    )
    assert json.loads(site.objects()[places(KEY).manifest]) == message["manifest"]
    assert site.manifest(KEY) == Manifest.model_validate(message["manifest"])


async def test_the_outcome_record_says_what_was_done(site: Site) -> None:
    """Which version, why, by whom, by which recipe, what was made, and what it cost."""
    site.uploads.put(KEY, photo())
    asked = datetime(2026, 1, 1, tzinfo=UTC)
    request = Job(bucket="uploads", key=KEY, type="process", cause="ObjectCreated:Put", requested_at=asked)
    await site.pipeline().process(request, received())
    outcome, newest = site.outcome(KEY), site.uploads.newest(KEY)
    assert newest
    assert (newest.head.etag, newest.head.size, KEY) == (outcome.etag, outcome.size, outcome.key)
    assert ("ready", "ObjectCreated:Put", asked, "test") == (
        outcome.status,
        outcome.cause,
        outcome.requested_at,
        outcome.worker,
    )
    assert rules().rules(KEY).digest() == outcome.recipe
    (record,) = site.records(KEY)
    assert {step.digest for step in record.steps} == set(outcome.made)
    assert (record.spent, ()) == (outcome.spent, outcome.reused)
    assert outcome.media
    assert (900, 600) == (outcome.media["width"], outcome.media["height"])


async def test_the_outcome_record_of_a_rejection_says_why(site: Site) -> None:
    """The reason that the page gives, and its message."""
    site.uploads.put(KEY, photo(fault="damaged"))
    await site.process(KEY)
    outcome, manifest = site.outcome(KEY), site.manifest(KEY)
    assert manifest
    assert manifest.reason
    assert ("rejected", manifest.reason.code, manifest.reason.message) == (
        outcome.status,
        outcome.reason,
        outcome.message,
    )


def listed(site: Site) -> list[Unready]:
    """What `failures` would find."""
    keys = [key for key in sorted(site.objects()) if key.startswith("records/~failures/")]
    return [Unready.model_validate_json(site.objects()[key]) for key in keys]


async def test_a_rejection_is_listed(site: Site) -> None:
    """By day and version, before the page manifest says it; once a day, however often it is said."""
    site.uploads.put(KEY, photo(fault="damaged"))
    wire = await site.process(KEY)
    await site.process(KEY, received("again"), type_="reprocess")
    (entry,), outcome = listed(site), site.outcome(KEY)
    assert ("uploads", KEY, outcome.version) == (entry.bucket, entry.key, entry.version)
    assert ("rejected", "damaged", outcome.message) == (entry.status, entry.reason, entry.message)
    at = failure(entry.at.date(), entry.version)
    assert at in site.objects()
    assert wire.calls.index(f"overwrite {at}") < wire.calls.index(f"write {places(KEY).manifest}")


async def test_a_failure_is_listed_with_its_last_error(site: Site) -> None:
    """That is what an operator has to mend."""
    site.uploads.put(KEY, photo())
    pipeline = site.pipeline()
    for number in range(2):
        await pipeline.note_failure(job(KEY), received(), RuntimeError(f"error {number}"))
    await pipeline.give_up(job(KEY), received())
    (entry,) = listed(site)
    assert ("failed", "internal", "RuntimeError('error 1')") == (entry.status, entry.reason, entry.message)


async def test_a_failure_takes_nothing_from_what_another_worker_has_reached(site: Site) -> None:
    """It is about to be published: only the failure is added to what its outcome record says."""
    site.uploads.put(KEY, photo())
    await site.process(KEY)
    before = site.outcome(KEY)
    await site.store.delete([places(KEY).manifest])
    assert 1 == await site.pipeline().note_failure(job(KEY), received(), RuntimeError("late"))
    (failure_,) = site.outcome(KEY).failures
    assert "RuntimeError('late')" == failure_.error
    assert before == site.outcome(KEY).model_copy(update={"failures": ()})


async def test_what_is_well_is_not_listed(site: Site) -> None:
    """Nor does it cost a call."""
    site.uploads.put(KEY, photo())
    wire = await site.process(KEY)
    assert [] == listed(site)
    assert not [call for call in wire.calls if "failures" in call]


async def test_what_is_public_tells_nothing_of_what_is_not(site: Site) -> None:
    """Neither recipe, worker, failures nor costs are in the page manifest."""
    site.uploads.put(KEY, photo())
    await site.pipeline().note_failure(job(KEY), received(), RuntimeError("a secret"))
    await site.process(KEY, received(count=2))
    public = b"".join(body for key, body in site.objects().items() if key.startswith("media/"))
    for private in (b"secret", rules().rules(KEY).digest().encode(), b"cpu_seconds", b"requested_at"):
        assert private not in public
