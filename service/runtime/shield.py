"""Being spared: a worker that is about to take messages, or has some, asks not to be stopped when tasks are scaled in.

Asked before messages are received, not after: in between, whoever scales in would choose a worker that has just begun.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from service.core.outcome import MediaWorkerError
from service.logs import log

RENEWED_EVERY = 300  # seconds: how late a worker that is never idle learns that it is one too many


class Guard(Protocol):
    """Whoever stops workers."""

    async def protect(self) -> bool:
        """Ask to be spared for the next hour; False from who wants this worker to leave.

        :raises MediaWorkerError: when there is no answer, or one that says neither.
        """

    async def expose(self) -> None:
        """Say that this worker may be stopped."""


class Nobody:
    """Where nobody scales in: a laptop, `docker run`."""

    async def protect(self) -> bool:
        """Always."""
        return True

    async def expose(self) -> None:
        """It makes no difference."""


@dataclass(kw_only=True)
class Shield:
    """Up while there is work; `refused` is set once this worker is told to leave.

    One that was never protected is not told so: it may be the newer one, whose turn comes when the others have left.

    No answer leaves the worker at work, unprotected: a job that is stopped goes on elsewhere, one that nobody takes
    does not.
    """

    guard: Guard = field(default_factory=Nobody)
    clock: Callable[[], float] = time.monotonic
    refused: asyncio.Event = field(default_factory=asyncio.Event)
    _since: float | None = field(default=None, init=False)  #: when it was asked for last, while it is up
    _had: bool = field(default=False, init=False)
    _waits: bool = field(default=False, init=False)
    _alone: bool = field(default=False, init=False)  #: whether the last question had no answer, which is logged once
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def up(self) -> bool:
        """Be spared from now on; False when this worker is to take nothing: now, or, if it was `refused`, any more."""
        if self._since is None or self.clock() - self._since >= RENEWED_EVERY:
            self._waits = False
            await self._ask()
        return not self._waits and not self.refused.is_set()

    async def down(self) -> None:
        """There is nothing to do: whoever wants to stop this worker may."""
        async with self._turn:
            if self._since is None:
                return
            self._since = None
            try:
                await self.guard.expose()
            except MediaWorkerError as error:
                log.warning("still_protected", error=str(error))  # for an hour at most

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Renew it as long as it is up, until the block ends; then it is down."""
        keeping = asyncio.ensure_future(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            await self.down()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(RENEWED_EVERY)
            if self._since is not None:
                await self._ask()

    async def _ask(self) -> None:
        async with self._turn:
            try:
                spared = await self.guard.protect()
            except MediaWorkerError as error:
                if not self._alone:
                    log.warning("not_protected", error=str(error))
                self._alone = True
                return
            self._alone = False
            if spared:
                self._since = self.clock()
                self._had = True
            elif not self._had:
                log.info("waits_for_others_to_leave")
                self._waits = True
                return
            elif not self.refused.is_set():
                log.info("told_to_leave")
                self.refused.set()
