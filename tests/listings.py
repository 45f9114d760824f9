"""Everything that an operator's commands need, in memory: buckets that can be listed, and a queue that is sent to."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.commands.catalogue import Backfill, Catalogue
from service.core.job import Input
from service.core.outcome import Unavailable
from service.core.recipe import Recipe
from service.core.sources import Listed
from tests.fakes import FakeStore, FakeUploads
from tests.runtime import site

PUBLISHED = "published"


@dataclass(kw_only=True)
class ListedUploads(FakeUploads):
    """Uploads that can be listed; so can what was `published` of them."""

    published: FakeStore = field(default_factory=FakeStore)

    async def listing(self, bucket: str, prefix: str, *, after: str = "") -> AsyncGenerator[Listed, None]:
        """Every object below a prefix, in UTF-8's order."""
        for one in sorted(self._all(bucket), key=lambda one: one.key.encode()):
            if one.key.startswith(prefix) and one.key.encode() > after.encode():
                yield one

    def _all(self, bucket: str) -> list[Listed]:
        if bucket == PUBLISHED:
            moment = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
            return [
                Listed(bucket=bucket, key=key, etag="", modified=moment, size=len(body))
                for key, body in self.published.objects.items()
            ]
        heads = [
            found.head for where, key in self.history if where == bucket and (found := self.newest(key, bucket=bucket))
        ]
        return [
            Listed(
                bucket=bucket,
                key=head.key,
                etag=head.etag,
                modified=datetime.fromisoformat(head.last_modified),
                size=head.size,
            )
            for head in heads
        ]


@dataclass(kw_only=True)
class FakeQueue:
    """Keeps what it was sent; refuses the calls with these numbers, after it took the half."""

    refuses: set[int] = field(default_factory=set)
    calls: int = 0
    bodies: list[str] = field(default_factory=list)

    async def send(self, bodies: list[str], *, delay: int = 0) -> None:
        """Put new messages into the queue."""
        self.calls += 1
        refused = self.calls in self.refuses
        self.bodies += bodies[: len(bodies) // 2] if refused else bodies
        if refused:
            raise Unavailable("SendMessageBatch: messages were refused")

    @property
    def sent(self) -> list[tuple[str, str]]:
        """The type and the key of every message."""
        documents: list[dict[str, Any]] = [json.loads(body) for body in self.bodies]
        return [(one["type"], one["source"]["key"]) for one in documents]


def backfill(queue: FakeQueue) -> Backfill:
    """The queue under its setting."""
    return Backfill(queue=queue, setting="MEDIA_BACKFILL_QUEUE_URL", url="fake")


def catalogue(
    uploads: ListedUploads, *, recipe: Recipe | None = None, roots: tuple[Input, ...] | None = None
) -> Catalogue:
    """All of the bucket `uploads`, or some of it."""
    return Catalogue(
        uploads=uploads,
        store=uploads.published,
        roots=roots or (Input(bucket="uploads", prefix=""),),
        recipe=recipe or site.rules(),
        output_bucket=PUBLISHED,
        several_buckets=False,
    )
