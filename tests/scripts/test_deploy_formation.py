"""CloudFormation as it answers when things take time or fail, which moto does not: stubbed answers, in their order."""

import itertools
from datetime import UTC, datetime

import pytest
from botocore.stub import ANY, Stubber

from scripts.deployment import formation
from scripts.deployment.account import Account
from scripts.deployment.errors import Trouble
from scripts.deployment.formation import Formation, Proposal
from scripts.deployment.stacks import STORAGE

NAME = "media-prod-storage"
OF_STACK = {"StackName": NAME}
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def cloud(monkeypatch):
    """The stage `prod`, CloudFormation's answers, and what is said meanwhile."""
    monkeypatch.setattr(formation, "_pauses", lambda: itertools.repeat(0))
    client = Account(id="111122223333", region="eu-central-1", partition="aws").client("cloudformation")
    said: list[str] = []
    with Stubber(client) as stubber:
        yield Formation(client, "prod", tell=said.append), stubber, said
        stubber.assert_no_pending_responses()


def answers(stubber: Stubber, *statuses: str) -> None:
    """DescribeStacks, as often as there are statuses; empty for no stack."""
    for status in statuses:
        if status:
            stack = {"StackName": NAME, "StackStatus": status, "CreationTime": NOW}
            stubber.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": NAME})
        else:
            stubber.add_client_error("describe_stacks", "ValidationError", f"Stack with id {NAME} does not exist")


def event(resource: str, status: str, reason: str) -> dict:
    """One of DescribeStackEvents."""
    own = {"StackId": "id", "StackName": NAME, "EventId": "1", "Timestamp": NOW, "LogicalResourceId": resource}
    physical = {"PhysicalResourceId": "id" if resource == NAME else ""}
    return own | physical | {"ResourceStatus": status, "ResourceStatusReason": reason}


def proposed(*, new: bool) -> Proposal:
    """A change set of the storage stack."""
    return Proposal(part=STORAGE, stack=NAME, name="deploy-1", new=new, changes=[])


def test_what_somebody_works_on_is_waited_for(cloud):
    """And told."""
    stage, stubber, said = cloud
    answers(
        stubber, "UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"
    )
    found = stage.settled(STORAGE)
    assert found
    assert found.status == "UPDATE_COMPLETE"
    assert said == [f"{NAME}: UPDATE_IN_PROGRESS, waiting"]


def test_what_only_a_person_can_mend_is_told(cloud):
    """With the command."""
    stage, stubber, _ = cloud
    answers(stubber, "UPDATE_ROLLBACK_FAILED")
    with pytest.raises(Trouble, match=f"continue-update-rollback --stack-name {NAME}"):
        stage.settled(STORAGE)


def test_what_a_failed_creation_left_is_removed(cloud):
    """Until it is gone."""
    stage, stubber, said = cloud
    answers(stubber, "ROLLBACK_COMPLETE")
    found = stage.settled(STORAGE)
    assert found
    assert not found.works
    stubber.add_response("delete_stack", {}, {"StackName": NAME})
    answers(stubber, "DELETE_IN_PROGRESS", "")
    stage.remove_unmade(STORAGE, found)
    assert said == [f"{NAME}: ROLLBACK_COMPLETE of an earlier attempt, removing it"]


def test_a_stack_that_fails_says_why(cloud):
    """The first resource that failed, its reason, and what to do."""
    stage, stubber, _ = cloud
    stubber.add_response("execute_change_set", {}, {"StackName": NAME, "ChangeSetName": "deploy-1"})
    answers(stubber, "CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE")
    events = [
        event(NAME, "ROLLBACK_COMPLETE", ""),
        event("Heavy", "CREATE_FAILED", "Resource creation cancelled"),
        event("Intake", "CREATE_FAILED", "A queue named media-prod-intake already exists"),
        event(NAME, "CREATE_IN_PROGRESS", "User Initiated"),
    ]
    stubber.add_response("describe_stack_events", {"StackEvents": events[:2], "NextToken": "more"}, OF_STACK)
    stubber.add_response("describe_stack_events", {"StackEvents": events[2:]}, OF_STACK | {"NextToken": "more"})
    with pytest.raises(Trouble) as caught:
        stage.execute(proposed(new=True))
    assert str(caught.value).splitlines() == [
        f"{NAME} ended as ROLLBACK_COMPLETE.",
        "  Intake: CREATE_FAILED: A queue named media-prod-intake already exists",
        "Something of that name is there already: delete it, or deploy under another stage's name.",
    ]


def change(resource: str, replacement: str) -> dict:
    """One of a change set's."""
    told = {"Action": "Modify", "LogicalResourceId": resource, "ResourceType": "T", "Replacement": replacement}
    return {"Type": "Resource", "ResourceChange": told}


def test_a_change_set_is_read_to_its_end(cloud):
    """Over several pages, when it is made; what is replaced comes first."""
    stage, stubber, _ = cloud
    stubber.add_response("create_change_set", {"Id": "id"}, PROPOSED)
    asked = {"StackName": NAME, "ChangeSetName": ANY}
    stubber.add_response("describe_change_set", {"Status": "CREATE_IN_PROGRESS"}, asked)
    stubber.add_response(
        "describe_change_set",
        {"Status": "CREATE_COMPLETE", "Changes": [change("A", "False")], "NextToken": "more"},
        asked,
    )
    stubber.add_response("describe_change_set", {"Changes": [change("B", "True")]}, asked | {"NextToken": "more"})
    found = stage.propose(STORAGE, {"Stage": "prod"}, new=False, tags={"team": "web"})
    assert found
    assert [(one.resource, one.loses) for one in found.changes] == [("B", True), ("A", False)]


PROPOSED = {
    "StackName": NAME,
    "ChangeSetName": ANY,
    "ChangeSetType": "UPDATE",
    "TemplateBody": ANY,
    "Parameters": [{"ParameterKey": "Stage", "ParameterValue": "prod"}],
    "Capabilities": ["CAPABILITY_IAM"],
    "Tags": [{"Key": "team", "Value": "web"}],
}


@pytest.mark.parametrize(
    "reason", ["The submitted information didn't contain changes.", "Template error: no Condition"]
)
def test_a_change_set_that_fails_is_withdrawn(cloud, reason):
    """An empty one is good news; another one is told."""
    stage, stubber, _ = cloud
    asked = {"StackName": NAME, "ChangeSetName": ANY}
    stubber.add_response("create_change_set", {"Id": "id"}, PROPOSED)
    stubber.add_response("describe_change_set", {"Status": "FAILED", "StatusReason": reason}, asked)
    stubber.add_response("delete_change_set", {}, asked)
    if "contain" in reason:
        assert stage.propose(STORAGE, {"Stage": "prod"}, new=False, tags={"team": "web"}) is None
        return
    with pytest.raises(Trouble, match="Template error"):
        stage.propose(STORAGE, {"Stage": "prod"}, new=False, tags={"team": "web"})


def test_a_stack_that_was_only_proposed_goes_with_its_change_set(cloud):
    """Else it would stay in review for ever."""
    stage, stubber, _ = cloud
    stubber.add_response("delete_change_set", {}, {"StackName": NAME, "ChangeSetName": "deploy-1"})
    stubber.add_response("delete_stack", {}, {"StackName": NAME})
    assert stage.withdraw(proposed(new=True)) is None


def test_a_stack_that_cannot_be_deleted_says_why(cloud):
    """What holds it."""
    stage, stubber, _ = cloud
    stubber.add_response("delete_stack", {}, {"StackName": NAME})
    answers(stubber, "DELETE_IN_PROGRESS", "DELETE_FAILED")
    events = [
        event("Vpc", "DELETE_FAILED", "The vpc has dependencies and cannot be deleted."),
        event(NAME, "DELETE_IN_PROGRESS", "User Initiated"),
    ]
    stubber.add_response("describe_stack_events", {"StackEvents": events}, OF_STACK)
    with pytest.raises(Trouble, match="Vpc: DELETE_FAILED: The vpc has dependencies"):
        stage.delete(STORAGE)
