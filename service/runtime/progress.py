"""How far a job is: told to the page, the log and a progress bar, but never waited for."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from math import ceil
from typing import NoReturn

from service.core import manifest
from service.core.outcome import Conflict, Transient
from service.logs import log
from service.runtime.page import Page

#: A job that is done by then never writes `processing`: two writes less for every picture.
_FIRST_AFTER = 2.0
_THEN_EVERY = 10.0


#: By what was done in so many seconds the rest is estimated: soon after a change of pace, and yet without jumps.
_WINDOW = 60.0
_EVIDENCE = 2.0  # seconds, before which there is no estimate
_LEAST_APART = 0.5  # seconds between two moments that are kept; ffmpeg tells of its progress twice a second


@dataclass(kw_only=True)
class Progress:
    """Percent of the work, from 0 to 100, and how long the rest may take; `clock` gives seconds."""

    on_change: Callable[[int], None] = lambda _percent: None
    percent: int = 0
    clock: Callable[[], float] = time.monotonic
    _share: float = field(default=0.0, init=False)
    _moments: deque[tuple[float, float]] = field(default_factory=deque, init=False)  # when which share was done

    def __post_init__(self) -> None:
        self._moments.append((self.clock(), 0.0))

    def at(self, share: float) -> None:
        """`share` of the work, 0 to 1, is done; it never goes back."""
        if share > self._share:
            self._share = min(1.0, share)
            self._remember(self.clock())
        percent = min(100, int(share * 100))
        if percent > self.percent:
            self.percent = percent
            self.on_change(percent)

    def _remember(self, now: float) -> None:
        """All but the first one of the window is kept: it is what the pace is reckoned from."""
        while len(self._moments) > 1 and self._moments[1][0] <= now - _WINDOW:
            self._moments.popleft()
        if now - self._moments[-1][0] >= _LEAST_APART:
            self._moments.append((now, self._share))

    @property
    def eta_seconds(self) -> int | None:
        """How long the rest takes at the pace of the last minute; None as long as that can't be said.

        What stands still takes longer the longer it does.
        """
        began, before = self._moments[0]
        elapsed, done = self.clock() - began, self._share - before
        if elapsed < _EVIDENCE or done <= 0:
            return None
        return ceil((1 - self._share) * elapsed / done)

    def between(self, begin: float, end: float) -> Callable[[float], None]:
        """What a part that goes from the share `begin` to `end` tells its own share to."""
        return lambda share: self.at(begin + (end - begin) * min(1.0, share))


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
            following = partial(
                manifest.processing,
                source=source,
                percent=told,
                eta_seconds=progress.eta_seconds,
                started_at=started,
                now=now,
            )
            try:
                await _tell(page, source, following)
            except Transient as error:
                log.warning("progress_not_told", error=repr(error))
            log.info("progress", percent=told, eta_seconds=progress.eta_seconds)
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
