"""Rules of buckets, queues, topics, the repository, the key and the distribution."""

from collections.abc import Iterator
from typing import Any

from tests.ecs.looking import at, differing, listed
from tests.ecs.templates import KEY, Stack

_DAY = 86_400
_CLOSED = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)


def buckets(stack: Stack) -> Iterator[str]:
    """Encrypted, closed, owned and swept."""
    encryption = ("BucketEncryption", "ServerSideEncryptionConfiguration", 0)
    private = stack.profile == "private"
    wanted: dict[tuple[Any, ...], Any] = {
        ("PublicAccessBlockConfiguration",): _CLOSED,
        ("OwnershipControls",): {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        (*encryption, "BucketKeyEnabled"): True,
        (*encryption, "ServerSideEncryptionByDefault", "SSEAlgorithm"): "aws:kms" if private else "AES256",
        ("NotificationConfiguration", "EventBridgeConfiguration", "EventBridgeEnabled"): True,
        ("LoggingConfiguration", "DestinationBucketName"): "logs",
    }
    if private:
        wanted[(*encryption, "ServerSideEncryptionByDefault", "KMSMasterKeyID")] = KEY
    for name, bucket in stack.of("AWS::S3::Bucket"):
        for wrong in differing(bucket, wanted):
            yield f"{name}: {wrong}"
        aborted = [
            one for one in _lifecycle(bucket) if at(one, "AbortIncompleteMultipartUpload", "DaysAfterInitiation")
        ]
        if [at(one, "AbortIncompleteMultipartUpload", "DaysAfterInitiation") for one in aborted] != [7]:
            yield f"{name}: aborted uploads are kept"
        if any(one.get("Status") != "Enabled" for one in _lifecycle(bucket)):
            yield f"{name}: a lifecycle rule is off"


def keeping(stack: Stack) -> Iterator[str]:
    """Buckets outlive their stack, and stay closed."""
    for name, one in stack.resources.items():
        kept = (one.get("DeletionPolicy"), one.get("UpdateReplacePolicy")) == ("RetainExceptOnCreate", "Retain")
        if one["Type"] in {"AWS::S3::Bucket", "AWS::S3::BucketPolicy"} and not kept:
            yield f"{name}: goes with its stack"


def uploads(stack: Stack) -> Iterator[str]:
    """Versions are kept for a while, and both kinds of events go to the intake."""
    for name, bucket in stack.of("AWS::S3::Bucket"):
        if name != "Uploads":
            continue
        if at(bucket, "VersioningConfiguration", "Status") != "Enabled":
            yield "Uploads: no versions"
        if not any(at(one, "NoncurrentVersionExpiration", "NoncurrentDays") for one in _lifecycle(bucket)):
            yield "Uploads: old versions are kept for ever"
        if any("ExpirationInDays" in one for one in _lifecycle(bucket)):
            yield "Uploads: an upload expires"
        told = {
            (one["Event"], one["Queue"])
            for one in listed(at(bucket, "NotificationConfiguration", "QueueConfigurations"))
        }
        if told != {("s3:ObjectCreated:*", "att:Intake.Arn"), ("s3:ObjectRemoved:*", "att:Intake.Arn")}:
            yield f"Uploads: tells {sorted(told)}"
        if at(stack.resources[name], "DependsOn") != "IntakePolicy":
            yield "Uploads: may be made before the queue lets it send"


def products(stack: Stack) -> Iterator[str]:
    """Intermediate files go after a week, lists of failures and what nobody reviewed later; any page may fetch."""
    for name, bucket in stack.of("AWS::S3::Bucket"):
        if name != "Published":
            continue
        expiring = {
            one.get("Prefix"): one.get("ExpirationInDays") for one in _lifecycle(bucket) if "ExpirationInDays" in one
        }
        if expiring != {"work/": 7, "quarantine/": 90, "records/~failures/": 90}:
            yield f"Published: expires {expiring}"
        if at(bucket, "CorsConfiguration", "CorsRules", 0, "AllowedMethods") != ["GET", "HEAD"]:
            yield "Published: CORS"


def _lifecycle(bucket: Any) -> list[Any]:
    return listed(at(bucket, "LifecycleConfiguration", "Rules"))


def queues(stack: Stack) -> Iterator[str]:
    """Twelve days, fourteen when dead; a lease of two minutes; encrypted; twenty receives."""
    sealed: dict[tuple[Any, ...], Any] = {("SqsManagedSseEnabled",): True}
    if stack.profile == "private":
        sealed = {("KmsMasterKeyId",): KEY, ("KmsDataKeyReusePeriodSeconds",): 3600}
    found = dict(stack.of("AWS::SQS::Queue"))
    for name, queue in found.items():
        dead = name.endswith("Dead")
        wanted = sealed | {("ReceiveMessageWaitTimeSeconds",): 20, ("VisibilityTimeout",): 120}
        wanted[("MessageRetentionPeriod",)] = (14 if dead else 12) * _DAY
        if dead:
            source = f"arn:aws:sqs:eu-central-1:111122223333:{at(found, name.removesuffix('Dead'), 'QueueName')}"
            wanted[("RedriveAllowPolicy",)] = {"redrivePermission": "byQueue", "sourceQueueArns": [source]}
        else:
            wanted[("RedrivePolicy",)] = {"deadLetterTargetArn": f"att:{name}Dead.Arn", "maxReceiveCount": 20}
        for wrong in differing(queue, wanted):
            yield f"{name}: {wrong}"


def topics(stack: Stack) -> Iterator[str]:
    """Encrypted, but for the topic that CloudWatch could not write to with AWS's own key."""
    for name, topic in stack.of("AWS::SNS::Topic"):
        wanted = KEY if stack.profile == "private" else None if name == "Alarms" else "alias/aws/sns"
        if topic.get("KmsMasterKeyId") != wanted:
            yield f"{name}: encrypted with {topic.get('KmsMasterKeyId')}"
        if name == "Alarms" and at(topic, "Subscription", 0, "Protocol") != "email":
            yield "Alarms: reach nobody"


def repositories(stack: Stack) -> Iterator[str]:
    """A tag stays what it was, images are scanned, few are kept."""
    wanted: dict[tuple[Any, ...], Any] = {
        ("ImageTagMutability",): "IMMUTABLE",
        ("ImageScanningConfiguration", "ScanOnPush"): True,
        ("EncryptionConfiguration", "EncryptionType"): "KMS" if stack.profile == "private" else "AES256",
    }
    for name, repository in stack.of("AWS::ECR::Repository"):
        for wrong in differing(repository, wanted):
            yield f"{name}: {wrong}"
        if "imageCountMoreThan" not in str(at(repository, "LifecyclePolicy", "LifecyclePolicyText")):
            yield f"{name}: images are kept for ever"


def logs(stack: Stack) -> Iterator[str]:
    """Kept for a time that is said, and encrypted with the key if there is one."""
    for name, group in stack.of("AWS::Logs::LogGroup"):
        if not group.get("RetentionInDays"):
            yield f"{name}: kept for ever"
        if group.get("KmsKeyId") != (KEY if stack.profile == "private" else None):
            yield f"{name}: encrypted with {group.get('KmsKeyId')}"


def keys(stack: Stack) -> Iterator[str]:
    """Turned over each year, and outliving its stack."""
    for name, key in stack.of("AWS::KMS::Key"):
        for wrong in differing(key, {("EnableKeyRotation",): True, ("PendingWindowInDays",): 30}):
            yield f"{name}: {wrong}"
        kept = stack.resources[name]
        if (kept.get("DeletionPolicy"), kept.get("UpdateReplacePolicy")) != ("Retain", "Retain"):
            yield f"{name}: goes with its stack"


def edges(stack: Stack) -> Iterator[str]:
    """HTTPS alone, signed requests to the bucket, CORS and nosniff for whoever asks."""
    wanted: dict[tuple[Any, ...], Any] = {
        ("Origins", 0, "OriginAccessControlId"): "ref:Access",
        ("Origins", 0, "S3OriginConfig"): {"OriginAccessIdentity": ""},
        ("DefaultCacheBehavior", "ViewerProtocolPolicy"): "redirect-to-https",
        ("DefaultCacheBehavior", "AllowedMethods"): ["GET", "HEAD", "OPTIONS"],
        ("DefaultCacheBehavior", "ResponseHeadersPolicyId"): "ref:Headers",
        ("DefaultCacheBehavior", "CachePolicyId"): "ref:Caching",
    }
    for name, one in stack.of("AWS::CloudFront::Distribution"):
        for wrong in differing(at(one, "DistributionConfig"), wanted):
            yield f"{name}: {wrong}"
    for name, one in stack.of("AWS::CloudFront::OriginAccessControl"):
        signing = {("OriginAccessControlConfig", "SigningBehavior"): "always"}
        for wrong in differing(one, signing | {("OriginAccessControlConfig", "SigningProtocol"): "sigv4"}):
            yield f"{name}: {wrong}"
    for name, one in stack.of("AWS::CloudFront::ResponseHeadersPolicy"):
        config = at(one, "ResponseHeadersPolicyConfig")
        if at(config, "SecurityHeadersConfig", "ContentTypeOptions", "Override") is not True:
            yield f"{name}: browsers may guess types"
        if at(config, "CorsConfig", "AccessControlAllowCredentials") is not False:
            yield f"{name}: cookies"


data_rules = (buckets, keeping, uploads, products, queues, topics, repositories, logs, keys, edges)
