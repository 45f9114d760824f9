"""The records of one version: which steps are done, and where their files lie."""

import asyncio
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from service import metrics
from service.core import places
from service.core.media import Media
from service.core.outcome import Conflict
from service.core.places import Area, Places
from service.core.record import EXAMINED, Decision, File, Outcome, Record, Spent, StepRecord
from service.logs import log
from service.runtime.beside import together
from service.runtime.lease import Message
from service.runtime.ports import Store

_AT_ONCE = 8  # uploads of one job: S3 answers each in tens of milliseconds


@dataclass(kw_only=True)
class Ledger:
    """What has been done for one version of one source, and the way to add to it.

    `area` is where this attempt's files go: out of sight, until somebody has said that they may be seen. `made` are
    the digests of the steps that this attempt did.
    """

    store: Store
    at: Places
    version: str
    attempt: str
    made_by: dict[str, str]
    records: list[Record] = field(default_factory=list)
    decision: Decision | None = None
    media: Media | None = None
    area: Area = "quarantine"
    made: list[str] = field(default_factory=list)
    _etags: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def load(
        cls, store: Store, at: Places, *, version: str, message: Message, made_by: dict[str, str], first: bool
    ) -> Self:
        """Read the records of `version`; at the `first` sight of a source there are none, and nothing is read."""
        attempt = places.attempt(message.id, message.receive_count)
        ledger = cls(store=store, at=at, version=version, attempt=attempt, made_by=made_by)
        if not first:
            await ledger._read(await store.keys(at.records(version)))
        return ledger

    async def _read(self, keys: Iterable[str]) -> None:
        for key in sorted(keys):
            if places.is_record(key) and (stored := await self.store.read(key)):
                self.records.append(Record.model_validate_json(stored.body))
                self._etags[key] = stored.etag
            elif key == self.at.decision(self.version):
                self.decision = await read_decision(self.store, self.at, self.version)
        self.media = next((record.known for record in self.records if record.known), None)

    @property
    def done(self) -> dict[str, tuple[Record, StepRecord]]:
        """Every step that a record lists, by digest; the first record that lists it counts."""
        found = [(step.digest, (record, step)) for record in self.records for step in record.steps]
        return dict(reversed(found))

    @property
    def steps(self) -> dict[str, StepRecord]:
        """The same, without the records."""
        return {digest: step for digest, (_, step) in self.done.items()}

    async def add(
        self, digest: str, steps: Sequence[StepRecord], spent: Spent, scratch: Path, *, area: Area | None = None
    ) -> Record:
        """Commit `steps`, whose files lie in `scratch`, as one group called `digest`."""
        record = Record(
            version=self.version,
            media=self.media,
            examined=EXAMINED,
            digest=digest,
            folder=self.at.folder(digest, self.attempt, area=area or self.area),
            made_at=datetime.now(UTC),
            made_by=self.made_by,
            spent=spent,
            steps=tuple(steps),
        )
        self.made += [step.digest for step in steps]
        return await self._commit(record, [file for step in steps for file in step.files], scratch)

    async def _commit(self, record: Record, files: Iterable[File], scratch: Path) -> Record:
        """Put the files up, then the record that lists them; the record of whoever was first is the one that counts.

        That may be this one: a write whose answer was lost on the way is repeated by the client, and refused then.
        """
        files = tuple(files)
        await self._upload(record.folder, files, scratch)
        key = self.at.record(self.version, record.digest)
        try:
            self._etags[key] = await self.store.write(key, record.to_json(), replaces=None)
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
        found = await self.store.read(key)
        record = Record.model_validate_json(found.body) if found else None
        if record is None or record.folder != ours.folder:
            await self.store.delete([ours.folder + file.name for file in files])
        if found is None or record is None:
            raise Conflict(f"{key} was there, and is gone")
        self._etags[key] = found.etag
        return record

    async def _upload(self, folder: str, files: tuple[File, ...], scratch: Path) -> None:
        room = asyncio.Semaphore(_AT_ONCE)

        async def put(file: File) -> None:
            async with room:
                key, path = folder + file.name, scratch / file.name
                await self.store.upload(key, path, content_type=file.content_type, sha256=file.sha256)
                metrics.bytes_written.inc(file.bytes)

        await together(put(file) for file in files)

    async def release(self) -> None:
        """Make public what waited: each record's files are copied within the store, then the record says so.

        What waited so long that it was tidied away is forgotten, to be made again.

        :raises Conflict: when somebody else moves them.
        """
        held = [record for record in self.records if places.is_held(record.folder) and not _is_evidence(record)]
        if not held:
            return
        there = set(await self.store.keys(self.at.held))
        for record in held:
            if _whole(record, there):
                await self._release(record)
            else:
                await self._forget(record)

    async def recall(self) -> None:
        """Forget what somebody has deleted, and what was tidied away because it waited so long, to be made again."""
        made = [record for record in self.records if _files(record) and not _is_evidence(record)]
        for prefix in _homes(self.at):
            mine = [record for record in made if record.folder.startswith(prefix)]
            there = set(await self.store.keys(prefix)) if mine else set()
            for record in mine:
                if not _whole(record, there):
                    await self._forget(record)

    async def found(self, digest: str) -> bool:
        """Whether somebody else has committed this group meanwhile; then it is one of ours as well."""
        key = self.at.record(self.version, digest)
        stored = await self.store.read(key)
        if stored is None:
            return False
        self.records.append(Record.model_validate_json(stored.body))
        self._etags[key] = stored.etag
        return True

    async def retire(self, steps: Set[str]) -> None:
        """Delete the records and the files of these steps: what they were made for is there."""
        for record in [one for one in self.records if {step.digest for step in one.steps} <= steps]:
            await self._drop(record)
        self.made = [digest for digest in self.made if digest not in steps]

    async def _release(self, record: Record) -> None:
        public = record.model_copy(update={"folder": places.released(record.folder)})
        room = asyncio.Semaphore(_AT_ONCE)

        async def copy(file: File) -> None:
            async with room:
                source, target = record.folder + file.name, public.folder + file.name
                await self.store.copy(source, target, content_type=file.content_type, size=file.bytes)

        key = self.at.record(self.version, record.digest)
        await together(copy(file) for file in _files(record))
        self._etags[key] = await self.store.write(key, public.to_json(), replaces=self._etags[key])
        self.records[self.records.index(record)] = public
        log.info("released", record=key, files=len(_files(record)))

    async def _forget(self, record: Record) -> None:
        log.warning("files_are_gone", folder=record.folder)
        await self._drop(record)

    async def _drop(self, record: Record) -> None:
        """The record first: files that none lists are nobody's, but a record must not list what is not there."""
        files = [record.folder + file.name for file in _files(record)]
        await self.store.delete([self.at.record(self.version, record.digest), *files])
        self.records.remove(record)


def _files(record: Record) -> list[File]:
    return [file for step in record.steps for file in step.files]


def _in_vain(record: Record) -> bool:
    """Whether it says of nothing but tries that they were in vain."""
    return bool(record.steps) and all(step.refused for step in record.steps)


def _whole(record: Record, there: Set[str]) -> bool:
    """Whether all of its files are among these objects."""
    return all(record.folder + file.name in there for file in _files(record))


def _is_evidence(record: Record) -> bool:
    """Whether these are the frames that moderation flagged, which are for reviewers alone."""
    return all(step.screening for step in record.steps)


async def sweep(store: Store, at: Places, message: Message, *, before: int) -> None:
    """Delete the files that receives of this message `before` that one left behind, and that no record lists.

    Done last: once this try's records are there, no late one can come to list such a file.
    """
    objects = [key for home in _homes(at) for key in await store.keys(home)]
    folders = {key: _folder(key, at) for key in objects}
    dead = {key for key, folder in folders.items() if places.is_dead(folder, message.id, before)}
    if dead:
        kept = {record.folder for record in await _records(store, at.versions)}
        await store.delete(sorted(key for key in dead if folders[key] not in kept))


def _homes(at: Places) -> tuple[str, ...]:
    """What the folders of attempts begin with."""
    return at.attempts, at.held, at.parts


def _folder(key: str, at: Places) -> str:
    """The folder of an attempt that `key` lies in."""
    begin = next(home for home in _homes(at) if key.startswith(home))
    return begin + key.removeprefix(begin).partition("/")[0] + "/"


async def _records(store: Store, prefix: str) -> list[Record]:
    found = [await store.read(key) for key in sorted(await store.keys(prefix)) if places.is_record(key)]
    return [Record.model_validate_json(stored.body) for stored in found if stored]


async def inventory(store: Store, at: Places) -> list[str]:
    """Everything that was ever made of a source, but the page manifest; records first, the order to delete it in.

    The prefixes end in `~`, with which no other source's name goes on: see `places`.
    """
    return [key for prefix in (at.versions, *_homes(at)) for key in await store.keys(prefix)]


async def superfluous(store: Store, at: Places, version: str, told: Outcome, *, shown: Set[str]) -> list[str]:
    """What nobody serves any more now that `version`, the current one, is ready: files first, then what knows of them.

    Of other versions all but what became of them: whoever still works on one finds that it is not current any more.
    Of this one what was made for the last outcome `told` or before, and is not in it; what was bought, and what says
    what was seen, stays. Nothing, where that outcome is not one of what the page shows: an attempt that came to
    nothing since may have written it.
    """
    keys, files = list[str](), list[str]()
    wanted = {*told.made, *told.reused}
    records = await _records(store, at.versions)
    if not shown or not shown <= _made_by(records, wanted):
        return []
    for record in records:
        bought = any(step.screening or step.captioned for step in record.steps) or _in_vain(record)
        served = bought or not wanted.isdisjoint(step.digest for step in record.steps)
        under_way = told.ended_at is None or record.made_at > told.ended_at
        if record.version != version or not (served or under_way):
            keys.append(at.record(record.version, record.digest))
            files += [record.folder + file.name for file in _files(record)]
    return [*files, *keys]


def _made_by(records: Sequence[Record], steps: Set[str]) -> set[str]:
    """The files of these steps."""
    return {
        record.folder + file.name
        for record in records
        for step in record.steps
        if step.digest in steps
        for file in step.files
    }


async def unheld(store: Store, at: Places, records: Iterable[Record]) -> list[str]:
    """What is deleted of the quarantine once these records are public: what was copied, the frames, and the ticket."""
    twins = tuple(places.held(record.folder) for record in records)
    return [key for key in await store.keys(at.held) if key == at.ticket or key.startswith(twins)]


async def condemned(store: Store, at: Places, version: str, *, evidence: bool) -> list[str]:
    """What is deleted of a source whose `version` may not be shown, in that order: all that was made of it.

    What was said of that version stays: what moderation saw, the decision and the outcome. The frames that it saw
    stay as `evidence`, unless a reviewer has looked at them.
    """
    mine = at.records(version)
    said = [record for record in await _records(store, mine) if _is_evidence(record)]
    kept = {at.decision(version), at.outcome(version), *(at.record(version, record.digest) for record in said)}
    frames = tuple(record.folder for record in said) if evidence else ()
    found = await inventory(store, at)
    return [key for key in found if key not in kept and not key.startswith(frames or ("\0",))]


async def read_outcome(store: Store, at: Places, version: str) -> Outcome | None:
    """The outcome record of one version."""
    stored = await store.read(at.outcome(version))
    return Outcome.model_validate_json(stored.body) if stored else None


async def read_decision(store: Store, at: Places, version: str) -> Decision | None:
    """What a reviewer said of one version."""
    stored = await store.read(at.decision(version))
    return Decision.model_validate_json(stored.body) if stored else None
