"""What the pipeline relies on of a store: the fake, folders on this machine, and S3 keep the same promises."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from scripts.resources import Resources
from service.aws import s3
from service.core.outcome import Conflict, Transient
from service.runtime.ports import Store, Stored
from service.tools.folder import FolderStore
from tests.fakes import FakeStore


@pytest.fixture(name="area")
def _area() -> str:
    """A folder of keys that no other test uses."""
    return f"media/{uuid4().hex}/"


@pytest.fixture(name="store", params=["fake", "folder", "s3"])
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    match request.param:
        case "fake":
            return FakeStore()
        case "folder":
            return FolderStore(tmp_path / "out")
        case _:
            shared: Resources = request.getfixturevalue("shared")
            return s3.Store(request.getfixturevalue("s3_client"), bucket=shared.published, owner=None)


async def content(store: Store, key: str) -> bytes | None:
    """The body of an object."""
    found = await store.read(key)
    return found.body if found else None


async def put(store: Store, path: Path, key: str, body: bytes) -> None:
    """Upload a file."""
    path.write_bytes(body)
    await store.upload(key, path, content_type="image/webp", sha256=hashlib.sha256(body).hexdigest())


async def test_what_is_not_there_is_none(store: Store, area: str) -> None:
    """Not an error: most keys are looked at for the first time."""
    assert None is await store.read(f"{area}nothing.json")


async def test_a_document_comes_back_with_the_etag_that_replaces_it(store: Store, area: str) -> None:
    """The ETag of the write is that of the read."""
    etag = await store.write(f"{area}a.json", b'{"a": 1}', replaces=None)
    assert Stored(body=b'{"a": 1}', etag=etag) == await store.read(f"{area}a.json")
    following = await store.write(f"{area}a.json", b'{"a": 2}', replaces=etag)
    assert Stored(body=b'{"a": 2}', etag=following) == await store.read(f"{area}a.json")


@pytest.mark.parametrize("replaces", [None, '"0123456789abcdef0123456789abcdef"'], ids=["none", "another"])
async def test_a_condition_that_does_not_hold_is_a_conflict(store: Store, area: str, replaces: str | None) -> None:
    """Where a document is, whether none or another one was expected; it stays as it was."""
    await store.write(f"{area}a.json", b"first", replaces=None)
    with pytest.raises(Conflict):
        await store.write(f"{area}a.json", b"second", replaces=replaces)
    assert b"first" == await content(store, f"{area}a.json")


async def test_replacing_what_is_gone_is_a_conflict(store: Store, area: str) -> None:
    """Nothing is written."""
    etag = await store.write(f"{area}a.json", b"first", replaces=None)
    await store.delete([f"{area}a.json"])
    with pytest.raises(Conflict):
        await store.write(f"{area}a.json", b"second", replaces=etag)
    assert None is await store.read(f"{area}a.json")


async def test_overwriting_asks_nothing(store: Store, area: str) -> None:
    """Whatever was there, or was not."""
    for body in (b"first", b"second"):
        await store.overwrite(f"{area}a.json", body)
        assert body == await content(store, f"{area}a.json")


async def test_a_file_comes_back_as_it_was(store: Store, area: str, tmp_path: Path) -> None:
    """Byte for byte, also under a key that was taken by an earlier try."""
    for body in (bytes(range(256)) * 1000, b"short"):
        await put(store, tmp_path / "up", f"{area}~d-x.1/640.webp", body)
        await store.download(f"{area}~d-x.1/640.webp", tmp_path / "down")
        assert body == (tmp_path / "down").read_bytes()


async def test_a_copy_is_no_link(store: Store, area: str, tmp_path: Path) -> None:
    """What is copied over an alias leaves the immutable file as it was, and the other way round."""
    for name in ("one", "two"):
        await put(store, tmp_path / name, f"{area}~{name}/a.webp", name.encode())
        await store.copy(f"{area}~{name}/a.webp", f"{area}~/a.webp", content_type="image/webp", size=len(name))
        assert name.encode() == await content(store, f"{area}~/a.webp")
    await store.delete([f"{area}~two/a.webp"])
    assert (b"one", b"two") == (await content(store, f"{area}~one/a.webp"), await content(store, f"{area}~/a.webp"))


async def test_a_file_in_scratch_may_be_reused(store: Store, area: str, tmp_path: Path) -> None:
    """What is written to the scratch file after its upload does not change what was stored."""
    await put(store, tmp_path / "up", f"{area}a.webp", b"first")
    (tmp_path / "up").unlink()
    (tmp_path / "up").write_bytes(b"second")
    assert b"first" == await content(store, f"{area}a.webp")


async def test_keys_are_listed_by_prefix(store: Store, area: str) -> None:
    """A prefix need not end at a slash; keys of any characters come back as they are."""
    names = ["a/~1/x.webp", "a/~1/y z.webp", "a/~2/ü+%20&.webp", "a/manifest.json", "a/b/~1/x.webp", "ab/~1/x.webp"]
    for name in names:
        await store.overwrite(area + name, b"")
    listed = {prefix: await store.keys(area + prefix) for prefix in ("a/~", "a/~1/", "a/~2", "b", "")}
    assert {
        "a/~": [area + name for name in names[:3]],
        "a/~1/": [area + name for name in names[:2]],
        "a/~2": [area + names[2]],
        "b": [],
        "": sorted(area + name for name in names),
    } == {prefix: sorted(found) for prefix, found in listed.items()}


@pytest.fixture(name="short_pages")
def _short_pages(request: pytest.FixtureRequest, store: Store) -> int:
    """S3 lists a thousand keys a page, and LocalStack takes its time to fill that: there, pages are of fifty."""
    if not isinstance(store, s3.Store):
        return 1_100
    events = request.getfixturevalue("s3_client").meta.events
    events.register("before-parameter-build.s3.ListObjectsV2", lambda params, **_: params.update(MaxKeys=50))
    return 110


async def test_many_keys_are_listed_and_deleted(store: Store, area: str, short_pages: int) -> None:
    """A page at a time, and a thousand at a time; those that are not there do not matter."""
    keys = [f"{area}{number:04}" for number in range(1_100)]
    for key in keys[:short_pages]:
        await store.overwrite(key, b"")
    assert keys[:short_pages] == sorted(await store.keys(area))
    await store.delete(keys[::-1])
    assert [] == await store.keys(area)


async def test_deleting_what_is_not_there_is_no_error(store: Store, area: str) -> None:
    """Nor is deleting nothing."""
    await store.overwrite(f"{area}a/b.json", b"")
    await store.overwrite(f"{area}a/c.json", b"")
    await store.delete([f"{area}a/b.json", f"{area}a/b.json", f"{area}nothing/at/all.json"])
    await store.delete([])
    assert [f"{area}a/c.json"] == await store.keys(area)


@pytest.mark.parametrize("call", ["download", "copy"])
async def test_a_source_that_is_gone_is_a_conflict(store: Store, area: str, call: str, tmp_path: Path) -> None:
    """Somebody has deleted it meanwhile: look again at what there is."""
    calls = {
        "download": lambda: store.download(f"{area}a.webp", tmp_path / "a.webp"),
        "copy": lambda: store.copy(f"{area}a.webp", f"{area}~/a.webp", content_type="image/webp", size=1),
    }
    with pytest.raises(Conflict):
        await calls[call]()


async def test_s3_copies_a_film_in_parts(
    s3_client: Any, shared: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too large for one CopyObject is copied in parts, none of which passes through here."""
    store, key, body = (
        s3.Store(s3_client, bucket=shared.published, owner=None),
        "quarantine/x/~f/a.mp4",
        bytes(11 << 20),
    )
    await put(store, tmp_path / "a.mp4", key, body)
    monkeypatch.setattr(s3, "_SINGLE_PUT", 1 << 20)
    monkeypatch.setattr(s3, "_COPIED_PART", 6 << 20)
    await store.copy(key, "media/x/~f/a.mp4", content_type="video/mp4", size=len(body))
    head = await s3_client.head_object(Bucket=shared.published, Key="media/x/~f/a.mp4")
    assert (len(body), "video/mp4") == (head["ContentLength"], head["ContentType"])


async def test_s3_refuses_a_file_that_changed_on_the_way(s3_client: Any, shared: Resources, tmp_path: Path) -> None:
    """The hash goes with the bytes."""
    path = tmp_path / "a.webp"
    path.write_bytes(b"other bytes")
    store = s3.Store(s3_client, bucket=shared.published, owner=None)
    with pytest.raises(Transient):
        await store.upload("media/x/changed.webp", path, content_type="image/webp", sha256="00" * 32)
    assert None is await store.read("media/x/changed.webp")


@pytest.mark.parametrize(
    ("key", "cache_control"),
    [
        ("media/x/~d-m.1/a.webp", "public, max-age=31536000, immutable"),
        ("media/x/~/a.webp", "public, max-age=60, stale-while-revalidate=600"),
        ("quarantine/x/~d-m.1/a.webp", "private, no-store"),
    ],
)
async def test_s3_objects_say_what_they_are_and_how_long_they_keep(
    key: str, cache_control: str, s3_client: Any, shared: Resources, tmp_path: Path
) -> None:
    """Content type and cache control, for a browser and a CDN; of an upload and of a copy."""
    store = s3.Store(s3_client, bucket=shared.published, owner=None)
    await put(store, tmp_path / "a.webp", key, b"a picture")
    await store.copy(key, f"{key}.copy", content_type="image/webp", size=9)
    heads = [await s3_client.head_object(Bucket=shared.published, Key=one) for one in (key, f"{key}.copy")]
    assert [("image/webp", cache_control)] * 2 == [(head["ContentType"], head["CacheControl"]) for head in heads]


async def test_s3_documents_are_json(s3_client: Any, shared: Resources) -> None:
    """Written with a condition or without; the manifest is public for a minute, a record never."""
    store = s3.Store(s3_client, bucket=shared.published, owner=None)
    manifest, record = f"media/{uuid4()}/manifest.json", f"records/{uuid4()}/~v/r.json"
    await store.write(manifest, b"{}", replaces=None)
    await store.overwrite(record, b"{}")
    heads = [await s3_client.head_object(Bucket=shared.published, Key=key) for key in (manifest, record)]
    assert [
        ("application/json", "public, max-age=60, stale-while-revalidate=600"),
        ("application/json", "private, no-store"),
    ] == [(head["ContentType"], head["CacheControl"]) for head in heads]


@pytest.fixture(name="small_parts")
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a film of 12 MB were one of more than 4 GiB; S3 takes no part of less than 5 MiB but the last."""
    monkeypatch.setattr(s3, "_SINGLE_PUT", 1_000_000)
    monkeypatch.setattr(s3, "_PART", 5 << 20)


@pytest.mark.usefixtures("small_parts")
async def test_s3_takes_a_large_file_in_parts(s3_client: Any, shared: Resources, tmp_path: Path) -> None:
    """It arrives whole, says what it is, and leaves no open upload."""
    store = s3.Store(s3_client, bucket=shared.published, owner=None)
    body = b"".join(bytes([number]) * 1_000_000 for number in range(12))
    key = f"media/{uuid4()}/~d-m.1/film.mp4"
    await put(store, tmp_path / "up", key, body)
    head = await s3_client.head_object(Bucket=shared.published, Key=key)
    await store.download(key, tmp_path / "down")
    assert body == (tmp_path / "down").read_bytes()
    assert ("image/webp", '-3"') == (head["ContentType"], head["ETag"][-3:])
    assert [] == await _open_uploads(s3_client, shared)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("error", [OSError("the disk is gone"), asyncio.CancelledError()], ids=["error", "cancelled"])
async def test_s3_upload_in_parts_that_ends_early_leaves_nothing_open(
    error: BaseException, s3_client: Any, shared: Resources, tmp_path: Path
) -> None:
    """The second part never goes: what was sent is not kept, and not paid for."""
    path, key = tmp_path / "film.mp4", f"media/{uuid4()}/film.mp4"
    path.write_bytes(bytes(6 << 20))
    numbers = []

    def fail(params: Any, **_: Any) -> None:
        numbers.append(params["PartNumber"])
        if len(numbers) == 2:
            raise error

    s3_client.meta.events.register("before-parameter-build.s3.UploadPart", fail)
    store = s3.Store(s3_client, bucket=shared.published, owner=None)
    with pytest.raises(type(error)):
        await store.upload(key, path, content_type="video/mp4", sha256="00" * 32)
    assert ([1, 2], None, []) == (numbers, await store.read(key), await _open_uploads(s3_client, shared))


async def _open_uploads(s3_client: Any, shared: Resources) -> list[Any]:
    answer = await s3_client.list_multipart_uploads(Bucket=shared.published)
    return list(answer.get("Uploads", []))
