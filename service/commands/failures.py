"""`failures`: what was rejected or failed lately, and what has not been mended since."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from service import app
from service.aws import s3
from service.config import Settings
from service.core import places
from service.core.manifest import Status
from service.core.outcome import Misconfigured
from service.core.places import Places
from service.core.record import Unready
from service.runtime.page import Page
from service.runtime.ports import Store
from service.tools.folder import FolderStore

A = TypeVar("A")
B = TypeVar("B")

_AT_ONCE = 32  # documents that are read at the same time


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which failures: since when, of which reasons (none: of all), those that are `over` too, and how many."""

    since: datetime
    reasons: frozenset[str]
    every: bool
    limit: int


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A version that was rejected or failed, and the state of its source's newest version now, if it has any."""

    entry: Unready
    now: Status | None

    @property
    def over(self) -> bool:
        """Whether nobody has to do anything any more: the key is ready by now, or gone."""
        return self.now in {Status.READY, Status.DELETED}


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The newest first; whether there are more."""

    failures: tuple[Failed, ...]
    more: bool


async def in_s3(settings: Settings, wanted: Wanted, *, now: datetime) -> Listed:
    """What the output bucket says."""
    async with AsyncExitStack() as stack:
        client = await app.Aws(settings, stack).client("s3", app.DATA)
        store = s3.Store(client, bucket=settings.output_bucket, owner=settings.bucket_owner)
        return await listed(store, wanted, now=now, several_buckets=settings.several_buckets)


async def in_folder(out: Path, wanted: Wanted, *, now: datetime) -> Listed:
    """What the folder that `process` wrote to says."""
    return await listed(FolderStore(out), wanted, now=now, several_buckets=False)


async def listed(store: Store, wanted: Wanted, *, now: datetime, several_buckets: bool) -> Listed:
    """Day by day backwards, as far as it takes; of each key the newest alone, unless every one is wanted."""
    found: list[Failed] = []
    keys: set[tuple[str, str]] = set()
    async for one in _backwards(store, wanted, now=now, several_buckets=several_buckets):
        source = (one.entry.bucket, one.entry.key)
        if not wanted.every and (one.over or source in keys):
            continue
        if len(found) == wanted.limit:
            return Listed(failures=tuple(found), more=True)
        keys.add(source)
        found.append(one)
    return Listed(failures=tuple(found), more=False)


async def _backwards(store: Store, wanted: Wanted, *, now: datetime, several_buckets: bool) -> AsyncIterator[Failed]:
    async def state(entry: Unready) -> Failed:
        at = Places(name=places.name(entry.bucket, entry.key, several_buckets=several_buckets))
        found = (await Page.read(store, at)).manifest
        return Failed(entry=entry, now=found.status if found else None)

    for day in _days(wanted.since.date(), now.date()):
        entries = await _entries(store, day)
        mine = [e for e in entries if e.at >= wanted.since and (not wanted.reasons or e.reason in wanted.reasons)]
        mine.sort(key=lambda entry: (entry.at, entry.key), reverse=True)
        for at in range(0, len(mine), _AT_ONCE):
            for one in await _each(state, mine[at : at + _AT_ONCE]):
                yield one


def _days(first: date, last: date) -> Iterator[date]:
    """The newest first; clocks of workers may be a little ahead of this one's."""
    last += timedelta(days=1)
    return (last - timedelta(days=n) for n in range((last - first).days + 1))


async def _entries(store: Store, day: date) -> list[Unready]:
    async def read(key: str) -> Unready | None:
        stored = await store.read(key)
        try:
            return Unready.model_validate_json(stored.body) if stored else None
        except ValidationError as error:
            raise Misconfigured(f"{key} says of nothing that it failed: move it away") from error

    return [entry for entry in await _each(read, await store.keys(places.failures(day))) if entry]


async def _each(call: Callable[[A], Awaitable[B]], values: Sequence[A]) -> list[B]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(value: A) -> B:
        async with room:
            return await call(value)

    return await asyncio.gather(*map(one, values))


def reasons(failures: Iterable[Failed]) -> list[str]:
    """Theirs, each once."""
    return list(dict.fromkeys(one.entry.reason for one in failures))
