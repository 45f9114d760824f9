"""What an idle month costs, counted in the templates: what stands there while nothing happens (prices of us-east-1).

Free tiers are left out, as is what is stored.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from scripts.deployment.templates import Stack

ALARM = 0.10  # dollars a month and metric that an alarm reads
DASHBOARD = 3.00  # after the three of an account that are free
KEY = 1.00
ENDPOINT_HOUR = 0.01  # of an interface endpoint, in each zone
MONTH_HOURS = 730
IMAGE_GB = 0.10
IMAGE_SIZE = 1.5  # GB compressed, three images with most layers in common
CPU_HOUR = {"X86_64": 0.04048, "ARM64": 0.03238}  # Fargate on demand, one vCPU
GB_HOUR = {"X86_64": 0.004445, "ARM64": 0.00356}

Item = tuple[str, float, float]  #: what, how many, dollars


def idle_month(stacks: Iterable[Stack]) -> list[Item]:
    """What is charged for without a single upload."""
    made = list(stacks)
    alarms = sum(_metrics_read(stack) for stack in made)
    keys = _count(made, "AWS::KMS::Key")
    ends = [one for one in _all(made, "AWS::EC2::VPCEndpoint") if one["VpcEndpointType"] == "Interface"]
    zones = sum(len(one["SubnetIds"]) for one in ends)
    always, hourly = _always(made)
    images = IMAGE_SIZE * _count(made, "AWS::ECR::Repository")
    return [
        ("metrics that alarms read", alarms, alarms * ALARM),
        ("image in ECR, GB", images, images * IMAGE_GB),
        ("customer keys", keys, keys * KEY),
        ("interface endpoints, in two zones", len(ends), zones * ENDPOINT_HOUR * MONTH_HOURS),
        ("light task that is always on", always, hourly * MONTH_HOURS),
    ]


def _all(stacks: Iterable[Stack], kind: str) -> list[Mapping[str, Any]]:
    return [properties for stack in stacks for _, properties in stack.of(kind)]


def _count(stacks: Iterable[Stack], kind: str) -> int:
    return len(_all(stacks, kind))


def _always(stacks: Iterable[Stack]) -> tuple[int, float]:
    """How many tasks never stop, and what they cost an hour by their size."""
    lanes = {stack.parameters["Lane"]: stack for stack in stacks if stack.template == "lane"}
    number, dollars = 0, 0.0
    for stack in stacks:
        for _, target in stack.of("AWS::ApplicationAutoScaling::ScalableTarget"):
            least = int(target["MinCapacity"])
            number += least
            dollars += least * _task_hour(lanes[stack.parameters["Lane"]])
    return number, dollars


def _task_hour(lane: Stack) -> float:
    [(_, task)] = lane.of("AWS::ECS::TaskDefinition")
    architecture = task["RuntimePlatform"]["CpuArchitecture"]
    return int(task["Cpu"]) / 1024 * CPU_HOUR[architecture] + int(task["Memory"]) / 1024 * GB_HOUR[architecture]


def _metrics_read(stack: Stack) -> int:
    """A metric that two alarms read counts twice; target tracking makes two alarms of its own."""
    own = sum(_measured(alarm.get("Metrics")) or 1 for _, alarm in stack.of("AWS::CloudWatch::Alarm"))
    tracked = sum(
        _measured(policy["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"]["Metrics"])
        for _, policy in stack.of("AWS::ApplicationAutoScaling::ScalingPolicy")
        if policy["PolicyType"] == "TargetTrackingScaling"
    )
    return own + 2 * tracked


def _measured(metrics: list[Mapping[str, Any]] | None) -> int:
    return sum("MetricStat" in one for one in metrics or [])
