"""Queues that an operator has paused: workers receive nothing from them, and what runs goes on."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ValidationError

from service.core import places
from service.core.outcome import Misconfigured
from service.core.record import Pause
from service.logs import log
from service.runtime.lease import Message
from service.runtime.ports import Store
from service.runtime.turns import Patient

_LOOK_EACH = 15.0  # seconds: what an operator waits for without wondering, and 0.2 cents a day a worker
_PATIENCE = 5.0  # seconds: a store that does not answer must not keep a worker from its queue
REST = 10.0  # seconds that a paused queue's receive takes, in the place of a long poll


@dataclass(kw_only=True)
class Pauses:
    """Which queues are paused, as the store says; its last answer counts for as long as it gives none."""

    store: Store
    clock: Callable[[], float] = time.monotonic
    _last: Pause = field(default_factory=Pause)
    _until: float | None = None
    _silent: bool = False
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def paused(self, queue: str) -> bool:
        """Whether the queue of this name (`intake`, `heavy`, `backfill`) is; never raises."""
        async with self._turn:
            if self._until is None or self.clock() >= self._until:
                await self._look()
                self._until = self.clock() + _LOOK_EACH
        return queue in self._last.queues

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                self._last, _ = await read(self.store)
        except Exception as error:
            if not self._silent:
                log.warning("pauses_unknown", error=repr(error), paused=sorted(self._last.queues))
            self._silent = True
        else:
            self._silent = False


async def read(store: Store) -> tuple[Pause, str | None]:
    """What is paused, and the ETag to replace that by; nothing, where nothing ever was.

    :raises Misconfigured: when something else lies in its place.
    """
    stored = await store.read(places.pause())
    if stored is None:
        return Pause(), None
    try:
        return Pause.model_validate_json(stored.body), stored.etag
    except ValidationError as error:
        raise Misconfigured(f"{places.pause()} says of nothing that it is paused: move it away") from error


@dataclass(kw_only=True)
class Pausable:
    """A queue that seems to be empty while it is paused; `rest` is how long it takes to say so, in seconds."""

    queue: Patient
    name: str
    pauses: Pauses
    rest: float = REST
    url: str = field(init=False)
    _paused: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.url = self.queue.url

    async def receive(self, most: int, *, wait: int | None = None) -> list[Message]:
        """Up to `most` messages; none while it is paused, after at most `wait` seconds."""
        if not await self._is_paused():
            return await self.queue.receive(most, wait=wait)
        await asyncio.sleep(self.rest if wait is None else min(self.rest, wait))
        return []

    async def _is_paused(self) -> bool:
        before, self._paused = self._paused, await self.pauses.paused(self.name)
        if self._paused != before:
            log.info("paused" if self._paused else "resumed", queue=self.name)
        return self._paused

    async def extend(self, message: Message, seconds: int) -> None:
        """Hide the message for `seconds` from now."""
        await self.queue.extend(message, seconds)

    async def delete(self, message: Message) -> None:
        """Acknowledge."""
        await self.queue.delete(message)

    async def release(self, message: Message, after: int) -> None:
        """Let it be seen again after `after` seconds."""
        await self.queue.release(message, after)

    async def send(self, bodies: list[str], *, delay: int = 0) -> None:
        """Put new messages into it, paused or not."""
        await self.queue.send(bodies, delay=delay)

    async def bury(self, message: Message, body: str, *, reason: str, detail: str) -> bool:
        """Copy to its dead-letter queue."""
        return await self.queue.bury(message, body, reason=reason, detail=detail)
