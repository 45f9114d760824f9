"""Every metric that the service has, by name. Never a key, a bucket or a tenant as a label."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.samples import Sample

from service.core.emf import Labels, Series

REGISTRY = CollectorRegistry()

_MIB = 1 << 20
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800, 7200)

jobs = Counter(
    "media_jobs",
    "Jobs that ended, by the status they published and its reason.",
    ["status", "reason"],
    registry=REGISTRY,
)
attempts = Counter(
    "media_attempts", "Attempts that ended, by what became of the message.", ["verdict"], registry=REGISTRY
)
attempt_seconds = Histogram(
    "media_attempt_seconds", "From receive to settled, by verdict.", ["verdict"], buckets=_SECONDS, registry=REGISTRY
)
stage_seconds = Histogram("media_stage_seconds", "One stage of a job.", ["stage"], buckets=_SECONDS, registry=REGISTRY)
waited_seconds = Histogram(
    "media_waited_seconds",
    "From the event to the published outcome.",
    buckets=(1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 14_400),
    registry=REGISTRY,
)
bytes_read = Counter("media_bytes_read", "Bytes of uploads fetched.", registry=REGISTRY)
bytes_written = Counter("media_bytes_written", "Bytes of products stored.", registry=REGISTRY)
media_seconds = Counter("media_media_seconds", "Seconds of video and sound published.", ["kind"], registry=REGISTRY)
child_kills = Counter("media_child_kills", "Decoders that were stopped, by cause.", ["cause"], registry=REGISTRY)
cpu_seconds = Counter("media_child_cpu_seconds", "CPU seconds that decoders and encoders took.", registry=REGISTRY)
child_memory = Histogram(
    "media_child_peak_memory_bytes",
    "The most memory that a decoder or encoder held, by what the kernel says when it has ended.",
    buckets=[size * _MIB for size in (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768)]
    + [size * 1024 * _MIB for size in (1, 1.5, 2, 3, 4, 6, 8)],
    registry=REGISTRY,
)
forged = Counter("media_forged_messages", "Messages that named a bucket or key that is not ours.", registry=REGISTRY)
poisoned = Counter("media_poison_messages", "Messages that could not be understood.", registry=REGISTRY)
lost_leases = Counter("media_lost_leases", "Jobs that were stopped because their message was gone.", registry=REGISTRY)
bought = Counter(
    "media_units_bought",
    "What was bought, by the names of the price table; what was refused as too much counts as well.",
    ["unit"],
    registry=REGISTRY,
)
dollars = Counter(
    "media_dollars_spent", "What that costs, by the price table of the recipe.", ["unit"], registry=REGISTRY
)
throttles = Counter(
    "media_provider_throttles", "Calls that a provider refused as too many.", ["provider"], registry=REGISTRY
)
rate_waits = Histogram(
    "media_rate_wait_seconds",
    "How long a call waited for its turn below the quota.",
    ["unit"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
overspent = Counter("media_purchases_refused", "What a cap refused to buy, by cap.", ["cap"], registry=REGISTRY)
slots = Gauge("media_slots", "How many jobs can run at once.", registry=REGISTRY)
busy = Gauge("media_slots_busy", "How many jobs are running.", registry=REGISTRY)

_STARTING = 10.0  # seconds, in which no pace means anything yet


@dataclass(kw_only=True)
class Pace:
    """How a command of ffmpeg gets on: by `clock`, in seconds, when it began and last got further."""

    clock: Callable[[], float]
    began: float
    moved: float
    encoded: float = 0.0

    def at(self, seconds: float) -> None:
        """It has got further: so many seconds of media are done."""
        self.moved, self.encoded = self.clock(), seconds


class Encodes:
    """The commands of ffmpeg that are running, for two gauges that are 0 when none is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: list[Pace] = []

    @contextmanager
    def begun(self) -> Iterator[Pace]:
        """One more is running."""
        now = self._clock()
        pace = Pace(clock=self._clock, began=now, moved=now)
        self._running.append(pace)
        try:
            yield pace
        finally:
            self._running = [one for one in self._running if one is not pace]

    def silence(self) -> float:
        """The longest time for which one of them has made no progress, in seconds."""
        return max((self._clock() - one.moved for one in self._running), default=0.0)

    def slowness(self) -> float:
        """Seconds that the slowest of them takes for one second of media."""
        now = self._clock()
        settled = [one for one in self._running if now - one.began >= _STARTING]
        return max(((now - one.began) / max(1.0, one.encoded) for one in settled), default=0.0)


encodes = Encodes()
encode_silence = Gauge(
    "media_encode_silence_seconds",
    "The longest time for which a running encode has made no progress; at 600 it is stopped.",
    registry=REGISTRY,
)
encode_silence.set_function(encodes.silence)
encode_pace = Gauge(
    "media_encode_seconds_per_second",
    "Seconds that the slowest running encode takes for a second of media; at 30 it is stopped.",
    registry=REGISTRY,
)
encode_pace.set_function(encodes.slowness)


def render() -> bytes:
    """All of them in Prometheus' text format."""
    return generate_latest(REGISTRY)


def snapshot() -> tuple[Series, ...]:
    """All of them as they stand now."""
    return tuple(series for family in REGISTRY.collect() for series in _series(family))


def _series(family: Metric) -> Iterator[Series]:
    """A family's series; when each was made, which Prometheus counts too, is left out."""
    by_labels: dict[Labels, list[Sample]] = defaultdict(list)
    for sample in family.samples:
        by_labels[tuple((name, value) for name, value in sample.labels.items() if name != "le")].append(sample)
    for labels, samples in by_labels.items():
        match family.type:
            case "counter" | "gauge" as kind:
                (value,) = (one.value for one in samples if not one.name.endswith("_created"))
                yield Series(name=family.name, kind=kind, labels=labels, value=value)
            case "histogram" as kind:
                (total,) = (one.value for one in samples if one.name.endswith("_sum"))
                yield Series(name=family.name, kind=kind, labels=labels, value=total, buckets=_buckets(samples))


def _buckets(samples: list[Sample]) -> tuple[tuple[float, float], ...]:
    """How many observations lie in each bucket alone: Prometheus counts what lies below its bound."""
    bounds = [(float(one.labels["le"]), one.value) for one in samples if one.name.endswith("_bucket")]
    return tuple((top, count - below) for (_, below), (top, count) in pairwise([(0.0, 0.0), *bounds]))
