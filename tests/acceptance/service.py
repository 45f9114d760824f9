"""The real service as a child process, and what is seen of it from outside: the bucket and the queues."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote_plus

from scripts.resources import Client, Resources
from service.core.manifest import FINAL, Manifest
from service.core.places import Places, is_record, name
from service.core.places import url as places_url
from service.core.record import Outcome, Record

T = TypeVar("T")

PUBLIC_URL = "http://media.example"


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running worker; its log lines are in `log`."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event so far."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait()


def environment(resources: Resources, folder: Path, *, recipe: str = "", aws: str | None = None) -> dict[str, str]:
    """The settings of a worker that keeps its files in `folder`; `aws` is the address of the strict fake."""
    found = resources.environment(PUBLIC_URL) | {
        "PATH": os.environ["PATH"],
        "MEDIA_SCRATCH": str(folder / "scratch"),
        "MEDIA_POLL_SECONDS": "1",
        "MEDIA_HTTP_PORT": "0",
        "MEDIA_DRAIN_SECONDS": "5",
    }
    if recipe:
        path = folder / f"recipe-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}.toml"
        path.write_text(recipe)
        found["MEDIA_RECIPE"] = str(path)
    if aws:
        found |= {"AWS_ENDPOINT_URL_REKOGNITION": aws, "AWS_ENDPOINT_URL_TRANSCRIBE": aws}
    return found


@contextmanager
def running(
    resources: Resources,
    folder: Path,
    *,
    program: str = "service",
    recipe: str = "",
    aws: str | None = None,
    **settings: object,
) -> Iterator[Service]:
    """`media-worker run` on these resources; stopped by SIGTERM at the end, if it still runs.

    :param program: the module that is run: the service, or one that puts a double into it first.
    :param recipe: what it says otherwise than the shipped one.
    :param aws: the address of the strict fake, in the place of Rekognition and Transcribe.
    """
    log = folder / f"worker-{time.monotonic_ns()}.log"
    variables = environment(resources, folder, recipe=recipe, aws=aws)
    variables |= {key: str(value) for key, value in settings.items()}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", program, "run"], env=variables, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        started = wait_for(lambda: _started(process, log), seconds=30, what="the worker to start")
        yield Service(process=process, log=log, port=int(started["http_port"]))
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _started(process: subprocess.Popen[bytes], log: Path) -> dict[str, Any] | None:
    text = log.read_text()
    if process.poll() is not None:
        raise AssertionError(f"the worker ended with {process.returncode}:\n{text}")
    return next((json.loads(line) for line in text.splitlines() if '"event": "started"' in line), None)


def wait_for(look: Callable[[], T | None], *, seconds: float, what: str) -> T:
    """What `look` gives as soon as it is not None."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.1)
    return found


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
        record = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": self.resources.uploads}, "object": {"key": quote_plus(key, safe="/")}},
        }
        self.send({"Records": [record]})

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

    def read(self, key: str) -> bytes | None:
        """An object of the output bucket."""
        try:
            return bytes(self.s3.get_object(Bucket=self.resources.published, Key=key)["Body"].read())
        except self.s3.exceptions.NoSuchKey:
            return None

    def objects(self) -> dict[str, tuple[str, str]]:
        """Every object of the output bucket: its ETag, and when it was written."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.resources.published)
        found = [one for page in pages for one in page.get("Contents", [])]
        return {one["Key"]: (one["ETag"], one["LastModified"].isoformat()) for one in found}

    def records(self, key: str) -> list[Record]:
        """The records of all steps of all versions of a key."""
        found = [one for one in self.objects() if one.startswith(_places(self.resources, key).versions)]
        return [Record.model_validate_json(self.read(one) or b"") for one in found if is_record(one)]

    def outcome(self, key: str) -> Outcome:
        """The outcome record of a key that has had one version."""
        (found,) = [
            one
            for one in self.objects()
            if one.startswith(_places(self.resources, key).versions) and one.endswith("/outcome.json")
        ]
        return Outcome.model_validate_json(self.read(found) or b"")

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
        for found in (one for one in self.objects() if one.startswith(at.versions)):
            expected.add(found)
            if not is_record(found):
                Outcome.model_validate_json(self.read(found) or b"")
                continue
            expected |= self._files(Record.model_validate_json(self.read(found) or b""), at)
        served = manifest.serving.products if manifest.serving else ()
        assert {product.url for product in served} <= {address(one) for one in expected}
        return expected

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


def _places(resources: Resources, key: str) -> Places:
    return Places(name=name(resources.uploads, key, several_buckets=False))


def address(key: str) -> str:
    """The public address of an object of the output bucket."""
    return places_url(PUBLIC_URL, key)
