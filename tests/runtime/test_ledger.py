"""Records: files first, then the one that lists them; the first of two counts; what nobody lists is swept."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from service.core.outcome import Conflict, Misconfigured
from service.core.places import Area, Places, attempt
from service.core.record import File, Record, Screening, Spent, StepRecord
from service.runtime import ledger
from service.runtime.ledger import Ledger
from tests.fakes import FakeStore
from tests.runtime.site import received

AT = Places(name="a.jpg")
SPENT = Spent(wall_seconds=0, cpu_seconds=0, peak_memory_bytes=0)
NAMES = tuple(f"{number}.webp" for number in range(20))


@pytest.fixture(name="scratch")
def _scratch(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).write_text(f"the picture {name}")
    return tmp_path


def files(*names: str) -> list[File]:
    """What the scratch directory holds under these names."""
    hashes = {name: hashlib.sha256(f"the picture {name}".encode()).hexdigest() for name in names}
    size = {name: len(f"the picture {name}") for name in names}
    return [File(name=name, content_type="image/webp", bytes=size[name], sha256=hashes[name]) for name in names]


async def loaded(
    store: FakeStore, identity: str = "one", count: int = 1, *, area: Area = "media", first: bool = False
) -> Ledger:
    """The ledger of an attempt whose files go into `area`."""
    message = received(identity, count)
    found = await Ledger.load(store, AT, version="v", message=message, made_by={"fake": "1"}, first=first)
    found.area = area
    return found


async def commit(
    of: Ledger, scratch: Path, *names: str, digest: str = "d" * 40, screening: Screening | None = None
) -> Record:
    """Commit these files as a group of one step; what a provider saw lies out of sight, whatever may be shown."""
    step = StepRecord(digest=f"step of {digest}", kind="Step", files=tuple(files(*names)), screening=screening)
    return await of.add(digest, [step], SPENT, scratch, area="quarantine" if screening else None)


def folder(identity: str, count: int, area: Area = "media") -> str:
    """Where a receive of a message puts the files of a group that no record lists."""
    return AT.folder("e" * 40, attempt(identity, count), area=area)


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
    areas: tuple[Area, ...] = ("media", "quarantine")
    left = {
        (identity, count, area): folder(identity, count, area) + "1.webp"
        for identity, count in [("one", 1), ("one", 2), ("one", 3), ("two", 1)]
        for area in areas
    }
    for key in [*left.values(), AT.alias("1.webp"), AT.ticket]:
        store.objects[key] = b""
    kept = {AT.record("v", listed.digest), f"{listed.folder}1.webp", AT.alias("1.webp"), AT.ticket}

    await ledger.sweep(store, AT, received("one", 3), before=3)

    stay = {left[identity, count, area] for identity, count in [("one", 3), ("two", 1)] for area in areas}
    assert kept | stay == set(store.objects)


async def test_an_inventory_is_of_one_source_alone() -> None:
    """`a`, `a/b`, `ab` and `a~` are four keys; of `a` only the page manifest is not in it, and records come first."""
    store = FakeStore()
    names = ["a", "a/b", "ab", "a~"]
    mine = [
        *(Places(name="a").folder("d" * 40, "x.1", area="media") + "1.webp", Places(name="a").alias("1.webp")),
        *(Places(name="a").record("v", "d"), Places(name="a").outcome("v")),
        *(Places(name="a").folder("d" * 40, "x.1", area="quarantine") + "1.webp", Places(name="a").ticket),
    ]
    others = [Places(name=name).manifest for name in names]
    others += [key for name in names[1:] for key in (Places(name=name).outcome("v"), Places(name=name).ticket)]
    for key in [*mine, *others]:
        store.objects[key] = b""
    found = await ledger.inventory(store, Places(name="a"))
    assert set(mine) == set(found)
    assert ["records", "records", "media", "media", "quarantine", "quarantine"] == [
        key.partition("/")[0] for key in found
    ]


async def test_at_first_sight_nothing_is_read(scratch: Path) -> None:
    """A key that was never heard of has no records: a picture costs no listing."""
    store = FakeStore()
    await loaded(store, first=True)
    assert [] == store.wire.calls


async def test_what_waited_is_released_by_copies(scratch: Path) -> None:
    """Files first, then the record that says where they lie; they name one another as before, and the twins stay."""
    store = FakeStore()
    held = await commit(await loaded(store, area="quarantine"), scratch, "1.webp", "2.webp")
    of = await loaded(store, "two")
    store.wire.calls.clear()
    await of.release()
    public = held.folder.replace("quarantine/", "media/")
    copied = {f"copy {public}{name}" for name in ("1.webp", "2.webp")}
    assert [f"keys {AT.held} 0", f"write {AT.record('v', held.digest)}"] == [
        call for call in store.wire.calls if call not in copied
    ]
    assert f"write {AT.record('v', held.digest)}" == store.wire.calls[-1]
    assert [public] == [one.folder for one in of.records] == [one.folder for one in (await loaded(store)).records]
    assert {AT.record("v", held.digest)} | {
        one + name for one in (held.folder, public) for name in ("1.webp", "2.webp")
    } == set(store.objects)


async def test_flagged_frames_are_never_released(scratch: Path) -> None:
    """They are for reviewers alone, whoever allows the rest."""
    store = FakeStore()
    of = await loaded(store)
    await commit(of, scratch, "1.webp", screening=Screening(provider="local", model=None, planned=1))
    before = dict(store.objects)
    await of.release()
    await (await loaded(store)).release()
    assert before == store.objects
    assert [] == [key for key in store.objects if key.startswith("media/")]


async def test_what_was_tidied_away_is_forgotten(scratch: Path) -> None:
    """A lifecycle rule took a file that waited: its group is done anew, the other one is released."""
    store = FakeStore()
    of = await loaded(store, area="quarantine")
    gone = await commit(of, scratch, "1.webp", "2.webp")
    stays = await commit(of, scratch, "3.webp", digest="f" * 40)
    del store.objects[gone.folder + "1.webp"]
    again = await loaded(store, "two")
    await again.release()
    assert {f"step of {stays.digest}"} == set(again.done) == set((await loaded(store)).done)
    assert [] == [key for key in store.objects if key.startswith("media/") and not key.endswith("3.webp")]


async def test_two_that_release_are_one(scratch: Path) -> None:
    """Whoever comes second starts over, and finds it done."""
    store = FakeStore()
    await commit(await loaded(store, area="quarantine"), scratch, "1.webp")
    one, two = await loaded(store, "one"), await loaded(store, "two")
    await one.release()
    with pytest.raises(Conflict):
        await two.release()
    assert one.records == (await loaded(store)).records


async def test_a_group_that_another_one_made_public_counts(scratch: Path) -> None:
    """Under two recipes one holds it back, the other one does not: the record that is there says where it lies."""
    store = FakeStore()
    one, two = await loaded(store, "one", area="quarantine"), await loaded(store, "two")
    first = await commit(one, scratch, "1.webp")
    assert first == await commit(two, scratch, "1.webp")
    assert [] == [key for key in store.objects if key.startswith("media/")]


async def test_what_is_condemned(scratch: Path) -> None:
    """All that was made, of former versions too; what was seen and said of this one stays, its frames as evidence."""
    store = FakeStore()
    of = await loaded(store)
    seen = await commit(
        of, scratch, "1.webp", screening=Screening(provider="local", model=None, planned=1), digest="a" * 40
    )
    made = await commit(of, scratch, "2.webp")
    of.area = "quarantine"
    held = await commit(of, scratch, "3.webp", digest="f" * 40)
    said = [AT.decision("v"), AT.outcome("v"), AT.record("v", seen.digest)]
    former = [AT.outcome("former"), AT.decision("former"), AT.alias("2.webp"), AT.ticket]
    for key in (*said[:2], *former, AT.manifest):
        store.objects[key] = b"{}"
    frame = seen.folder + "1.webp"
    gone = {made.folder + "2.webp", held.folder + "3.webp", AT.record("v", made.digest), AT.record("v", held.digest)}
    found = await ledger.condemned(store, AT, "v", evidence=True)
    assert gone | set(former) == set(found)
    assert set(found) | {frame} == set(await ledger.condemned(store, AT, "v", evidence=False))
    assert set(store.objects) - set(found) == {*said, frame, AT.manifest}


async def test_what_the_quarantine_keeps_when_records_are_public(scratch: Path) -> None:
    """Twins, frames and the ticket go; what another version has waiting there stays."""
    store = FakeStore()
    of = await loaded(store, area="quarantine")
    await commit(of, scratch, "1.webp")
    await commit(of, scratch, "2.webp", screening=Screening(provider="local", model=None, planned=1), digest="a" * 40)
    store.objects[AT.ticket] = store.objects[folder("one", 1, "quarantine") + "9.webp"] = b""
    await of.release()
    left = set(store.objects) - set(await ledger.unheld(store, AT, of.records))
    assert [folder("one", 1, "quarantine") + "9.webp"] == [key for key in left if key.startswith("quarantine/")]
