"""Letters that are looked through: hidden from others for a while, each seen once, released at the end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from service.aws.sqs import Letter
from service.runtime.beside import together

_BATCH = 10  # letters a call of SQS
_CALLS = 8  # at once: 100,000 letters take some minutes
_DRY = 3  # receives in a row that bring nothing new: there is nothing new, or somebody else looks at it
_MOST = 100_000  # letters seen at once, whose ids and receipts take some 60 MB; SQS hides 120,000 of a queue
_LEAST_SECONDS, _LETTERS_A_SECOND = 60, 50  # that letters stay hidden: well above what a look takes


class Letters(Protocol):
    """A dead-letter queue."""

    async def count(self) -> int:
        """About how many letters there are, those that somebody looks at included."""

    async def receive(self, *, visibility: int) -> list[Letter]:
        """Up to ten letters that nobody looks at, hidden for so many seconds; some perhaps again."""

    async def release(self, receipts: Sequence[str]) -> None:
        """Let up to ten be seen again at once."""

    async def delete(self, letters: Sequence[Letter]) -> list[Letter]:
        """Delete up to ten for good; those that were."""


@dataclass(kw_only=True)
class Hold:
    """Letters that are hidden from others while they are looked at; each is given once."""

    letters: Letters
    seconds: int
    _seen: set[str] = field(default_factory=set)
    _receipts: dict[str, str] = field(default_factory=dict)
    _calls: list[asyncio.Task[list[Letter]]] = field(default_factory=list)
    _wide: int = 1

    async def rounds(self, count: int) -> AsyncIterator[list[Letter]]:
        """New letters, as long as there are any; `count` is how many are expected."""
        dry = 0
        while dry < (_DRY if len(self._seen) < count else 1) and len(self._seen) < _MOST:
            new = await self._round()
            dry = 0 if new else dry + 1
            yield new

    async def _round(self) -> list[Letter]:
        """An interrupt cancels none of the calls: what they bring has to be released."""
        self._calls = [asyncio.ensure_future(self._receive()) for _ in range(self._wide)]
        await asyncio.wait(self._calls)
        brought = [call.result() for call in self._calls]
        self._wide = min(_CALLS, self._wide * 2) if all(len(one) == _BATCH for one in brought) else 1
        found = {letter.id: letter for letters in brought for letter in letters}
        new = [letter for letter in found.values() if letter.id not in self._seen]
        self._seen |= set(found)
        return new

    async def _receive(self) -> list[Letter]:
        found = await self.letters.receive(visibility=self.seconds)
        self._receipts |= {letter.id: letter.receipt for letter in found}
        return found

    def forget(self, letters: Collection[Letter]) -> None:
        """These are gone."""
        for letter in letters:
            self._receipts.pop(letter.id, None)

    async def release(self) -> None:
        """Let others see what is still there."""
        await asyncio.gather(*self._calls, return_exceptions=True)
        await each(self.letters.release, tuple(self._receipts.values()))


@asynccontextmanager
async def holding(letters: Letters, count: int) -> AsyncIterator[Hold]:
    """About `count` letters, hidden for long enough to look through them all; released at the end, also by Ctrl-C."""
    hold = Hold(letters=letters, seconds=_LEAST_SECONDS + count // _LETTERS_A_SECOND)
    try:
        yield hold
    finally:
        await hold.release()


async def each(call: Callable[[Sequence[Any]], Awaitable[Any]], values: Sequence[Any]) -> list[Any]:
    """What each call gives, of ten values each, a few at once."""
    room, given = asyncio.Semaphore(_CALLS), []

    async def one(some: Sequence[Any]) -> None:
        async with room:
            given.append(await call(some))

    await together(one(values[at : at + _BATCH]) for at in range(0, len(values), _BATCH))
    return given
