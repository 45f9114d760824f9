"""Minutes become lines that CloudWatch takes: by label, complete, and each count once."""

import json
from collections import Counter
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import emf
from service.core.emf import Series

NOON = 1_790_078_400.0  # 2026-09-22, 12:00 UTC
BOUNDS = (1.0, 5.0, 10.0, inf)


def counter(name: str, value: float, **labels: str) -> Series:
    """So much was counted."""
    return Series(name=name, kind="counter", labels=tuple(labels.items()), value=value)


def gauge(name: str, value: float) -> Series:
    """It stands there."""
    return Series(name=name, kind="gauge", value=value)


def histogram(name: str, *observed: float, **labels: str) -> Series:
    """What a registry keeps of these observations."""
    below = [sum(one <= top for one in observed) for top in BOUNDS]
    counts = [float(count - before) for count, before in zip(below, [0, *below], strict=False)]
    buckets = tuple(zip(BOUNDS, counts, strict=True))
    return Series(name=name, kind="histogram", labels=tuple(labels.items()), value=sum(observed), buckets=buckets)


def sent(before: list[Series], now: list[Series]) -> list[dict[str, object]]:
    """The documents of a minute."""
    found = emf.lines(emf.since(before, now), stage="prod", lane="light", at=NOON)
    return [json.loads(str(line)) for line in found]


def document(dimensions: list[str], metrics: dict[str, str], **members: object) -> dict[str, object]:
    """As the specification wants it."""
    directive = {
        "Namespace": "MediaWorker",
        "Dimensions": [["Stage", "Lane", *dimensions]],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit in metrics.items()],
    }
    metadata = {"Timestamp": 1_790_078_400_000, "CloudWatchMetrics": [directive]}
    return {"event": "metrics", "_aws": metadata, "Stage": "prod", "Lane": "light", **members}


def test_an_idle_minute_is_one_line_of_gauges():
    """Counters that stand still are not sent, be they zero or not; nor are histograms."""
    now = [gauge("media_slots", 2.0), gauge("media_slots_busy", 0.0), counter("media_forged_messages", 4.0)]
    now += [histogram("media_waited_seconds", 3.0), counter("media_attempts", 7.0, verdict="done")]
    expected = document([], {"media_slots": "Count", "media_slots_busy": "Count"}, media_slots=2, media_slots_busy=0)
    assert [expected] == sent(now, now)


def test_nothing_to_tell_is_no_line():
    """Not even an empty one."""
    assert [] == sent([], [counter("media_forged_messages", 0.0), histogram("media_waited_seconds")])


def test_what_is_no_number_holds_nothing_up():
    """JSON has none: the others go out without it."""
    now = [counter("media_bytes_read", inf), gauge("media_slots", nan), counter("media_poison_messages", 1.0)]
    assert [document([], {"media_poison_messages": "Count"}, media_poison_messages=1)] == sent([], now)


def test_counters_are_sent_as_what_the_minute_brought():
    """Without the dust that differences of floats leave; whole numbers as such."""
    before = [counter("media_bytes_read", 1000.0), counter("media_child_cpu_seconds", 0.1)]
    now = [counter("media_bytes_read", 5000.0), counter("media_child_cpu_seconds", 0.3)]
    units = {"media_bytes_read": "Bytes", "media_child_cpu_seconds": "Seconds"}
    assert [document([], units, media_bytes_read=4000, media_child_cpu_seconds=0.2)] == sent(before, now)


def test_metrics_of_the_same_dimensions_share_a_line():
    """Others do not, and those without labels come first."""
    now = [
        counter("media_units_bought", 3.0, unit="rekognition_image"),
        counter("media_dollars_spent", 0.003, unit="rekognition_image"),
        counter("media_units_bought", 0.25, unit="transcribe_minute"),
        counter("media_poison_messages", 1.0),
    ]
    both = {"media_units_bought": "None", "media_dollars_spent": "None"}
    images = {"media_units_bought": 3, "media_dollars_spent": 0.003}
    assert [
        document([], {"media_poison_messages": "Count"}, media_poison_messages=1),
        document(["unit"], both, unit="rekognition_image", **images),
        document(["unit"], {"media_units_bought": "None"}, unit="transcribe_minute", media_units_bought=0.25),
    ] == sent([], now)


def test_two_labels_are_two_metrics_of_one_label_each():
    """Added up over the other one; no reason is not a reason."""
    before = [counter("media_jobs", 5.0, status="rejected", reason="damaged")]
    now = [
        counter("media_jobs", 7.0, status="rejected", reason="damaged"),
        counter("media_jobs", 1.0, status="rejected", reason="too_long"),
        counter("media_jobs", 1.0, status="failed", reason="too_long"),
        counter("media_jobs", 9.0, status="ready", reason=""),
    ]
    count = {"media_jobs": "Count"}
    assert [
        document(["reason"], count, reason="damaged", media_jobs=2),
        document(["reason"], count, reason="too_long", media_jobs=2),
        document(["status"], count, status="failed", media_jobs=1),
        document(["status"], count, status="ready", media_jobs=9),
        document(["status"], count, status="rejected", media_jobs=3),
    ] == sent(before, now)


def test_a_label_that_appears_later_began_at_zero():
    """Its first minute is not lost."""
    now = [counter("media_child_kills", 2.0, cause="memory")]
    expected = document(["cause"], {"media_child_kills": "Count"}, cause="memory", media_child_kills=2)
    assert [expected] == sent([counter("media_child_kills", 1.0, cause="stall")], now)


@pytest.mark.parametrize(
    ("observed", "values", "counts"),
    [
        ((3.25,), [3.25], [1]),  # one: as it was
        ((2.0, 3.0, 4.0), [3], [3]),  # in one bucket: their mean
        ((0.5, 3.0, 7.5), [0.5, 3, 7.5], [1, 1, 1]),
        ((1.0, 5.0), [1, 5], [1, 1]),  # bounds belong to what lies below them
        ((0.0, 0.0), [0], [2]),
        ((3.0, 40.0), [3, 40], [1, 1]),  # the others lie in the middle: what is left is above
        ((4.9, 10.1), [3, 12], [1, 1]),
        ((1.1, 10.1), [3, 10], [1, 1]),  # never below its bucket
        ((1234.56789,), [1235], [1]),
    ],
)
def test_histograms_are_values_and_how_often(observed, values, counts):
    """One value for each bucket, that together make the sum; four digits of it."""
    (found,) = sent([histogram("media_waited_seconds")], [histogram("media_waited_seconds", *observed)])
    count, total = len(observed), pytest.approx(sum(observed))
    statistics = {"Max": values[-1], "Min": values[0], "Count": count, "Sum": total}
    told = {"Values": values, "Counts": counts} | statistics
    assert document([], {"media_waited_seconds": "Seconds"}, media_waited_seconds=told) == found


def test_histograms_by_label_are_added_up():
    """As counters are."""
    name = "media_stage_seconds"
    now = [histogram(name, 0.5, stage="draw", kind="x"), histogram(name, 0.5, 3.0, stage="draw", kind="y")]
    _, _, by_stage = sent([], now)
    assert {"Values": [0.5, 3], "Counts": [2, 1], "Max": 3, "Min": 0.5, "Count": 3, "Sum": 4} == by_stage[name]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("media_attempt_seconds", "Seconds"),
        ("media_media_seconds", "Seconds"),
        ("media_bytes_written", "Bytes"),
        ("media_child_peak_memory_bytes", "Bytes"),
        ("media_dollars_spent", "None"),
        ("media_units_bought", "None"),
        ("media_slots", "Count"),
    ],
)
def test_units(name, unit):
    """By a word of the name."""
    assert unit == emf.unit(name)


_KEYS = st.tuples(st.sampled_from(["media_a", "media_b"]), st.sampled_from(["", "one", "two"]), st.sampled_from("xy"))
_MINUTES = st.lists(st.dictionaries(_KEYS, st.integers(0, 10**12)), max_size=8)


@given(_MINUTES)
def test_no_count_is_lost_or_sent_twice(minutes):
    """Whenever a label appears, the sums of all lines are what the counters say at the end, by each label."""
    total, before, told = Counter(), [], Counter()
    for minute in minutes:
        total.update(minute)
        now = [counter(name, float(n), status=status, kind=kind) for (name, status, kind), n in total.items()]
        for line in emf.lines(emf.since(before, now), stage="prod", lane="light", at=NOON):
            told.update({(one.name, line.dimensions[2]): one.value for one in line.metrics})
        before = now
    expected = Counter()
    for (name, status, kind), count in total.items():
        expected[name, ("kind", kind)] += count
        expected[name, ("status", status)] += count if status else 0
    assert +expected == +told


_OBSERVED = st.floats(0, 100).map(lambda value: round(value, 3))


@given(st.lists(st.lists(_OBSERVED, max_size=20), max_size=5))
def test_no_observation_is_lost_and_each_stays_in_its_bucket(minutes):
    """As many in each bucket of each minute as there were, and their sum."""
    observed, before = [], histogram("h")
    for minute in minutes:
        observed += minute
        now = histogram("h", *observed)
        found = [line.document()["h"] for line in emf.lines(emf.since([before], [now]), stage="s", lane="l", at=NOON)]
        filled = [(low, top, n) for low, (top, n) in zip([0, *BOUNDS], histogram("h", *minute).buckets, strict=False)]
        filled = [one for one in filled if one[2]]
        assert [[n for *_, n in filled]] * bool(minute) == [one["Counts"] for one in found]
        assert [pytest.approx(sum(minute), abs=1e-6)] * bool(minute) == [one["Sum"] for one in found]
        for one in found:
            digits = 1.0006  # what rounding to four of them may do
            pairs = zip(filled, one["Values"], strict=True)
            assert all(low / digits <= value <= top * digits for (low, top, _), value in pairs)
        before = now
