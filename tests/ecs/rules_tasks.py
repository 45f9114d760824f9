"""Rules of task definitions, services and the network."""

import re
from collections.abc import Iterator

from tests.ecs.looking import at, differing, listed
from tests.ecs.templates import Stack

_DRAIN_MARGIN = 20  # seconds between the end of draining and the kill


def containers(stack: Stack) -> Iterator[str]:
    """No root, no writable root, no capability, a reaper, all the time Fargate gives, a scratch volume."""
    wanted = {
        ("User",): "10001:10001",
        ("ReadonlyRootFilesystem",): True,
        ("Privileged",): False,
        ("Essential",): True,
        ("LinuxParameters", "InitProcessEnabled"): True,
        ("LinuxParameters", "Capabilities"): {"Drop": ["ALL"]},
        ("StopTimeout",): 120,
        ("MountPoints",): [{"SourceVolume": "scratch", "ContainerPath": "/scratch", "ReadOnly": False}],
    }
    for name, task in stack.of("AWS::ECS::TaskDefinition"):
        for container in listed(at(task, "ContainerDefinitions")):
            for wrong in differing(container, wanted):
                yield f"{name}: {wrong}"
            if container.get("PortMappings") or container.get("Secrets"):
                yield f"{name}: a port or a secret that nothing needs"


def tasks(stack: Stack) -> Iterator[str]:
    """Fargate, a network of its own, two roles, a disk that is said, an image that does not move."""
    for name, task in stack.of("AWS::ECS::TaskDefinition"):
        wanted = {("RequiresCompatibilities",): ["FARGATE"], ("NetworkMode",): "awsvpc"}
        wanted |= {("Volumes",): [{"Name": "scratch"}], ("RuntimePlatform", "OperatingSystemFamily"): "LINUX"}
        for wrong in differing(task, wanted):
            yield f"{name}: {wrong}"
        if at(task, "TaskRoleArn") in {None, at(task, "ExecutionRoleArn")} or not at(task, "ExecutionRoleArn"):
            yield f"{name}: the worker has no role of its own"
        if not 21 <= int(at(task, "EphemeralStorage", "SizeInGiB") or 0) <= 200:
            yield f"{name}: EphemeralStorage is not said"
        image = at(task, "ContainerDefinitions", 0, "Image") or ""
        if not re.search(r"@sha256:[0-9a-f]{64}$", image):
            yield f"{name}: {image!r} is no image by digest"


def health(stack: Stack) -> Iterator[str]:
    """ECS ignores the image's own health check."""
    for name, task in stack.of("AWS::ECS::TaskDefinition"):
        check = at(task, "ContainerDefinitions", 0, "HealthCheck")
        if "/healthz" not in str(at(check, "Command")) or at(check, "Command", 0) != "CMD":
            yield f"{name}: no health check of /healthz"
        for wrong in differing(check, {("Interval",): 30, ("Timeout",): 5, ("Retries",): 3, ("StartPeriod",): 30}):
            yield f"{name}: {wrong}"


def logs_of_tasks(stack: Stack) -> Iterator[str]:
    """A log that takes no lines must not stop jobs, and loses as few as can be."""
    wanted = {
        ("LogDriver",): "awslogs",
        ("Options", "mode"): "non-blocking",
        ("Options", "max-buffer-size"): "25m",
        ("Options", "awslogs-group"): "given-LogGroup",
    }
    for name, task in stack.of("AWS::ECS::TaskDefinition"):
        for wrong in differing(at(task, "ContainerDefinitions", 0, "LogConfiguration"), wanted):
            yield f"{name}: {wrong}"


def draining(stack: Stack) -> Iterator[str]:
    """The worker stops before it is killed, and its decoders fit into the task."""
    for name, task in stack.of("AWS::ECS::TaskDefinition"):
        container = at(task, "ContainerDefinitions", 0)
        said = {one["Name"]: str(one["Value"]) for one in listed(at(container, "Environment"))}
        if int(said.get("MEDIA_DRAIN_SECONDS", 0)) + _DRAIN_MARGIN != at(container, "StopTimeout"):
            yield f"{name}: MEDIA_DRAIN_SECONDS does not leave {_DRAIN_MARGIN} s of StopTimeout"
        need = int(said.get("MEDIA_SLOTS", 0)) * (int(said.get("MEDIA_CHILD_MEMORY_MB", 0)) + 512)
        if not 0 < need <= int(at(task, "Memory") or 0):
            yield f"{name}: its slots need {need} MiB of {at(task, 'Memory')}"
        if said.get("MEDIA_BUCKET_OWNER") != "111122223333":
            yield f"{name}: the owner of the buckets is not checked"


def services(stack: Stack) -> Iterator[str]:
    """A bad deployment is rolled back, a good one stops no job, nobody gets a shell."""
    deployment = "DeploymentConfiguration"
    wanted = {
        (deployment, "DeploymentCircuitBreaker"): {"Enable": True, "Rollback": True},
        (deployment, "Alarms"): {"AlarmNames": ["ref:Failing"], "Enable": True, "Rollback": True},
        (deployment, "MinimumHealthyPercent"): 100,
        (deployment, "MaximumPercent"): 200,
        ("AvailabilityZoneRebalancing",): "ENABLED",
        ("EnableExecuteCommand",): False,
        ("PlatformVersion",): "LATEST",
        ("PropagateTags",): "SERVICE",
        ("NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp"): (
            "ENABLED" if stack.profile == "small" else "DISABLED"
        ),
        ("NetworkConfiguration", "AwsvpcConfiguration", "SecurityGroups"): ["given-SecurityGroup"],
    }
    for name, service in stack.of("AWS::ECS::Service"):
        for wrong in differing(service, wanted):
            yield f"{name}: {wrong}"
        if len(at(service, "NetworkConfiguration", "AwsvpcConfiguration", "Subnets") or []) < 2:
            yield f"{name}: fewer than two subnets"
        if "DesiredCount" in service or "LaunchType" in service or "LoadBalancers" in service:
            yield f"{name}: DesiredCount would undo scaling at each update, LaunchType the mix with Spot"


def capacity(stack: Stack) -> Iterator[str]:
    """Spot in private alone, and the light lane's first task never on it."""
    for name, service in stack.of("AWS::ECS::Service"):
        mix = {one["CapacityProvider"]: one for one in listed(at(service, "CapacityProviderStrategy"))}
        spot = at(mix, "FARGATE_SPOT", "Weight") or 0
        if not at(mix, "FARGATE", "Weight") or (spot > 0) != (stack.profile == "private"):
            yield f"{name}: Spot has the weight {spot} in {stack.profile}"
        always = stack.profile == "private" and stack.parameters["Lane"] == "light"
        if at(mix, "FARGATE", "Base") != int(always):
            yield f"{name}: the base on demand is {at(mix, 'FARGATE', 'Base')}"


def network(stack: Stack) -> Iterator[str]:
    """Nothing comes in; HTTPS alone goes out, in private to S3 and the endpoints alone."""
    for name, group in stack.of("AWS::EC2::SecurityGroup"):
        if group.get("SecurityGroupIngress"):
            yield f"{name}: ingress"
        for rule in listed(group.get("SecurityGroupEgress")) or [{}]:
            yield from (f"{name}: {wrong}" for wrong in _egress(rule, stack.profile))
    for name, rule in stack.of("AWS::EC2::SecurityGroupEgress"):
        yield from (f"{name}: {wrong}" for wrong in _egress(rule, stack.profile))
    for name, rule in stack.of("AWS::EC2::SecurityGroupIngress"):
        if rule.get("GroupId") != "ref:EndpointGroup" or rule.get("SourceSecurityGroupId") != "ref:WorkerGroup":
            yield f"{name}: ingress to something else than the endpoints, or from something else than tasks"
    for name, subnet in stack.of("AWS::EC2::Subnet"):
        if subnet.get("MapPublicIpOnLaunch") is not False:
            yield f"{name}: gives public addresses to whatever starts in it"


def _egress(rule: dict[str, object], profile: str) -> Iterator[str]:
    if rule.get("CidrIp") == "255.255.255.255/32" and rule.get("IpProtocol") == "icmp":
        return  # the idiom for no egress at all
    if (rule.get("IpProtocol"), rule.get("FromPort"), rule.get("ToPort")) != ("tcp", 443, 443):
        yield "egress of something else than HTTPS"
    if profile == "private" and rule.get("CidrIp") == "0.0.0.0/0":
        yield "egress to everywhere"


def ways(stack: Stack) -> Iterator[str]:
    """Small has no NAT and no interface endpoints, which cost; private no way to the internet."""
    if stack.template != "network":
        return
    kinds = [one["Type"] for one in stack.resources.values()]
    if "AWS::EC2::NatGateway" in kinds:
        yield "a NAT gateway"
    ends = {one["ServiceName"].split(".", 3)[3]: one for _, one in stack.of("AWS::EC2::VPCEndpoint")}
    if at(ends, "s3", "VpcEndpointType") != "Gateway":
        yield "no gateway endpoint of S3"
    if stack.profile == "small" and set(ends) != {"s3"}:
        yield f"interface endpoints: {sorted(ends)}"
    if stack.profile == "private":
        if "AWS::EC2::InternetGateway" in kinds:
            yield "an internet gateway"
        wanted = "s3 ecr.api ecr.dkr logs sqs sns events monitoring kms sts ecs ecs-agent ecs-telemetry"
        asked = {stack.parameters["ModerationProvider"], stack.parameters["CaptionProvider"]}
        if wrong := {*wanted.split(), *asked & {"rekognition", "transcribe"}} ^ set(ends):
            yield f"an endpoint too much or too little: {sorted(wrong)}"


def endpoints(stack: Stack) -> Iterator[str]:
    """Endpoints are this account's alone; those of ECS's agent take no policy."""
    for name, one in stack.of("AWS::EC2::VPCEndpoint"):
        interface = one.get("VpcEndpointType") == "Interface"
        if interface and (
            one.get("PrivateDnsEnabled") is not True or one.get("SecurityGroupIds") != ["ref:EndpointGroup"]
        ):
            yield f"{name}: not found by its name, or open to others"
        if one["ServiceName"].endswith(("ecs-agent", "ecs-telemetry")):
            continue
        for statement in listed(at(one, "PolicyDocument", "Statement")) or [{}]:
            layers = "starport-layer-bucket" in str(statement.get("Resource")) and statement["Action"] == "s3:GetObject"
            if not layers and at(statement, "Condition", "StringEquals", "aws:PrincipalAccount") != "111122223333":
                yield f"{name}: open to other accounts"
            s3 = not interface and not layers
            if s3 and at(statement, "Condition", "StringEquals", "aws:ResourceAccount") != "111122223333":
                yield f"{name}: leads to buckets of other accounts"


task_rules = (
    containers, tasks, health, logs_of_tasks, draining, services, capacity, network, ways, endpoints,
)  # fmt: skip
