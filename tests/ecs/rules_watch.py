"""Rules of alarms and of scaling."""

from collections.abc import Iterator

from tests.ecs.looking import at, differing, listed
from tests.ecs.templates import Stack


def alarms(stack: Stack) -> Iterator[str]:
    """Each does something, says why, and has decided what no data means."""
    for name, alarm in stack.of("AWS::CloudWatch::Alarm"):
        actions = listed(alarm.get("AlarmActions"))
        scales = all(str(one).startswith("ref:When") for one in actions)
        if not actions or not (scales or actions == ["given-AlarmsTopicArn"]):
            yield f"{name}: reaches nobody"
        if alarm.get("ActionsEnabled") is False:
            yield f"{name}: is switched off"
        if alarm.get("TreatMissingData") != "notBreaching":
            yield f"{name}: no data means {alarm.get('TreatMissingData')}"
        told = str(alarm.get("AlarmDescription"))
        if not scales and "docs/runbook.md" not in told:
            yield f"{name}: does not say what to do"
        if not str(alarm.get("AlarmName")).startswith("media-prod-"):
            yield f"{name}: the topic takes only alarms of this stage"


def scaling(stack: Stack) -> Iterator[str]:
    """A maximum caps what an hour costs; small begins at zero; only the idle alarm stops tasks."""
    for name, target in stack.of("AWS::ApplicationAutoScaling::ScalableTarget"):
        light = stack.profile == "private" and stack.parameters["Lane"] == "light"
        if target.get("MinCapacity") != int(light):
            yield f"{name}: at least {target.get('MinCapacity')} tasks"
        if not 1 <= int(target.get("MaxCapacity") or 0) <= 20:
            yield f"{name}: at most {target.get('MaxCapacity')} tasks"
    for name, policy in stack.of("AWS::ApplicationAutoScaling::ScalingPolicy"):
        tracking = "TargetTrackingScalingPolicyConfiguration"
        if policy.get("PolicyType") == "TargetTrackingScaling":
            for wrong in differing(policy, {(tracking, "DisableScaleIn"): True}):
                yield f"{name}: {wrong}"
            metrics = at(policy, tracking, "CustomizedMetricSpecification", "Metrics") or [{}]
            if "IF(FILL(running, 0) > 0" not in str(at(metrics, 0, "Expression")):
                yield f"{name}: divides by no task"


def idle(stack: Stack) -> Iterator[str]:
    """A task that was just woken is not stopped for want of metrics."""
    for name, alarm in stack.of("AWS::CloudWatch::Alarm"):
        if name == "Idle" and "IF(FILL(running, 0) > 0" not in str(at(alarm, "Metrics", 0, "Expression")):
            yield f"{name}: stops tasks that are not there yet"
        if name == "Waiting" and any("AWS/ECS" in str(one) for one in listed(alarm.get("Metrics"))):
            yield f"{name}: waits for metrics of tasks before the first one runs"


watch_rules = (alarms, scaling, idle)
