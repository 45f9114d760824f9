"""Where uploads come from: each version exactly, whatever happens between HEAD and GET. Fake and S3 alike."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest

from scripts.resources import REGION, Client, Resources
from service.aws import s3
from service.core.outcome import Elsewhere, Misconfigured, Superseded, Unavailable
from service.runtime import ports
from tests.fakes import FakeUploads

KEYS = ["IMG 1234.JPG", "a+b%d.mp4", "üñï/日本語 🎬.jpeg", "line\nbreak.jpg", "a//b.jpg", "-i", "x" * 1024]


class Bucket(Protocol):
    """An input bucket, and whoever uploads."""

    name: str
    uploads: ports.Uploads

    def put(self, key: str, body: bytes) -> None:
        """Somebody uploads."""

    def delete(self, key: str) -> None:
        """Somebody deletes."""

    def undelete(self, key: str) -> None:
        """Somebody removes the delete marker."""


@dataclass(frozen=True, kw_only=True)
class Fake:
    """In memory."""

    name: str
    uploads: FakeUploads

    def put(self, key: str, body: bytes) -> None:
        """Somebody uploads."""
        self.uploads.put(key, body, bucket=self.name)

    def delete(self, key: str) -> None:
        """Somebody deletes."""
        self.uploads.delete(key, bucket=self.name)

    def undelete(self, key: str) -> None:
        """Somebody removes the delete marker."""
        self.uploads.undelete(key, bucket=self.name)


@dataclass(frozen=True, kw_only=True)
class Real:
    """On LocalStack."""

    name: str
    uploads: s3.Uploads
    client: Client

    def put(self, key: str, body: bytes) -> None:
        """Somebody uploads."""
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def delete(self, key: str) -> None:
        """Somebody deletes."""
        self.client.delete_object(Bucket=self.name, Key=key)

    def undelete(self, key: str) -> None:
        """Somebody removes the delete marker."""
        versions = self.client.list_object_versions(Bucket=self.name, Prefix=key)
        (marker,) = [one["VersionId"] for one in versions["DeleteMarkers"] if one["IsLatest"]]
        self.client.delete_object(Bucket=self.name, Key=key, VersionId=marker)


def _bucket(request: pytest.FixtureRequest, *, versioned: bool) -> Bucket:
    name = f"uploads-{uuid4().hex[:12]}"
    if request.param == "fake":
        return Fake(name=name, uploads=FakeUploads(versioned=versioned))
    client_of: Callable[[str], Client] = request.getfixturevalue("client_of")
    client = client_of("s3")
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if versioned:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return Real(name=name, uploads=s3.Uploads(request.getfixturevalue("s3_client"), owner=None), client=client)


@pytest.fixture(name="versioned", params=["fake", "s3"])
def _versioned(request: pytest.FixtureRequest) -> Bucket:
    return _bucket(request, versioned=True)


@pytest.fixture(name="plain", params=["fake", "s3"])
def _plain(request: pytest.FixtureRequest) -> Bucket:
    """A bucket that keeps no versions."""
    return _bucket(request, versioned=False)


async def head_of(bucket: Bucket, key: str = "a.jpg") -> ports.Head:
    """What there is now."""
    found = await bucket.uploads.head(bucket.name, key)
    assert found
    return found


async def test_what_is_not_there_is_none(plain: Bucket, versioned: Bucket) -> None:
    """Never uploaded, or deleted: in a versioned bucket too."""
    for bucket in (plain, versioned):
        assert None is await bucket.uploads.head(bucket.name, "a.jpg")
        bucket.put("a.jpg", b"a picture")
        bucket.delete("a.jpg")
        assert None is await bucket.uploads.head(bucket.name, "a.jpg")


@pytest.mark.parametrize("key", KEYS)
async def test_any_key_is_looked_at_and_fetched(plain: Bucket, key: str, tmp_path: Path) -> None:
    """A key is only a name."""
    bucket = plain
    bucket.put(key, b"a picture")
    head = await head_of(bucket, key)
    await bucket.uploads.fetch(head, tmp_path / "in")
    assert (key, 9, None, b"a picture") == (head.key, head.size, head.version_id, (tmp_path / "in").read_bytes())
    assert not head.etag.startswith('"')
    assert not head.archived


async def test_the_same_bytes_again_are_another_version(versioned: Bucket) -> None:
    """By their version id."""
    versioned.put("a.jpg", b"a picture")
    first = await head_of(versioned)
    versioned.put("a.jpg", b"a picture")
    second = await head_of(versioned)
    assert first.etag == second.etag
    assert None not in {first.version_id, second.version_id}
    assert first.version_id != second.version_id


async def test_a_version_is_fetched_although_there_is_a_newer_one(versioned: Bucket, tmp_path: Path) -> None:
    """Exactly what HEAD told of; also when the key was deleted since."""
    versioned.put("a.jpg", b"first")
    head = await head_of(versioned)
    versioned.put("a.jpg", b"second")
    await versioned.uploads.fetch(head, tmp_path / "replaced")
    versioned.delete("a.jpg")
    await versioned.uploads.fetch(head, tmp_path / "deleted")
    assert [b"first"] * 2 == [(tmp_path / name).read_bytes() for name in ("replaced", "deleted")]


async def test_an_upload_that_comes_back_is_the_version_that_it_was(versioned: Bucket) -> None:
    """Without its delete marker, the key holds what it held."""
    versioned.put("a.jpg", b"first")
    head = await head_of(versioned)
    versioned.delete("a.jpg")
    versioned.undelete("a.jpg")
    assert head == await head_of(versioned)


@pytest.mark.parametrize("then", ["replaced", "deleted"])
async def test_without_versions_what_changed_is_not_fetched(plain: Bucket, then: str, tmp_path: Path) -> None:
    """HEAD told of one thing, GET finds another, or none: the job has to start over."""
    plain.put("a.jpg", b"first")
    head = await head_of(plain)
    if then == "replaced":
        plain.put("a.jpg", b"second")
    else:
        plain.delete("a.jpg")
    with pytest.raises(Superseded):
        await plain.uploads.fetch(head, tmp_path / "in")


async def test_a_version_that_was_destroyed_is_not_fetched(
    s3_client: Any, client_of: Callable[[str], Client], tmp_path: Path
) -> None:
    """Somebody deleted that very version."""
    client = client_of("s3")
    name = f"uploads-{uuid4().hex[:12]}"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    bucket = Real(name=name, uploads=s3.Uploads(s3_client, owner=None), client=client)
    bucket.put("a.jpg", b"first")
    head = await head_of(bucket)
    client.delete_object(Bucket=name, Key="a.jpg", VersionId=head.version_id)
    with pytest.raises(Superseded):
        await bucket.uploads.fetch(head, tmp_path / "in")


async def test_a_large_upload_is_fetched_whole(plain: Bucket, tmp_path: Path) -> None:
    """More than one chunk of memory."""
    body = bytes(range(256)) * 14_000
    plain.put("a.mp4", body)
    await plain.uploads.fetch(await head_of(plain, "a.mp4"), tmp_path / "in")
    assert body == (tmp_path / "in").read_bytes()


async def test_a_download_that_is_cut_off_is_tried_again(s3_client: Any, shared: Resources, tmp_path: Path) -> None:
    """Fewer bytes than HEAD promised."""
    await s3_client.put_object(Bucket=shared.uploads, Key="cut.jpg", Body=b"a picture")
    uploads = s3.Uploads(s3_client, owner=None)
    head = await uploads.head(shared.uploads, "cut.jpg")
    assert head
    with pytest.raises(Unavailable, match="9 bytes of 10 arrived"):
        await uploads.fetch(replace(head, size=10), tmp_path / "in")


async def test_what_lies_in_an_archive_is_told_as_such(s3_client: Any, shared: Resources) -> None:
    """By its storage class; Glacier Instant Retrieval is read like any other."""
    expected = {"STANDARD": False, "GLACIER": True, "DEEP_ARCHIVE": True, "GLACIER_IR": False}
    bucket, found = shared.uploads, {}
    for storage_class in expected:
        await s3_client.put_object(Bucket=bucket, Key=storage_class, Body=b"a picture", StorageClass=storage_class)
        head = await s3.Uploads(s3_client, owner=None).head(bucket, storage_class)
        assert head
        found[storage_class] = head.archived
    assert expected == found


RESTORED = 'ongoing-request="false", expiry-date="Fri, 1 Jan 2027 00:00:00 GMT"'


@pytest.mark.parametrize(
    "told",
    [
        {"StorageClass": "GLACIER"},
        {"StorageClass": "GLACIER", "Restore": 'ongoing-request="true"'},
        {"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "ARCHIVE_ACCESS"},
    ],
)
def test_an_archived_object(told: dict[str, str]) -> None:
    """As HeadObject tells it (S3 API reference, x-amz-restore and x-amz-archive-status)."""
    assert s3._archived(told)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"StorageClass": "GLACIER", "Restore": RESTORED},
        {"StorageClass": "INTELLIGENT_TIERING"},
        {"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "ARCHIVE_ACCESS", "Restore": RESTORED},
    ],
)
def test_an_object_that_can_be_read(told: dict[str, str]) -> None:
    """It never was archived, or it is restored."""
    assert not s3._archived(told)


async def test_every_call_names_the_owner_of_its_bucket(s3_client: Any, shared: Resources, tmp_path: Path) -> None:
    """S3 then refuses a bucket that somebody else has made under that name; LocalStack does not look."""
    calls: dict[str, str | None] = {}

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        calls[model.name] = params.get("ExpectedBucketOwner")

    s3_client.meta.events.register("before-parameter-build.s3", note)
    uploads = s3.Uploads(s3_client, owner="000000000000")
    store = s3.Store(s3_client, bucket=shared.uploads, owner="000000000000")
    path = tmp_path / "a.jpg"
    path.write_bytes(b"a picture")
    key = f"{uuid4()}.jpg"
    await store.upload(key, path, content_type="image/jpeg", sha256=sha256(b"a picture").hexdigest())
    head = await uploads.head(shared.uploads, key)
    assert head
    await uploads.fetch(head, path)
    await store.copy(key, f"{key}.copy", content_type="image/jpeg", size=9)
    await store.delete(await store.keys(key))
    names = ["PutObject", "HeadObject", "GetObject", "CopyObject", "ListObjectsV2", "DeleteObjects"]
    assert dict.fromkeys(names, "000000000000") == calls


async def test_a_missing_bucket_is_no_deleted_upload(s3_client: Any) -> None:
    """HEAD answers 404 for both; only the one withdraws what was published."""
    with pytest.raises(Misconfigured, match="no input bucket"):
        await s3.Uploads(s3_client, owner=None).head(f"nowhere-{uuid4().hex}", "a.jpg")


@pytest.mark.parametrize("size", [0, 10, 4096, 3_000_000])
async def test_the_beginning_is_seen_first(size: int, plain: Bucket, tmp_path: Path) -> None:
    """The first 4096 bytes, or all that there are; what is saved is the whole."""
    body, seen = bytes(n % 251 for n in range(size)), []
    plain.put("a.mp4", body)
    await plain.uploads.fetch(await head_of(plain, "a.mp4"), tmp_path / "in", look=seen.append)
    assert ([body[:4096]], body) == (seen, (tmp_path / "in").read_bytes())


async def test_what_is_refused_by_its_beginning_is_not_fetched(plain: Bucket, tmp_path: Path) -> None:
    """The error is the one of whoever looked."""

    def refuse(_beginning: bytes) -> None:
        raise Elsewhere("not here")

    plain.put("a.mp4", b"film" * 1_000_000)
    with pytest.raises(Elsewhere):
        await plain.uploads.fetch(await head_of(plain, "a.mp4"), tmp_path / "in", look=refuse)
    assert not (tmp_path / "in").exists()
