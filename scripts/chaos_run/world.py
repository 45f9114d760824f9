"""What a run takes place in: a LocalStack, buckets, queues; and what an onlooker sees of them."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from scripts import localstack
from scripts.chaos_run.check import Thing, Version
from scripts.chaos_run.corpus import Upload
from scripts.chaos_run.story import Delete, Letter, Op, Put
from scripts.resources import Client, Resources, client, make, names
from service.core.places import AREAS, name

_READERS = 8


@dataclass(kw_only=True)
class World:
    """Buckets and queues, and the history of every key; nothing here goes through the proxy."""

    resources: Resources
    s3: Client
    sqs: Client
    histories: dict[str, list[Version | None]] = field(default_factory=dict)
    sent: int = 0

    def perform(self, op: Op) -> None:
        """Change the bucket of the uploads."""
        match op:
            case Put(key=key, upload=upload):
                self.put(key, upload)
            case Delete(key=key):
                self.s3.delete_object(Bucket=self.resources.uploads, Key=key)
                self.histories[key].append(None)

    def put(self, key: str, upload: Upload) -> None:
        """Upload something."""
        answer = self.s3.put_object(Bucket=self.resources.uploads, Key=key, Body=upload.content)
        version = Version(
            etag=answer["ETag"].strip('"'),
            version_id=answer.get("VersionId"),
            status=upload.status,
            reason=upload.reason,
        )
        self.histories.setdefault(key, []).append(version)

    def send(self, letter: Letter) -> None:
        """Put a message into the worker's queue."""
        url = self.resources.intake.url
        self.sqs.send_message(QueueUrl=url, MessageBody=letter.body, DelaySeconds=letter.delay)
        self.sent += 1

    def waiting(self) -> dict[str, int]:
        """How many messages can be seen, are being worked on, and are to be seen later."""
        kinds = {"visible": "", "in flight": "NotVisible", "delayed": "Delayed"}
        found = self.sqs.get_queue_attributes(QueueUrl=self.resources.intake.url, AttributeNames=["All"])["Attributes"]
        return {kind: int(found[f"ApproximateNumberOfMessages{suffix}"]) for kind, suffix in kinds.items()}

    def bucket(self) -> dict[str, Thing]:
        """Everything in the output bucket."""
        keys = self._keys()
        with ThreadPoolExecutor(_READERS) as readers:
            return dict(zip(keys, readers.map(self._thing, keys), strict=True))

    def _keys(self) -> list[str]:
        """A listing of everything, and one of each key's: where a page begins at a key that is not ASCII, LocalStack
        leaves keys out, both by token and by StartAfter.
        """
        found = set(self._listed(""))
        for key in self.histories:
            at = name(self.resources.uploads, key, several_buckets=False)
            found |= {one for area in AREAS for one in self._listed(f"{area}{at}/")}
        return sorted(found)

    def _listed(self, prefix: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.resources.published, Prefix=prefix)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]

    def _thing(self, key: str) -> Thing:
        body = self.s3.get_object(Bucket=self.resources.published, Key=key)["Body"].read()
        kept = body if key.endswith(".json") else None
        return Thing(sha256=hashlib.sha256(body).hexdigest(), size=len(body), body=kept)

    def uploads_under_way(self) -> list[str]:
        """Multipart uploads that nobody has completed or aborted."""
        found = self.s3.list_multipart_uploads(Bucket=self.resources.published)
        return [one["Key"] for one in found.get("Uploads", [])]

    def told(self) -> list[dict[str, Any]]:
        """Every outcome message; each is given once."""
        return [json.loads(one["Body"]) for one in self._drained(self.resources.outcomes.url)]

    def dead(self) -> list[str]:
        """The body of every dead letter; each is given once."""
        return [one["Body"] for one in self._drained(self.resources.dead_letters.url)]

    def _drained(self, url: str) -> list[dict[str, Any]]:
        drained: list[dict[str, Any]] = []
        while found := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(found)]
            self.sqs.delete_message_batch(QueueUrl=url, Entries=entries)
            drained += found
        return drained

    def quiet(self) -> bool:
        """Whether no message is left, now or later."""
        return not any(self.waiting().values())


@contextmanager
def made(endpoint: str, *, versioned: bool = False) -> Iterator[World]:
    """Buckets and queues of one's own; S3 notifies nobody: that is the courier's task."""
    resources = make(endpoint, names(f"chaos-{uuid4().hex[:8]}"), versioned=versioned)
    with closing(client("s3", endpoint)) as s3, closing(client("sqs", endpoint)) as sqs:
        s3.put_bucket_notification_configuration(Bucket=resources.uploads, NotificationConfiguration={})
        yield World(resources=resources, s3=s3, sqs=sqs)


@contextmanager
def running(folder: Path, *, versioned: bool = False) -> Iterator[World]:
    """The same in a LocalStack of one's own."""
    with localstack.running(log=folder / "localstack.log") as endpoint, made(endpoint, versioned=versioned) as world:
        yield world


def missing(wanted: Sequence[str], found: Sequence[str]) -> list[str]:
    """What of the dead letters is not there, and what is there and should not be."""
    lacking = [f"dead letter {one}: is not there" for one in set(wanted) - set(found)]
    return lacking + [f"dead letter {one}: does not belong there" for one in set(found) - set(wanted)]
