"""Each hardening property of the templates, changed for the worse: what the rules have to see."""

import copy
from collections.abc import Iterator
from typing import Any

from tests.ecs.looking import at
from tests.ecs.templates import Stack

GONE = object()

#: What hardens, by the name of its property: each place where it stands is changed to each of these in turn.
MUTATIONS: dict[str, tuple[Any, ...]] = {
    # containers and tasks
    "User": (GONE, "root", "0:0", "0"),
    "ReadonlyRootFilesystem": (GONE, False, "true"),
    "Privileged": (True,),
    "Capabilities": (GONE, {"Drop": ["ALL"], "Add": ["SYS_PTRACE"]}),
    "Drop": (GONE, [], ["NET_RAW"]),
    "InitProcessEnabled": (GONE, False),
    "StopTimeout": (GONE, 30),
    "MountPoints": (GONE, []),
    "PortMappings+": ([{"ContainerPort": 8080}],),
    "HealthCheck": (GONE,),
    "LogConfiguration": (GONE,),
    "mode": (GONE, "blocking"),
    "max-buffer-size": (GONE,),
    "NetworkMode": (GONE, "host", "bridge"),
    "TaskRoleArn": (GONE, "given-ExecutionRoleArn"),
    "EphemeralStorage": (GONE,),
    "Image": ("repository:latest",),
    "Environment": (GONE, []),
    # services
    "Enable": (GONE, False),
    "Rollback": (GONE, False),
    "AlarmNames": (GONE, []),
    "MinimumHealthyPercent": (GONE, 0),
    "MaximumPercent": (GONE, 100),
    "AvailabilityZoneRebalancing": (GONE, "DISABLED"),
    "EnableExecuteCommand": (GONE, True),
    "AssignPublicIp": (GONE, {"ENABLED": "DISABLED", "DISABLED": "ENABLED"}),
    "PlatformVersion": (GONE, "1.3.0"),
    "PropagateTags": (GONE,),
    "Subnets": (["subnet-1"],),
    "SecurityGroups": (GONE, []),
    "DesiredCount+": (1,),
    "CapacityProviderStrategy": (GONE,),
    # network
    "SecurityGroupIngress+": ([{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}],),
    "SecurityGroupEgress": (GONE, [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]),
    "SourceSecurityGroupId": (GONE,),
    "MapPublicIpOnLaunch": (GONE, True),
    "PrivateDnsEnabled": (GONE, False),
    "SecurityGroupIds": (GONE,),
    "aws:PrincipalAccount": (GONE, "*"),
    "aws:ResourceAccount": (GONE, "*"),
    # buckets
    "BlockPublicAcls": (GONE, False),
    "BlockPublicPolicy": (GONE, False),
    "IgnorePublicAcls": (GONE, False),
    "RestrictPublicBuckets": (GONE, False),
    "ObjectOwnership": (GONE, "ObjectWriter"),
    "BucketEncryption": (GONE,),
    "BucketKeyEnabled": (GONE, False),
    "SSEAlgorithm": (GONE,),
    "VersioningConfiguration": (GONE, {"Status": "Suspended"}),
    "LifecycleConfiguration": (GONE,),
    "DaysAfterInitiation": (GONE, 365),
    "NoncurrentVersionExpiration": (GONE,),
    "ExpirationInDays": (GONE, 3650),
    "LoggingConfiguration": (GONE,),
    "QueueConfigurations": (GONE, []),
    "EventBridgeEnabled": (GONE, False),
    # queues, topics, repository, log, key
    "MessageRetentionPeriod": (GONE, 345_600),
    "VisibilityTimeout": (GONE, 30),
    "ReceiveMessageWaitTimeSeconds": (GONE, 0),
    "SqsManagedSseEnabled": (GONE, False),
    "KmsMasterKeyId": (GONE,),
    "KMSMasterKeyID": (GONE,),
    "RedrivePolicy": (GONE,),
    "maxReceiveCount": (GONE, 3),
    "RedriveAllowPolicy": (GONE, {"redrivePermission": "allowAll"}),
    "sourceQueueArns": (GONE, []),
    "Subscription": (GONE, []),
    "ImageTagMutability": (GONE, "MUTABLE"),
    "ScanOnPush": (GONE, False),
    "EncryptionType": (GONE,),
    "LifecyclePolicy": (GONE,),
    "RetentionInDays": (GONE,),
    "KmsKeyId": (GONE,),
    "EnableKeyRotation": (GONE, False),
    "PendingWindowInDays": (GONE, 7),
    # policies
    "aws:SourceAccount": (GONE, "*"),
    "aws:SourceArn": (GONE, "*"),
    "aws:SecureTransport": (GONE, True),
    "kms:EncryptionContext:aws:logs:arn": (GONE,),
    "kms:EncryptionContext:aws:sqs:arn": (GONE, "*"),
    "kms:EncryptionContext:aws:sns:topicArn": (GONE, "*"),
    "transcribe:OutputBucketName": (GONE,),
    "Condition": (GONE,),
    "Principal": ("*",),
    # the distribution
    "OriginAccessControlId": (GONE,),
    "ViewerProtocolPolicy": (GONE, "allow-all"),
    "ResponseHeadersPolicyId": (GONE,),
    "SigningBehavior": ("never", "no-override"),
    "ContentTypeOptions": (GONE,),
    "AccessControlAllowCredentials": (True,),
    # alarms and scaling
    "AlarmActions": (GONE, []),
    "TreatMissingData": (GONE, "missing", "breaching"),
    "AlarmDescription": (GONE,),
    "ActionsEnabled+": (False,),
    "MaxCapacity": (GONE, 1000),
    "MinCapacity": (2,),
    "DisableScaleIn": (GONE, False),
    # of the resource itself
    "DeletionPolicy": (GONE, "Delete"),
    "UpdateReplacePolicy": (GONE, "Delete"),
}
#: What may go with its stack: named queues, or it could not be made again; images are built anew; a log is no outcome.
TRANSIENT = {"AWS::SQS::Queue", "AWS::ECR::Repository", "AWS::Logs::LogGroup"}
#: Where each added property belongs.
ADDED = {
    "PortMappings": "ReadonlyRootFilesystem",
    "DesiredCount": "EnableExecuteCommand",
    "SecurityGroupIngress": "GroupDescription",
    "ActionsEnabled": "AlarmName",
}


def mutants(stack: Stack) -> Iterator[tuple[str, Stack]]:
    """Each stack that differs from this one by one property of the table."""
    for name, values in MUTATIONS.items():
        plain = name.removesuffix("+")
        for place, _ in places(stack.resources, ADDED[plain] if name.endswith("+") else plain):
            path = (*place[:-1], plain)
            if _harmless(stack, path, plain):
                continue
            for value in values:
                changed = copy.deepcopy(stack.resources)
                _change(changed, path, value)
                if changed != stack.resources:
                    said = "is gone" if value is GONE else f"= {value!r}"
                    yield f"{plain} at {'.'.join(map(str, path))} {said}", changed_to(stack, changed)


def _change(resources: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    parent = at(resources, *path[:-1])
    if value is GONE:
        parent.pop(path[-1], None)
    elif isinstance(value, dict) and parent.get(path[-1]) in tuple(value):
        parent[path[-1]] = value[parent[path[-1]]]
    else:
        parent[path[-1]] = value


def _harmless(stack: Stack, path: tuple[Any, ...], name: str) -> bool:
    """Where a change of that name is none to the worse: a denial is for everybody, what sends no mail needs no text."""
    resource = stack.resources[path[0]]
    kind = resource["Type"]
    if name in {"DeletionPolicy", "UpdateReplacePolicy"}:
        return kind in TRANSIENT
    parent = at(stack.resources, *path[:-1])
    if name == "Principal":
        return (
            parent.get("Effect") == "Deny"
            or kind == "AWS::EC2::VPCEndpoint"
            or at(parent, "Principal", "AWS") is not None
        )
    if name == "AlarmDescription":
        return str(at(parent, "AlarmActions", 0)).startswith("ref:When")
    return False


def changed_to(stack: Stack, resources: dict[str, Any]) -> Stack:
    """The same stack with other resources."""
    return Stack(**{**vars(stack), "resources": resources})


def places(value: Any, name: str, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Where a property of this name stands."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in pairs:
        if key == name and path:
            yield (*path, key), one
        yield from places(one, name, (*path, key))
