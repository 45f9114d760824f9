"""Deletes that come at the same time go together, and each is told of its own ending."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from service.aws.sqs import Queue
from service.core.outcome import Throttled, Unavailable
from service.runtime.lease import Message


@dataclass(kw_only=True)
class FakeClient:
    """SQS, which deletes all but `failing`, by receipt: the code it says, or None if it says nothing of it."""

    failing: dict[str, str | None] = field(default_factory=dict)
    refuses: ClientError | None = None
    calls: list[list[str]] = field(default_factory=list)

    async def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803  # as AWS calls it
        await self._called([ReceiptHandle])

    async def delete_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803
        await self._called([one["ReceiptHandle"] for one in Entries])
        fine = [{"Id": one["Id"]} for one in Entries if one["ReceiptHandle"] not in self.failing]
        codes = [(one["Id"], self.failing.get(one["ReceiptHandle"])) for one in Entries]
        return {"Successful": fine, "Failed": [{"Id": n, "Code": code} for n, code in codes if code]}

    async def _called(self, receipts: list[str]) -> None:
        self.calls.append(receipts)
        await asyncio.sleep(0)
        if self.refuses:
            raise self.refuses


def message(receipt: object) -> Message:
    return Message(id="m", receipt=str(receipt), body="", receive_count=1, queue="q")


async def deleted(client: FakeClient, count: int) -> list[BaseException | None]:
    """What the deletes of so many messages raise, all at the same time."""
    queue = Queue(client, client, url="q", dead_letters=None, visibility=30, poll_seconds=1)  # type: ignore[arg-type]
    return await asyncio.gather(*(queue.delete(message(n)) for n in range(count)), return_exceptions=True)


async def test_deletes_that_come_together_go_by_the_ten() -> None:
    """Nothing waits for company: whatever is there when the wire is free goes."""
    client = FakeClient()
    assert [None] * 24 == await deleted(client, 24)
    assert [[str(n) for n in part] for part in (range(10), range(10, 20), range(20, 24))] == client.calls


async def test_a_delete_alone_goes_alone_and_at_once() -> None:
    """One after the other: a call each."""
    client = FakeClient()
    queue = Queue(client, client, url="q", dead_letters=None, visibility=30, poll_seconds=1)  # type: ignore[arg-type]
    await queue.delete(message("a"))
    await queue.delete(message("b"))
    assert [["a"], ["b"]] == client.calls


async def test_each_is_confirmed_by_itself() -> None:
    """A stale receipt is no error, another failure is, and so is silence; the others are deleted."""
    client = FakeClient(failing={"1": "ReceiptHandleIsInvalid", "2": "InternalError", "3": None})
    found = await deleted(client, 5)
    assert [None, None, Unavailable, Unavailable, None] == [type(one) if one else None for one in found]


async def test_a_call_that_fails_fails_for_all_that_were_in_it() -> None:
    """And not for those that come later."""
    refusal = ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "DeleteMessageBatch")
    client = FakeClient(refuses=refusal)
    assert [Throttled] * 3 == [type(one) for one in await deleted(client, 3)]
    client.refuses = None
    assert [None] * 3 == await deleted(client, 3)


async def test_who_stops_waiting_stops_nobody_else() -> None:
    """A cancelled delete is made all the same."""
    client = FakeClient()
    queue = Queue(client, client, url="q", dead_letters=None, visibility=30, poll_seconds=1)  # type: ignore[arg-type]
    one, other = (asyncio.ensure_future(queue.delete(message(n))) for n in "ab")
    await asyncio.sleep(0)
    one.cancel()
    await other
    with pytest.raises(asyncio.CancelledError):
        await one
    assert [["a", "b"]] == client.calls
