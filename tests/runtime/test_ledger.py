"""Records: files first, then the one that lists them; the first of two counts; what nobody lists is swept."""

import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.core.outcome import Conflict, Misconfigured
from service.core.places import Places
from service.core.record import File, Record, Spent, StepRecord
from service.runtime import ledger
from service.runtime.ledger import Ledger
from tests.fakes import FakeStore
from tests.runtime.site import received

AT = Places(name="a.jpg")
NAMES = tuple(f"{number}.webp" for number in range(20))


@pytest.fixture(name="scratch")
def _scratch(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).write_text(f"the picture {name}")
    return tmp_path


def files(*names: str) -> list[File]:
    """What the scratch directory holds under these names."""
    hashes = {name: hashlib.sha256(f"the picture {name}".encode()).hexdigest() for name in names}
    return [File(name=name, content_type="image/webp", bytes=1, sha256=hashes[name]) for name in names]


async def loaded(store: FakeStore, identity: str = "one", count: int = 1) -> Ledger:
    """The ledger of an attempt."""
    return await Ledger.load(store, AT, version="v", message=received(identity, count))


def record(of: Ledger, *names: str, digest: str = "d" * 40) -> Record:
    """The record of one group of one step."""
    return Record(
        version="v",
        digest=digest,
        folder=of.folder(digest),
        made_at=datetime(2026, 1, 1, tzinfo=UTC),
        made_by={},
        spent=Spent(wall_seconds=0, cpu_seconds=0, peak_memory_bytes=0),
        steps=(StepRecord(digest=f"step of {digest}", kind="Variant", files=tuple(files(*names))),),
    )


async def commit(of: Ledger, scratch: Path, *names: str) -> Record:
    """Commit these files."""
    return await of.commit(record(of, *names), files(*names), scratch)


async def test_files_go_up_before_the_record(scratch: Path) -> None:
    """A record never lists what is not there; eight uploads are under way at once, at the most."""
    store, most, now = FakeStore(), 0, 0

    async def begin(call: str) -> None:
        nonlocal most, now
        now += call.startswith("upload")
        most = max(most, now)
        await asyncio.sleep(0.001)

    async def end(call: str) -> None:
        nonlocal now
        now -= call.startswith("upload")

    of = await loaded(store)
    store.wire.before, store.wire.after = begin, end
    done = await commit(of, scratch, *NAMES)
    assert ["keys", *["upload"] * 20, "write"] == [call.split()[0] for call in store.wire.calls]
    assert (8, {f"step of {done.digest}"}) == (most, set(of.done))
    assert [done] == (await loaded(store, "two")).records


async def test_the_first_of_two_records_counts(scratch: Path) -> None:
    """Whoever comes second deletes his files, and goes on with those of the first."""
    store = FakeStore()
    one, two = await loaded(store, "one"), await loaded(store, "two")
    first = await commit(one, scratch, "1.webp")
    second = await commit(two, scratch, "1.webp")
    assert first == second
    assert {f"{first.folder}1.webp", AT.record("v", first.digest)} == set(store.objects)


async def test_a_record_whose_answer_was_lost_keeps_its_files(scratch: Path) -> None:
    """The write had its effect, the client repeats it, and is told of a conflict: with itself."""
    store = FakeStore()

    async def conflict(call: str) -> None:
        if call.startswith("write"):
            raise Conflict("412, for the second try of the same request")

    of = await loaded(store)
    store.wire.after = conflict
    done = await commit(of, scratch, "1.webp")
    assert {f"{done.folder}1.webp", AT.record("v", done.digest)} == set(store.objects)
    assert [done] == of.records


async def test_a_record_that_is_gone_again_means_starting_over(scratch: Path) -> None:
    """Somebody was first, and then the source was deleted with all that was made of it."""
    store = FakeStore()
    one, two = await loaded(store, "one"), await loaded(store, "two")
    first = await commit(one, scratch, "1.webp")

    async def purge(call: str) -> None:
        if call.startswith("read"):
            store.objects.clear()

    store.wire.before = purge
    with pytest.raises(Conflict):
        await commit(two, scratch, "1.webp")
    assert first.digest not in two.done
    assert {} == store.objects


async def test_an_upload_that_is_denied_is_told_as_such(scratch: Path) -> None:
    """Not as a group of errors, of which no verdict can be made; and there is no record."""
    store = FakeStore()

    async def denied(call: str) -> None:
        if call.endswith("3.webp"):
            raise Misconfigured("AccessDenied")

    of = await loaded(store)
    store.wire.before = denied
    with pytest.raises(Misconfigured):
        await commit(of, scratch, *NAMES)
    assert 0 == store.wire.count("write")


async def test_outcomes_are_no_records(scratch: Path) -> None:
    """Both lie in the version's folder."""
    store = FakeStore()
    store.objects[AT.outcome("v")] = b"{}"
    done = await commit(await loaded(store), scratch, "1.webp")
    assert [done] == (await loaded(store)).records


async def test_a_sweep_takes_what_dead_receives_left_and_no_more(scratch: Path) -> None:
    """Files of earlier receives of the message that no record lists; not of other messages, nor of this receive."""
    store = FakeStore()
    listed = await commit(await loaded(store, "one", 1), scratch, "1.webp")
    left = {
        count_of: (await loaded(store, *count_of)).folder("e" * 40) + "1.webp"
        for count_of in [("one", 1), ("one", 2), ("one", 3), ("two", 1)]
    }
    for key in [*left.values(), AT.alias("1.webp")]:
        store.objects[key] = b""
    kept = {AT.record("v", listed.digest), f"{listed.folder}1.webp", AT.alias("1.webp")}

    await ledger.sweep(store, AT, received("one", 3), before=3)

    assert kept | {left["one", 3], left["two", 1]} == set(store.objects)


async def test_an_inventory_is_of_one_source_alone() -> None:
    """`a`, `a/b`, `ab` and `a~` are four keys; of `a` only the page manifest is not in it, and records come first."""
    store = FakeStore()
    names = ["a", "a/b", "ab", "a~"]
    mine = [
        *(Places(name="a").folder("d" * 40, "x.1") + "1.webp", Places(name="a").alias("1.webp")),
        *(Places(name="a").record("v", "d"), Places(name="a").outcome("v")),
    ]
    others = [key for name in names for key in (Places(name=name).manifest, Places(name=name).outcome("v"))]
    for key in [*mine, *others]:
        store.objects[key] = b""
    found = await ledger.inventory(store, Places(name="a"))
    assert set(mine) == set(found)
    assert ["records/", "records/", "media/a/", "media/a/"] == [key[:8] for key in found]
