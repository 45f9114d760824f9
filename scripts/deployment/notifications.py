"""What an existing bucket tells whom: ours beside everybody else's, and taken out again.

S3 keeps one configuration a bucket, and whoever writes it replaces all of it. So it is read, ours is merged in, the
difference is shown, and it is written only if it is still what was read; S3 offers no condition, so between that last
look and the write a second is left in which somebody else's change would be lost.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from scripts.deployment.errors import Trouble

Configuration = dict[str, Any]  #: as GetBucketNotificationConfiguration gives it, without its metadata

EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
_EVENTBRIDGE = "EventBridgeConfiguration"
_KINDS = {
    "QueueConfigurations": "QueueArn",
    "TopicConfigurations": "TopicArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}
_SAFE = "/!-_.*'()"  # the characters that S3's guide leaves as they are in a filter; a space becomes a +


@dataclass(frozen=True, kw_only=True)
class Ours:
    """What we want to be told: `queue` is an ARN, None where only EventBridge is to be on."""

    id: str
    queue: str | None = None
    prefix: str = ""
    eventbridge: bool = True

    @property
    def entry(self) -> Configuration:
        """As S3 keeps it."""
        rules = [{"Name": "prefix", "Value": quote_plus(self.prefix, safe=_SAFE)}] if self.prefix else []
        told: Configuration = {"Id": self.id, "QueueArn": self.queue, "Events": list(EVENTS)}
        return told | ({"Filter": {"Key": {"FilterRules": rules}}} if rules else {})

    def owns(self, one: Mapping[str, Any]) -> bool:
        """Whether a configuration is ours: by where it leads, since CloudFormation gives ids of its own."""
        return self.queue is not None and str(one.get("QueueArn")) == self.queue


def merged(before: Configuration, ours: Ours) -> Configuration:
    """Everything that was there, ours, and EventBridge where it is wanted."""
    after = without(before, ours) | ({_EVENTBRIDGE: {}} if ours.eventbridge else {})
    if ours.queue is None:
        return after
    return after | {"QueueConfigurations": [*after.get("QueueConfigurations", []), ours.entry]}


def without(now: Configuration, ours: Ours, *, eventbridge: bool = False) -> Configuration:
    """Everything but ours.

    :param eventbridge: whether it was us who turned EventBridge on, so that it goes too.
    """
    kept = {name: value for name, value in now.items() if not (eventbridge and name == _EVENTBRIDGE)}
    queues = [one for one in now.get("QueueConfigurations", []) if not ours.owns(one)]
    kept.pop("QueueConfigurations", None)
    return kept | ({"QueueConfigurations": queues} if queues else {})


def has_eventbridge(configuration: Configuration) -> bool:
    """Whether S3 tells EventBridge of everything."""
    return _EVENTBRIDGE in configuration


def same(one: Configuration, other: Configuration) -> bool:
    """Whether two say the same, in whatever order."""
    return _normal(one) == _normal(other)


def _normal(configuration: Configuration) -> tuple[dict[str, list[str]], bool]:
    lists = {name: sorted(map(_line, configuration.get(name) or [])) for name in _KINDS}
    return lists, has_eventbridge(configuration)


def _line(one: Mapping[str, Any]) -> str:
    destination = next(one[key] for key in _KINDS.values() if key in one)
    return json.dumps([one.get("Id"), destination, sorted(one["Events"]), filter_of(one)])


# ---- what S3 refuses -----------------------------------------------------------------------------------------------


def filter_of(one: Mapping[str, Any]) -> tuple[str, str]:
    """Prefix and suffix, empty for any."""
    rules = one.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    found = {rule["Name"].lower(): rule["Value"] for rule in rules}
    return found.get("prefix", ""), found.get("suffix", "")


def overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether S3 would refuse both in one bucket: an object and an event could fall to both.

    From the user guide, "Configuring event notifications using object key name filtering": prefixes overlap when one
    begins with the other, suffixes when one ends with the other; for the same event both together may not.
    """
    prefixes, suffixes = zip(filter_of(one), filter_of(other), strict=True)
    return (
        any(_same_event(a, b) for a in one["Events"] for b in other["Events"])
        and (prefixes[0].startswith(prefixes[1]) or prefixes[1].startswith(prefixes[0]))
        and (suffixes[0].endswith(suffixes[1]) or suffixes[1].endswith(suffixes[0]))
    )


def _same_event(one: str, other: str) -> bool:
    first, second = one.removesuffix("*"), other.removesuffix("*")
    return (
        (one.endswith("*") and second.startswith(first))
        or (other.endswith("*") and first.startswith(second))
        or (one == other)
    )


def refuse_overlaps(bucket: str, before: Configuration, ours: Ours) -> None:
    """Somebody else's trigger is not ours to replace.

    :raises Trouble: naming theirs, and the ways out.
    """
    if ours.queue is None:
        return
    for one, destination in _others(before, ours):
        what = _shown(one)
        if one.get("Id") == ours.id:
            raise Trouble(
                f"{bucket} has a notification called {ours.id} that leads to {destination}, not to this stage.",
                "Rename or remove it, or deploy under another stage's name.",
            )
        if overlap(one, ours.entry):
            raise Trouble(
                f"{bucket} tells of such uploads already: {what} -> {destination}. S3 takes one destination for each.",
                "It is not replaced. Let it follow EventBridge (a rule on `Object Created`) instead of a notification, "
                "put an SNS topic in between that tells both, or keep uploads apart by an --input-prefix.",
            )


def _others(before: Configuration, ours: Ours) -> Iterator[tuple[Mapping[str, Any], str]]:
    for kind, key in _KINDS.items():
        for one in before.get(kind, []):
            if not ours.owns(one):
                yield one, str(one[key])


def lines(configuration: Configuration) -> list[str]:
    """One for each thing that is told, to be shown."""
    found = ["EventBridge: everything"] if has_eventbridge(configuration) else []
    told = ((one, key) for kind, key in _KINDS.items() for one in configuration.get(kind, []))
    return found + [f"{_shown(one)} -> {one[key]}" for one, key in told]


def _shown(one: Mapping[str, Any]) -> str:
    named = zip(("prefix", "suffix"), filter_of(one), strict=True)
    where = "".join(f", {name} {value}" for name, value in named if value)
    return f"{one.get('Id', 'without an Id')} ({', '.join(one['Events'])}{where})"


def difference(before: Configuration, after: Configuration) -> list[str]:
    """The lines of both: `- ` goes, `+ ` comes, two spaces stay."""
    old, new = lines(before), lines(after)
    stays = [f"  {one}" for one in old if one in new]
    return stays + [f"- {one}" for one in old if one not in new] + [f"+ {one}" for one in new if one not in old]


# ---- doing ---------------------------------------------------------------------------------------------------------


def read(s3: Any, bucket: str, account: str) -> Configuration:
    """What the bucket tells now.

    :raises ClientError: as S3 does; a bucket of another account is denied.
    """
    told = s3.get_bucket_notification_configuration(Bucket=bucket, ExpectedBucketOwner=account)
    return {name: value for name, value in told.items() if name in {*_KINDS, _EVENTBRIDGE}}


def write(
    s3: Any, bucket: str, account: str, *, before: Configuration, after: Configuration, validate: bool = True
) -> None:
    """Replace what was read.

    :param validate: whether S3 tries every destination; one of somebody else's that is gone makes it refuse.
    :raises Trouble: when somebody has changed it since.
    """
    if not same(read(s3, bucket, account), before):
        raise Trouble(f"Somebody has changed the notifications of {bucket} just now.", "Run the same command again.")
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration=after,
        ExpectedBucketOwner=account,
        SkipDestinationValidation=not validate,
    )
