"""aiobotocore clients of LocalStack, as the worker has them, and resources that a module's tests share."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from scripts.resources import REGION, Resources, make, names


@pytest.fixture(scope="session")
def shared(localstack: str) -> Resources:
    """Buckets and queues for tests that use keys of their own."""
    return make(localstack, names(f"shared-{uuid4().hex[:12]}"))


def _client(service: str, endpoint: str) -> Any:
    return get_session().create_client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=AioConfig(s3={"addressing_style": "path"}, retries={"mode": "standard", "total_max_attempts": 2}),
    )


@pytest.fixture
async def s3_client(localstack: str) -> AsyncIterator[Any]:
    """S3."""
    async with _client("s3", localstack) as client:
        yield client


@pytest.fixture
async def sqs_client(localstack: str) -> AsyncIterator[Any]:
    """SQS."""
    async with _client("sqs", localstack) as client:
        yield client
