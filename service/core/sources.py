"""Which objects of the input buckets are sources, and what a listing alone tells of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from heapq import heappush, heappushpop

from service.core import places
from service.core.job import Input
from service.core.manifest import Source
from service.core.outcome import Misconfigured
from service.core.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An object as a listing has it: its version id is not there (ListObjectsV2); `modified` in whole seconds."""

    bucket: str
    key: str
    etag: str
    modified: datetime
    size: int

    @property
    def source(self) -> Source:
        """The version as a page manifest names it, where the bucket keeps no versions."""
        return Source(etag=self.etag, last_modified=self.modified.isoformat(), size=self.size)


def agree(source: Source, listed: Listed) -> bool:
    """Whether these are most likely the same version, as far as a listing tells.

    In a versioned bucket two versions may have one ETag and one second: then their bytes are the same as well.
    """
    return (source.etag, source.last_modified) == (listed.etag, listed.modified.isoformat())


def within(inputs: Sequence[Input], *, bucket: str | None, prefix: str) -> tuple[Input, ...]:
    """The parts of the input buckets that lie below `prefix`, none within another; by key where the bucket is one.

    :raises Misconfigured: when nothing that is configured lies there.
    """
    found = {part for one in inputs if bucket in {None, one.bucket} and (part := _common(one, prefix))}
    if not found:
        known = ", ".join(f"{one.bucket}/{one.prefix}" for one in inputs)
        where = f"{bucket}/{prefix}" if bucket else repr(prefix)
        raise Misconfigured(f"no input lies at {where}: MEDIA_INPUT_BUCKETS has {known}")
    ordered = sorted(found, key=lambda one: (one.bucket, one.prefix.encode()))
    return tuple(one for one in ordered if not any(_holds(other, one) for other in found))


def _common(one: Input, prefix: str) -> Input | None:
    if prefix.startswith(one.prefix):
        return Input(bucket=one.bucket, prefix=prefix)
    return one if one.prefix.startswith(prefix) else None


def _holds(outer: Input, inner: Input) -> bool:
    return outer != inner and outer.bucket == inner.bucket and inner.prefix.startswith(outer.prefix)


def starts_jobs(one: Listed, recipe: Recipe, *, output_bucket: str) -> bool:
    """Whether an event of this object would start a job: not for what the recipe ignores, nor for our own outputs."""
    own = one.bucket == output_bucket and places.is_own(one.key)
    return not own and not recipe.ignores(one.key)


class Sample:
    """At most `most` of many objects: the same ones each time, and any of them as likely as another.

    It is those whose names have the smallest hashes, so that a stream of any length takes no more memory than they.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[int, int, Listed]] = []
        self.objects, self.bytes = 0, 0

    def offer(self, one: Listed) -> None:
        """One more object."""
        self.objects += 1
        self.bytes += one.size
        rank = int.from_bytes(sha256(f"{one.bucket}\0{one.key}".encode("utf-8", "surrogatepass")).digest()[:16])
        entry = (-rank, self.objects, one)
        if len(self._heap) == self._most:
            heappushpop(self._heap, entry)
        else:
            heappush(self._heap, entry)

    @property
    def chosen(self) -> list[Listed]:
        """In the order in which they were offered."""
        return [one for _, _, one in sorted(self._heap, key=lambda entry: entry[1])]
