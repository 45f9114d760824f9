"""The stage's ears: existing buckets that have to tell it of uploads, and of products that are withdrawn."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from scripts.deployment import notifications, stacks
from scripts.deployment.account import Account
from scripts.deployment.console import Asker, tell, title
from scripts.deployment.errors import Trouble
from scripts.deployment.notifications import Configuration, Ours
from scripts.deployment.stacks import EDGE, EVENTBRIDGE, STORAGE, TAG, Given, Part, Standing


@dataclass(frozen=True, kw_only=True)
class Ear:
    """One existing bucket, and what it tells now."""

    bucket: str
    ours: Ours
    before: Configuration

    @property
    def turns_on(self) -> bool:
        """Whether EventBridge is off as yet."""
        return self.ours.eventbridge and not notifications.has_eventbridge(self.before)


def wanted(account: Account, stage: str, given: Given, standing: Standing, plan: tuple[Part, ...]) -> list[Ear]:
    """What is to be changed in existing buckets.

    :raises Trouble: where somebody else's notification is in the way.
    """
    stage_id = f"media-{stage}"
    told: dict[str, Ours] = {}
    if bucket := stacks.chosen("ExistingOutputBucket", given, standing):
        clears = EDGE in plan and stacks.chosen("InvalidateWithdrawn", given, standing) != "no"
        told |= {bucket: Ours(id=stage_id)} if clears else {}
    if bucket := stacks.chosen("ExistingInputBucket", given, standing):
        wakes = stacks.chosen("WakeOnUpload", given, standing) != "no" or bucket in told
        prefix = stacks.chosen("InputPrefix", given, standing)
        told[bucket] = Ours(id=stage_id, queue=_intake(account, stage), prefix=prefix, eventbridge=wakes)
    found = [Ear(bucket=name, ours=ours, before=_read(account, name)) for name, ours in told.items()]
    for ear in found:
        _refuse_elsewhere(account, ear.bucket)
        notifications.refuse_overlaps(ear.bucket, ear.before, ear.ours)
    return found


def _refuse_elsewhere(account: Account, bucket: str) -> None:
    """S3 tells queues and rules of its own region alone."""
    told = account.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=account.id)
    where = told.get("BucketRegion", account.region)
    if where != account.region:
        raise Trouble(f"{bucket} is in {where}, not in {account.region}.", f"Deploy there: --region {where}.")


def turned_on(ears: list[Ear], standing: Standing) -> str:
    """The buckets that EventBridge was turned on for by us, now or before."""
    before = stacks.begun(standing).get(EVENTBRIDGE.removeprefix(TAG), "").split()
    return " ".join(dict.fromkeys([*before, *(ear.bucket for ear in ears if ear.turns_on)]))


def listen(account: Account, ears: list[Ear], asker: Asker, *, dry_run: bool) -> bool:
    """Add ours; whether anything changed."""
    changed = False
    for ear in ears:
        after = notifications.merged(ear.before, ear.ours)
        changed = _change(account, ear.bucket, ear.before, after, asker, dry_run=dry_run) or changed
    return changed


def deafen(account: Account, stage: str, standing: Standing, asker: Asker) -> None:
    """Take out what is ours, from our own bucket too: S3 refuses any later change while a queue of its is gone."""
    storage = standing.get(STORAGE)
    if not storage or not storage.works:
        return
    ours = Ours(id=f"media-{stage}", queue=_intake(account, stage))
    on = stacks.begun(standing).get(EVENTBRIDGE.removeprefix(TAG), "").split()
    for bucket in dict.fromkeys([storage.outputs.get("InputBucket"), *on]):
        if bucket and (before := _there(account, bucket)) is not None:
            after = notifications.without(before, ours, eventbridge=bucket in on)
            _change(account, bucket, before, after, asker, ending=True)


def _change(
    account: Account,
    bucket: str,
    before: Configuration,
    after: Configuration,
    asker: Asker,
    *,
    dry_run: bool = False,
    ending: bool = False,
) -> bool:
    if notifications.same(before, after):
        tell(f"{bucket}: its notifications are as they should be")
        return False
    title(f"{bucket}, notifications")
    for line in notifications.difference(before, after):
        tell(f"  {line}")
    if not dry_run:
        asker.agree(f"Change the notifications of {bucket}?")
        s3 = account.client("s3")
        notifications.write(s3, bucket, account.id, before=before, after=after, validate=not ending)
    return not dry_run


def _intake(account: Account, stage: str) -> str:
    return account.arn("sqs", f"media-{stage}-intake")


def _read(account: Account, bucket: str) -> Configuration:
    return notifications.read(account.client("s3"), bucket, account.id)


def _there(account: Account, bucket: str) -> Configuration | None:
    try:
        return _read(account, bucket)
    except ClientError as error:
        if error.response["Error"].get("Code") == "NoSuchBucket":
            return None
        raise


def retained(account: Account, stage: str) -> dict[str, str]:
    """Buckets that an earlier deployment of this stage left, and the key that they are encrypted with."""
    s3: Any = account.client("s3")
    found = {}
    for parameter, kind in (("ExistingInputBucket", "uploads"), ("ExistingOutputBucket", "published")):
        bucket = f"media-{stage}-{kind}-{account.id}-{account.region}"
        try:
            s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account.id)
        except ClientError as error:
            if error.response["Error"].get("Code") in {"404", "NoSuchBucket"}:
                continue
            raise
        found[parameter] = bucket
        if key := _key(s3, bucket, account.id):
            found["KeyArn"] = key
    return found


def _key(s3: Any, bucket: str, account: str) -> str | None:
    try:
        told = s3.get_bucket_encryption(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"].get("Code") == "ServerSideEncryptionConfigurationNotFoundError":
            return None
        raise
    rules = told["ServerSideEncryptionConfiguration"]["Rules"]
    return next(
        (key for one in rules if (key := one["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID"))), None
    )
