"""Every metric that the service has, by name. Never a key, a bucket or a tenant as a label."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

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


def render() -> bytes:
    """All of them in Prometheus' text format."""
    return generate_latest(REGISTRY)
