"""How far a job is: told to the page, the log and a progress bar, but never waited for."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import NoReturn

from service.core import manifest
from service.core.outcome import Conflict, Transient
from service.logs import log
from service.runtime.page import Page

#: A job that is done by then never writes `processing`: two writes less for every picture.
_FIRST_AFTER = 2.0
_THEN_EVERY = 10.0


@dataclass(kw_only=True)
class Progress:
    """Percent of the work, from 0 to 100."""

    on_change: Callable[[int], None] = lambda _percent: None
    percent: int = 0

    def at(self, share: float) -> None:
        """`share` of the work, 0 to 1, is done; it never goes back."""
        percent = min(100, int(share * 100))
        if percent > self.percent:
            self.percent = percent
            self.on_change(percent)

    def part(self, number: int, of: int) -> Callable[[float], None]:
        """What the part `number` (from 0) of so many equal ones tells its own share to."""
        return lambda share: self.at((number + min(1.0, share)) / of)


async def announce(page: Page, source: manifest.Source, progress: Progress) -> NoReturn:
    """Keep the page manifest's `percent` up to date for as long as the job runs.

    Two workers may be at one version, after a duplicate event: each tells, and neither stops the other for it.

    :raises Conflict: when the manifest tells of another version, or of a final state: the job has to reconcile.
    """
    started, told = datetime.now(UTC), -1
    await asyncio.sleep(_FIRST_AFTER)
    while True:
        if progress.percent != told:
            told = progress.percent
            now = datetime.now(UTC)
            following = partial(manifest.processing, source=source, percent=told, started_at=started, now=now)
            try:
                await _tell(page, source, following)
            except Transient as error:
                log.warning("progress_not_told", error=repr(error))
            log.info("progress", percent=told)
        await asyncio.sleep(_THEN_EVERY)


async def _tell(
    page: Page, source: manifest.Source, following: Callable[[manifest.Manifest | None], manifest.Manifest]
) -> None:
    try:
        await page.write(following)
    except Conflict:
        await page.refresh()
        if not page.is_worked_on(source):
            raise


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def seconds(self) -> float:
        """Rounded to milliseconds."""
        return round(time.monotonic() - self._began, 3)
