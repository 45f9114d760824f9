"""What the dashboard shows of our own metrics, and what the alarms read of them."""

import json
import re
from collections.abc import Iterator

from tests.ecs.looking import listed
from tests.ecs.templates import FULL, Stack, stacks

LANES = {"light", "heavy"}
_SEARCH = re.compile(r"SEARCH\('\{([^}]*)\} MetricName=\"(\w+)\" Stage=\"(\w+)\"', '\w+', 300\)")


def everything() -> list[Stack]:
    """All templates of both profiles, with every optional part."""
    return [*stacks("small", **FULL), *stacks("private", **FULL)]


def shown() -> Iterator[tuple[str, str | None]]:
    """Metric, and label if any, of each line of the dashboard that is ours."""
    (body, *_) = (one["DashboardBody"] for stack in everything() for _, one in stack.of("AWS::CloudWatch::Dashboard"))
    for widget in json.loads(body)["widgets"]:
        for row in widget["properties"].get("metrics", []):
            if isinstance(row[0], dict):
                schema, name, stage = _SEARCH.fullmatch(row[0]["expression"]).groups()
                assert (schema.split(",")[:3], stage) == (["MediaWorker", "Stage", "Lane"], "prod")
                yield name, schema.split(",")[3]
            elif row[0] == "MediaWorker":
                assert row[2:5] == ["Stage", "prod", "Lane"]
                assert row[5] in LANES
                yield row[1], None


def alarmed() -> set[tuple[str, str, str]]:
    """Metric, and label and value if any, of all that alarms read and is ours, whatever the lane."""
    alarms = [one for stack in everything() for _, one in stack.of("AWS::CloudWatch::Alarm")]
    read = [
        one["MetricStat"]["Metric"] for alarm in alarms for one in listed(alarm.get("Metrics")) if "MetricStat" in one
    ]
    return {
        (metric["MetricName"], *([(one["Name"], one["Value"]) for one in metric["Dimensions"][2:]] or [("", "")])[0])
        for metric in read
        if metric["Namespace"] == "MediaWorker"
    }
