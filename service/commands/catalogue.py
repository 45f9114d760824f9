"""All sources below a prefix, however many: streamed in the order of their keys, and looked at some at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from service import app
from service.aws import s3
from service.config import Settings
from service.core import places, sidecar
from service.core.job import Input, Job, envelope
from service.core.outcome import Misconfigured
from service.core.places import Places
from service.core.recipe import Recipe
from service.core.sources import Listed, starts_jobs, within
from service.runtime.ports import Store, Uploads

AT_ONCE = 32  # objects that are looked at: S3 answers each call in tens of milliseconds
BATCH = 10  # messages of one SendMessageBatch

T = TypeVar("T")
R = TypeVar("R")

OnProgress = Callable[[int], None]


class Buckets(Uploads, Protocol):
    """Uploads, of any number."""

    def listing(self, bucket: str, prefix: str, *, after: str = "") -> AsyncGenerator[Listed, None]:
        """Every object whose key begins with `prefix` and comes after `after`, in the order of their keys."""


class Sender(Protocol):
    """Where jobs are sent to."""

    async def send(self, bodies: list[str], *, delay: int = 0) -> None:
        """Put new messages into the queue.

        :raises Unavailable: when not all of them were taken.
        """


@dataclass(frozen=True, kw_only=True)
class Backfill:
    """The queue for what nobody waits for, and the setting that names it: the workers' own where there is no other."""

    queue: Sender
    setting: str
    url: str

    async def send(self, jobs: list[Job]) -> None:
        """Send ten jobs at the most."""
        assert len(jobs) <= BATCH
        await self.queue.send([envelope(job) for job in jobs])


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The sources below some prefixes, and what was made of them."""

    uploads: Buckets
    store: Store
    roots: tuple[Input, ...]
    recipe: Recipe
    output_bucket: str
    several_buckets: bool

    def at(self, bucket: str, key: str) -> Places:
        """Where the outputs of a source are."""
        return Places(name=places.name(bucket, key, several_buckets=self.several_buckets))

    async def all(self, *, after: str = "") -> AsyncGenerator[Listed, None]:
        """Everything whose event would start a job, captions and posters beside a source among it."""
        for root in self.roots:
            async with aclosing(self.uploads.listing(root.bucket, root.prefix, after=after)) as found:
                async for one in found:
                    if starts_jobs(one, self.recipe, output_bucket=self.output_bucket):
                        yield one

    async def sources(self, *, after: str = "", limit: int | None = None) -> AsyncGenerator[Listed, None]:
        """The first `limit` sources: captions and posters are a part of what they lie beside."""
        number = 0
        async with aclosing(in_order(self.all(after=after), self._unless_beside)) as found:
            async for one in found:
                if one:
                    yield one
                    number += 1
                if number == limit:
                    return

    async def parent(self, one: Listed) -> str | None:
        """The key of the source that `one` has the captions of, or is the poster of; None for a source of its own."""
        above = sidecar.above(one.key)
        return above if above and await self.uploads.head(one.bucket, above) else None

    async def _unless_beside(self, one: Listed) -> Listed | None:
        return None if await self.parent(one) else one


async def in_order(
    items: AsyncGenerator[T, None], work: Callable[[T], Awaitable[R]], *, at_once: int = AT_ONCE
) -> AsyncGenerator[R, None]:
    """What `work` makes of each of `items`, in their order; of so many at the same time, and no more are held."""
    waiting: deque[asyncio.Future[R]] = deque()
    try:
        async for item in items:
            waiting.append(asyncio.ensure_future(work(item)))
            if len(waiting) == at_once:
                yield await waiting.popleft()
        while waiting:
            yield await waiting.popleft()
    finally:
        await items.aclose()
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@asynccontextmanager
async def aws(settings: Settings) -> AsyncIterator[app.Aws]:
    """Clients, as long as they are needed."""
    async with AsyncExitStack() as stack:
        yield app.Aws(settings, stack)


@dataclass(frozen=True, kw_only=True)
class Site:
    """What an operator's commands work on: sources, and the queue to send them to."""

    catalogue: Catalogue
    backfill: Backfill


@asynccontextmanager
async def opened(
    settings: Settings, *, bucket: str | None, prefix: str, recipe: Recipe | None = None
) -> AsyncIterator[Site]:
    """The sources below `prefix`, in all input buckets where none is named; by the deployed recipe where none is given.

    :raises Misconfigured: when no input is there.
    """
    roots = within(settings.inputs, bucket=bucket, prefix=prefix)
    async with aws(settings) as here:
        recipe = recipe or await app.fetch_recipe(settings, here)
        client = await here.client("s3", app.DATA)
        url = settings.backfill_queue_url or settings.queue_url
        setting = "MEDIA_BACKFILL_QUEUE_URL" if settings.backfill_queue_url else "MEDIA_QUEUE_URL"
        yield Site(
            catalogue=Catalogue(
                uploads=s3.Uploads(client, owner=settings.bucket_owner),
                store=s3.Store(client, bucket=settings.output_bucket, owner=settings.bucket_owner),
                roots=roots,
                recipe=recipe,
                output_bucket=settings.output_bucket,
                several_buckets=settings.several_buckets,
            ),
            backfill=Backfill(queue=await app.sender(settings, here, url), setting=setting, url=url),
        )


def only_bucket(settings: Settings, bucket: str | None) -> str:
    """The bucket that is meant, where one has to be.

    :raises Misconfigured: when it is not named, and could be several.
    """
    found = sorted({one.bucket for one in settings.inputs})
    if bucket is None and len(found) > 1:
        raise Misconfigured(f"there are several input buckets: say --bucket {' or --bucket '.join(found)}")
    return bucket or found[0]
