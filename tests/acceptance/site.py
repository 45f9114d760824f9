"""What a site owner sees of the service: the buckets and the queues, from outside."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode
from urllib.request import Request, urlopen

from scripts.resources import Client, Resources
from service.core.manifest import FINAL, Manifest
from service.core.places import Places, is_record, name
from service.core.places import url as places_url
from service.core.record import Outcome, Record
from tests.acceptance.service import PUBLIC_URL, wait_for


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a site owner sees: uploads go in, manifests and products come out, outcomes are told."""

    resources: Resources
    s3: Client
    sqs: Client

    def upload(self, key: str, body: bytes | Path) -> None:
        """Put an object into the input bucket."""
        content = body.read_bytes() if isinstance(body, Path) else body
        self.s3.put_object(Bucket=self.resources.uploads, Key=key, Body=content)

    def delete(self, key: str) -> None:
        """Delete an object from the input bucket."""
        self.s3.delete_object(Bucket=self.resources.uploads, Key=key)

    def notify(self, key: str) -> None:
        """Deliver the event of an upload again, as SQS may at any time."""
        self.send(event(self.resources.uploads, key))

    def order(self, type_: str, key: str, **values: object) -> None:
        """Send the service's own envelope for a key."""
        source = {"bucket": self.resources.uploads, "key": key}
        self.send({"media_worker": 1, "type": type_, "source": source, "cause": "a test", **values})

    def send(self, body: object) -> None:
        """Put a message into the worker's queue."""
        self.sqs.send_message(QueueUrl=self.resources.intake.url, MessageBody=json.dumps(body))

    def manifest(self, key: str) -> Manifest | None:
        """The page manifest of a key."""
        body = self.read(_places(self.resources, key).manifest)
        return Manifest.model_validate_json(body) if body else None

    def final(self, key: str, *, seconds: float = 60, after: int = 0) -> Manifest:
        """The page manifest of a key, once it is final and past the revision `after`."""

        def look() -> Manifest | None:
            found = self.manifest(key)
            return found if found and found.status in FINAL and found.revision > after else None

        return wait_for(look, seconds=seconds, what=f"the final manifest of {key!r}")

    def heard(self, key: str, *, seconds: float = 60, after: int = 0) -> Manifest:
        """The page manifest of a key, once no captions are to come any more either."""

        def look() -> Manifest | None:
            found = self.final(key, seconds=seconds, after=after)
            return None if found.serving and found.serving.captions == "pending" else found

        return wait_for(look, seconds=seconds, what=f"the captions of {key!r}")

    def delayed(self) -> list[str]:
        """The messages in the worker's queue that nobody gets yet; LocalStack lets one look at them."""
        query = urlencode({"QueueUrl": self.resources.intake.url, "ShowDelayed": "true"})
        ask = Request(f"{self.resources.endpoint}/_aws/sqs/messages?{query}", headers={"Accept": "application/json"})
        with urlopen(ask) as answer:
            found = json.load(answer)["ReceiveMessageResponse"]["ReceiveMessageResult"] or {}
        messages = found.get("Message", [])
        one_or_more = messages if isinstance(messages, list) else [messages]
        return [one["Body"] for one in one_or_more if {"Name": "IsDelayed", "Value": "true"} in one["Attribute"]]

    def read(self, key: str) -> bytes | None:
        """An object of the output bucket."""
        try:
            return bytes(self.s3.get_object(Bucket=self.resources.published, Key=key)["Body"].read())
        except self.s3.exceptions.NoSuchKey:
            return None

    def objects(self, prefix: str = "") -> dict[str, tuple[str, str]]:
        """Every object of the output bucket below a prefix: its ETag, and when it was written."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.resources.published, Prefix=prefix)
        found = [one for page in pages for one in page.get("Contents", [])]
        return {one["Key"]: (one["ETag"], one["LastModified"].isoformat()) for one in found}

    def records(self, key: str) -> list[Record]:
        """The records of all steps of all versions of a key."""
        found = self.objects(_places(self.resources, key).versions)
        return [Record.model_validate_json(self.read(one) or b"") for one in found if is_record(one)]

    def outcome(self, key: str) -> Outcome:
        """The outcome record of a key that has had one version."""
        versions = self.objects(_places(self.resources, key).versions)
        (found,) = [one for one in versions if one.endswith("/outcome.json")]
        return Outcome.model_validate_json(self.read(found) or b"")

    def times_told(self, key: str) -> int:
        """How many outcomes a new upload has: a second one when it was heard what is said in it."""
        return 2 if self.outcome(key).captions else 1

    def remember(self) -> None:
        """Have the output bucket keep whatever is written from now on, also what is deleted again."""
        status = {"Status": "Enabled"}
        self.s3.put_bucket_versioning(Bucket=self.resources.published, VersioningConfiguration=status)

    def ever(self, prefix: str) -> set[str]:
        """Every key below `prefix` that was ever written since `remember`."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.resources.published, Prefix=prefix)
        return {one["Key"] for page in pages for one in page.get("Versions", [])}

    def empty(self, *, seconds: float = 60) -> None:
        """Wait until no message is waiting or being worked on."""

        def look() -> bool | None:
            names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
            found = self.sqs.get_queue_attributes(QueueUrl=self.resources.intake.url, AttributeNames=names)
            return True if all(int(found["Attributes"][one]) == 0 for one in names) else None

        wait_for(look, seconds=seconds, what="the queue to become empty")

    def outcomes(self) -> list[dict[str, Any]]:
        """Every outcome message so far; each is given once."""
        return [json.loads(message["Body"]) for message in self._drained(self.resources.outcomes.url)]

    def dead_letters(self) -> list[tuple[str, str]]:
        """Reason and body of every dead letter so far; each is given once."""
        found = self._drained(self.resources.dead_letters.url)
        return [(message["MessageAttributes"]["reason"]["StringValue"], message["Body"]) for message in found]

    def _drained(self, url: str) -> list[dict[str, Any]]:
        drained: list[dict[str, Any]] = []
        while True:
            answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            if not (found := answer.get("Messages", [])):
                return drained
            for message in found:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            drained += found

    def expected_objects(self, keys: list[str]) -> set[str]:
        """Every object that may be there for `keys`, by what manifests and records say; hashes are checked."""
        return set().union(*(self._expected(key) for key in keys)) if keys else set()

    def _expected(self, key: str) -> set[str]:
        at = _places(self.resources, key)
        manifest = self.manifest(key)
        assert manifest, key
        expected = {at.manifest}
        for found in self.objects(at.versions):
            expected.add(found)
            if not is_record(found):
                expected |= self._listed(Outcome.model_validate_json(self.read(found) or b""))
                continue
            expected |= self._files(Record.model_validate_json(self.read(found) or b""), at)
        served = manifest.serving.products if manifest.serving else ()
        assert {product.url for product in served} <= {address(one) for one in expected}
        return expected

    def _listed(self, outcome: Outcome) -> set[str]:
        """The entries that tell an operator of a version that was rejected or failed: one a day."""
        found = {one for one in self.objects("records/~failures/") if one.endswith(f"/{outcome.version}.json")}
        assert found or outcome.status not in {"rejected", "failed"}
        return found

    def _files(self, record: Record, at: Places) -> set[str]:
        expected = set()
        for file in (file for step in record.steps for file in step.files):
            body = self.read(record.folder + file.name)
            assert body is not None, record.folder + file.name
            assert (file.bytes, file.sha256) == (len(body), hashlib.sha256(body).hexdigest())
            expected.add(record.folder + file.name)
            if file.product and file.product.alias:
                expected.add(at.alias(file.product.alias))
        return expected


def event(bucket: str, key: str) -> dict[str, object]:
    """What S3 says of an upload."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/")}},
    }
    return {"Records": [record]}


def _places(resources: Resources, key: str) -> Places:
    return Places(name=name(resources.uploads, key, several_buckets=False))


def address(key: str) -> str:
    """The public address of an object of the output bucket."""
    return places_url(PUBLIC_URL, key)
