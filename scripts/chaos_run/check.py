"""The checker: from what was uploaded, what lies in the bucket and what was told, everything that is not as promised.

It knows nothing of workers: only what a site owner could see. Pure, so that it can be shown to see what it should.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.core.manifest import FINAL, Manifest, Serving, idempotency_key
from service.core.places import Places, is_record, name
from service.core.record import Outcome, Record, Unready

_FAILURES = "records/~failures/"


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a key, and what has to become of it."""

    etag: str
    version_id: str | None
    status: str
    reason: str | None = None


History = Sequence[Version | None]  #: of one key, oldest first; None for a deletion


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One object of the output bucket; `body` of documents alone."""

    sha256: str
    size: int
    body: bytes | None = None


@dataclass(kw_only=True)
class Findings:
    """What is wrong, in words, a line each."""

    lost: list[str] = field(default_factory=list)  #: versions without their outcome, or with another one
    double: list[str] = field(default_factory=list)  #: versions with two, and old ones told after newer ones
    partial: list[str] = field(default_factory=list)  #: what is listed and not there, or otherwise than listed
    stray: list[str] = field(default_factory=list)  #: what nobody lists

    @property
    def all(self) -> list[str]:
        """All of them."""
        return [*self.lost, *self.double, *self.partial, *self.stray]


def check(
    histories: Mapping[str, History], bucket: Mapping[str, Thing], told: Sequence[Mapping[str, Any]], *, uploads: str
) -> Findings:
    """Compare what should be with what is.

    :param bucket: every object of the output bucket, by its key.
    :param told: every outcome message.
    :param uploads: what the input bucket is called.
    """
    found = Findings()
    messages: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for message in told:
        messages[message["name"]].append(message)
    expected: set[str] = set()
    for key, history in histories.items():
        one = _Key(
            key=key,
            history=history,
            bucket=bucket,
            found=found,
            at=Places(name=name(uploads, key, several_buckets=False)),
        )
        expected |= one.check(messages.pop(one.at.name, []))
    expected |= _failures(histories, bucket, found)
    found.stray += [f"{key}: nobody lists it" for key in sorted(set(bucket) - expected)]
    found.double += [f"{one}: told, and never uploaded" for one in messages]
    return found


@dataclass(frozen=True, kw_only=True)
class _Key:
    key: str
    history: History
    bucket: Mapping[str, Thing]
    found: Findings
    at: Places

    def check(self, told: Sequence[Mapping[str, Any]]) -> set[str]:
        """Note what is wrong; the objects that may be there for this key."""
        thing = self.bucket.get(self.at.manifest)
        manifest = Manifest.model_validate_json(thing.body or b"") if thing else None
        self._check_state(manifest)
        self._check_told(manifest, told)
        if manifest is None:
            return set()
        return {self.at.manifest} | self._check_objects(manifest)

    def _check_state(self, manifest: Manifest | None) -> None:
        newest = self.history[-1]
        if newest is None:
            if manifest and manifest.status != "deleted":
                self.found.lost.append(f"{self.key!r}: was deleted, and is {manifest.status}")
            return
        if manifest is None:
            self.found.lost.append(f"{self.key!r}: has no manifest")
            return
        reason = manifest.reason.code if manifest.reason else None
        if not _is(newest, manifest.source.etag, manifest.source.version_id):
            self.found.lost.append(f"{self.key!r}: the manifest ({manifest.status}) is not of the newest version")
        elif (manifest.status, reason) != (newest.status, newest.reason):
            self.found.lost.append(
                f"{self.key!r}: is {manifest.status} ({reason}), and should be {newest.status} ({newest.reason})"
            )
        if manifest.status not in FINAL:
            self.found.lost.append(f"{self.key!r}: is still {manifest.status}")

    def _check_told(self, manifest: Manifest | None, told: Sequence[Mapping[str, Any]]) -> None:
        by_revision: dict[int, Manifest] = {}
        for message in told:
            one = Manifest.model_validate(message["manifest"])
            if by_revision.setdefault(one.revision, one) != one:
                self.found.double.append(f"{self.key!r}: revision {one.revision} was told in two ways")
            if message["idempotency_key"] != idempotency_key(self.at.name, one):
                self.found.double.append(f"{self.key!r}: {message['idempotency_key']} is not its key")
        if manifest and by_revision.get(manifest.revision) != manifest:
            self.found.lost.append(f"{self.key!r}: revision {manifest.revision} ({manifest.status}) was not told")
        self._check_order([by_revision[one] for one in sorted(by_revision)])

    def _check_order(self, told: Sequence[Manifest]) -> None:
        """Each version at most once, in the order in which they came; each as it should end."""
        versions: list[int] = []
        deletions = 0
        for one in told:
            if one.status == "deleted":
                deletions += 1
                continue
            at = next((n for n, version in enumerate(self.history) if version and _of(version, one)), None)
            if at is None:
                self.found.double.append(f"{self.key!r}: revision {one.revision} is of a version that never was")
                continue
            version = self.history[at]
            assert version
            if one.status != version.status:
                self.found.lost.append(f"{self.key!r}: version {at} was told {one.status}, not {version.status}")
            if at in versions:
                self.found.double.append(f"{self.key!r}: version {at} was told twice, again as revision {one.revision}")
            elif versions and at < versions[-1]:
                self.found.double.append(f"{self.key!r}: version {at} was told after version {versions[-1]}")
            versions.append(at)
        if deletions > sum(1 for version in self.history if version is None):
            self.found.double.append(f"{self.key!r}: told to be deleted {deletions} times")

    def _check_objects(self, manifest: Manifest) -> set[str]:
        expected: set[str] = set()
        files: set[str] = set()
        for key in self.bucket:
            if not key.startswith(self.at.versions):
                continue
            body = self.bucket[key].body or b""
            expected.add(key)
            if is_record(key):
                files |= self._check_record(Record.model_validate_json(body))
            elif key.endswith("/outcome.json"):
                self._check_outcome(manifest, Outcome.model_validate_json(body))
        served = self._check_served(manifest.serving, files) if manifest.serving else set()
        return expected | files | served

    def _check_record(self, record: Record) -> set[str]:
        files = {record.folder + file.name: file for step in record.steps for file in step.files}
        for key, file in files.items():
            self._check_thing(key, file.sha256, file.bytes, "a record lists it")
        return set(files)

    def _check_served(self, serving: Serving, files: set[str]) -> set[str]:
        """Every product is a file of a record, and its alias holds the same bytes; other aliases are strays."""
        aliases = set()
        for product in serving.products:
            key = self.at.key(product.url)
            if key not in files:
                self.found.partial.append(f"{key}: is served, and no record lists it")
            if product.alias_url and key in self.bucket:
                alias = self.at.key(product.alias_url)
                aliases.add(alias)
                self._check_thing(alias, self.bucket[key].sha256, self.bucket[key].size, "it stands for a product")
        return aliases

    def _check_thing(self, key: str, sha256: str, size: int, because: str) -> None:
        thing = self.bucket.get(key)
        if thing is None:
            self.found.partial.append(f"{key}: is not there, and {because}")
        elif (thing.sha256, thing.size) != (sha256, size):
            self.found.partial.append(f"{key}: holds {thing.size} other bytes than the {size} it should, and {because}")

    def _check_outcome(self, manifest: Manifest, outcome: Outcome) -> None:
        """The record of what the page speaks of says the same as the page."""
        if outcome.etag == manifest.source.etag and outcome.status != manifest.status:
            self.found.partial.append(f"{self.key!r}: its outcome is {outcome.status}, its page {manifest.status}")


def _failures(histories: Mapping[str, History], bucket: Mapping[str, Thing], found: Findings) -> set[str]:
    """The entries of what was refused: one a version at least, and none of what was not."""
    entries = {key: Unready.model_validate_json(bucket[key].body or b"") for key in bucket if key.startswith(_FAILURES)}
    expected = set()
    for key, entry in entries.items():
        refused = [version for version in histories.get(entry.key, ()) if version and version.status == entry.status]
        if refused:
            expected.add(key)
    listed = {entry.key for entry in entries.values()}
    for key, history in histories.items():
        newest = history[-1]
        if newest and newest.status == "rejected" and key not in listed:
            found.lost.append(f"{key!r}: was rejected, and no list of failures has it")
    return expected


def _of(version: Version, manifest: Manifest) -> bool:
    return _is(version, manifest.source.etag, manifest.source.version_id)


def _is(version: Version, etag: str | None, version_id: str | None) -> bool:
    return (version.etag, version.version_id) == (etag, version_id)


def unswept(bucket: Mapping[str, Thing]) -> list[str]:
    """Records of versions that something newer has replaced for good: kept for a grace, then of no use."""
    ended: dict[str, list[Outcome]] = defaultdict(list)
    for key, thing in bucket.items():
        if key.endswith("/outcome.json"):
            one = Outcome.model_validate_json(thing.body or b"")
            ended[one.key].append(one)
    newest = {key: max(found, key=lambda one: one.ended_at or one.started_at) for key, found in ended.items()}
    former = {
        one.version
        for key, found in ended.items()
        if newest[key].status == "ready"
        for one in found
        if one.version != newest[key].version
    }
    return [
        key
        for key, thing in bucket.items()
        if is_record(key) and json.loads(thing.body or b"{}").get("version") in former
    ]
