"""What an audit says of a source: whether its page manifest tells of its newest version, and of a state that lasts.

It finds what a job of type `process` would change, and nothing else: what was enqueued and done is found no more.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from service.core import manifest
from service.core.job import Input
from service.core.manifest import Manifest, Source, Status
from service.core.outcome import Reason
from service.core.sources import Listed, agree

#: A worker tells each hundredth of its work, at least each seven minutes of a job of eleven hours.
_SILENT = timedelta(hours=1)
#: Captions that are made elsewhere are waited for, and a cap on a day's spending holds back, for a day.
_PATIENT = timedelta(hours=25)
_SHOWN = 5  # keys of each kind
_MANIFEST = re.compile(r"media/(.+)/manifest\.json", re.DOTALL)
_HASHED = re.compile(r"~[0-9a-f]{64}")


class Kind(StrEnum):
    """What is wrong with a source."""

    MISSING = "missing"
    STALE = "stale"
    UNFINISHED = "unfinished"
    CAPTIONS = "captions"
    GONE = "gone"


MEANINGS: Mapping[Kind, str] = {
    Kind.MISSING: "no page manifest: never processed",
    Kind.STALE: "the page manifest tells of another version",
    Kind.UNFINISHED: "under way, or held back, for longer than any job lasts",
    Kind.CAPTIONS: "captions or a poster were uploaded, and their source does not have them",
    Kind.GONE: "the source was deleted, and what was made of it is still there",
}


def needs_head(found: Manifest | None, listed: Listed) -> bool:
    """Whether S3 has to be asked for the object itself: its version id, or whether it was restored from an archive."""
    return found is not None and (not agree(found.source, listed) or _why(found) is Reason.ARCHIVED)


def kind(found: Manifest | None, source: Source, *, archived: bool, now: datetime) -> Kind | None:
    """What is wrong with the version `source`, the newest, whose manifest is `found`; None: nothing is."""
    if found is None:
        return Kind.MISSING
    if found.status is Status.DELETED or not manifest.speaks_of(found, source):
        return Kind.STALE
    return Kind.UNFINISHED if _unfinished(found, now - found.updated_at, archived=archived) else None


def _unfinished(found: Manifest, silence: timedelta, *, archived: bool) -> bool:
    """Whether nobody works on what should not stay as it is, by all appearance."""
    match found.status, _why(found):
        case Status.PROCESSING, _:
            return silence > _SILENT
        case Status.READY, _:
            return found.serving is not None and found.serving.captions == "pending" and silence > _PATIENT
        case _, Reason.MODERATION_UNAVAILABLE:
            return silence > _PATIENT
        case _, Reason.ARCHIVED:
            return not archived
    return False


def _why(found: Manifest) -> Reason | None:
    return found.reason.code if found.reason else None


def manifests_of(roots: Sequence[Input], *, several_buckets: bool) -> tuple[tuple[str, str], ...]:
    """Buckets, and what the page manifests of their sources below `roots` begin with: by name, or as a hash of it."""
    wanted = [(root.bucket, prefix) for root in roots for prefix in dict.fromkeys((root.prefix, "~"))]
    found = {
        (bucket, f"media/{bucket}/{prefix}" if several_buckets else f"media/{prefix}") for bucket, prefix in wanted
    }
    return tuple(
        sorted(one for one in found if not any(one != other and one[1].startswith(other[1]) for other in found))
    )


def name_of(key: str) -> str | None:
    """The name whose page manifest `key` is; None for any other output."""
    found = _MANIFEST.fullmatch(key)
    return found[1] if found and not re.search(r"(^|/)~(?![0-9a-f]{64}$)", found[1]) else None


def key_of(name: str, bucket: str, *, several_buckets: bool) -> str | None:
    """The source's key; None where the name is a hash of it."""
    plain = name.removeprefix(f"{bucket}/") if several_buckets else name
    return None if _HASHED.fullmatch(plain) else plain


@dataclass(kw_only=True)
class Heap:
    """So many objects, and the first few of them, as bucket and key."""

    objects: int = 0
    bytes: int = 0
    first: list[tuple[str, str]] = field(default_factory=list)

    def add(self, bucket: str, key: str, size: int) -> None:
        """One more."""
        self.objects += 1
        self.bytes += size
        if len(self.first) < _SHOWN:
            self.first.append((bucket, key))


@dataclass(kw_only=True)
class Audit:
    """What was looked at, what is wrong by kind, what is too young to tell, and how many were enqueued.

    `nameless` are what a lost delete left behind whose key nothing tells any more, as the keys of page manifests.
    """

    looked: Heap = field(default_factory=Heap)
    young: Heap = field(default_factory=Heap)
    wrong: dict[Kind, Heap] = field(default_factory=lambda: defaultdict(Heap))
    nameless: Heap = field(default_factory=Heap)
    enqueued: int = 0

    @property
    def objects(self) -> int:
        """How many are wrong, that can be enqueued."""
        return sum(heap.objects for heap in self.wrong.values())

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        return self.objects == self.enqueued and not self.nameless.objects
