"""What an idle month costs, counted in the templates: what stands there while nothing happens (prices of us-east-1)."""

from tests.ecs.looking import at, listed
from tests.ecs.templates import Stack, stacks

ALARM = 0.10  # dollars a month and metric that an alarm reads
DASHBOARD = 3.00
KEY = 1.00
ENDPOINT_HOUR = 0.01  # of an interface endpoint, in each zone
MONTH_HOURS = 730
IMAGE_GB = 0.10
IMAGE_SIZE = 1.5  # GB compressed, three images with most layers in common
LIGHT_HOUR = 0.04048 + 4 * 0.004445  # a task that is always there

Item = tuple[str, float, float]  #: what, how many, dollars


def idle_month(profile: str, **given: str) -> list[Item]:
    """What is charged for without a single upload, free tiers left out."""
    made = stacks(profile, **given)
    alarms = sum(_metrics_read(stack) for stack in made)
    counts = [one["Type"] for stack in made for one in stack.resources.values()]
    ends = [
        one for stack in made for _, one in stack.of("AWS::EC2::VPCEndpoint") if one["VpcEndpointType"] == "Interface"
    ]
    always = sum(
        int(target["MinCapacity"])
        for stack in made
        for _, target in stack.of("AWS::ApplicationAutoScaling::ScalableTarget")
    )
    zones = sum(len(one["SubnetIds"]) for one in ends)
    return [
        ("metrics that alarms read", alarms, alarms * ALARM),
        ("image in ECR, GB", IMAGE_SIZE, IMAGE_SIZE * IMAGE_GB),
        ("customer keys", counts.count("AWS::KMS::Key"), counts.count("AWS::KMS::Key") * KEY),
        ("interface endpoints, in two zones", len(ends), zones * ENDPOINT_HOUR * MONTH_HOURS),
        ("light task that is always on", always, always * LIGHT_HOUR * MONTH_HOURS),
    ]


def _metrics_read(stack: Stack) -> int:
    """A metric that two alarms read counts twice; target tracking makes two alarms of its own."""
    own = sum(
        sum("MetricStat" in one for one in listed(alarm.get("Metrics"))) or 1
        for _, alarm in stack.of("AWS::CloudWatch::Alarm")
    )
    tracked = sum(
        sum("MetricStat" in one for one in metrics)
        for _, policy in stack.of("AWS::ApplicationAutoScaling::ScalingPolicy")
        if (
            metrics := at(
                policy, "TargetTrackingScalingPolicyConfiguration", "CustomizedMetricSpecification", "Metrics"
            )
        )
    )
    return own + 2 * tracked
