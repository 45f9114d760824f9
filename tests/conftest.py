"""The worker's surroundings: a LocalStack for each test process, and buckets and queues for each test."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from scripts import localstack as localstacks
from scripts.resources import Client, Resources, client, make, names

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def localstack() -> Iterator[str]:
    """The endpoint of a LocalStack; skips only where it cannot be installed."""
    setup = subprocess.run([ROOT / "scripts" / "setup", "localstack"], capture_output=True, text=True, check=False)
    if setup.returncode:
        pytest.skip(f"LocalStack cannot be installed here: {setup.stderr.strip()}")
    with localstacks.running() as endpoint:
        yield endpoint


@pytest.fixture
def resources(localstack: str) -> Resources:
    """Buckets and queues that no other test has."""
    return make(localstack, names(f"test-{uuid4().hex[:12]}"))


@pytest.fixture
def client_of(localstack: str) -> Iterator[Callable[[str], Client]]:
    """Makes boto3 clients (`client_of("s3")`) and closes them after the test."""
    made: list[Client] = []

    def one(service: str) -> Client:
        made.append(client(service, localstack))
        return made[-1]

    yield one
    for each in made:
        each.close()
