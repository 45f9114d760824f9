"""Listings of an input bucket: every object, in the order of keys, as HEAD has it. Fake and S3 alike."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from scripts.resources import REGION, Client
from service.aws import s3
from service.commands.catalogue import Buckets
from service.core import sources
from service.core.manifest import Source
from service.core.outcome import Misconfigured
from tests.listings import ListedUploads

KEYS = [
    "-i",
    "IMG 1234.JPG",
    "a",
    "a+b%d.mp4",
    "a//b.jpg",
    "a/b.jpg",
    "line\nbreak.jpg",
    "x" * 1024,
    "üñï/日本語 🎬.jpeg",
    "🎬",
]
#: LocalStack compares `StartAfter` with keys as they are percent-encoded, so that others come out of order there.
PLAIN = ["-i", "a", "a//b.jpg", "a/b.jpg", "b-1.jpg", "b.jpg", "b/c", "x" * 1024]


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """An input bucket, and whoever uploads."""

    name: str
    uploads: Buckets
    put: Callable[[str, bytes], object]
    delete: Callable[[str], object]

    async def keys(self, prefix: str = "", *, after: str = "") -> list[str]:
        """Of all that is listed."""
        return [one.key async for one in self.uploads.listing(self.name, prefix, after=after)]


@pytest.fixture(name="bucket", params=["fake", "fake versioned", "s3", "s3 versioned"])
def _bucket(request: pytest.FixtureRequest) -> Bucket:
    name, versioned = f"uploads-{uuid4().hex[:12]}", "versioned" in request.param
    if "fake" in request.param:
        fake = ListedUploads(versioned=versioned)
        return Bucket(
            name=name,
            uploads=fake,
            put=lambda key, body: fake.put(key, body, bucket=name),
            delete=lambda key: fake.delete(key, bucket=name),
        )
    client_of: Callable[[str], Client] = request.getfixturevalue("client_of")
    client = client_of("s3")
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if versioned:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return Bucket(
        name=name,
        uploads=s3.Uploads(request.getfixturevalue("s3_client"), owner=None),
        put=lambda key, body: client.put_object(Bucket=name, Key=key, Body=body),
        delete=lambda key: client.delete_object(Bucket=name, Key=key),
    )


async def test_every_key_in_order(bucket: Bucket) -> None:
    """In that of UTF-8's bytes, whatever they are called; none twice, though replaced, and none that was deleted."""
    for key in reversed(KEYS):
        bucket.put(key, b"1")
    bucket.put("a", b"2")
    bucket.put("gone", b"1")
    bucket.delete("gone")
    assert KEYS == await bucket.keys()
    assert ["a/b.jpg"] == await bucket.keys("a/b")
    assert [] == await bucket.keys("nothing/")


async def test_it_goes_on_after_any_key(bucket: Bucket) -> None:
    """So that what was stopped can be resumed; a key that is not there any more does as well."""
    for key in PLAIN:
        bucket.put(key, b"1")
    for at, key in enumerate(PLAIN):
        assert PLAIN[at + 1 :] == await bucket.keys(after=key)
    assert PLAIN[2:] == await bucket.keys(after="a!")
    assert ["a//b.jpg", "a/b.jpg"] == await bucket.keys("a/", after="-i")


async def test_it_tells_what_head_tells(bucket: Bucket) -> None:
    """The same ETag, second and size: so a manifest that was written by HEAD's word agrees with it."""
    bucket.put("a.jpg", b"first")
    bucket.put("a.jpg", b"second one")
    head = await bucket.uploads.head(bucket.name, "a.jpg")
    (listed,) = [one async for one in bucket.uploads.listing(bucket.name, "")]
    assert head
    assert (head.bucket, head.key, head.etag, head.size) == (listed.bucket, listed.key, listed.etag, listed.size)
    assert head.last_modified == listed.modified.isoformat()
    assert sources.agree(Source(etag=head.etag, last_modified=head.last_modified, version_id=head.version_id), listed)


@dataclass(kw_only=True)
class Pages:
    """Answers a page after the other, and keeps what was asked."""

    answers: list[dict[str, Any]]
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def list_objects_v2(self, **this: Any) -> dict[str, Any]:
        """The next one."""
        self.asked.append(this)
        return self.answers[len(self.asked) - 1]


async def test_a_page_after_the_other() -> None:
    """No more than one is held; each but the last says how to ask for the next, and all keep to the bucket's owner."""
    found = {"ETag": '"e"', "Size": 1, "LastModified": datetime(2026, 1, 1, 0, 0, 1, 999_000, tzinfo=UTC)}
    pages = Pages(
        answers=[
            {"IsTruncated": True, "NextContinuationToken": "more", "Contents": [{"Key": "b", **found}]},
            {"IsTruncated": True, "NextContinuationToken": "and more"},
            {"IsTruncated": False, "Contents": [{"Key": "c", **found}]},
        ]
    )
    uploads = s3.Uploads(pages, owner="123456789012")  # type: ignore[arg-type]  # it has the one method that is called
    listing = uploads.listing("uploads", "", after="a")
    first = await anext(listing)
    assert ("b", "e", 1) == (first.key, first.etag, len(pages.asked))
    assert datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC) == first.modified
    assert ["c"] == [one.key async for one in listing]
    asked = {"Bucket": "uploads", "Prefix": "", "StartAfter": "a", "ExpectedBucketOwner": "123456789012"}
    tokens = [{}, {"ContinuationToken": "more"}, {"ContinuationToken": "and more"}]
    assert [asked | token for token in tokens] == pages.asked


async def test_a_bucket_that_is_not_there(s3_client: Any) -> None:
    """An operator has to act."""
    uploads = s3.Uploads(s3_client, owner=None)
    with pytest.raises(Misconfigured, match="NoSuchBucket"):
        _ = [one async for one in uploads.listing("no-such-bucket-here", "")]
