"""`review list`: what waits in quarantine, why, and where its flagged frames are seen."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from aiobotocore.config import AioConfig
from pydantic import ValidationError

from service import app
from service.aws import s3
from service.config import Settings
from service.core import places
from service.core.manifest import Manifest, Source, Status
from service.core.outcome import Misconfigured
from service.core.places import Places
from service.core.record import Because, Ticket
from service.runtime import ledger
from service.runtime.page import Page
from service.runtime.ports import Store
from service.tools.folder import FolderStore

LINK_SECONDS = 3600
_AT_ONCE = 16  # tickets that are read at the same time
#: Links that open encrypted objects as well; by default they are signed in the older way.
_SIGNING = app.DATA.merge(AioConfig(signature_version="s3v4"))


class Shelf(Store, Protocol):
    """A store whose objects can be looked at."""

    async def link(self, key: str, seconds: int) -> str:
        """An address that shows an object to whoever has it, for so many seconds."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A version that waits for a person: since when, why, at which revision, and where its flagged frames are seen.

    `detail` says why nobody could be asked; `media` is what it is, as far as that is known.
    """

    key: str
    bucket: str
    revision: int
    since: datetime
    reason: str
    detail: str | None
    because: tuple[Because, ...]
    media: Mapping[str, Any] | None
    links: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What waits, the oldest first; `more` than are listed."""

    waiting: tuple[Waiting, ...]
    more: int


async def in_s3(settings: Settings, *, limit: int) -> Listed:
    """What waits in the output bucket."""
    async with AsyncExitStack() as stack:
        client = await app.Aws(settings, stack).client("s3", _SIGNING)
        return await listed(s3.Store(client, bucket=settings.output_bucket, owner=settings.bucket_owner), limit=limit)


async def in_folder(out: Path, *, limit: int) -> Listed:
    """What waits in the folder that `process` wrote to."""
    return await listed(FolderStore(out), limit=limit)


async def listed(store: Shelf, *, limit: int) -> Listed:
    """What waits, by the tickets; one that its manifest knows nothing of any more is left out."""
    keys = [key for key in await store.keys("quarantine/") if key.endswith(f"/~/{places.TICKET}")]
    room = asyncio.Semaphore(_AT_ONCE)

    async def read(key: str) -> tuple[Ticket, Manifest, Places] | None:
        async with room:
            return await _valid(store, key)

    valid = [found for found in await asyncio.gather(*map(read, keys)) if found]
    valid.sort(key=lambda found: (found[0].since, found[0].key))
    waiting = [await _waiting(store, *found) for found in valid[:limit]]
    return Listed(waiting=tuple(waiting), more=len(valid) - len(waiting))


async def _valid(store: Store, key: str) -> tuple[Ticket, Manifest, Places] | None:
    """The ticket, and the page manifest that says the same of the same version."""
    stored = await store.read(key)
    if stored is None:
        return None
    try:
        ticket = Ticket.model_validate_json(stored.body)
    except ValidationError as error:
        raise Misconfigured(f"{key} says of nothing that it waits: move it away") from error
    at = Places(name=key.removeprefix("quarantine/").removesuffix(f"/~/{places.TICKET}"))
    found = (await Page.read(store, at)).manifest
    held = found is not None and found.status is Status.QUARANTINED
    return (ticket, found, at) if found and held and _version(ticket, found.source) == ticket.version else None


def _version(ticket: Ticket, source: Source) -> str:
    etag, modified = source.etag or "", source.last_modified or ""
    return places.version(ticket.bucket, ticket.key, source.version_id, etag, modified)


async def _waiting(store: Shelf, ticket: Ticket, found: Manifest, at: Places) -> Waiting:
    outcome = await ledger.read_outcome(store, at, ticket.version)
    return Waiting(
        key=ticket.key,
        bucket=ticket.bucket,
        revision=found.revision,
        since=ticket.since,
        reason=found.reason.code if found.reason else "",
        detail=outcome.message if outcome else None,
        because=ticket.because,
        media=outcome.media if outcome else None,
        links=tuple([await store.link(frame, LINK_SECONDS) for frame in ticket.frames]),
    )
