"""`show`: what happened to one upload, and what to do about it."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from service import app
from service.aws import s3
from service.config import Settings
from service.core import places
from service.core.manifest import Manifest, Source, Status, speaks_of
from service.core.record import Decision, Outcome
from service.runtime import ledger
from service.runtime.page import Page
from service.runtime.ports import Head, Store
from service.tools.folder import FolderStore


@dataclass(frozen=True, kw_only=True)
class Shown:
    """All that is known of a key: the object as it is now, its page manifest, its version's outcome record,
    and what a reviewer said of it.

    `looked` says whether the object was asked for: a folder that `process` wrote to does not know its sources.
    """

    key: str
    bucket: str
    manifest_key: str
    looked: bool
    head: Head | None
    manifest: Manifest | None
    outcome: Outcome | None
    decision: Decision | None = None

    @property
    def gone(self) -> bool:
        """Whether the object is no longer there."""
        return self.looked and self.head is None

    @property
    def lags(self) -> bool:
        """Whether the manifest speaks of another version than the newest, or of one although there is none."""
        if self.manifest is None:
            return False
        if self.head is None:
            return self.gone and self.manifest.status is not Status.DELETED
        now = Source(etag=self.head.etag, version_id=self.head.version_id, last_modified=self.head.last_modified)
        return not speaks_of(self.manifest, now)


async def in_s3(key: str, bucket: str, settings: Settings) -> Shown:
    """What the buckets say."""
    async with AsyncExitStack() as stack:
        client = await app.Aws(settings, stack).client("s3", app.DATA)
        head = await s3.Uploads(client, owner=settings.bucket_owner).head(bucket, key)
        store = s3.Store(client, bucket=settings.output_bucket, owner=settings.bucket_owner)
        return await look(key, bucket, head, store, looked=True, several_buckets=settings.several_buckets)


async def in_folder(key: str, out: Path) -> Shown:
    """What the folder that `process` wrote to says."""
    return await look(key, "local", None, FolderStore(out), looked=False, several_buckets=False)


async def look(key: str, bucket: str, head: Head | None, store: Store, *, looked: bool, several_buckets: bool) -> Shown:
    """What `store` says of a key whose object is now as `head` says, if it was `looked` for."""
    at = places.Places(name=places.name(bucket, key, several_buckets=several_buckets))
    page = await Page.read(store, at)
    source = page.manifest.source if page.manifest else Source()
    version_of = head or source
    outcome = decision = None
    if version_of.etag and version_of.last_modified:
        version = places.version(bucket, key, version_of.version_id, version_of.etag, version_of.last_modified)
        outcome = await ledger.read_outcome(store, at, version)
        decision = await ledger.read_decision(store, at, version)
    return Shown(
        key=key,
        bucket=bucket,
        manifest_key=at.manifest,
        looked=looked,
        head=head,
        manifest=page.manifest,
        outcome=outcome,
        decision=decision,
    )
