"""The surroundings themselves: what scripts/resources.py promises, on LocalStack."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from scripts.resources import MAX_RECEIVES, Client, Resources, make, names

ClientOf = Callable[[str], Client]


def _records(sqs: Client, url: str) -> list[dict[str, Any]]:
    found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MaxNumberOfMessages=10).get("Messages", [])
    return [record for message in found for record in json.loads(message["Body"]).get("Records", [])]


def _drain(sqs: Client, url: str) -> None:
    while sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        pass


def test_uploads_and_deletes_reach_the_intake(resources: Resources, client_of: ClientOf) -> None:
    """An S3 event arrives with its key form-urlencoded, as AWS sends it (but for the space: %20, where AWS has +)."""
    s3, sqs = client_of("s3"), client_of("sqs")
    _drain(sqs, resources.intake.url)
    s3.put_object(Bucket=resources.uploads, Key="a b+c#%.JPG", Body=b"x")
    (created,) = _records(sqs, resources.intake.url)
    assert (created["eventName"], created["s3"]["object"]["key"]) == ("ObjectCreated:Put", "a%20b%2Bc%23%25.JPG")
    s3.delete_object(Bucket=resources.uploads, Key="a b+c#%.JPG")
    (removed,) = _records(sqs, resources.intake.url)
    assert removed["eventName"] == "ObjectRemoved:Delete"


def test_a_message_that_is_never_settled_ends_among_the_dead_letters(resources: Resources, client_of: ClientOf) -> None:
    """The redrive policy moves it after 20 receives."""
    sqs = client_of("sqs")
    _drain(sqs, resources.intake.url)
    sqs.send_message(QueueUrl=resources.intake.url, MessageBody="stuck")
    for _ in range(MAX_RECEIVES):
        (message,) = sqs.receive_message(QueueUrl=resources.intake.url, VisibilityTimeout=0)["Messages"]
        assert message["Body"] == "stuck"
    assert "Messages" not in sqs.receive_message(QueueUrl=resources.intake.url, WaitTimeSeconds=1)
    (dead,) = sqs.receive_message(QueueUrl=resources.dead_letters.url, WaitTimeSeconds=5)["Messages"]
    assert dead["Body"] == "stuck"


@pytest.mark.parametrize("versioned", [False, True])
def test_making_them_twice_changes_nothing(localstack: str, client_of: ClientOf, *, versioned: bool) -> None:
    """What was uploaded and sent before is still there."""
    wanted = names(f"test-{uuid4().hex[:12]}")
    first = make(localstack, wanted, versioned=versioned)
    uploaded = client_of("s3").put_object(Bucket=first.uploads, Key="k", Body=b"x")
    assert versioned == ("VersionId" in uploaded)
    client_of("sqs").send_message(QueueUrl=first.outcomes.url, MessageBody="kept")
    assert first == make(localstack, wanted, versioned=versioned)
    assert client_of("s3").get_object(Bucket=first.uploads, Key="k")["Body"].read() == b"x"
    (kept,) = client_of("sqs").receive_message(QueueUrl=first.outcomes.url)["Messages"]
    assert kept["Body"] == "kept"


def test_the_environment_is_all_that_a_worker_needs(resources: Resources) -> None:
    """Every value is a string that stands in an environment as it is."""
    environment = resources.environment("http://127.0.0.1:8090")
    assert environment["MEDIA_QUEUE_URL"].startswith(environment["AWS_ENDPOINT_URL"])
    assert environment["MEDIA_INPUT_BUCKETS"] != environment["MEDIA_OUTPUT_BUCKET"]
    assert "arn:aws:sqs:eu-central-1:000000000000:" in environment["MEDIA_OUTCOME_TARGET"]
