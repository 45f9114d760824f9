"""What a change set says, and what the state of a stack asks for. Nothing here asks AWS."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scripts.deployment.templates import Stack

Step = Literal["create", "update", "remake", "wait", "stuck"]

#: Nothing was made, or what was made has been taken back: only removing such a stack helps.
_UNMADE = {"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}
_SETTLED = {
    *("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"),
    *("IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"),
}
_EMPTY = re.compile(r"didn't contain changes|No updates are to be performed", re.IGNORECASE)
_CONSEQUENCE = re.compile(r"^Resource (creation|update) cancelled")

#: What to do about a reason that CloudFormation gives.
_ADVICE = (
    (r"not authorized to perform|AccessDenied|is not authorized", "Give that permission to whom you are logged in as."),
    (r"already exists", "Something of that name is there already: delete it, or deploy under another stage's name."),
    (r"[Ss]ervice.linked role", "AWS makes that role now, at first use: run the same command again in a minute."),
    (
        r"[Cc]ircuit [Bb]reaker|did not stabilize|CannotPull|unhealthy",
        "Tasks did not start: look at their log (aws logs tail media-{stage} --since 1h) and their architecture.",
    ),
    (r"[Ll]imit|[Qq]uota", "Ask for more under Service Quotas, or give up what is not needed."),
    (
        r"prefix list|security group rules",
        "Look at the security group's quota of rules: S3's prefix list counts as many.",
    ),
)
_ANY_ADVICE = "Mend what the reason names, and run the same command again: it goes on from here."


@dataclass(frozen=True, kw_only=True)
class Change:
    """What becomes of one resource; `replaces` is `True`, `Conditional` or `False`, in CloudFormation's words."""

    action: str
    resource: str
    type: str
    replaces: str = "False"

    @property
    def loses(self) -> bool:
        """Whether the resource that is there goes, or may go."""
        return self.action == "Remove" or self.replaces in {"True", "Conditional"}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A resource that could not be made, and CloudFormation's reason."""

    resource: str
    status: str
    reason: str


def changes(told: Iterable[Mapping[str, Any]]) -> list[Change]:
    """A change set's, as DescribeChangeSet tells them; what is lost comes first."""
    found = [
        Change(
            action=one["Action"],
            resource=one["LogicalResourceId"],
            type=one["ResourceType"],
            replaces=one.get("Replacement") or "False",
        )
        for one in (each["ResourceChange"] for each in told if "ResourceChange" in each)
    ]
    return sorted(found, key=lambda one: not one.loses)


def additions(stack: Stack) -> list[Change]:
    """What a stack that is not there would bring."""
    return [Change(action="Add", resource=name, type=one["Type"]) for name, one in stack.resources.items()]


def is_empty(status: str, reason: str) -> bool:
    """Whether a change set "failed" because everything is as it should be."""
    return status == "FAILED" and bool(_EMPTY.search(reason))


def step(status: str | None) -> Step:
    """What a stack's state asks for, before it can be changed."""
    if status is None or status == "DELETE_COMPLETE":
        return "create"
    if status in _UNMADE:
        return "remake"
    if status in _SETTLED:
        return "update"
    return "wait" if status.endswith("_IN_PROGRESS") else "stuck"


def failures(events: Iterable[Mapping[str, Any]]) -> list[Failure]:
    """The first resources that failed since the operation began, from events that come newest first.

    What was cancelled because of them is left out.
    """
    found: list[Failure] = []
    for one in events:
        of_stack = one.get("PhysicalResourceId") == one["StackId"]
        status, reason = one.get("ResourceStatus", ""), one.get("ResourceStatusReason", "")
        if status.endswith("_FAILED") and not _CONSEQUENCE.search(reason) and not of_stack:
            found.insert(0, Failure(resource=one["LogicalResourceId"], status=status, reason=reason))
        if of_stack and status in {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"}:
            break
    return found[:3]


def advice(reason: str, stage: str) -> str:
    """What to do about it."""
    return next((text.format(stage=stage) for pattern, text in _ADVICE if re.search(pattern, reason)), _ANY_ADVICE)
