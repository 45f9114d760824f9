"""The dashboard shows what the code emits and nothing else; each alarm fires, and the runbook says what then."""

import json
import re

import pytest
from prometheus_client.metrics import MetricWrapperBase

from service import metrics
from tests.ecs.dashboard import LANES, everything, shown
from tests.ecs.looking import at, listed
from tests.ecs.math import evaluate
from tests.ecs.templates import ROOT, stacks

OURS = {one._name: tuple(one._labelnames) for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)}
ALL = everything()
ALARMS = {
    properties["AlarmName"].removeprefix("media-prod-"): properties
    for stack in ALL
    for _, properties in stack.of("AWS::CloudWatch::Alarm")
}
DASHBOARD = next(
    json.loads(properties["DashboardBody"]) for stack in ALL for _, properties in stack.of("AWS::CloudWatch::Dashboard")
)


def test_the_dashboard_shows_every_metric_and_no_other():
    """Both ways: a metric that is added has to be shown, one that is gone is shown no more."""
    assert {name for name, _ in shown()} == set(OURS)


def test_the_dashboard_asks_for_labels_as_they_are():
    """By each label that a metric has, since the emitter sends one label at a time; without one where it has none."""
    labels_of = {name: {label for one, label in shown() if one == name} for name in OURS}
    assert labels_of == {name: set(labels) or {None} for name, labels in OURS.items()}


def test_the_dashboard_shows_every_alarm():
    """Those that reach a person, and those that scale."""
    listed_ = {arn.rpartition("media-prod-")[2] for arn in DASHBOARD["widgets"][0]["properties"]["alarms"]}
    assert listed_ == set(ALARMS)


def _metrics_of(alarm):
    for one in listed(alarm.get("Metrics")):
        if "MetricStat" in one:
            yield one["Id"], one["MetricStat"]["Metric"]


@pytest.mark.parametrize("name", ALARMS)
def test_alarms_ask_for_what_is_emitted(name):
    """Metrics of the registry, by stage and lane and at most one label that it has."""
    for _, metric in _metrics_of(ALARMS[name]):
        if metric["Namespace"] == "MediaWorker":
            stage, lane, *label = [(one["Name"], one["Value"]) for one in metric["Dimensions"]]
            assert stage == ("Stage", "prod")
            assert lane[0] == "Lane"
            assert lane[1] in LANES
            assert {key for key, _ in label} <= set(OURS[metric["MetricName"]])
            assert len(label) == min(1, len(OURS[metric["MetricName"]]))


@pytest.mark.parametrize("name", ALARMS)
def test_every_metric_of_an_alarm_counts(name):
    """Each that is asked for stands in its expression, and nothing else does."""
    if expression := at(ALARMS[name], "Metrics", 0, "Expression"):
        words = set(re.findall(r"[a-z]\w*", expression))
        assert words == {identifier for identifier, _ in _metrics_of(ALARMS[name])}


_QUIET = {"light-waiting": {"visible": 0}, "heavy-waiting": {"visible": 0, "later": 0}}
#: What each alarm should hear of, and what not: points of its metrics.
FIRES = {
    "light-failing": [{"again": 5}, {"again": 6, "done": 6}],
    "heavy-failing": [{"again": 5}],
    "dead-intake": [{"value": 1}],
    "dead-heavy": [{"value": 1}],
    "dead-backfill": [{"value": 1}],
    "old-intake": [{"age": 16 * 60}],
    "old-heavy": [{"age": 241 * 60}],
    "stalled-light": [{"waiting": 3}, {"waiting": 3, "done": 0, "forwarded": 0}],
    "stalled-heavy": [{"waiting": 1}],
    "memory": [{"light": 5}, {"light": 2, "heavy": 3}],
    "forged": [{"light": 1}, {"heavy": 1}],
    "throttled": [{"lightRekognition": 60, "heavyTranscribe": 40}],
    "spend": [{"lightMinutes": 4 * 1440}, {"heavyMinutes": 3000}, {"heavyImages": 5.01}],
    "light-idle": [{"visible": 0, "running": 1}, {"visible": 0, "inflight": 1, "running": 3}],
    "heavy-idle": [{"visible": 0, "inflight": 0, "running": 1}],
    "light-waiting": [{"visible": 1}],
    "heavy-waiting": [{"visible": 0, "later": 1}, {"visible": 1}],
}
SILENT = {
    "light-failing": [{}, {"again": 4}, {"again": 5, "done": 6}],
    "heavy-failing": [{}, {"done": 100}],
    "dead-intake": [{"value": 0}],
    "dead-heavy": [{"value": 0}],
    "dead-backfill": [{"value": 0}],
    "old-intake": [{}, {"age": 15 * 60}],
    "old-heavy": [{}, {"age": 240 * 60}],
    "stalled-light": [{}, {"waiting": 3, "done": 1}, {"waiting": 3, "forwarded": 1}, {"waiting": 0}],
    "stalled-heavy": [{}, {"waiting": 1, "done": 1}],
    "memory": [{}, {"light": 4}],
    "forged": [{}, {"light": 0}],
    "throttled": [{}, {"lightRekognition": 99}],
    "spend": [{}, {"lightMinutes": 1440, "heavyMinutes": 600}],
    # without a running task nothing is stopped: the one that was just woken is not there yet
    "light-idle": [{}, {"visible": 0}, {"visible": 0, "running": 0}, {"visible": 9, "running": 2}],
    "heavy-idle": [
        {},
        {"visible": 0},
        {"visible": 0, "later": 5, "running": 1},
        {"visible": 0, "inflight": 2, "running": 2},
    ],
    "light-waiting": [{}, {"visible": 0}],
    "heavy-waiting": [{}, {"visible": 0}],
}


def _breaches(alarm, points):
    expression = at(alarm, "Metrics", 0, "Expression")
    value = evaluate(expression, points) if expression else points.get("value")
    if value is None:
        return False  # TreatMissingData is notBreaching
    limit = float(alarm["Threshold"])
    match alarm["ComparisonOperator"]:
        case "GreaterThanThreshold":
            return value > limit
        case "GreaterThanOrEqualToThreshold":
            return value >= limit
        case "LessThanOrEqualToThreshold":
            return value <= limit
    raise AssertionError(alarm["ComparisonOperator"])


def test_every_alarm_is_tried():
    """None is left out of the two tables."""
    assert set(FIRES) == set(SILENT) == set(ALARMS)


@pytest.mark.parametrize(("name", "points"), [(name, points) for name, all_ in FIRES.items() for points in all_])
def test_alarms_fire(name, points):
    """Each does for what it is there for."""
    assert _breaches(ALARMS[name], points)


@pytest.mark.parametrize(("name", "points"), [(name, points) for name, all_ in SILENT.items() for points in all_])
def test_alarms_keep_silent(name, points):
    """None does without a cause, nor before there are metrics."""
    assert not _breaches(ALARMS[name], points)


def test_backlog_is_guarded_at_zero():
    """Target tracking sees the backlog a task, and all of it where no task runs."""
    for stack in stacks("small"):
        for _, policy in stack.of("AWS::ApplicationAutoScaling::ScalingPolicy"):
            tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
            if tracking:
                expression = tracking["CustomizedMetricSpecification"]["Metrics"][0]["Expression"]
                assert evaluate(expression, {"visible": 40, "inflight": 2, "running": 2}) == 21
                assert evaluate(expression, {"visible": 40, "inflight": 2}) == 42


def test_the_runbook_has_a_section_an_alarm():
    """Every section that a description names is there, and each of those says symptom, what to look at, what to do."""
    text = (ROOT / "docs" / "runbook.md").read_text()
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    named = {
        re.search(r'docs/runbook\.md, "([^"]+)"', alarm["AlarmDescription"])[1]
        for alarm in ALARMS.values()
        if alarm["AlarmActions"] == ["given-AlarmsTopicArn"]
    }
    assert named == {title for title, body in sections.items() if "**Symptom.**" in body}
    for title in named:
        assert all(word in sections[title] for word in ("**Symptom.**", "**Look at.**", "**Do.**")), title


def test_task_prices_are_those_of_the_sizes():
    """What a minute of a task is counted as, by Fargate's prices in us-east-1 and that of a public address."""
    from tests.ecs.templates import load

    sizes, told = load("lane")["Mappings"]["Sizes"], load("watch")["Mappings"]["DollarsATaskMinute"]
    for lane, size in sizes.items():
        hour = size["Cpu"] / 1024 * 0.04048 + size["Memory"] / 1024 * 0.004445 + 0.005
        assert float(told[lane]["OnDemand"]) == pytest.approx(hour / 60, rel=0.01)
