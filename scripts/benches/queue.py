"""The queue loop alone, of messages that are acknowledged at once: the service's beside bbc/sqs-consumer."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import quote_plus
from uuid import uuid4

from scripts import localstack
from scripts.benches import node
from scripts.resources import Client, Resources, client, make, names

_PATIENCE = 300  # seconds for one run
_BATCH = 10  # messages that SQS takes at once
_POLL_SECONDS = 1


class LostError(Exception):
    """A run did not end as it should have: the message says which, and its last words."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way of emptying the queue; `argv` is asked for when it runs."""

    name: str
    argv: Callable[[Resources, int], Sequence[str]]
    ours: bool = False


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a contender did: messages a second, of each run and the median, and CPU milliseconds for one message."""

    name: str
    ours: bool
    rate: float
    rates: tuple[float, ...]
    cpu_ms: float
    ratio: float  #: of its median to that of the baseline


@dataclass(frozen=True, kw_only=True)
class Queued:
    """All of it, on this machine."""

    messages: int
    runs: int
    cores: int
    baseline: str
    contenders: tuple[Measured, ...]


@dataclass(frozen=True, kw_only=True)
class _Run:
    rate: float
    cpu_ms: float


def _ours(slots: int) -> Contender:
    def argv(_resources: Resources, messages: int) -> Sequence[str]:
        return [sys.executable, "-P", "-m", "scripts.benches.loop", str(messages), str(slots)]

    return Contender(name=f"media-worker, {slots} slots", argv=argv, ours=True)


def _theirs(name: str, instances: int, style: str) -> Contender:
    def argv(resources: Resources, messages: int) -> Sequence[str]:
        where = [resources.endpoint, resources.intake.url]
        return [*node.program("sqs_consumer.js"), *where, str(messages), str(instances), style]

    return Contender(name=name, argv=argv)


CONTENDERS = (
    _theirs("sqs-consumer", 1, "one"),
    _theirs("sqs-consumer, 6 instances", 6, "one"),
    _theirs("sqs-consumer, 6 instances, batches", 6, "batch"),
    _ours(10),
    _ours(64),
)


def measured(*, messages: int, runs: int, endpoint: str | None) -> Queued:
    """Every contender `runs` times, in turn, so that a machine that becomes busy slows all of them.

    :raises LostError: when a contender failed, or left messages in the queue.
    :raises NotInstalledError: without node.
    """
    with nullcontext(endpoint) if endpoint else localstack.running() as where:
        found = [{one.name: _run(one, where, messages) for one in CONTENDERS} for _ in range(runs)]
    baseline = CONTENDERS[0].name
    usual = _rate(found, baseline)
    return Queued(
        messages=messages,
        runs=runs,
        cores=len(os.sched_getaffinity(0)),
        baseline=baseline,
        contenders=tuple(_summary(one, found, usual) for one in CONTENDERS),
    )


def _summary(contender: Contender, found: Sequence[Mapping[str, _Run]], usual: float) -> Measured:
    rate = _rate(found, contender.name)
    return Measured(
        name=contender.name,
        ours=contender.ours,
        rate=round(rate, 1),
        rates=tuple(round(runs[contender.name].rate, 1) for runs in found),
        cpu_ms=round(median(runs[contender.name].cpu_ms for runs in found), 3),
        ratio=round(rate / usual, 3),
    )


def _rate(found: Sequence[Mapping[str, _Run]], name: str) -> float:
    return median(runs[name].rate for runs in found)


def _run(contender: Contender, endpoint: str, messages: int) -> _Run:
    """In a queue of its own: what a contender was asking for when it ended would take messages from the next one."""
    resources = make(endpoint, names(f"bench-{uuid4().hex[:8]}"))
    with _sqs(endpoint) as sqs:
        _fill(sqs, resources, messages)
        said = _last_line(contender, resources, messages)
        if left := _left(sqs, resources.intake.url):
            raise LostError(f"{contender.name} left {left} of {messages} messages")
    return _Run(rate=messages / said["seconds"], cpu_ms=said["cpu_seconds"] / messages * 1000)


def _last_line(contender: Contender, resources: Resources, messages: int) -> dict[str, float]:
    """What the contender says of itself; its logs are written to a file, as a container's are taken from it."""
    environment = resources.environment("http://media.example") | {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "MEDIA_POLL_SECONDS": str(_POLL_SECONDS),
    }
    with tempfile.TemporaryFile() as log:
        ended = subprocess.run(
            contender.argv(resources, messages),
            env=environment,
            stdout=log,
            stderr=subprocess.PIPE,
            timeout=_PATIENCE,
            check=False,
            cwd=Path(__file__).parent,
        )
    lines = ended.stderr.decode(errors="replace").strip().splitlines()
    if ended.returncode or not lines:
        raise LostError(f"{contender.name} ended with {ended.returncode}: {' '.join(lines[-3:])}")
    return dict(json.loads(lines[-1]))


@contextmanager
def _sqs(endpoint: str) -> Iterator[Client]:
    made = client("sqs", endpoint)
    try:
        yield made
    finally:
        made.close()


def _fill(sqs: Client, resources: Resources, messages: int) -> None:
    """What S3 says of so many uploads, and nothing else: not that it was asked to."""
    sqs.purge_queue(QueueUrl=resources.intake.url)
    for at in range(0, messages, _BATCH):
        bodies = [_event(resources.uploads, f"uploads/{n}.jpg") for n in range(at, min(at + _BATCH, messages))]
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
        sqs.send_message_batch(QueueUrl=resources.intake.url, Entries=entries)


def _event(bucket: str, key: str) -> str:
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/"), "size": 1024}},
    }
    return json.dumps({"Records": [record]})


def _left(sqs: Client, url: str) -> int:
    wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
    return sum(int(found[name]) for name in wanted)
