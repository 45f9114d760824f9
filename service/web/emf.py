"""The metrics of each minute on standard output, beside the log: CloudWatch reads them there, and no call is made."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog

from service import metrics
from service.core import emf
from service.core.emf import Series
from service.logs import log

MINUTE = 60.0


def write(text: str) -> None:
    """Print it whole: by the log's own lock, so that no line comes into another; whatever level is logged."""
    structlog.PrintLogger().msg(text)


@dataclass(kw_only=True)
class Emitter:
    """What was sent so far, and how the next minute goes out; `clock` in Unix seconds."""

    stage: str
    lane: str
    write: Callable[[str], None] = write
    read: Callable[[], tuple[Series, ...]] = metrics.snapshot
    clock: Callable[[], float] = time.time
    sent: tuple[Series, ...] = ()

    def emit(self, *, gauges: bool = True) -> None:
        """Send what came since the last time; what can't be written goes out with the next minute."""
        try:
            now = self.read()
            series = [one for one in emf.since(self.sent, now) if gauges or one.kind != "gauge"]
            lines = emf.lines(series, stage=self.stage, lane=self.lane, at=self.clock())
            if lines:
                self.write("\n".join(map(str, lines)))  # at once: a minute is sent, or it is not
            self.sent = now
        except Exception as error:
            with suppress(Exception):  # the log goes where this went
                log.warning("metrics_not_written", error=repr(error))


@asynccontextmanager
async def emitting(
    emitter: Emitter, *, every: float = MINUTE, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncIterator[None]:
    """Emit `every` so many seconds while the block runs, and at its end what came since; never raises.

    The end sends no gauges: a worker that is gone has no slots, and one that never began sends nothing at all.
    """

    async def keep_on() -> None:
        while True:
            await sleep(every)
            emitter.emit()

    task = asyncio.create_task(keep_on())
    try:
        yield
    finally:
        task.cancel()
        emitter.emit(gauges=False)
        await asyncio.gather(task, return_exceptions=True)
