"""SQS: receive, extend, delete, release, and the dead-letter queue."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from service.aws.errors import translated
from service.core.outcome import LeaseLost, Unavailable
from service.runtime.lease import Message

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

#: What a stale receipt is called: by the model, by the older query protocol, and in the wild (boto3 issue 2898).
_STALE = dict.fromkeys(
    ("MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValue", "InvalidIdFormat"), LeaseLost
)
_BATCH = 10  # messages a call
_MAX_SENT = 256 << 10  # bytes of bodies in one SendMessageBatch, which every region takes; a letter alone may have more
_MAX_ATTRIBUTE = 1000  # characters of a dead letter's detail: a line for a person


class Queue:
    """One queue; `polling` and `control` are clients of their own, so that a long poll delays no heartbeat."""

    def __init__(
        self,
        polling: "SQSClient",
        control: "SQSClient",
        *,
        url: str,
        dead_letters: str | None,
        visibility: int,
        poll_seconds: int,
    ) -> None:
        self._polling = polling
        self._control = control
        self.url = url
        self._dead_letters = dead_letters
        self._visibility = visibility
        self._poll_seconds = poll_seconds
        self._leaving: list[tuple[Message, asyncio.Future[None]]] = []
        self._deleting: asyncio.Task[None] | None = None

    async def receive(self, most: int, *, wait: int | None = None) -> list[Message]:
        """Up to `most` messages, 10 at the most; waits for the first `wait` seconds, or as long as a long poll does."""
        with translated("ReceiveMessage"):
            answer = await self._polling.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=most,
                WaitTimeSeconds=self._poll_seconds if wait is None else wait,
                VisibilityTimeout=self._visibility,
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        return [_message(found, self.url) for found in answer.get("Messages", [])]

    async def extend(self, message: Message, seconds: int) -> None:
        """Hide the message for `seconds` from now.

        :raises LeaseLost: when the receipt is no longer good.
        """
        with translated("ChangeMessageVisibility", _STALE):
            await self._control.change_message_visibility(
                QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
            )

    async def release(self, message: Message, after: int) -> None:
        """Let it be seen again after `after` seconds; one that is not ours any more will be anyhow."""
        try:
            await self.extend(message, after)
        except LeaseLost:
            return

    async def delete(self, message: Message) -> None:
        """Acknowledge; one that is not ours any more comes back, and finds everything done.

        The first goes at once; those that come while a call is on its way go together with the next one.
        """
        deleted = asyncio.get_running_loop().create_future()
        self._leaving.append((message, deleted))
        if self._deleting is None:
            self._deleting = asyncio.ensure_future(self._delete_all())
        await deleted

    async def _delete_all(self) -> None:
        """Each message is told of its own ending."""
        try:
            while self._leaving:
                some, self._leaving = self._leaving[:_BATCH], self._leaving[_BATCH:]
                endings = await self._deleted([message for message, _ in some])
                for (_, deleted), error in zip(some, endings, strict=True):
                    _settle(deleted, error)
        finally:
            self._deleting = None

    async def _deleted(self, messages: Sequence[Message]) -> list[Exception | None]:
        """What went wrong with each; a receipt that is no longer good is nothing wrong."""
        try:
            if len(messages) > 1:
                return await self._deleted_together(messages)
            with translated("DeleteMessage", _STALE):
                await self._control.delete_message(QueueUrl=self.url, ReceiptHandle=messages[0].receipt)
        except LeaseLost:
            return [None]
        except Exception as error:
            return [error] * len(messages)
        return [None]

    async def _deleted_together(self, messages: Sequence[Message]) -> list[Exception | None]:
        entries: Any = [{"Id": str(n), "ReceiptHandle": one.receipt} for n, one in enumerate(messages)]
        with translated("DeleteMessageBatch"):
            answer = await self._control.delete_message_batch(QueueUrl=self.url, Entries=entries)
        done = {one["Id"] for one in answer.get("Successful", [])}
        failed = {one["Id"]: one.get("Code") for one in answer.get("Failed", [])}
        return [None if str(n) in done else _undeleted(failed.get(str(n))) for n in range(len(messages))]

    async def send(self, bodies: list[str], *, delay: int = 0) -> None:
        """Put new messages into the same queue, to be seen after `delay` seconds, 900 at most.

        :raises Unavailable: when SQS did not take all of them; those that it took come twice then.
        """
        for at in range(0, len(bodies), 10):
            some = enumerate(bodies[at : at + 10])
            entries: list[Any] = [{"Id": str(n), "MessageBody": body, "DelaySeconds": delay} for n, body in some]
            with translated("SendMessageBatch"):
                answer = await self._control.send_message_batch(QueueUrl=self.url, Entries=entries)
            if answer.get("Failed"):
                raise Unavailable(f"SendMessageBatch: {len(answer['Failed'])} messages were refused")

    async def bury(self, message: Message, body: str, *, reason: str, detail: str) -> bool:
        """Copy to the dead-letter queue, with this body and why; False where there is none."""
        if self._dead_letters is None:
            return False
        told = {"reason": reason, "detail": detail, "message_id": message.id}
        attributes: Any = {
            name: {"DataType": "String", "StringValue": _printable(value)} for name, value in told.items() if value
        }
        with translated("SendMessage"):
            await self._control.send_message(
                QueueUrl=self._dead_letters, MessageBody=body, MessageAttributes=attributes
            )
        return True


def _settle(deleted: "asyncio.Future[None]", error: Exception | None) -> None:
    if deleted.done():  # whoever waited was cancelled
        return
    if error:
        deleted.set_exception(error)
    else:
        deleted.set_result(None)


def _undeleted(code: str | None) -> Exception | None:
    """What is wrong with a message of a batch that was not deleted; `code` is None where nothing was said of it."""
    return None if code in _STALE else Unavailable(f"DeleteMessageBatch: {code or 'no answer for this message'}")


async def dead_letters_of(client: "SQSClient", url: str) -> str | None:
    """The URL of the queue that the redrive policy of `url` names, or None."""
    with translated("GetQueueAttributes"):
        answer = await client.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        policy = json.loads(answer.get("Attributes", {}).get("RedrivePolicy", "{}"))
        if not (arn := policy.get("deadLetterTargetArn")):
            return None
        *_, account, name = arn.split(":")
        return (await client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account))["QueueUrl"]


def _message(found: Any, url: str) -> Message:
    return Message(
        id=found["MessageId"],
        receipt=found["ReceiptHandle"],
        body=found["Body"],
        receive_count=int(found.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
        queue=url,
    )


def _printable(text: str) -> str:
    """What SQS accepts in an attribute: no control characters, and not nothing."""
    return "".join(c if c.isprintable() else "?" for c in text)[:_MAX_ATTRIBUTE]


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One receive of a dead letter. `reason` is None where SQS moved it itself, from the queue of the ARN `origin`."""

    id: str
    receipt: str
    body: str
    reason: str | None
    detail: str
    sent_at: datetime
    origin: str | None


class DeadLetters:
    """A dead-letter queue, as an operator looks through it."""

    def __init__(self, client: "SQSClient", *, url: str) -> None:
        self._client = client
        self.url = url

    async def count(self) -> int:
        """About how many letters there are, those that somebody looks at included; it lags by up to a minute."""
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        with translated("GetQueueAttributes"):
            answer = await self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    async def receive(self, *, visibility: int) -> list[Letter]:
        """Up to ten letters that nobody looks at, hidden for so many seconds; in no order, and some perhaps again."""
        with translated("ReceiveMessage"):
            answer = await self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=_BATCH,
                WaitTimeSeconds=1,  # 0 would ask some of SQS's servers only
                VisibilityTimeout=visibility,
                MessageSystemAttributeNames=["SentTimestamp", "DeadLetterQueueSourceArn"],
                MessageAttributeNames=["reason", "detail"],
            )
        return [_letter(found) for found in answer.get("Messages", [])]

    async def release(self, receipts: Sequence[str]) -> None:
        """Let up to ten be seen again at once; those that fail will be when their time is over."""
        entries: Any = [{"Id": str(n), "ReceiptHandle": one, "VisibilityTimeout": 0} for n, one in enumerate(receipts)]
        with translated("ChangeMessageVisibilityBatch"):
            await self._client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)

    async def delete(self, letters: Sequence[Letter]) -> list[Letter]:
        """Delete up to ten for good; those that were."""
        entries: Any = [{"Id": str(n), "ReceiptHandle": one.receipt} for n, one in enumerate(letters)]
        with translated("DeleteMessageBatch"):
            answer = await self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)
        return [letters[int(done["Id"])] for done in answer.get("Successful", [])]


async def send_back(client: "SQSClient", url: str, letters: Sequence[Letter]) -> list[Letter]:
    """Send up to ten letters to a queue, as they are but for their attributes; those that it has confirmed."""
    confirmed: list[Letter] = []
    for some in _fitting(letters):
        entries: Any = [{"Id": str(n), "MessageBody": one.body} for n, one in enumerate(some)]
        with translated("SendMessageBatch"):
            answer = await client.send_message_batch(QueueUrl=url, Entries=entries)
        confirmed += [some[int(done["Id"])] for done in answer.get("Successful", [])]
    return confirmed


def _fitting(letters: Sequence[Letter]) -> Iterator[list[Letter]]:
    """Parts that one call may send."""
    part: list[Letter] = []
    size = 0
    for letter in letters:
        bytes_ = len(letter.body.encode("utf-8", "surrogatepass"))
        if part and size + bytes_ > _MAX_SENT:
            yield part
            part, size = [], 0
        part.append(letter)
        size += bytes_
    if part:
        yield part


def _letter(found: Any) -> Letter:
    system, told = found.get("Attributes", {}), found.get("MessageAttributes", {})
    return Letter(
        id=found["MessageId"],
        receipt=found["ReceiptHandle"],
        body=found["Body"],
        reason=told.get("reason", {}).get("StringValue"),
        detail=told.get("detail", {}).get("StringValue", ""),
        sent_at=datetime.fromtimestamp(int(system["SentTimestamp"]) / 1000, UTC),
        origin=system.get("DeadLetterQueueSourceArn"),
    )
