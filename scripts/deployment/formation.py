"""CloudFormation: what stands there, change sets, and waiting for them. No state is kept here."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from scripts.deployment import changes, templates
from scripts.deployment.changes import Change
from scripts.deployment.errors import Trouble
from scripts.deployment.stacks import PARTS, Deployed, Part

_CAPABILITIES = ["CAPABILITY_IAM"]
_LONGEST = 3 * 3600  # seconds; CloudFront takes minutes, and ECS waits three hours for a service at most


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A change set that waits to be executed."""

    part: Part
    stack: str
    name: str
    new: bool
    changes: list[Change]


class Formation:
    """The stacks of one stage."""

    def __init__(self, client: Any, stage: str, *, tell: Callable[[str], None]) -> None:
        self._client, self._stage, self._tell = client, stage, tell

    def standing(self) -> dict[Part, Deployed]:
        """Every stack that is there, in whatever state."""
        found = {part: self.look(part.stack(self._stage)) for part in PARTS}
        return {part: one for part, one in found.items() if one}

    def look(self, name: str) -> Deployed | None:
        """One stack, None where there is none."""
        try:
            told = self._client.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return Deployed(
            name=name,
            status=told["StackStatus"],
            parameters={one["ParameterKey"]: one.get("ParameterValue", "") for one in told.get("Parameters", [])},
            outputs={one["OutputKey"]: one["OutputValue"] for one in told.get("Outputs", [])},
            tags={one["Key"]: one["Value"] for one in told.get("Tags", [])},
        )

    def settled(self, part: Part) -> Deployed | None:
        """The stack when nobody works on it any more; None where it is not, or never came to anything.

        :raises Trouble: where only a person can help.
        """
        name = part.stack(self._stage)
        found = self.look(name)
        while found and changes.step(found.status) == "wait":
            self._tell(f"{name}: {found.status}, waiting")
            found = self._wait(name)
        if found and changes.step(found.status) == "stuck":
            raise Trouble(
                f"{name} is {found.status}.",
                f"aws cloudformation continue-update-rollback --stack-name {name}, and when that is through, again.",
            )
        return found

    def remove_unmade(self, part: Part, found: Deployed) -> None:
        """What is left of a creation that failed: it can't be updated."""
        self._tell(f"{found.name}: {found.status} of an earlier attempt, removing it")
        self.delete(part)

    def propose(
        self,
        part: Part,
        parameters: Mapping[str, str],
        *,
        new: bool,
        tags: Mapping[str, str],
        template: str | None = None,
    ) -> Proposal | None:
        """A change set, or None where everything is as it should be.

        :param template: another one than the folder's.
        :raises Trouble: when CloudFormation refuses it.
        """
        stack, name = part.stack(self._stage), f"deploy-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        self._client.create_change_set(
            StackName=stack,
            ChangeSetName=name,
            ChangeSetType="CREATE" if new else "UPDATE",
            TemplateBody=template or templates.text(part.template),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=_CAPABILITIES,
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        told, found = self._described(stack, name)
        proposal = Proposal(part=part, stack=stack, name=name, new=new, changes=changes.changes(found))
        if told["Status"] == "CREATE_COMPLETE":
            return proposal
        reason = told.get("StatusReason", "")
        self.withdraw(proposal)
        if changes.is_empty(told["Status"], reason):
            return None
        raise Trouble(f"{stack}: CloudFormation refuses the change set: {reason}", changes.advice(reason, self._stage))

    def _described(self, stack: str, name: str) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
        for pause in _pauses():
            told = self._client.describe_change_set(StackName=stack, ChangeSetName=name)
            if not told["Status"].endswith(("_IN_PROGRESS", "_PENDING")):
                break
            time.sleep(pause)
        found, page = list(told.get("Changes", [])), told
        while page.get("NextToken"):
            page = self._client.describe_change_set(StackName=stack, ChangeSetName=name, NextToken=page["NextToken"])
            found += page["Changes"]
        return told, found

    def withdraw(self, proposal: Proposal) -> None:
        """Forget a change set; a stack that was only proposed goes with it."""
        self._client.delete_change_set(StackName=proposal.stack, ChangeSetName=proposal.name)
        if proposal.new:
            self._client.delete_stack(StackName=proposal.stack)

    def execute(self, proposal: Proposal) -> Deployed:
        """Do it, and wait for the end.

        :raises Trouble: with the first resources that failed, and why.
        """
        self._client.execute_change_set(StackName=proposal.stack, ChangeSetName=proposal.name)
        done = self._wait(proposal.stack)
        if done is None or done.status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            raise self._failed(proposal.stack, done.status if done else "gone")
        return done

    def delete(self, part: Part) -> None:
        """Remove a stack, and wait for its end.

        :raises Trouble: with what could not be removed, and why.
        """
        stack = part.stack(self._stage)
        self._client.delete_stack(StackName=stack)
        left = self._wait(stack)
        if left and left.status != "DELETE_COMPLETE":
            raise self._failed(stack, left.status)

    def template(self, part: Part) -> str:
        """The one that a stack was deployed with."""
        body = self._client.get_template(StackName=part.stack(self._stage), TemplateStage="Original")["TemplateBody"]
        return str(body)

    def _wait(self, stack: str) -> Deployed | None:
        began = time.monotonic()
        for pause in _pauses():
            found = self.look(stack)
            if not found or not found.status.endswith("_IN_PROGRESS"):
                return found
            if time.monotonic() - began > _LONGEST:
                raise Trouble(f"{stack} is still {found.status}.", "Run the same command again: it goes on waiting.")
            time.sleep(pause)
        raise AssertionError("pauses never end")

    def _failed(self, stack: str, status: str) -> Trouble:
        pages = self._client.get_paginator("describe_stack_events").paginate(StackName=stack)
        found = changes.failures(event for page in pages for event in page["StackEvents"])
        told = "".join(f"\n  {one.resource}: {one.status}: {one.reason}" for one in found)
        reason = found[0].reason if found else ""
        return Trouble(f"{stack} ended as {status}.{told}", changes.advice(reason, self._stage))


def _pauses() -> Iterator[float]:
    """Seconds between two looks: soon at first, then every five."""
    yield from (0.1, 0.5, 1, 2)
    while True:
        yield 5
