"""`reprocess`: send existing objects to the workers again, in the order of their keys, so that it can be resumed."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from service.commands.catalogue import BATCH, Backfill, Catalogue
from service.core.job import Job
from service.core.outcome import Transient
from service.core.sources import Listed

_TRIES = 4  # of one batch
_PAUSE = 1.0  # seconds, times two each time


@dataclass(kw_only=True)
class Sent:
    """How many objects the queue has taken, and the last one's key: what comes after it was not sent."""

    objects: int = 0
    bytes: int = 0
    last: str | None = None


async def send(
    catalogue: Catalogue,
    backfill: Backfill,
    sent: Sent,
    *,
    now: datetime,
    after: str = "",
    limit: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Sent], None] = lambda _sent: None,
    pause: float = _PAUSE,
) -> None:
    """Send the first `limit` sources after `after`, a batch after the other; `sent` tells how far it is all the time.

    :raises Transient: when the queue does not take a batch; some of that batch may have been taken.
    """
    batch: list[Listed] = []
    async with aclosing(catalogue.sources(after=after, limit=limit)) as found:
        async for one in found:
            batch.append(one)
            if len(batch) == BATCH:
                await _send(batch, backfill, sent, now, pause)
                on_progress(sent)
            if stopped():
                return
    await _send(batch, backfill, sent, now, pause)


async def _send(batch: list[Listed], backfill: Backfill, sent: Sent, now: datetime, pause: float) -> None:
    if not batch:
        return
    jobs = [Job(bucket=one.bucket, key=one.key, type="reprocess", cause="reprocess", requested_at=now) for one in batch]
    await _patiently(backfill, jobs, pause)
    sent.objects += len(batch)
    sent.bytes += sum(one.size for one in batch)
    sent.last = batch[-1].key
    batch.clear()


async def _patiently(backfill: Backfill, jobs: list[Job], pause: float) -> None:
    """What is taken twice is done once: the second job finds every step done."""
    for turn in range(_TRIES):
        try:
            return await backfill.send(jobs)
        except Transient:
            if turn == _TRIES - 1:
                raise
        await asyncio.sleep(pause * 2**turn)
    return None
