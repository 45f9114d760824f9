"""The buckets and queues that the worker needs, on LocalStack: `python -m scripts.resources` makes them.

It prints the worker's settings, one `NAME=value` a line. What is there already stays as it is.
"""

import argparse
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import boto3  # type: ignore[import-untyped]  # see Client
from botocore.config import Config

Client = Any  # boto3 ships no types, and stubs are installed for aiobotocore alone

REGION = "eu-central-1"
MAX_RECEIVES = 20  # the worker counts a job's failures itself; redrive is for its own deaths


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the buckets and queues are called."""

    uploads: str
    published: str
    intake: str
    dead_letters: str
    heavy: str
    backfill: str
    outcomes: str


def names(prefix: str) -> Names:
    """A set of names that begin with `prefix`."""
    return Names(
        uploads=f"{prefix}-uploads",
        published=f"{prefix}-published",
        intake=f"{prefix}-intake",
        dead_letters=f"{prefix}-dead-letters",
        heavy=f"{prefix}-heavy",
        backfill=f"{prefix}-backfill",
        outcomes=f"{prefix}-outcomes",
    )


@dataclass(frozen=True, kw_only=True)
class Queue:
    """One SQS queue."""

    url: str
    arn: str


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Everything between an upload and its outcome."""

    endpoint: str
    uploads: str
    published: str
    intake: Queue
    dead_letters: Queue
    heavy: Queue
    backfill: Queue
    outcomes: Queue

    def environment(self, public_url: str) -> dict[str, str]:
        """The worker's settings; `public_url` is where the published bucket is to be seen."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MEDIA_QUEUE_URL": self.intake.url,
            "MEDIA_INPUT_BUCKETS": self.uploads,
            "MEDIA_OUTPUT_BUCKET": self.published,
            "MEDIA_PUBLIC_URL": public_url,
            "MEDIA_OUTCOME_TARGET": self.outcomes.arn,
        }


def client(service: str, endpoint: str) -> Client:
    """A boto3 client of LocalStack, which takes any credentials; close it."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 3}),
    )


def make(endpoint: str, wanted: Names, *, visibility: int = 30, versioned: bool = False) -> Resources:
    """Makes what is missing, and connects the uploads to the intake.

    :param visibility: seconds a received message stays hidden, where the receiver names none.
    :param versioned: whether the bucket of the uploads keeps every version.
    """
    s3, sqs = client("s3", endpoint), client("sqs", endpoint)
    try:
        dead_letters = _queue(sqs, wanted.dead_letters)
        redrive = json.dumps({"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": str(MAX_RECEIVES)})
        made = Resources(
            endpoint=endpoint,
            uploads=wanted.uploads,
            published=wanted.published,
            intake=_queue(sqs, wanted.intake, RedrivePolicy=redrive, VisibilityTimeout=str(visibility)),
            dead_letters=dead_letters,
            heavy=_queue(sqs, wanted.heavy, VisibilityTimeout=str(visibility)),
            backfill=_queue(sqs, wanted.backfill, VisibilityTimeout=str(visibility)),
            outcomes=_queue(sqs, wanted.outcomes),
        )
        _make_uploads(s3, made, versioned=versioned)
        _make_published(s3, made)
        return made
    finally:
        s3.close()
        sqs.close()


def _queue(sqs: Client, name: str, **attributes: str) -> Queue:
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    if attributes:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return Queue(url=url, arn=found["Attributes"]["QueueArn"])


def _make_uploads(s3: Client, made: Resources, *, versioned: bool) -> None:
    _bucket(s3, made.uploads)
    if versioned:
        s3.put_bucket_versioning(Bucket=made.uploads, VersioningConfiguration={"Status": "Enabled"})
    events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    s3.put_bucket_notification_configuration(
        Bucket=made.uploads,
        NotificationConfiguration={
            "QueueConfigurations": [{"Id": "intake", "QueueArn": made.intake.arn, "Events": events}]
        },
    )


def _make_published(s3: Client, made: Resources) -> None:
    """Players fetch manifests and byte ranges with scripts, from pages of any origin: that takes CORS."""
    _bucket(s3, made.published)
    rule = {
        "AllowedOrigins": ["*"],
        "AllowedMethods": ["GET", "HEAD"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["Content-Length", "Content-Range", "ETag"],
    }
    s3.put_bucket_cors(Bucket=made.published, CORSConfiguration={"CORSRules": [rule]})


def _bucket(s3: Client, name: str) -> None:
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})


def main() -> None:
    """Makes the resources and prints the worker's settings."""
    parser = argparse.ArgumentParser(prog="python -m scripts.resources", description=main.__doc__)
    parser.add_argument("--endpoint", default=os.environ.get("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"))
    parser.add_argument("--prefix", default="media", help="what the names of buckets and queues begin with")
    parser.add_argument("--public-url", default="http://127.0.0.1:8090", help="where the products are to be seen")
    arguments = parser.parse_args()
    made = make(arguments.endpoint, names(arguments.prefix))
    for name, value in made.environment(arguments.public_url).items():
        print(f"{name}={value}")


if __name__ == "__main__":
    main()
