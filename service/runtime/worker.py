"""Receive while there is room, attempt under a lease, settle the verdict, drain."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from service import metrics
from service.core import job as jobs
from service.core import outcome
from service.core.job import Ended, Input, Job, Later
from service.core.outcome import (
    Abandon,
    DeadLetter,
    Done,
    Forged,
    Forward,
    Interrupted,
    MediaWorkerError,
    Poison,
    Retry,
    Verdict,
)
from service.logs import bound, log
from service.runtime import lease
from service.runtime.company import Company
from service.runtime.lease import Message
from service.runtime.room import Room
from service.runtime.shield import Shield

T = TypeVar("T")

_MAX_BATCH = 10  # SQS ReceiveMessage
MAX_PAUSE = 60.0  # seconds between receives while they fail
REFUSED_PAUSE = 30.0  # seconds until a new task asks again to be protected, while there are too many


class Queue(lease.Renewer, Protocol):
    """The queue that jobs come from."""

    async def receive(self, most: int) -> list[Message]:
        """Up to `most` messages; waits for the first as long as a long poll does."""

    async def delete(self, message: Message) -> None:
        """Acknowledge."""

    async def release(self, message: Message, after: int) -> None:
        """Let it be seen again after `after` seconds."""

    async def send(self, bodies: list[str], *, delay: int = 0) -> None:
        """Put new messages into the same queue, to be seen after `delay` seconds, 900 at most."""

    async def bury(self, message: Message, body: str, *, reason: str, detail: str) -> bool:
        """Copy to the message's dead-letter queue, with this body; False where there is none."""


class Pipeline(Protocol):
    """What is done with a job."""

    async def process(self, job: Job, message: Message) -> tuple[Later, ...]:
        """Bring the key's outcome up to date; what is to be looked at again later."""

    async def whose(self, ended: Ended) -> Job | None:
        """The job to do when a service has ended listening, if it listened for us."""

    async def note_failure(self, job: Job, message: Message, error: BaseException) -> int:
        """Write down that an attempt failed; how many have by now."""

    async def give_up(self, job: Job, message: Message) -> None:
        """Publish that this version failed."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How a worker works; times in seconds."""

    inputs: tuple[Input, ...]
    output_bucket: str
    slots: int
    visibility: int
    drain_seconds: int


@dataclass(kw_only=True)
class Pulse:
    """What liveness is judged by: when the loop turned last, and the slots that are busy.

    A queue that does not answer makes a worker unready, not dead: another one would fare no better.
    """

    slots: int
    clock: Callable[[], float] = time.monotonic
    busy: int = 0
    moved_at: float | None = None
    answered: bool = False
    draining: bool = False
    waiting: bool = False  #: for a running job to end, or to give back its room

    def beat(self, *, polled: bool) -> None:
        """The loop has turned; `polled` when the queue has answered."""
        self.moved_at = self.clock()
        self.answered |= polled

    def alive(self, *, within: float) -> bool:
        """Whether the loop turned in the last `within` seconds, or has to wait for jobs: all it has, or their room."""
        if self.busy >= self.slots or self.draining or self.waiting:
            return True
        return self.moved_at is not None and self.clock() - self.moved_at <= within


class Sender(Protocol):
    """A queue that others work off."""

    async def send(self, bodies: list[str], *, delay: int = 0) -> None:
        """Put new messages into it, to be seen after `delay` seconds, 900 at most."""


@dataclass(kw_only=True)
class Worker:
    """A pool of slots over one queue; `heavy` is where jobs go that its pipeline does not take."""

    queue: Queue
    heavy: Sender | None = None
    pipeline: Pipeline
    terms: Terms
    pulse: Pulse
    shield: Shield = field(default_factory=Shield)
    room: Room = field(default_factory=Room)
    company: Company = field(default_factory=Company)
    jitter: random.Random = field(default_factory=random.Random)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain: nothing is received any more, what runs may finish.

        A worker that is told to leave receives nothing more either, but finishes what runs in its own time.
        """
        metrics.slots.set(self.terms.slots)
        stopped = asyncio.ensure_future(_moment(stop))
        async with self.shield.kept():
            await self._work(stop)
            if not stop.is_set():
                await self._leave(stop)
        await self._drain(until=await stopped + self.terms.drain_seconds)

    async def _work(self, stop: asyncio.Event) -> None:
        room = asyncio.Semaphore(self.terms.slots)
        pause = 0.0
        self.pulse.beat(polled=False)
        while not stop.is_set():
            taken = await self._take(room, stop)
            if taken and not await self.shield.up():
                if self.shield.refused.is_set():
                    return
                for _ in range(taken):
                    room.release()
                self.pulse.beat(polled=False)
                await _first(stop.wait(), asyncio.sleep(REFUSED_PAUSE))
                continue
            messages: list[Message] = []
            try:
                messages = await self.queue.receive(taken) if taken else []
                self.pulse.beat(polled=True)
                pause = 0.0
            except Exception as error:
                self.pulse.beat(polled=False)
                pause = min(MAX_PAUSE, max(1.0, pause * 2))
                log.warning("receive_failed", error=str(error), retry_in=pause)
            for _ in range(taken - len(messages)):
                room.release()
            for message in messages:
                self._start(message, room, stopping=stop.is_set())
            if not self._running:
                await self.shield.down()
            if pause:
                await _first(stop.wait(), asyncio.sleep(pause * self.jitter.random()))

    async def _leave(self, stop: asyncio.Event) -> None:
        self.pulse.draining = True
        log.info("leaving", running=len(self._running))
        if self._running:
            await _first(asyncio.wait(self._running), stop.wait())
        stop.set()

    async def _take(self, room: asyncio.Semaphore, stop: asyncio.Event) -> int:
        """Take one free slot, waiting for it, and as many more as are free; none if it is time to stop.

        None either while a job is to be alone, or waits for room on the disk: what is received would only wait, too.
        """
        for free in (self.company.open, self.room.enough):
            self.pulse.waiting = not free.is_set()
            came = await _first(free.wait(), stop.wait())
            self.pulse.waiting = False
            if not came:
                return 0
        if not await _first(room.acquire(), stop.wait()):
            return 0
        taken = 1
        while taken < _MAX_BATCH and not room.locked():
            await room.acquire()
            taken += 1
        return taken

    def _start(self, message: Message, room: asyncio.Semaphore, *, stopping: bool) -> None:
        """Begin an attempt; what a poll brings after the stop request goes back at once."""
        work = _finish(self.queue.release(message, 0)) if stopping else self._attempt(message)
        task = asyncio.ensure_future(work)
        self._running.add(task)
        self._count()
        task.add_done_callback(lambda done: self._ended(done, room))

    def _ended(self, task: asyncio.Task[None], room: asyncio.Semaphore) -> None:
        self._running.discard(task)
        self._count()
        room.release()
        if not task.cancelled() and (error := task.exception()):
            log.error("settling_failed", error=repr(error))  # the message comes back when its visibility runs out

    def _count(self) -> None:
        self.pulse.busy = len(self._running)
        metrics.busy.set(len(self._running))

    async def _drain(self, *, until: float) -> None:
        """Let jobs finish until that moment of the clock, which counts from the signal, not from the end of a poll."""
        self.pulse.draining = True
        log.info("draining", running=len(self._running))
        if self._running:
            await asyncio.wait(self._running, timeout=max(0.0, until - asyncio.get_running_loop().time()))
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        log.info("drained")

    async def _attempt(self, message: Message) -> None:
        began = time.monotonic()
        with bound(message_id=message.id, receive_count=message.receive_count):
            job, error = await self._do(message)
            verdict = await _finish(self._judge(message, job, error))
            await _finish(self._settle(message, verdict, job))
            seconds = round(time.monotonic() - began, 3)
            metrics.attempts.labels(type(verdict).__name__.lower()).inc()
            metrics.attempt_seconds.labels(type(verdict).__name__.lower()).observe(seconds)
            log.info(
                "attempt_ended",
                bucket=job.bucket if job else None,
                key=job.key if job else None,
                verdict=type(verdict).__name__.lower(),
                error=repr(error) if error else None,
                exc_info=error if error and not isinstance(error, MediaWorkerError) else None,
                seconds=seconds,
            )

    async def _do(self, message: Message) -> tuple[Job | None, BaseException | None]:
        """One attempt; how it went is a value from here on."""
        job: Job | None = None
        try:
            read = [await self._known(one) for one in jobs.read(message.body)]
            found = [one for one in read if one and self._admitted(one)]
            if len(found) > 1:
                await self.queue.send([jobs.envelope(one) for one in found])
            elif found:
                job = found[0]
                await self._process(job, message)
        except asyncio.CancelledError:
            return job, Interrupted("the worker is stopping")
        except Exception as error:
            return job, error
        return job, None

    async def _known(self, read: Job | Ended) -> Job | None:
        return await self.pipeline.whose(read) if isinstance(read, Ended) else read

    def _admitted(self, job: Job) -> bool:
        return jobs.admit(job, self.terms.inputs, output_bucket=self.terms.output_bucket)

    async def _process(self, job: Job, message: Message) -> None:
        work = self.pipeline.process(job, message)
        for later in await lease.held(self.queue, message, work, visibility=self.terms.visibility):
            await self.queue.send([jobs.envelope(later.job)], delay=later.after)

    async def _judge(self, message: Message, job: Job | None, error: BaseException | None) -> Verdict:
        """The verdict; a failure that counts is written down first, so that the count outlives this worker."""
        _count_error(error)
        verdict = outcome.decide(error, attempts=1, jitter=self.jitter)
        if not (isinstance(verdict, Retry) and verdict.counts and job and error):
            return verdict
        try:
            attempts = await self.pipeline.note_failure(job, message, error)
        except Exception as worse:
            log.warning("failure_not_recorded", error=repr(worse))
            attempts = 1
        return outcome.decide(error, attempts=attempts, jitter=self.jitter)

    async def _settle(self, message: Message, verdict: Verdict, job: Job | None) -> None:
        """A dead letter goes before its failure is published: what is published is not looked at again."""
        match verdict:
            case Done():
                await self.queue.delete(message)
            case Retry(after=after):
                await self.queue.release(message, after)
            case DeadLetter(reason=reason, detail=detail, publish_failed=failed):
                body = jobs.envelope(_again(job)) if failed and job else message.body
                buried = await self.queue.bury(message, body, reason=reason, detail=detail)
                if failed and job:
                    await self.pipeline.give_up(job, message)
                if buried:
                    await self.queue.delete(message)
                else:
                    await self.queue.release(message, outcome.MAX_BACKOFF)
            case Forward():
                assert self.heavy, "only a pipeline beside a heavy queue refuses a job"
                assert job
                await self.heavy.send([jobs.envelope(job)])
                await self.queue.delete(message)
            case Abandon():
                metrics.lost_leases.inc()


def _again(job: Job) -> Job:
    """The job as a dead letter carries it: back in the queue, it is tried anew although it was given up."""
    return Job(bucket=job.bucket, key=job.key, type="reprocess", cause="redrive", requested_at=job.requested_at)


def _count_error(error: BaseException | None) -> None:
    match error:
        case Forged():
            metrics.forged.inc()
        case Poison():
            metrics.poisoned.inc()


async def _moment(event: asyncio.Event) -> float:
    """When the event is set, by the clock of the loop."""
    await event.wait()
    return asyncio.get_running_loop().time()


async def _first(wanted: Awaitable[Any], other: Awaitable[Any]) -> bool:
    """Wait for either; whether `wanted` is the one that came. The other is cancelled."""
    tasks = [asyncio.ensure_future(wanted), asyncio.ensure_future(other)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    came = tasks[0].done()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return came


async def _finish(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end whatever cancels the caller: a verdict that is half settled is the worst of all endings."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
    return task.result()
