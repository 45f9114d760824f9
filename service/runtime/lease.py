"""The visibility heartbeat: a message stays ours while its job runs, and the job stops when it no longer is.

The lease belongs to the message, not to the worker: it outlives the stop request. Visibility counts from the call
(SQS ChangeMessageVisibility), and the deadline is kept here, on the local clock: a late success is not ownership.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from service.core.outcome import LeaseLost, Transient

T = TypeVar("T")

#: SQS counts 12 h from the receive, and extending does not reset it; asking for more is an error, not a clamp.
CEILING_SECONDS = 43_195


@dataclass(frozen=True, kw_only=True)
class Message:
    """One receive of a message: the receipt is good for this receive alone."""

    id: str
    receipt: str
    body: str
    receive_count: int
    queue: str


class Renewer(Protocol):
    """What a lease needs of a queue."""

    async def extend(self, message: Message, seconds: int) -> None:
        """Hide the message for `seconds` from now.

        :raises LeaseLost: when the receipt is no longer good.
        :raises Transient: when it is worth asking again.
        """


async def held(
    renewer: Renewer,
    message: Message,
    work: Coroutine[Any, Any, T],
    *,
    visibility: int,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Run `work` while the message is renewed; returns only after the last renewal has returned.

    :param visibility: seconds; renewed each third of it.
    :raises LeaseLost: when the message may be somebody else's; the work was cancelled before.
    """
    over = asyncio.Event()
    working = asyncio.ensure_future(work)
    renewing = asyncio.ensure_future(_renew(renewer, message, over, visibility=visibility, clock=clock))
    try:
        await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            renewing.result()
        return await working
    finally:
        over.set()
        working.cancel()
        await _both_ended(working, renewing)


async def _both_ended(*tasks: asyncio.Future[Any]) -> None:
    """Wait for the tasks, however often the caller is cancelled meanwhile; that is raised at the end."""
    ending, cancelled = asyncio.gather(*tasks, return_exceptions=True), None
    while not ending.done():
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        raise cancelled


async def _renew(
    renewer: Renewer, message: Message, over: asyncio.Event, *, visibility: int, clock: Callable[[], float]
) -> None:
    received = clock()
    deadline, pause = received + visibility, visibility / 3
    while not await _set_within(over, min(pause, deadline - clock())):
        asked = clock()
        if asked >= deadline:
            raise LeaseLost("no renewal succeeded before the visibility ran out")
        left = int(CEILING_SECONDS - (asked - received))
        if left <= 0:
            raise LeaseLost("a message can be held for 12 hours at most")
        try:
            async with asyncio.timeout(deadline - asked):
                await renewer.extend(message, min(visibility, left))
        except TimeoutError as error:
            raise LeaseLost("no renewal was answered before the visibility ran out") from error
        except Transient:
            pause = visibility / 12
            continue
        deadline, pause = asked + min(visibility, left), visibility / 3


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
