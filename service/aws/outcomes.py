"""Where final states are told: an SNS topic, an EventBridge bus or an SQS queue, by its ARN."""

from contextlib import AsyncExitStack
from typing import Any, Protocol

from service.aws.errors import translated
from service.core.outcome import Misconfigured, Unavailable

SERVICES = ("sns", "events", "sqs")


class Target(Protocol):
    """Whoever takes a message."""

    async def publish(self, body: str, *, idempotency_key: str) -> None:
        """Send one message."""


class Topic:
    """An SNS topic."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client, self._arn = client, arn

    async def publish(self, body: str, *, idempotency_key: str) -> None:
        """Send one message."""
        key = {"DataType": "String", "StringValue": _key(idempotency_key)}
        with translated("Publish"):
            await self._client.publish(TopicArn=self._arn, Message=body, MessageAttributes={"idempotency_key": key})


class Bus:
    """An EventBridge bus."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client, self._arn = client, arn

    async def publish(self, body: str, *, idempotency_key: str) -> None:  # noqa: ARG002 - the body carries it
        """Send one message.

        :raises Unavailable: when the bus did not take it.
        """
        entry = {"EventBusName": self._arn, "Source": "media-worker", "DetailType": "Media Outcome", "Detail": body}
        with translated("PutEvents"):
            answer = await self._client.put_events(Entries=[entry])
        if answer.get("FailedEntryCount"):
            raise Unavailable(f"PutEvents: {answer['Entries'][0].get('ErrorCode')}")


class OutcomeQueue:
    """An SQS queue."""

    def __init__(self, client: Any, url: str) -> None:
        self._client, self._url = client, url

    async def publish(self, body: str, *, idempotency_key: str) -> None:
        """Send one message."""
        key = {"DataType": "String", "StringValue": _key(idempotency_key)}
        with translated("SendMessage"):
            await self._client.send_message(
                QueueUrl=self._url, MessageBody=body, MessageAttributes={"idempotency_key": key}
            )


class Nobody:
    """No target is configured."""

    async def publish(self, body: str, *, idempotency_key: str) -> None:
        """Do nothing."""


async def connect(stack: AsyncExitStack, session: Any, arn: str | None, **client: Any) -> Target:
    """The target that `arn` names, its client closed with `stack`.

    :raises Misconfigured: for an ARN of another service.
    """
    if arn is None:
        return Nobody()
    service = (arn.split(":") + [""] * 6)[2]
    if service not in SERVICES:
        raise Misconfigured(f"MEDIA_OUTCOME_TARGET: {arn!r} is the ARN of no SNS topic, event bus or SQS queue")
    opened = await stack.enter_async_context(session.create_client(service, **client))
    match service:
        case "sns":
            return Topic(opened, arn)
        case "events":
            return Bus(opened, arn)
        case _:
            *_, account, name = arn.split(":")
            with translated("GetQueueUrl"):
                answer = await opened.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
            return OutcomeQueue(opened, answer["QueueUrl"])


def _key(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
