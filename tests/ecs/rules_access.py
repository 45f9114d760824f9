"""Rules of policies: who may do what, on what, under which conditions."""

import re
from collections.abc import Iterator
from typing import Any

from tests.ecs.looking import at, listed
from tests.ecs.templates import ACCOUNT, Stack

#: Actions that know no resource of ours (Service Authorization Reference), each behind whatever condition it has.
_WITHOUT_RESOURCE = {
    "ecr:GetAuthorizationToken",
    "rekognition:DetectModerationLabels",
    "transcribe:StartTranscriptionJob",
    "application-autoscaling:DescribeScalableTargets",
}
#: What may come from each service; all of it has to name its account, and its source where there is one.
_SERVICES = {
    "s3.amazonaws.com": {"sqs:SendMessage", "kms:GenerateDataKey", "kms:Decrypt"},
    "events.amazonaws.com": {"sqs:SendMessage", "sns:Publish", "kms:GenerateDataKey", "kms:Decrypt", "sts:AssumeRole"},
    "cloudwatch.amazonaws.com": {"sns:Publish", "kms:GenerateDataKey", "kms:Decrypt"},
    "cloudfront.amazonaws.com": {"s3:GetObject", "kms:Decrypt"},
    "ecs-tasks.amazonaws.com": {"sts:AssumeRole"},
    "states.amazonaws.com": {"sts:AssumeRole"},
}
#: Whose pages promise aws:SourceArn alone, with the account in it.
_NAMED_BY_ARN = {"cloudfront.amazonaws.com", "events.amazonaws.com"}
_NEED_SOURCE = {"sqs:SendMessage", "sns:Publish", "s3:GetObject"}
#: What each policy has to say; what the worker's own role says is in `_worker_needs`.
_STATEMENTS = {
    "Key": "AccountDecidesByIam EventsIntoQueues AlarmsIntoTopics LogGroupsOfThisStage DistributionReadsProducts",
    "UploadsPolicy": "TlsOnly",
    "PublishedPolicy": "TlsOnly DistributionReadsProducts",
    "IntakePolicy": "TlsOnly UploadsNotify TranscribeReports",
    "OtherQueuesPolicy": "TlsOnly",
    "OutcomesPolicy": "TlsOnly",
    "AlarmsPolicy": "TlsOnly AlarmsTell EventsTell",
    "S3Endpoint": "BucketsOfThisAccount LayersOfImages",
    "ExecutionRole": "SignIn Pull Log",
    "MayInvalidate": "ClearOne",
    "StartInvalidate": "Start",
    "MayWake": "LookAndStart LookAtPause LookAtQueue",
    "StartWake": "Start",
}
_POLICIES = ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy")


def statements(stack: Stack) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement on a queue, a topic, a bucket, a key, and of who may take a role."""
    for name, one in stack.of(*_POLICIES):
        yield from ((name, statement) for statement in listed(at(one, "PolicyDocument", "Statement")))
    for name, one in stack.of("AWS::KMS::Key"):
        yield from ((name, statement) for statement in listed(at(one, "KeyPolicy", "Statement")))
    for name, one in stack.of("AWS::IAM::Role"):
        yield from ((name, statement) for statement in listed(at(one, "AssumeRolePolicyDocument", "Statement")))


def services(stack: Stack) -> Iterator[str]:
    """A service acts for this account and for the source that is named, and does no more than it has to."""
    for name, statement in statements(stack):
        if statement.get("Effect") != "Allow":
            continue
        principals = listed(at(statement, "Principal", "Service"))
        if not principals and at(statement, "Principal", "AWS") != f"arn:aws:iam::{ACCOUNT}:root":
            yield f"{name}: open to {statement.get('Principal')}"
        for principal in principals:
            yield from (f"{name}: {wrong}" for wrong in _of_service(principal, statement))


def _of_service(principal: str, statement: dict[str, Any]) -> Iterator[str]:
    actions = set(listed(statement.get("Action")))
    condition = statement.get("Condition") or {}
    if principal.startswith("logs."):
        if "log-group:*media-prod*" not in str(at(condition, "ArnLike", "kms:EncryptionContext:aws:logs:arn")):
            yield "the key serves other logs"
        return
    if excess := actions - _SERVICES.get(principal, set()):
        yield f"{principal} may {sorted(excess)}"
    if statement.get("Sid") == "EventsTell" and not condition:
        return  # EventBridge's guide, resource-based policies: topics take no conditions from it
    sources = [one for kind in ("ArnEquals", "ArnLike") for one in listed(at(condition, kind, "aws:SourceArn"))]
    contexts = [
        one for key, one in (at(condition, "ArnLike") or {}).items() if key.startswith("kms:EncryptionContext:")
    ]
    told = at(condition, "StringEquals", "aws:SourceAccount") == ACCOUNT
    named = sources + contexts
    enough = contexts or principal in _NAMED_BY_ARN
    if not told and not (enough and named and all(f":{ACCOUNT}:" in one for one in named)):
        yield f"{principal} acts for any account (no aws:SourceAccount)"
    if any(one.startswith("kms:") for one in actions) and not named:
        yield f"{principal} uses the key for anything"
    needs = actions & _NEED_SOURCE or principal in {"ecs-tasks.amazonaws.com", "cloudfront.amazonaws.com"}
    if needs and (not sources or any(one == "*" or one.count(":") < 5 for one in sources)):
        yield f"{principal} acts for any source (no aws:SourceArn)"


def encrypted_ways(stack: Stack) -> Iterator[str]:
    """Every queue, topic and bucket of a stack refuses what does not come over TLS."""
    guarded: set[str] = set()
    for _, one in stack.of(*_POLICIES):
        targets = listed(one.get("Queues")) + listed(one.get("Topics")) + listed(one.get("Bucket"))
        for statement in listed(at(one, "PolicyDocument", "Statement")):
            plain = at(statement, "Condition", "Bool", "aws:SecureTransport") is False
            everybody = statement.get("Principal") == "*" and statement.get("Effect") == "Deny"
            if plain and everybody and statement.get("Action") in {"sqs:*", "sns:Publish", "s3:*"}:
                guarded |= set(map(str, targets)) if _covers(statement, targets) else set()
    for name, _ in stack.of("AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::S3::Bucket"):
        if f"ref:{name}" not in guarded:
            yield f"{name}: can be reached without TLS"


def _covers(statement: dict[str, Any], targets: list[Any]) -> bool:
    resources = set(listed(statement.get("Resource")))
    if statement["Action"] == "s3:*":
        name = targets[0].removeprefix("ref:")
        return resources == {f"att:{name}.Arn", f"att:{name}.Arn/*"}
    named = {f"att:{one.removeprefix('ref:')}.Arn" for one in targets} | set(targets)
    return "*" in resources or bool(resources & named)


def published(stack: Stack) -> Iterator[str]:
    """The distribution reads media/ and nothing else."""
    for name, one in stack.of("AWS::S3::BucketPolicy"):
        for statement in listed(at(one, "PolicyDocument", "Statement")):
            allowed = statement.get("Effect") == "Allow"
            if allowed and statement.get("Resource") != "att:Published.Arn/media/*":
                yield f"{name}: lets out {statement.get('Resource')}"


def roles(stack: Stack) -> Iterator[str]:
    """No wildcard action, no wildcard resource but for actions that know none, no bucket of another account."""
    for name, role in stack.of("AWS::IAM::Role"):
        if role.get("ManagedPolicyArns"):
            yield f"{name}: a managed policy, which others change"
        for statement in _granted(role):
            actions = set(listed(statement.get("Action")))
            if any("*" in action for action in actions):
                yield f"{name}: {sorted(actions)}"
            if "*" in listed(statement.get("Resource")) and not actions <= _WITHOUT_RESOURCE:
                yield f"{name}: {sorted(actions)} on everything"
            mine = at(statement, "Condition", "StringEquals", "aws:ResourceAccount") == ACCOUNT
            if any(one.startswith("s3:") for one in actions) and not mine and statement.get("Sid") != "ReadRecipe":
                yield f"{name}: {sorted(actions)} in buckets of other accounts"
            if "s3:PutObject" in actions and not all(_area(one) for one in listed(statement.get("Resource"))):
                yield f"{name}: writes outside of its areas"
            if "transcribe:StartTranscriptionJob" in actions and not at(
                statement, "Condition", "StringEquals", "transcribe:OutputBucketName"
            ):
                yield f"{name}: transcripts may go anywhere"


def _area(resource: str) -> bool:
    return re.search(r"/(media|quarantine|records|work)/\*$", resource) is not None


def _granted(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in listed(role.get("Policies")):
        yield from listed(at(policy, "PolicyDocument", "Statement"))


def needed(stack: Stack) -> Iterator[str]:
    """The worker has the rights that it uses; those of a provider when the recipe asks it, and only then."""
    for name, role in stack.of("AWS::IAM::Role"):
        if name != "TaskRole":
            continue
        has = {action for statement in _granted(role) for action in listed(statement.get("Action"))}
        if missing := _worker_needs(stack) - has:
            yield f"{name}: lacks {sorted(missing)}"
        if excess := has - _worker_needs(stack):
            yield f"{name}: {sorted(excess)} for nothing"


def complete(stack: Stack) -> Iterator[str]:
    """No statement is missing, and none is there that nobody expects."""
    for name, wanted in _STATEMENTS.items():
        if name in stack.resources:
            told = stack.resources[name]["Properties"]
            documents = [told.get("PolicyDocument"), told.get("KeyPolicy")]
            documents += [one["PolicyDocument"] for one in listed(told.get("Policies"))]
            sids = {one.get("Sid") for document in documents if document for one in listed(document["Statement"])}
            optional = {"TranscribeReports"} if stack.parameters.get("CaptionProvider") != "transcribe" else set()
            if sids != set(wanted.split()) - optional:
                yield f"{name}: says {sorted(map(str, sids))}"


def _worker_needs(stack: Stack) -> set[str]:
    needs = {f"s3:{one}" for one in ("GetObject", "GetObjectVersion", "ListBucket", "PutObject", "DeleteObject")}
    needs |= {f"sqs:{one}" for one in ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "SendMessage")}
    needs |= {"sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sns:Publish", "s3:AbortMultipartUpload"}
    needs |= {"ecs:GetTaskProtection", "ecs:UpdateTaskProtection"}
    if stack.parameters["ModerationProvider"] == "rekognition":
        needs.add("rekognition:DetectModerationLabels")
    if stack.parameters["CaptionProvider"] == "transcribe":
        needs |= {"transcribe:StartTranscriptionJob", "transcribe:GetTranscriptionJob"}
    if stack.profile == "private":
        needs |= {"kms:Decrypt", "kms:GenerateDataKey"}
    return needs


policy_rules = (services, encrypted_ways, published, roles, needed, complete)
