"""Empties a queue with the service's own loop: python -m scripts.benches.loop MESSAGES SLOTS.

Its settings are those of the service. The worker, its lease and its queue are those that `media-worker run` has, its
logs as well; only the pipeline is another one, which has nothing to do.
"""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack

from service import app, config, logs
from service.aws import sqs
from service.core.job import Ended, Job, Later
from service.runtime.lease import Message
from service.runtime.worker import Pulse, Terms, Worker


class Nothing:
    """A pipeline that finds everything done."""

    async def process(self, job: Job, message: Message) -> tuple[Later, ...]:
        """Nothing is left to do."""
        del job, message
        return ()

    async def whose(self, ended: Ended) -> Job | None:
        """Nobody's."""
        del ended
        return None

    async def note_failure(self, job: Job, message: Message, error: BaseException) -> int:
        """There is no failure that this measures."""
        del job, message
        raise error

    async def give_up(self, job: Job, message: Message) -> None:
        """There is nothing to give up."""
        raise NotImplementedError(job, message)


class Counted(sqs.Queue):
    """The queue, which notes when so many messages are deleted, as SQS has confirmed."""

    left: int
    empty: asyncio.Event

    async def delete(self, message: Message) -> None:
        """Acknowledge."""
        await super().delete(message)
        self.left -= 1
        if self.left == 0:
            self.empty.set()


async def main(messages: int, slots: int) -> None:
    """Print the seconds from the first poll to the last confirmed delete, and the CPU seconds of all this process."""
    settings = config.load(slots=slots)
    logs.configure(level=settings.log_level)
    empty = asyncio.Event()
    async with AsyncExitStack() as stack:
        queue = await _queue(settings, app.Aws(settings, stack))
        queue.left, queue.empty = messages, empty
        terms = Terms(
            inputs=settings.inputs,
            output_bucket=settings.output_bucket,
            slots=slots,
            visibility=settings.visibility_seconds,
            drain_seconds=settings.drain_seconds,
        )
        worker = Worker(queue=queue, pipeline=Nothing(), terms=terms, pulse=Pulse(slots=slots))
        began = time.perf_counter()
        running = asyncio.ensure_future(worker.run(stop := asyncio.Event()))
        await empty.wait()
        seconds, cpu = time.perf_counter() - began, time.process_time()
        print(json.dumps({"seconds": seconds, "cpu_seconds": cpu}), file=sys.stderr, flush=True)
        stop.set()
        await running


async def _queue(settings: config.Settings, aws: app.Aws) -> Counted:
    """Two clients, as the service has them: a long poll delays nothing else."""
    return Counted(
        await aws.client("sqs", app.CONTROL),
        await aws.client("sqs", app.CONTROL),
        url=settings.queue_url,
        dead_letters=None,
        visibility=settings.visibility_seconds,
        poll_seconds=settings.poll_seconds,
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
