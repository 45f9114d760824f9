"""Botocore's errors in our own words: what is tried again, what waits for an operator, what means start over."""

from collections.abc import Mapping

import aiohttp
import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from service.aws import s3, sqs
from service.aws.errors import code, translated
from service.core.outcome import (
    Conflict,
    LeaseLost,
    MediaWorkerError,
    Misconfigured,
    Superseded,
    Throttled,
    Unavailable,
)


def client_error(name: str, status: int = 400) -> ClientError:
    """What botocore raises for an error that a service answered with."""
    answer = {"Error": {"Code": name, "Message": "in their words"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "SomeCall")  # type: ignore[arg-type]  # more is in it than botocore reads


def meaning(error: Exception, known: Mapping[str, type[MediaWorkerError]] | None = None) -> MediaWorkerError:
    """What is raised in its place."""
    with pytest.raises(MediaWorkerError) as raised, translated("SomeCall", known):
        raise error
    return raised.value


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Throttling", Throttled),
        ("ThrottlingException", Throttled),
        ("RequestThrottled", Throttled),
        ("SlowDown", Throttled),
        ("TooManyRequestsException", Throttled),
        ("TooManyRequests", Throttled),
        ("429", Throttled),
        ("KmsThrottled", Throttled),
        ("OverLimit", Throttled),
        ("AccessDenied", Misconfigured),
        ("AccessDeniedException", Misconfigured),
        ("403", Misconfigured),
        ("InvalidAccessKeyId", Misconfigured),
        ("SignatureDoesNotMatch", Misconfigured),
        ("ExpiredToken", Misconfigured),
        ("NoSuchBucket", Misconfigured),
        ("QueueDoesNotExist", Misconfigured),
        ("AWS.SimpleQueueService.NonExistentQueue", Misconfigured),
        ("com.amazonaws.sqs#QueueDoesNotExist", Misconfigured),
        ("InternalError", Unavailable),
        ("ServiceUnavailable", Unavailable),
        ("503", Unavailable),
        ("RequestTimeout", Unavailable),
        ("BadDigest", Unavailable),
        ("A code of tomorrow", Unavailable),
        ("", Unavailable),
    ],
)
def test_codes(name: str, expected: type[MediaWorkerError]) -> None:
    """By the code alone; one that nobody listed may pass."""
    assert type(meaning(client_error(name))) is expected


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("PreconditionFailed", s3._RACES, Conflict),
        ("412", s3._RACES, Conflict),
        ("ConditionalRequestConflict", s3._RACES, Conflict),
        ("NoSuchKey", s3._RACES, Conflict),
        ("NoSuchBucket", s3._RACES, Misconfigured),
        ("PreconditionFailed", s3._CHANGED, Superseded),
        ("NoSuchKey", s3._CHANGED, Superseded),
        ("NoSuchVersion", s3._CHANGED, Superseded),
        ("InvalidObjectState", s3._CHANGED, Unavailable),
        ("MessageNotInflight", sqs._STALE, LeaseLost),
        ("ReceiptHandleIsInvalid", sqs._STALE, LeaseLost),
        ("InvalidParameterValue", sqs._STALE, LeaseLost),
        ("com.amazonaws.sqs#MessageNotInflight", sqs._STALE, LeaseLost),
        ("QueueDoesNotExist", sqs._STALE, Misconfigured),
        ("PreconditionFailed", None, Unavailable),
    ],
)
def test_codes_of_single_calls(
    name: str, known: Mapping[str, type[MediaWorkerError]] | None, expected: type[MediaWorkerError]
) -> None:
    """The same code means different things to different calls."""
    assert type(meaning(client_error(name), known)) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (exceptions.NoCredentialsError(), Misconfigured),
        (exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), Misconfigured),
        (exceptions.EndpointConnectionError(endpoint_url="https://s3"), Unavailable),
        (exceptions.ConnectTimeoutError(endpoint_url="https://s3"), Unavailable),
        (exceptions.ReadTimeoutError(endpoint_url="https://s3"), Unavailable),
        (exceptions.ConnectionClosedError(endpoint_url="https://s3"), Unavailable),
        (exceptions.HTTPClientError(error="reset"), Unavailable),
        (exceptions.FlexibleChecksumError(error_msg="another checksum"), Unavailable),
        (aiohttp.ClientPayloadError("cut off"), Unavailable),
        (aiohttp.ServerDisconnectedError(), Unavailable),
        (ConnectionResetError(), Unavailable),
        (TimeoutError(), Unavailable),
    ],
)
def test_errors_without_an_answer(error: Exception, expected: type[MediaWorkerError]) -> None:
    """Nobody answered, or nobody could be asked."""
    assert type(meaning(error)) is expected


def test_the_cause_is_kept() -> None:
    """For the log: what was called, and botocore's own error."""
    cause = client_error("AccessDenied")
    error = meaning(cause)
    assert error.__cause__ is cause
    assert (
        str(error) == "SomeCall: An error occurred (AccessDenied) when calling the SomeCall operation: in their words"
    )


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError("No space left on device"), KeyboardInterrupt()])
def test_what_is_not_of_aws_stays_as_it_is(error: BaseException) -> None:
    """A bug is a bug, and a full disk is a full disk."""
    with pytest.raises(type(error)), translated("SomeCall"):
        raise error


def test_an_error_without_a_code_has_none() -> None:
    """Botocore's answer may lack everything."""
    assert "" == code(ClientError({}, "SomeCall"))
