"""CloudWatch's embedded metric format: what a worker counted in a minute, as lines that CloudWatch makes metrics of.

Each metric is sent by each of its labels alone: a metric of CloudWatch's own, paid by the hour, stands for a value of
one label, not for every combination. Metrics with the same label and value share a line, as do those without labels.

What did not move is not sent: an idle worker sends its gauges, one line a minute, and a metric costs nothing in the
hours in which nothing happens to it. No zeros either: the alarms fill what is missing (`FILL(…, 0)`).

A histogram is sent as `Values` and `Counts`, so that its size does not grow with the jobs and percentiles can be
computed. The registry keeps buckets, not observations: each bucket stands for one value inside of it, chosen so that
all lie equally far into their buckets and together make the sum that was observed. So a single observation is sent as
it was, several in one bucket as their mean, and no other is further off than its bucket is wide. What lies above the
last bound is taken for what is left of the sum when the others lie in the middle of theirs. All to four digits.

The specification speaks of numbers and arrays of up to 100 numbers alone; `Values` and `Counts` beside the statistics
are what AWS's own exporters send (open-telemetry/opentelemetry-collector-contrib, pull request 22626).
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import isfinite, isinf
from typing import Any, Literal

NAMESPACE = "MediaWorker"
EVENT = "metrics"  # as every line of the log has one; CloudWatch allows other members beside its own

Labels = tuple[tuple[str, str], ...]  #: names and values


@dataclass(frozen=True, kw_only=True)
class Series:
    """One metric under one set of labels.

    `value` of a histogram is the sum of its observations; `buckets` are their upper bounds, the last one infinite, and
    how many lie in each.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: Labels = ()
    value: float
    buckets: tuple[tuple[float, float], ...] = ()

    @property
    def moved(self) -> bool:
        """Whether there is anything to tell of it, counted from the last time on; JSON has no word for an infinity."""
        told = self.kind == "gauge" or bool(self.value) or any(count for _, count in self.buckets)
        return told and isfinite(self.value)


@dataclass(frozen=True, kw_only=True)
class Line:
    """The metrics that have the same dimensions; `at` in milliseconds since 1970."""

    at: int
    dimensions: Labels
    metrics: tuple[Series, ...]

    def document(self) -> dict[str, Any]:
        """As the specification wants it."""
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": [[name for name, _ in self.dimensions]],
            "Metrics": [{"Name": one.name, "Unit": unit(one.name)} for one in self.metrics],
        }
        told = {one.name: _told(one) for one in self.metrics}
        return {
            "event": EVENT,
            "_aws": {"Timestamp": self.at, "CloudWatchMetrics": [directive]},
            **dict(self.dimensions),
            **told,
        }

    def __str__(self) -> str:
        return json.dumps(self.document(), separators=(",", ":"), allow_nan=False)


def since(before: Iterable[Series], now: Iterable[Series]) -> tuple[Series, ...]:
    """What came between two looks: by how much counters and histograms grew, and gauges as they are.

    A series that was not there before began at zero; what did not move is left out.
    """
    known = {(one.name, one.labels): one for one in before}
    grown = (_grown(known.get((one.name, one.labels)), one) for one in now)
    return tuple(one for one in grown if one.moved)


def lines(series: Iterable[Series], *, stage: str, lane: str, at: float) -> tuple[Line, ...]:
    """A line for each set of dimensions; `at` in Unix seconds."""
    by_label: dict[Labels, dict[str, Series]] = defaultdict(dict)
    for one in (alone for each in series for alone in _by_label(each)):
        others = by_label[one.labels]
        others[one.name] = _added(others[one.name], one) if one.name in others else one
    always = (("Stage", stage), ("Lane", lane))
    return tuple(
        Line(at=round(at * 1000), dimensions=always + labels, metrics=tuple(found.values()))
        for labels, found in sorted(by_label.items())
    )


def unit(name: str) -> str:
    """CloudWatch's unit of a metric, by a word of its name; dollars and what is bought have none."""
    words = set(name.split("_"))
    if words & {"dollars", "units"}:
        return "None"
    return "Bytes" if "bytes" in words else "Seconds" if "seconds" in words else "Count"


def _grown(before: Series | None, now: Series) -> Series:
    if before is None or now.kind == "gauge":
        return now
    counts = tuple((top, count - old) for (top, count), (_, old) in zip(now.buckets, before.buckets, strict=True))
    return replace(now, value=now.value - before.value, buckets=counts)


def _by_label(one: Series) -> Iterator[Series]:
    """By each label alone; a label without a value says nothing, such as the reason of what is ready."""
    if not one.labels:
        yield one
    for label in one.labels:
        if label[1]:
            yield replace(one, labels=(label,))


def _added(one: Series, other: Series) -> Series:
    counts = tuple((top, count + more) for (top, count), (_, more) in zip(one.buckets, other.buckets, strict=True))
    return replace(one, value=one.value + other.value, buckets=counts)


def _told(one: Series) -> object:
    if one.kind != "histogram":
        return _number(one.value)
    points = _points(one)
    values, counts = [_number(float(f"{value:.4g}")) for value, _ in points], [_number(count) for _, count in points]
    statistics = {"Max": max(values), "Min": min(values), "Count": sum(counts), "Sum": _number(one.value)}
    return {"Values": values, "Counts": counts} | statistics


def _points(one: Series) -> list[tuple[float, float]]:
    """A value for each bucket that is not empty, and how many observations it stands for."""
    lows = (0.0, *(top for top, _ in one.buckets))
    filled = [(low, top, count) for low, (top, count) in zip(lows, one.buckets, strict=False) if count]
    closed = [(low, top, count) for low, top, count in filled if not isinf(top)]
    above = [(low, count) for low, top, count in filled if isinf(top)]
    share = 0.5 if above else _share(closed, one.value)
    points = [(low + share * (top - low), count) for low, top, count in closed]
    rest = one.value - sum(value * count for value, count in points)
    return points + [(max(low, rest / count), count) for low, count in above]


def _share(buckets: list[tuple[float, float, float]], total: float) -> float:
    """How far into its bucket each observation lies if all lie equally far and make `total` together: 0 to 1."""
    room = sum((top - low) * count for low, top, count in buckets)
    return min(1.0, max(0.0, (total - sum(low * count for low, _, count in buckets)) / room))


def _number(value: float) -> float:
    """Without the dust of differences between floats."""
    rounded = round(float(value), 9)
    return int(rounded) if rounded.is_integer() else rounded
