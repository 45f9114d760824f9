"""`scripts/deploy STAGE --delete`: everything in reverse order, but for the buckets and the key."""

from typing import Any

from scripts.deployment import listening
from scripts.deployment.account import Account
from scripts.deployment.console import Asker, tell, title, warn
from scripts.deployment.errors import Trouble
from scripts.deployment.formation import Formation
from scripts.deployment.stacks import KEY, PARTS, STORAGE, Deployed, Standing

_QUEUES = ("IntakeUrl", "HeavyUrl", "BackfillUrl", "IntakeDeadUrl", "HeavyDeadUrl", "BackfillDeadUrl")
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


def delete(account: Account, stage: str, asker: Asker, *, force: bool, dry_run: bool) -> None:
    """Remove a stage. The repository empties itself (`EmptyOnDelete`).

    :param force: even when there are messages in its queues, which are lost.
    :raises Trouble: while there are.
    """
    formation = Formation(account.client("cloudformation"), stage, tell=tell)
    standing = formation.standing()
    if not standing:
        tell(f"There is no stage {stage} in {account.region} of account {account.id}.")
        return
    refuse_messages(_messages(account, standing), force=force)
    _announce(stage, standing)
    if dry_run:
        tell("Nothing was done: this was a dry run.")
        return
    asker.name(stage)
    listening.deafen(account, stage, standing, asker)
    for part in reversed(PARTS):
        if part in standing:
            tell(f"{part.stack(stage)}: deleting")
            formation.delete(part)
    tell(f"Stage {stage} is deleted.")


def _messages(account: Account, standing: Standing) -> dict[str, int]:
    outputs = standing[STORAGE].outputs if STORAGE in standing else {}
    sqs = account.client("sqs")
    found = {}
    for name in _QUEUES:
        if url := outputs.get(name):
            found[url.rpartition("/")[2]] = _count(sqs, url)
    return found


def _count(sqs: Any, url: str) -> int:
    try:
        told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))["Attributes"]
    except sqs.exceptions.QueueDoesNotExist:  # an earlier attempt to delete has come so far
        return 0
    return sum(int(told.get(one, 0)) for one in _COUNTS)


def refuse_messages(counts: dict[str, int], *, force: bool) -> None:
    """Queues go with their messages.

    :raises Trouble: naming the queues that have some, unless forced.
    """
    held = {name: count for name, count in counts.items() if count}
    told = ", ".join(f"{name} {count}" for name, count in held.items())
    if held and not force:
        raise Trouble(
            f"There are messages in the queues, which would be lost: {told}.",
            "Wait until they are done, look at the dead letters (docs/runbook.md), or give --force.",
        )
    if held:
        warn(f"Messages that are lost: {told}")


def _announce(stage: str, standing: Standing) -> None:
    title(f"Stage {stage}: these stacks are deleted, in this order")
    for part in reversed(PARTS):
        if part in standing:
            tell(f"  {standing[part].name} ({standing[part].status})")
    for line in _stays(standing.get(STORAGE), standing.get(KEY)):
        warn(line)


def _stays(storage: Deployed | None, key: Deployed | None) -> list[str]:
    outputs = storage.outputs if storage else {}
    found = [f"Stays, with all that is in it: s3://{outputs[name]}" for name in _BUCKETS if name in outputs]
    if key and "KeyArn" in key.outputs:
        found.append(f"Stays, at a dollar a month, and has to while those buckets are read: {key.outputs['KeyArn']}")
    return found


_BUCKETS = ("InputBucket", "OutputBucket")
