"""Who is asked: clients of one account and region."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3  # type: ignore[import-untyped]  # boto3 ships no types, and stubs are installed for aiobotocore alone
from botocore.config import Config
from botocore.exceptions import NoRegionError

from scripts.deployment.errors import Trouble


@dataclass(frozen=True, kw_only=True)
class Account:
    """Where a stage is deployed to."""

    id: str
    region: str
    partition: str

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return _client(service, self.region)

    def arn(self, service: str, name: str) -> str:
        """Of a resource here."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{name}"


@cache
def _client(service: str, region: str) -> Any:
    config = Config(retries={"mode": "standard", "max_attempts": 8})
    return boto3.Session().client(service, region_name=region, config=config)


def open_account(region: str | None, expected: str | None) -> Account:
    """The account that the credentials are of.

    :raises Trouble: when it is another one than expected.
    """
    where = region or os.environ.get("AWS_REGION") or boto3.Session().region_name  # which knows AWS_DEFAULT_REGION
    if not where:
        raise NoRegionError
    told = _client("sts", where).get_caller_identity()
    if expected and told["Account"] != expected:
        raise Trouble(
            f"This is account {told['Account']} ({told['Arn']}), not {expected}.",
            "Log in to the other one, or name its profile in AWS_PROFILE.",
        )
    return Account(id=told["Account"], region=where, partition=told["Arn"].split(":")[1])
