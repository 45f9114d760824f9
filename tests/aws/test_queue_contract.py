"""What the worker relies on of a queue: the fake and SQS keep the same promises. Seconds are real ones with SQS."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

import pytest

from scripts.resources import Resources, client
from service.aws import sqs
from service.core.outcome import LeaseLost, Misconfigured
from service.runtime import worker
from service.runtime.lease import Message
from tests.fakes import Clock, FakeQueue

M1 = Message(id="m-1", receipt="", body="", receive_count=1, queue="")
VISIBILITY = 2  # seconds: long enough for a slow machine to call in between


@dataclass(frozen=True, kw_only=True)
class Queues:
    """The URLs of a queue and of its dead letters."""

    url: str
    dead_letters: str


class Bench(Protocol):
    """A queue, and what a test does to it from outside."""

    queue: worker.Queue

    async def pass_time(self, seconds: float) -> None:
        """So many seconds later."""

    async def buried(self) -> list[dict[str, str]]:
        """Every dead letter: body, reason, detail and message id."""


@dataclass(kw_only=True)
class Fake:
    """In memory."""

    queue: FakeQueue
    clock: Clock

    async def pass_time(self, seconds: float) -> None:
        """So many seconds later."""
        self.clock.now += seconds

    async def buried(self) -> list[dict[str, str]]:
        """Every dead letter."""
        return [vars(dead) for dead in self.queue.dead or ()]


@dataclass(kw_only=True)
class Real:
    """On LocalStack."""

    queue: sqs.Queue
    client: Any
    dead_letters: str
    _seen: list[dict[str, str]] = field(default_factory=list)

    async def pass_time(self, seconds: float) -> None:
        """So many seconds later."""
        await asyncio.sleep(seconds)

    async def buried(self) -> list[dict[str, str]]:
        """Every dead letter."""
        answer = await self.client.receive_message(
            QueueUrl=self.dead_letters, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        for found in answer.get("Messages", []):
            told = {name: one["StringValue"] for name, one in found["MessageAttributes"].items()}
            self._seen.append({"body": found["Body"], **told})
        return self._seen


def real(sqs_client: Any, own: Queues, *, dead_letters: bool = True, poll_seconds: int = 1) -> Real:
    """SQS, as the worker uses it."""
    queue = sqs.Queue(
        sqs_client,
        sqs_client,
        url=own.url,
        dead_letters=own.dead_letters if dead_letters else None,
        visibility=VISIBILITY,
        poll_seconds=poll_seconds,
    )
    return Real(queue=queue, client=sqs_client, dead_letters=own.dead_letters)


@pytest.fixture(name="own")
def _own(localstack: str) -> Iterator[Queues]:
    """Queues that no other test has, and that no bucket sends its greeting to."""
    made, name = client("sqs", localstack), uuid4().hex
    dead_letters = made.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    yield Queues(url=made.create_queue(QueueName=name)["QueueUrl"], dead_letters=dead_letters)
    made.close()


@pytest.fixture(name="bench", params=["fake", "sqs"])
def _bench(request: pytest.FixtureRequest) -> Bench:
    if request.param == "sqs":
        return real(request.getfixturevalue("sqs_client"), request.getfixturevalue("own"))
    clock = Clock()
    return Fake(queue=FakeQueue(clock=clock, visibility=VISIBILITY, poll_seconds=0.001), clock=clock)


async def received(bench: Bench, most: int = 10) -> list[Message]:
    """What is visible, in one receive."""
    return await bench.queue.receive(most)


async def one(bench: Bench) -> Message:
    """The only message that is visible."""
    (message,) = await received(bench)
    return message


async def test_an_empty_queue_gives_nothing(bench: Bench) -> None:
    """When the poll is over."""
    assert [] == await received(bench)


async def test_a_poll_waits_for_the_first_message(sqs_client: Any, own: Queues) -> None:
    """It returns with it long before the poll would be over; and delays no other call of the worker's."""
    bench = real(sqs_client, own, poll_seconds=20)
    polling = asyncio.ensure_future(one(bench))
    await asyncio.sleep(0.2)
    assert not polling.done()
    await bench.queue.send(["a"])
    assert "a" == (await asyncio.wait_for(polling, 15)).body


async def test_messages_come_as_they_were_sent(bench: Bench) -> None:
    """More than ten at once too; each with a receipt of its own, and for the first time."""
    bodies = [f'{{"number": {number}, "ü": "\\\\n"}}' for number in range(12)]
    await bench.queue.send(bodies)
    found: list[Message] = []
    while more := await received(bench):
        assert len(more) <= 10
        found += more
    assert sorted(bodies) == sorted(message.body for message in found)
    assert {1} == {message.receive_count for message in found}
    assert 12 == len({message.id for message in found}) == len({message.receipt for message in found})


async def test_a_received_message_is_hidden_until_its_visibility_runs_out(bench: Bench) -> None:
    """Then it comes again: the same message, another receipt, counted."""
    await bench.queue.send(["a"])
    first = await one(bench)
    assert [] == await received(bench)
    await bench.pass_time(VISIBILITY + 0.2)
    second = await one(bench)
    assert (first.id, 2) == (second.id, second.receive_count)
    assert first.receipt != second.receipt


async def test_an_extended_message_stays_hidden(bench: Bench) -> None:
    """The seconds count from the call."""
    await bench.queue.send(["a"])
    message = await one(bench)
    await bench.queue.extend(message, 60)
    await bench.pass_time(VISIBILITY + 0.2)
    assert [] == await received(bench)


async def test_a_released_message_is_there_at_once(bench: Bench) -> None:
    """Or after the seconds that it was released for."""
    await bench.queue.send(["a"])
    await bench.queue.release(await one(bench), 0)
    message = await one(bench)
    assert 2 == message.receive_count
    await bench.queue.release(message, 60)
    await bench.pass_time(VISIBILITY + 0.2)
    assert [] == await received(bench)


async def test_a_deleted_message_never_comes_again(bench: Bench) -> None:
    """Deleting it twice is no error."""
    await bench.queue.send(["a"])
    message = await one(bench)
    await bench.queue.delete(message)
    await bench.queue.delete(message)
    await bench.pass_time(VISIBILITY)
    assert [] == await received(bench)


async def test_the_lease_of_a_deleted_message_cannot_be_extended(bench: Bench) -> None:
    """To release it is no error, and has no effect."""
    await bench.queue.send(["a"])
    message = await one(bench)
    await bench.queue.delete(message)
    with pytest.raises(LeaseLost):
        await bench.queue.extend(message, 60)
    await bench.queue.release(message, 0)
    assert [] == await received(bench)


async def test_what_is_no_receipt_extends_nothing(sqs_client: Any, own: Queues) -> None:
    """Nor does it release or delete."""
    bench = real(sqs_client, own)
    message = Message(id="m", receipt="no receipt", body="", receive_count=1, queue=own.url)
    with pytest.raises(LeaseLost):
        await bench.queue.extend(message, 60)
    await bench.queue.release(message, 60)
    await bench.queue.delete(message)


async def test_an_expired_lease_cannot_be_extended() -> None:
    """Of the fake alone: LocalStack extends what is visible again, where SQS says MessageNotInflight."""
    clock = Clock()
    bench = Fake(queue=FakeQueue(clock=clock, visibility=VISIBILITY, poll_seconds=0.001), clock=clock)
    await bench.queue.send(["a"])
    message = await one(bench)
    await bench.pass_time(VISIBILITY)
    with pytest.raises(LeaseLost):
        await bench.queue.extend(message, 60)
    await bench.queue.release(message, 60)
    assert message.id == (await one(bench)).id


async def test_a_stale_receipt_has_no_power_over_the_next_lease() -> None:
    """Of the fake alone: LocalStack keeps old receipts good, and of SQS nobody promises either."""
    clock = Clock()
    bench = Fake(queue=FakeQueue(clock=clock, visibility=VISIBILITY, poll_seconds=0.001), clock=clock)
    await bench.queue.send(["a"])
    first = await one(bench)
    await bench.pass_time(VISIBILITY)
    second = await one(bench)
    with pytest.raises(LeaseLost):
        await bench.queue.extend(first, 60)
    await bench.queue.delete(first)
    await bench.queue.release(first, 0)
    await bench.queue.extend(second, 60)
    assert [] == await received(bench)


async def test_a_buried_message_says_why(bench: Bench) -> None:
    """Body, reason, detail and the message's id go to the dead letters."""
    assert await bench.queue.bury(M1, "the body", reason="poison", detail="it is not JSON")
    expected = {"body": "the body", "reason": "poison", "detail": "it is not JSON", "message_id": "m-1"}
    assert [expected] == await bench.buried()


async def test_without_dead_letters_nothing_is_buried(sqs_client: Any, own: Queues) -> None:
    """The worker is told so."""
    bench = real(sqs_client, own, dead_letters=False)
    assert not await bench.queue.bury(M1, "the body", reason="poison", detail="")
    assert [] == await bench.buried()


@pytest.mark.parametrize(
    ("detail", "expected"),
    [("line\nbreak \x00 \ud800", "line?break ? ?"), ("ü" * 5000, "ü" * 1000)],
    ids=["control characters", "long"],
)
async def test_sqs_takes_any_detail(detail: str, expected: str, sqs_client: Any, own: Queues) -> None:
    """What it does not accept in an attribute is replaced, and what is too long is cut."""
    bench = real(sqs_client, own)
    await bench.queue.bury(M1, "the body", reason="poison", detail=detail)
    assert [expected] == [dead["detail"] for dead in await bench.buried()]


async def test_sqs_takes_no_detail(sqs_client: Any, own: Queues) -> None:
    """An attribute must not be empty: it is left out."""
    bench = real(sqs_client, own)
    await bench.queue.bury(M1, "the body", reason="poison", detail="")
    assert [{"body": "the body", "reason": "poison", "message_id": "m-1"}] == await bench.buried()


@pytest.mark.parametrize("call", ["receive", "extend", "send", "bury"])
async def test_a_queue_that_is_not_there_is_a_wrong_setting(call: str, sqs_client: Any, own: Queues) -> None:
    """Not a failure that passes: an operator has to look."""
    url = f"{own.url}-that-is-not-there"
    queue = sqs.Queue(sqs_client, sqs_client, url=url, dead_letters=url, visibility=30, poll_seconds=1)
    message = Message(id="m", receipt="r", body="", receive_count=1, queue=url)
    calls = {
        "receive": lambda: queue.receive(1),
        "extend": lambda: queue.extend(message, 30),
        "send": lambda: queue.send(["a"]),
        "bury": lambda: queue.bury(message, "a", reason="poison", detail=""),
    }
    with pytest.raises(Misconfigured):
        await calls[call]()


async def test_the_dead_letters_are_those_of_the_redrive_policy(sqs_client: Any, shared: Resources) -> None:
    """And None where a queue has no such policy."""
    assert shared.dead_letters.url == await sqs.dead_letters_of(sqs_client, shared.intake.url)
    assert None is await sqs.dead_letters_of(sqs_client, shared.outcomes.url)
