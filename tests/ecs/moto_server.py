"""A moto that answers for AWS, and the stacks deployed on it in the order that ecs/README.md gives."""

import re
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from scripts import children
from tests.ecs.templates import FOLDER, REGION, ROOT, load, resolve

_VENV = ROOT / ".venvs" / "ecs"
_START_SECONDS = 60
_UNSUPPORTED = re.compile(r"Tried to parse (AWS::[A-Za-z0-9:]+) but it's not supported")


@dataclass(frozen=True, kw_only=True)
class Server:
    """Its address, and what it says."""

    endpoint: str
    log: Path

    def client(self, service: str) -> Any:
        """A boto3 client of it."""
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, **keys)

    def skipped(self) -> set[str]:
        """Types of resources that it does not know, and did not make."""
        return set(_UNSUPPORTED.findall(self.log.read_text(errors="replace")))


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """A moto that answers, with nothing in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [_VENV / "bin" / "python", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default"}
    log = folder / "moto.log"
    with children.running(argv, env=environment, cwd=folder, log=log, grace=0):
        _wait(f"http://127.0.0.1:{port}", log)
        yield Server(endpoint=f"http://127.0.0.1:{port}", log=log)


def _wait(endpoint: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{endpoint}/moto-api/data.json", timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise AssertionError(f"moto does not answer:\n{children.tail(log)}") from None
            time.sleep(0.2)
        else:
            return


def deploy(server: Server, profile: str, stage: str, **given: str) -> dict[str, str]:
    """All stacks but the edge, which moto cannot make; each with the outputs of those before; what all of them gave."""
    formation = server.client("cloudformation")
    known = {"Stage": stage, "Profile": profile, "AlarmMail": "site@example.com", "S3PrefixList": "pl-1"} | given
    known["PublicUrl"] = "https://media.example.com"
    known["Image"] = f"repository@sha256:{'a' * 64}"
    lanes = [("lane", "light"), ("lane", "heavy"), ("scaling", "light"), ("scaling", "heavy")]
    plan = [("key", "")] if profile == "private" else []
    plan += [(name, "") for name in ("storage", "network", "service")] + lanes + [("watch", "")]
    for template, lane in plan:
        known |= {"Lane": lane, "QueueUrl": known.get("HeavyUrl" if lane == "heavy" else "IntakeUrl", "")}
        known["ServiceName"] = f"media-{stage}-{lane}"
        known |= _deploy_one(formation, template, f"media-{stage}-{template}-{lane}".rstrip("-"), known)
    _notify(server, known)
    return known


def _notify(server: Server, known: dict[str, str]) -> None:
    """What moto leaves out of a bucket: versions and notifications, as the template says them."""
    told = dict(resolve("storage", known["Profile"], known).of("AWS::S3::Bucket"))["Uploads"]
    queues = told["NotificationConfiguration"]["QueueConfigurations"]
    wanted = [{"QueueArn": known["IntakeArn"], "Events": [one["Event"]]} for one in queues]
    s3, bucket = server.client("s3"), known["InputBucket"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=told["VersioningConfiguration"])
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": wanted, "EventBridgeConfiguration": {}}
    )


def _deploy_one(formation: Any, template: str, name: str, known: dict[str, str]) -> dict[str, str]:
    body = (FOLDER / f"{template}.yaml").read_text()
    parameters = [
        {"ParameterKey": key, "ParameterValue": known[key]} for key in load(template)["Parameters"] if key in known
    ]
    formation.create_stack(
        StackName=name,
        TemplateBody=body,
        Parameters=parameters,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    )
    stack = formation.describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}
