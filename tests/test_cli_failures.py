"""`failures`: what was rejected or failed lately, what to do about it, and what was mended since."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scripts.resources import Client, Resources
from service.commands import failures
from service.commands.failures import Listed, Wanted
from service.core import explain, places
from service.core.manifest import Manifest, Source, Status, Why
from service.core.outcome import Misconfigured, Reason
from service.core.places import Places
from service.core.record import Unready
from service.tables import failures as tables
from tests.fakes import FakeStore
from tests.test_cli import Ended, run

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def put(
    store: FakeStore, key: str, status: Status | None = Status.REJECTED, *, hours: float = 1, reason: str = "damaged"
) -> None:
    """A version of a key was rejected so many hours ago, and its page manifest says this now."""
    at, version = NOW - timedelta(hours=hours), places.version("in", key, f"{hours}", "e", "t")
    entry = Unready(
        at=at, bucket="in", key=key, version=version, status="rejected", reason=reason, message=f"{key} is cut off."
    )
    store.objects[places.failure(at.date(), version)] = entry.to_json()
    if status:
        why = Why(code=Reason.DAMAGED, message="It is cut off.") if status is Status.REJECTED else None
        found = Manifest(status=status, reason=why, revision=1, updated_at=at, source=Source(etag="e"))
        store.objects[Places(name=places.name("in", key, several_buckets=False)).manifest] = found.to_json()


async def listed(store: FakeStore, *, days: float = 1, limit: int = 50, every: bool = False, **values: Any) -> Listed:
    """What the command finds."""
    wanted = Wanted(
        since=NOW - timedelta(days=days), reasons=values.get("reasons", frozenset()), every=every, limit=limit
    )
    return await failures.listed(store, wanted, now=NOW, several_buckets=False)


def keys(found: Listed) -> list[str]:
    """Theirs."""
    return [one.entry.key for one in found.failures]


async def test_the_newest_come_first() -> None:
    """Over days, back to the very minute; whatever the keys are called."""
    store = FakeStore()
    for key, hours in {"a b.jpg": 30, "~b//c": 2, "c": 47.9, "d": 48.1, "e": 0}.items():
        put(store, key, hours=hours)
    assert ["e", "~b//c", "a b.jpg", "c"] == keys(await listed(store, days=2))
    assert ["e", "~b//c"] == keys(await listed(store))


@pytest.mark.parametrize(
    ("status", "over"),
    [
        (Status.READY, True),
        (Status.DELETED, True),
        (Status.REJECTED, False),
        (Status.FAILED, False),
        (Status.PROCESSING, False),
        (Status.QUARANTINED, False),
        (None, False),
    ],
)
async def test_what_is_mended_or_gone_is_left_out(status: Status | None, *, over: bool) -> None:
    """Unless all of them are wanted; what the page manifest does not know yet is no less failed."""
    store = FakeStore()
    put(store, "a", status)
    assert ([] if over else ["a"]) == keys(await listed(store))
    (one,) = (await listed(store, every=True)).failures
    assert (status, over) == (one.now, one.over)


async def test_a_key_is_listed_once() -> None:
    """By its newest failure, unless all are wanted."""
    store = FakeStore()
    for hours in (1, 5, 20):
        put(store, "a", hours=hours)
    assert [1] == [(NOW - one.entry.at).seconds // 3600 for one in (await listed(store)).failures]
    assert 3 == len(keys(await listed(store, every=True)))


async def test_as_many_as_are_wanted() -> None:
    """The days before are not even looked at; that there are more is told."""
    store = FakeStore()
    for n in range(40):
        put(store, f"{n:02}", hours=n / 10)
    put(store, "mended", Status.READY, hours=0)
    put(store, "older", hours=30)
    found = await listed(store, days=3, limit=3)
    assert (["00", "01", "02"], True) == (keys(found), found.more)
    assert not [call for call in store.wire.calls if "2026-02-27" in call]
    found = await listed(store, days=3, limit=41)
    assert (41, False) == (len(found.failures), found.more)


async def test_by_reason() -> None:
    """One or several."""
    store = FakeStore()
    for reason in ("damaged", "internal", "too_large"):
        put(store, reason, reason=reason)
    found = await listed(store, reasons=frozenset({"internal", "too_large"}))
    assert {"internal", "too_large"} == set(keys(found))


async def test_nonsense_is_named() -> None:
    """An operator has to move it away."""
    store = FakeStore(objects={places.failure(NOW.date(), "v"): b"{}"})
    with pytest.raises(Misconfigured, match=r"records/~failures/2026-03-01/v\.json"):
        await listed(store)


async def test_the_table_says_what_to_do() -> None:
    """Once for each reason; a reason of a newer worker has no remedy here."""
    store = FakeStore()
    put(store, "a")
    put(store, "b", Status.READY)
    put(store, "c", reason="of_next_year")
    found = await listed(store, every=True)
    notes = [str(line) for line in tables.failures_notes(found)]
    assert [f"damaged: {explain.REMEDIES[Reason.DAMAGED]}"] == notes
    told = {one["key"]: (one["remedy"], one["now"]) for one in tables.failures_document(found)["failures"]}  # type: ignore[attr-defined]  # a list
    assert (explain.REMEDIES[Reason.DAMAGED], "ready") == told["b"]
    assert (None, "rejected") == told["c"]
    assert "damaged: b is cut off. (ready by now)" in {tables._because(one) for one in found.failures}


# ---- the real command line ----


def test_of_local_files(tmp_path: Path) -> None:
    """Until the file is mended."""
    files, out = tmp_path / "in", tmp_path / "out"
    files.mkdir()
    (files / "notes [1].jpg").write_bytes(b"%PDF-1.7")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('images = { widths = [64] }\nmoderation.provider = "off"\n')
    arguments = ("process", files, "--out", out, "--recipe", recipe)
    assert 1 == run(*arguments).code
    ended = run("failures", "--out", out)
    assert (1, "") == (ended.code, ended.err)
    assert "notes [1].jpg" in ended.out
    assert "rejected" in ended.out
    assert f"unsupported_type: {explain.REMEDIES[Reason.UNSUPPORTED_TYPE]}" in ended.out
    Image.new("RGB", (100, 100)).save(files / "notes [1].jpg")
    assert 0 == run(*arguments).code
    told = "Nothing was rejected or failed within 2w that is not mended or gone by now.\n"
    assert Ended(code=0, out=told, err="") == run("failures", "--out", out, "--since", "2w")
    document = run("failures", "--out", out, "--all", "--json").document
    assert ["ready"] == [one["now"] for one in document["failures"]]


def test_of_a_bucket(resources: Resources, client_of: Callable[[str], Client]) -> None:
    """An entry whose page manifest was never written counts as well."""
    now, version = datetime.now(UTC), "0" * 32
    entry = Unready(
        at=now, bucket=resources.uploads, key="a", version=version, status="failed", reason="internal", message="m"
    )
    client_of("s3").put_object(
        Bucket=resources.published, Key=places.failure(now.date(), version), Body=entry.to_json()
    )
    ended = run("failures", "--json", **resources.environment("/"))
    (one,) = ended.document["failures"]
    assert (1, "a", None) == (ended.code, one["key"], one["now"])


@pytest.mark.parametrize("since", ["", "d", "1", "1y", "-1d", "1.5d", "٣d", "367d", "9999999m"])
def test_times_that_are_none(since: str, tmp_path: Path) -> None:
    """One sentence, exit code 2."""
    ended = run("failures", f"--since={since}", "--out", tmp_path)
    assert (2, True) == (ended.code, "--since" in ended.err)
