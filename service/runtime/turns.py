"""Two queues in turn: the second is looked at while the first is empty, for SQS knows no priorities."""

from dataclasses import dataclass, field
from typing import Protocol

from service.runtime.lease import Message
from service.runtime.worker import Queue

SHORT_POLL = 1  # second; not 0: that asks some of SQS's servers only, and may miss what is there (ReceiveMessage)
_GLANCE = 0  # of the first queue, while the second one is busy: what is missed is seen before the next job but a few


class Patient(Queue, Protocol):
    """A queue that says what it is called in its messages, and can be asked to wait less than usual."""

    url: str

    async def receive(self, most: int, *, wait: int | None = None) -> list[Message]:
        """Up to `most` messages; waits for the first `wait` seconds, or as long as a long poll does."""


@dataclass(kw_only=True)
class InTurn:
    """`then` is polled whenever `first` has nothing, and shortly: what comes to `first` waits for no more than that.

    New messages (splits, looks at captions) go to `first`: they are small.
    """

    first: Patient
    then: Patient
    _busy: bool = field(default=False, init=False)  #: whether `then` had something last time

    async def receive(self, most: int) -> list[Message]:
        """Up to `most` messages of one of them."""
        found = await self.first.receive(most, wait=_GLANCE if self._busy else None)
        if found:
            return found
        found = await self.then.receive(most, wait=SHORT_POLL)
        self._busy = bool(found)
        return found

    async def send(self, bodies: list[str], *, delay: int = 0) -> None:
        """Put new messages into `first`."""
        await self.first.send(bodies, delay=delay)

    async def extend(self, message: Message, seconds: int) -> None:
        """Hide the message for `seconds` from now."""
        await self._of(message).extend(message, seconds)

    async def delete(self, message: Message) -> None:
        """Acknowledge."""
        await self._of(message).delete(message)

    async def release(self, message: Message, after: int) -> None:
        """Let it be seen again after `after` seconds."""
        await self._of(message).release(message, after)

    async def bury(self, message: Message, body: str, *, reason: str, detail: str) -> bool:
        """Copy to the dead-letter queue of the queue that it came from."""
        return await self._of(message).bury(message, body, reason=reason, detail=detail)

    def _of(self, message: Message) -> Patient:
        return self.then if message.queue == self.then.url else self.first
