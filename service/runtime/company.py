"""Jobs side by side, but for one that has ended badly before: that one runs alone, so that it harms nobody again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Company:
    """The jobs of one worker; while `open` is not set, one of them is alone, or waits for the others to end."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    _present: int = field(default=0, init=False)
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _left: asyncio.Condition = field(default_factory=asyncio.Condition, init=False)

    def __post_init__(self) -> None:
        self.open.set()

    @asynccontextmanager
    async def joined(self, *, alone: bool) -> AsyncIterator[None]:
        """Work beside others, or alone."""
        if not alone:
            while not self.open.is_set():
                await self.open.wait()
            async with self._counted():
                yield
            return
        async with self._alone:
            self.open.clear()
            try:
                async with self._left:
                    await self._left.wait_for(lambda: self._present == 0)
                yield
            finally:
                self.open.set()

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self._present += 1
        try:
            yield
        finally:
            self._present -= 1
            async with self._left:
                self._left.notify_all()
