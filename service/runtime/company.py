"""Jobs side by side, but for one that has ended badly before: that one runs alone, so that it harms nobody again."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

PATIENCE = 60.0  #: seconds that the others have to end; who is not alone then works beside them all the same
ALONE = 600.0  #: seconds: who has not killed the worker by then is no killer, and the others may come in


@dataclass(kw_only=True)
class Company:
    """The jobs of one worker; while `open` is not set, one of them is alone, or waits to be: nothing is received."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    _present: int = field(default=0, init=False)
    _empty: asyncio.Event = field(default_factory=asyncio.Event, init=False)  #: nobody is present

    def __post_init__(self) -> None:
        self.open.set()
        self._empty.set()

    @asynccontextmanager
    async def joined(self, *, alone: bool) -> AsyncIterator[None]:
        """Work beside others; or alone, if they end soon enough."""
        while not self.open.is_set():
            await self.open.wait()
        if not alone:
            with self._counted():
                yield
            return
        self.open.clear()
        reopening = asyncio.get_running_loop().call_later(ALONE, self.open.set)
        try:
            if not await self._emptied():
                self.open.set()
            with self._counted():
                yield
        finally:
            reopening.cancel()
            self.open.set()

    async def _emptied(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._present += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._present -= 1
            if not self._present:
                self._empty.set()
