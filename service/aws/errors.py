"""Botocore's errors in our own words: the one place that knows its codes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from botocore.parsers import ResponseParserError

from service.core.outcome import MediaWorkerError, Misconfigured, Throttled, Unavailable

_THROTTLED = frozenset(
    "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException SlowDown "
    "TooManyRequestsException TooManyRequests 429 RequestLimitExceeded ProvisionedThroughputExceededException "
    "LimitExceededException KmsThrottled KMS.ThrottlingException OverLimit".split()
)
_DENIED = frozenset(
    "AccessDenied AccessDeniedException 403 Forbidden InvalidAccessKeyId SignatureDoesNotMatch ExpiredToken "
    "InvalidClientTokenId UnrecognizedClientException NoSuchBucket QueueDoesNotExist KmsAccessDenied KmsDisabled "
    "AWS.SimpleQueueService.NonExistentQueue NotFoundException AuthorizationError "
    # the same things as the services say them whose protocol is JSON
    "InvalidSignatureException IncompleteSignature ExpiredTokenException MissingAuthenticationTokenException "
    "InvalidAccessKeyIdException OptInRequired SubscriptionRequiredException NotAuthorized".split()
)

Known = Mapping[str, type[MediaWorkerError]]


@contextmanager
def translated(call: str, known: Known | None = None) -> Iterator[None]:
    """Raise our errors in the place of botocore's; `known` says what this call's own codes mean.

    A code that nobody listed is taken for a passing failure: five tries tell.
    """
    try:
        yield
    except ClientError as error:
        raise _meaning(error, known or {})(f"{call}: {error}") from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise Misconfigured(f"{call}: {error}") from error
    except (TimeoutError, BotoCoreError, aiohttp.ClientError, ConnectionError) as error:
        raise Unavailable(f"{call}: {error!r}") from error


@contextmanager
def answered(call: str, known: Known | None = None) -> Iterator[None]:
    """As `translated`, around a call alone whose answer may be anything.

    Botocore's parsers check no types: what is shaped otherwise than its model ends in whatever Python makes of it.
    """
    with translated(call, known):
        try:
            yield
        except (ResponseParserError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise Unavailable(f"{call}: an answer that can't be read: {error!r}") from error
        except RecursionError as error:
            raise Unavailable(f"{call}: an answer that is nested too deeply") from error


def code(error: ClientError) -> str:
    """The error's code; for HEAD requests, which have no body, the HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _meaning(error: ClientError, known: Known) -> type[MediaWorkerError]:
    name = code(error).rpartition("#")[2]
    if name in known:
        return known[name]
    if name in _THROTTLED:
        return Throttled
    return Misconfigured if name in _DENIED else Unavailable
