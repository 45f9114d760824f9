"""The loop: slots, splitting, settling, stopping and draining. No second really passes."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from service.core import job as jobs
from service.core.job import Input, Job
from service.core.outcome import Elsewhere, Misconfigured, Reason, Rejected, Superseded, Throttled, Unavailable
from service.runtime.lease import Message
from service.runtime.room import Room
from service.runtime.worker import Pulse, Terms, Worker
from tests.fakes import Dead, FakePipeline, FakeQueue, Letter
from tests.runtime.instant import instantly, now

BUCKET = "uploads"


class Highest(Random):
    """Jitter that is none: always the longest pause."""

    def random(self) -> float:
        """As near to one as it comes."""
        return 1.0

    def randint(self, a: int, b: int) -> int:
        """The upper end."""
        return b


@dataclass(kw_only=True)
class Bench:
    """A worker over a queue whose time is that of the loop."""

    slots: int = 3
    drain_seconds: int = 100
    queue: FakeQueue = field(default_factory=lambda: FakeQueue(clock=now, visibility=30, poll_seconds=1))
    heavy: FakeQueue = field(default_factory=lambda: FakeQueue(clock=now, url="heavy"))
    pipeline: FakePipeline = field(default_factory=FakePipeline)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    busiest: int = 0

    def __post_init__(self) -> None:
        terms = Terms(
            inputs=(Input(bucket=BUCKET, prefix=""),),
            output_bucket="published",
            slots=self.slots,
            visibility=30,
            drain_seconds=self.drain_seconds,
        )
        pulse = Pulse(slots=self.slots, clock=now)
        self.worker = Worker(
            queue=self.queue, heavy=self.heavy, pipeline=self.pipeline, terms=terms, pulse=pulse, jitter=Highest()
        )
        self.queue.wire.before = self._count

    async def _count(self, _call: str) -> None:
        self.busiest = max(self.busiest, self.worker.pulse.busy)

    async def run(self, seconds: float) -> None:
        """Work for so long, and drain."""
        asyncio.get_running_loop().call_later(seconds, self.stop.set)
        await self.worker.run(self.stop)

    def put(self, *keys: str) -> None:
        """Uploads are notified."""
        for key in keys:
            self.queue.put(envelope(key))

    @property
    def letter(self) -> Letter:
        """The one message that is left."""
        (left,) = self.queue.letters.values()
        return left

    def letter_of(self, key: str) -> Letter:
        """The message about a key."""
        (found,) = [letter for letter in self.queue.letters.values() if f'"{key}"' in letter.body]
        return found

    @property
    def settled(self) -> list[str]:
        """How messages were settled, in order."""
        return [call for call in self.queue.wire.calls if call.split()[0] in {"delete", "release", "bury"}]


def envelope(key: str, type_: str = "process") -> str:
    """A message of the service itself."""
    return json.dumps({"media_worker": 1, "type": type_, "source": {"bucket": BUCKET, "key": key}})


def notification(*keys: str, bucket: str = BUCKET) -> str:
    """What S3 sends."""
    records = [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": bucket}, "object": {"key": key}},
        }
        for key in keys
    ]
    return json.dumps({"Records": records})


def lasting(seconds: float) -> Callable[[Job], Awaitable[None]]:
    """Work of so many seconds."""

    async def work(_job: Job) -> None:
        await asyncio.sleep(seconds)

    return work


def failing(error: BaseException) -> Callable[[Job], Awaitable[None]]:
    """Work that fails."""

    async def work(_job: Job) -> None:
        raise error

    return work


@pytest.mark.parametrize("seed", range(5))
@instantly
async def test_slots_are_never_exceeded_and_never_lost(seed: int) -> None:
    """500 messages with jobs of any length, a part of them poison, failing, or failing to be settled."""
    random = Random(seed)
    slots = random.randint(1, 14)
    bench = Bench(slots=slots)
    bench.queue.poll_seconds = 20
    first = set()

    async def work(job: Job) -> None:
        await asyncio.sleep(random.random() * 3)
        if job.key.startswith("once") and job.key not in first:
            first.add(job.key)
            raise Unavailable("this time")

    async def trouble(call: str) -> None:
        await bench._count(call)
        if call.startswith("delete") and random.random() < 0.05:
            raise Throttled("not now")

    bench.pipeline.work, bench.queue.wire.before = work, trouble
    keys = [f"{random.choice(['good', 'once'])}-{number}" for number in range(400)]
    bodies = [*map(envelope, keys), *["poison"] * 99, notification("good-a", "good-b", "good-c")]
    random.shuffle(bodies)
    for body in bodies:
        bench.queue.put(body)

    await bench.run(3000)

    assert slots == bench.busiest
    assert {*keys, "good-a", "good-b", "good-c"} == set(bench.pipeline.done)
    assert {} == bench.queue.letters


@instantly
async def test_poison_frees_its_slot_once() -> None:
    """After many poison messages the slots are as many as before, no more and no fewer."""
    bench = Bench(slots=3, pipeline=FakePipeline(work=lasting(10)))
    for _ in range(50):
        bench.queue.put("poison")
    bench.put(*(f"{number}.jpg" for number in range(9)))
    await bench.run(35)
    assert (3, 9) == (bench.busiest, len(bench.pipeline.done))


@instantly
async def test_no_more_is_received_than_there_is_room_for() -> None:
    """Each receive asks for the free slots, ten at the most."""
    bench = Bench(slots=12, pipeline=FakePipeline(work=lasting(5)))
    bench.put(*(f"{number}.jpg" for number in range(11)))
    await bench.run(4)
    received = [call for call in bench.queue.wire.calls if call.startswith("receive")]
    assert ["receive 10", "receive 2", "receive 1"] == received[:3]


@instantly
async def test_a_message_of_several_records_is_split() -> None:
    """One message for each, and the first is settled."""
    bench = Bench()
    bench.queue.put(notification("a.jpg", "b+c.jpg", "%C3%BC.jpg"))
    await bench.run(60)
    assert ["a.jpg", "b c.jpg", "ü.jpg"] == sorted(bench.pipeline.done)
    assert 1 == bench.queue.wire.calls.count("send 3")
    assert {} == bench.queue.letters


@instantly
async def test_a_split_that_fails_is_tried_again() -> None:
    """Some of its records may come twice then; none is lost."""
    bench = Bench()
    bench.queue.put(notification("a.jpg", "b.jpg"))
    failures = [Unavailable("half of it")]

    async def once(call: str) -> None:
        if call.startswith("send") and failures:
            raise failures.pop()

    bench.queue.wire.after = once
    await bench.run(600)
    assert ["a.jpg", "a.jpg", "b.jpg", "b.jpg"] == sorted(bench.pipeline.done)
    assert {} == bench.queue.letters


@pytest.mark.parametrize(
    "body",
    [
        '{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "uploads"}',
        notification("media/a.jpg/manifest.json", bucket="published"),
    ],
    ids=["test event", "own output"],
)
@instantly
async def test_what_concerns_nobody_is_acknowledged(body: str) -> None:
    """No job, no dead letter."""
    bench = Bench()
    bench.queue.put(body)
    await bench.run(5)
    assert ([], [], {}) == (bench.pipeline.begun, bench.queue.dead, bench.queue.letters)


@pytest.mark.parametrize(
    ("body", "reason", "detail"),
    [
        ("not json", "poison", "the body is not JSON"),
        ("{}", "poison", "the body is no S3 event and no envelope of this service"),
        (notification("a.jpg", bucket="theirs"), "forged", "bucket 'theirs' with this key is not among the"),
        (notification("x" * 1025), "forged", "the key is empty or longer than S3 allows"),
    ],
)
@instantly
async def test_what_cannot_be_understood_is_buried_with_its_reason(body: str, reason: str, detail: str) -> None:
    """The dead letter is the message as it came; nothing was called."""
    bench = Bench()
    name = bench.queue.put(body)
    await bench.run(5)
    assert bench.queue.dead
    (dead,) = bench.queue.dead
    assert Dead(body=body, reason=reason, detail=dead.detail, message_id=name) == dead
    assert dead.detail.startswith(detail)
    assert ([], {}) == (bench.pipeline.begun, bench.queue.letters)


@instantly
async def test_without_dead_letters_poison_waits_for_an_operator() -> None:
    """It is kept, and seen again every quarter of an hour."""
    bench = Bench()
    bench.queue.dead = None
    bench.queue.put("poison")
    await bench.run(5)
    assert (["bury poison", "release 900"], 900) == (bench.settled, bench.letter.visible_at)


@pytest.mark.parametrize("error", [None, Rejected(Reason.DAMAGED, "It is cut off."), Superseded("by a newer one")])
@instantly
async def test_what_has_an_outcome_is_acknowledged(error: BaseException | None) -> None:
    """A rejection is an outcome: nothing is tried again."""
    bench = Bench()
    bench.pipeline.work = failing(error) if error else lasting(1)
    bench.put("a.jpg")
    await bench.run(5)
    assert (["delete message-0"], []) == (bench.settled, bench.pipeline.failures)


@pytest.mark.parametrize(("before", "after"), [(0, 15), (1, 60), (2, 240), (3, 900)])
@instantly
async def test_passing_failures_come_back_later_and_later(before: int, after: int) -> None:
    """The failure is counted first, and the count decides how long the message is hidden."""
    bench = Bench(pipeline=FakePipeline(work=failing(Unavailable("S3 is down")), failures=["a.jpg"] * before))
    bench.put("a.jpg")
    await bench.run(5)
    assert ([f"release {after}"], before + 1) == (bench.settled, len(bench.pipeline.failures))


@pytest.mark.parametrize("error", [Unavailable("S3 is down"), KeyError("a bug")])
@instantly
async def test_the_fifth_failure_is_the_last(error: BaseException) -> None:
    """It is published as failed; the dead letter asks for another try of the same key."""
    bench = Bench(pipeline=FakePipeline(work=failing(error)))
    name = bench.queue.put(notification("a+b.jpg"))
    await bench.run(1500)
    assert (["a b.jpg"] * 5, ["a b.jpg"]) == (bench.pipeline.begun, bench.pipeline.given_up)
    assert bench.queue.dead
    (dead,) = bench.queue.dead
    assert ("internal", f"{type(error).__name__}: {error}", name) == (dead.reason, dead.detail, dead.message_id)
    (again,) = jobs.read(dead.body)
    assert Job(bucket=BUCKET, key="a b.jpg", type="reprocess", cause="redrive") == again
    assert {} == bench.queue.letters


@pytest.mark.parametrize(
    ("body", "error", "after"),
    [(envelope("a.jpg", "transcend"), None, 300), (envelope("a.jpg"), Misconfigured("AccessDenied"), 900)],
    ids=["a type of tomorrow", "a missing permission"],
)
@instantly
async def test_what_others_have_to_mend_is_released_and_not_counted(
    body: str, error: BaseException | None, after: int
) -> None:
    """A newer worker may know the type; an operator has to grant the permission."""
    bench = Bench()
    if error:
        bench.pipeline.work = failing(error)
    bench.queue.put(body)
    await bench.run(5)
    assert ([f"release {after}"], [], []) == (bench.settled, bench.pipeline.failures, bench.queue.dead)


@instantly
async def test_a_lost_lease_settles_nothing() -> None:
    """The work is cancelled at the renewal that tells of the loss; neither delete nor release is called."""
    bench = Bench(pipeline=FakePipeline(work=lasting(100)))
    bench.put("a.jpg")
    asyncio.get_running_loop().call_at(5, lambda: setattr(bench.letter, "receipt", "somebody else's"))
    await bench.run(25)
    assert ([], [], []) == (bench.settled, bench.pipeline.done, bench.pipeline.failures)
    assert 1 == bench.queue.wire.count("extend")


@instantly
async def test_a_long_job_keeps_its_message() -> None:
    """Renewed each ten seconds, it is delivered once."""
    bench = Bench(pipeline=FakePipeline(work=lasting(300)))
    bench.put("a.jpg")
    await bench.run(310)
    assert (["a.jpg"], ["delete message-0"]) == (bench.pipeline.begun, bench.settled)
    assert 29 <= bench.queue.wire.count("extend") <= 30


@pytest.mark.parametrize("drain_seconds", [0, 100])
@instantly
async def test_what_a_poll_brings_after_the_stop_goes_back(drain_seconds: int) -> None:
    """The long poll is out from 0 to 15 s, stop comes at 10 s: the message is visible again, and was not begun."""
    bench = Bench(drain_seconds=drain_seconds)
    bench.queue.poll_seconds = 20

    async def takes_a_second(call: str) -> None:
        if call.startswith("release"):
            await asyncio.sleep(1)

    bench.queue.wire.before = takes_a_second
    asyncio.get_running_loop().call_at(15, bench.put, "a.jpg")
    await bench.run(10)
    assert ([], ["release 0"], 16) == (bench.pipeline.begun, bench.settled, bench.letter.visible_at)


@instantly
async def test_a_drain_finishes_what_fits_and_releases_the_rest() -> None:
    """Of jobs of 5, 90 and 500 s, stopped at 1 s with 100 s to drain, two are done; nobody counts a failure."""
    lengths = {"a.jpg": 5, "b.jpg": 90, "c.mp4": 500}

    async def work(job: Job) -> None:
        await asyncio.sleep(lengths[job.key])

    bench = Bench(pipeline=FakePipeline(work=work))
    bench.put(*lengths)
    await bench.run(1)
    assert (["a.jpg", "b.jpg"], []) == (bench.pipeline.done, bench.pipeline.failures)
    assert ["delete message-0", "delete message-1", "release 0"] == bench.settled
    assert (101, 101, 1) == (now(), bench.letter.visible_at, bench.letter.receive_count)


@instantly
async def test_settling_is_not_cut_short_by_the_drain() -> None:
    """The job is done and its delete is under way when the drain runs out: the delete has its effect."""
    bench = Bench(drain_seconds=0, pipeline=FakePipeline(work=lasting(9)))

    async def slowly(call: str) -> None:
        if call.startswith("delete"):
            await asyncio.sleep(5)

    bench.queue.wire.before = slowly
    bench.put("a.jpg")
    await bench.run(10)
    assert (14, {}) == (now(), bench.queue.letters)


@instantly
async def test_failed_receives_are_tried_again_with_growing_pauses() -> None:
    """A second, then twice as long each time, a minute at the most; the first success forgets it all."""
    bench = Bench()
    asked = []

    async def down_for_three_minutes(call: str) -> None:
        if call.startswith("receive"):
            asked.append(now())
            if now() < 180:
                raise Unavailable("no answer")

    bench.queue.wire.before = down_for_three_minutes
    bench.put("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    await bench.run(230)
    assert [0, 1, 3, 7, 15, 31, 63, 123, 183] == asked[:9]
    assert ["a.jpg", "b.jpg", "c.jpg", "d.jpg"] == sorted(bench.pipeline.done)


@instantly
async def test_a_stop_ends_a_pause() -> None:
    """Between failed receives nobody waits for the pause to be over."""
    bench = Bench()

    async def down(_call: str) -> None:
        raise Unavailable("no answer")

    bench.queue.wire.before = down
    await bench.run(70)
    assert 70 == now()


@pytest.mark.parametrize("error", [Unavailable("S3 is down"), Misconfigured("AccessDenied")])
@instantly
async def test_a_failure_that_cannot_be_written_down_is_a_failure_all_the_same(error: Exception) -> None:
    """The message comes back as after a first one."""

    class Forgetful(FakePipeline):
        async def note_failure(self, *_: Any) -> int:
            raise error

    bench = Bench(pipeline=Forgetful(work=failing(Unavailable("S3 is down"))))
    bench.put("a.jpg")
    await bench.run(5)
    assert (["release 15"], []) == (bench.settled, bench.queue.dead)


@instantly
async def test_a_failure_is_published_once_its_dead_letter_is_sent() -> None:
    """The dead-letter queue does not answer at first: the message comes back, and is buried and given up then."""
    bench = Bench(pipeline=FakePipeline(work=failing(Unavailable("S3 is down")), failures=["a.jpg"] * 4))

    async def down(call: str) -> None:
        if call.startswith("bury") and now() < 5:
            raise Unavailable("SQS is down")

    bench.queue.wire.before = down
    bench.put("a.jpg")
    await bench.run(40)
    assert (1, ["a.jpg"], {}) == (len(bench.queue.dead or ()), bench.pipeline.given_up, bench.queue.letters)
    assert ["bury internal", "bury internal", "delete message-0"] == bench.settled


@instantly
async def test_a_dead_letter_whose_failure_cannot_be_published_is_sent_again() -> None:
    """The message comes back until the page says so; an operator may find the letter twice."""
    failures = [Unavailable("S3 is down")]

    class Stuck(FakePipeline):
        async def give_up(self, job: Job, message: Message) -> None:
            if failures:
                raise failures.pop()
            await super().give_up(job, message)

    bench = Bench(pipeline=Stuck(work=failing(Unavailable("S3 is down")), failures=["a.jpg"] * 4))
    bench.put("a.jpg")
    await bench.run(60)
    assert (2, ["a.jpg"], {}) == (len(bench.queue.dead or ()), bench.pipeline.given_up, bench.queue.letters)


@pytest.mark.parametrize("call", ["delete", "release", "bury"])
@instantly
async def test_a_message_that_cannot_be_settled_comes_back(call: str) -> None:
    """When its visibility runs out; its slot is free at once."""
    bench = Bench(slots=1)
    errors = {"delete": lasting(0), "release": failing(Unavailable("later")), "bury": failing(Unavailable("too often"))}
    bench.pipeline.work = errors[call]
    bench.pipeline.failures = ["a.jpg"] * (4 if call == "bury" else 0)

    async def down(told: str) -> None:
        if told.startswith(call):
            raise Unavailable("SQS is down")

    bench.queue.wire.before = down
    bench.put("a.jpg")
    await bench.run(5)
    assert (30, 0) == (bench.letter.visible_at, bench.worker.pulse.busy)


@instantly
async def test_the_pulse_is_that_of_the_poll_loop() -> None:
    """Alive while receives return, or every slot is busy, or it drains; dead when receives stop returning."""
    pulse = Pulse(slots=2, clock=now)
    assert not pulse.alive(within=60)
    pulse.beat(polled=True)
    assert pulse.alive(within=60)
    await asyncio.sleep(61)
    assert not pulse.alive(within=60)
    pulse.busy = 2
    assert pulse.alive(within=60)
    pulse.busy, pulse.draining = 1, True
    assert pulse.alive(within=60)


@instantly
async def test_a_worker_beats_with_each_receive() -> None:
    """With an empty queue every poll is a beat; receives that fail make a worker unready, not dead."""
    bench = Bench()
    bench.queue.poll_seconds = 20
    asyncio.get_running_loop().call_at(65, setattr, bench.queue.wire, "before", _down)
    await bench.run(200)
    pulse = bench.worker.pulse
    assert (True, True) == (pulse.answered, pulse.draining)
    assert pulse.moved_at
    assert pulse.moved_at > 80


async def _down(_call: str) -> None:
    raise Unavailable("no answer")


@instantly
async def test_what_others_take_is_sent_on() -> None:
    """The job goes to the heavy queue as it was asked for, and nothing is left in this one."""
    bench = Bench()
    bench.pipeline.work = failing(Elsewhere("a film"))
    asked = Job(bucket=BUCKET, key="a.mp4", type="reprocess", cause="redrive", requested_at=datetime.now(UTC))
    bench.queue.put(jobs.envelope(asked))
    await bench.run(5)
    (letter,) = bench.heavy.letters.values()
    assert ((asked,), {}) == (jobs.read(letter.body), bench.queue.letters)
    assert ([], []) == (bench.pipeline.failures, bench.queue.dead)


@instantly
async def test_what_cannot_be_sent_on_comes_back() -> None:
    """It is in one of the queues at every moment."""
    bench = Bench()
    bench.pipeline.work = failing(Elsewhere("a film"))
    failures = [Unavailable("the heavy queue does not answer")]

    async def once(call: str) -> None:
        if call.startswith("send") and failures:
            raise failures.pop()

    bench.heavy.wire.before = once
    bench.put("a.mp4")
    await bench.run(120)
    assert (1, {}) == (len(bench.heavy.letters), bench.queue.letters)


@instantly
async def test_nothing_is_received_while_a_job_waits_for_room() -> None:
    """It waits under its lease, and the worker is alive; what is in the queue is there for others."""
    bench = Bench(slots=3)
    bench.worker.room = Room(free=lambda: 300)

    async def work(job: Job) -> None:
        await bench.worker.room.wait(60)
        await asyncio.sleep(100)
        bench.worker.room.give(60)

    bench.pipeline.work = work
    bench.put("a.mp4", "b.mp4")
    loop = asyncio.get_running_loop()
    loop.call_later(50, bench.put, "c.jpg")
    seen: list[tuple[int, bool]] = []
    loop.call_later(
        90, lambda: seen.append((bench.letter_of("c.jpg").receive_count, bench.worker.pulse.alive(within=30)))
    )
    await bench.run(1000)
    assert [(0, True)] == seen
    assert ["a.mp4", "b.mp4", "c.jpg"] == bench.pipeline.done
