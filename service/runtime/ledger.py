"""The records of one version: which steps are done, and where their files lie."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from service import metrics
from service.core import places
from service.core.outcome import Conflict
from service.core.places import Places
from service.core.record import File, Outcome, Record, StepRecord
from service.logs import log
from service.runtime.beside import together
from service.runtime.lease import Message
from service.runtime.ports import Store

_AT_ONCE = 8  # uploads of one job: S3 answers each in tens of milliseconds


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What has been done for one version of one source, and the way to add to it."""

    store: Store
    at: Places
    version: str
    attempt: str
    records: list[Record] = field(default_factory=list)

    @classmethod
    async def load(cls, store: Store, at: Places, *, version: str, message: Message) -> Self:
        """Read the records of `version`."""
        records = await _read(store, await store.keys(at.records(version)))
        attempt = places.attempt(message.id, message.receive_count)
        return cls(store=store, at=at, version=version, attempt=attempt, records=records)

    @property
    def done(self) -> dict[str, tuple[Record, StepRecord]]:
        """Every step that a record lists, by digest; the first record that lists it counts."""
        found = [(step.digest, (record, step)) for record in self.records for step in record.steps]
        return dict(reversed(found))

    def folder(self, digest: str) -> str:
        """Where this attempt puts the files of the group `digest`."""
        return self.at.folder(digest, self.attempt)

    async def commit(self, record: Record, files: Iterable[File], scratch: Path) -> Record:
        """Put the files up, then the record that lists them; the record of whoever was first is the one that counts.

        That may be this one: a write whose answer was lost on the way is repeated by the client, and refused then.
        """
        files = tuple(files)
        await self._upload(record.folder, files, scratch)
        key = self.at.record(self.version, record.digest)
        try:
            await self.store.write(key, record.to_json(), replaces=None)
        except Conflict:
            record = await self._first(key, record, files)
        else:
            log.info("committed", record=key, steps=len(record.steps))
        self.records.append(record)
        return record

    async def _first(self, key: str, ours: Record, files: tuple[File, ...]) -> Record:
        """The record that is there, and our files deleted where it is not ours.

        :raises Conflict: when it is gone again: the source was deleted meanwhile.
        """
        found = await _read(self.store, [key])
        if not found or found[0].folder != ours.folder:
            await self.store.delete([ours.folder + file.name for file in files])
        if not found:
            raise Conflict(f"{key} was there, and is gone")
        return found[0]

    async def _upload(self, folder: str, files: tuple[File, ...], scratch: Path) -> None:
        room = asyncio.Semaphore(_AT_ONCE)

        async def put(file: File) -> None:
            async with room:
                key, path = folder + file.name, scratch / file.name
                await self.store.upload(key, path, content_type=file.content_type, sha256=file.sha256)
                metrics.bytes_written.inc(file.bytes)

        await together(put(file) for file in files)


async def _read(store: Store, keys: Iterable[str]) -> list[Record]:
    found = [await store.read(key) for key in sorted(keys) if not key.endswith("/outcome.json")]
    return [Record.model_validate_json(stored.body) for stored in found if stored]


async def sweep(store: Store, at: Places, message: Message, *, before: int) -> None:
    """Delete the files that receives of this message `before` that one left behind, and that no record lists.

    Done last: once this try's records are there, no late one can come to list such a file.
    """
    objects = await store.keys(at.attempts)
    folders = {key: key.removeprefix(at.attempts).partition("/")[0] for key in objects}
    dead = {key for key, folder in folders.items() if places.is_dead(folder, message.id, before)}
    if dead:
        kept = {record.folder for record in await _read(store, await store.keys(at.versions))}
        await store.delete(sorted(key for key in dead if f"{at.attempts}{folders[key]}/" not in kept))


async def inventory(store: Store, at: Places) -> list[str]:
    """Everything that was ever made of a source, but the page manifest; records first, the order to delete it in.

    Both prefixes end in `~`, with which no other source's name goes on: see `places`.
    """
    return [*await store.keys(at.versions), *await store.keys(at.attempts)]


async def read_outcome(store: Store, at: Places, version: str) -> Outcome | None:
    """The outcome record of one version."""
    stored = await store.read(at.outcome(version))
    return Outcome.model_validate_json(stored.body) if stored else None
