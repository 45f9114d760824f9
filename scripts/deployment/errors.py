"""What can go wrong, in words: each says what it was, and how to mend it."""

import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_ACTION = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)")
_LOG_IN = "Log in (aws configure, aws sso login), or name another profile in AWS_PROFILE."

#: S3 says "Access Denied" alone, and its actions are not called as its operations are.
_S3_ACTIONS = {
    "HeadBucket": "s3:ListBucket",
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "PutBucketNotificationConfiguration": "s3:PutBucketNotification",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
}


class Trouble(Exception):
    """Something that a person has to mend."""

    exit_code = 1

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(f"{what}\n{mend}" if mend else what)


class WrongUse(Trouble):
    """The command line says something that can't be."""

    exit_code = 2


def translated(error: BotoCoreError | ClientError) -> Trouble:
    """What AWS, or the way to it, has refused."""
    match error:
        case NoCredentialsError() | PartialCredentialsError() | ProfileNotFound():
            return Trouble(f"There are no credentials: {error}.", _LOG_IN)
        case SSOError() | TokenRetrievalError():
            return Trouble(f"The session has ended: {error}.", _LOG_IN)
        case NoRegionError():
            return Trouble("There is no region.", "Name it with --region or in AWS_REGION.")
        case EndpointConnectionError() | ConnectTimeoutError():
            return Trouble(
                f"AWS does not answer: {error}.", "Look at the network, and whether the region's name is right."
            )
        case ClientError():
            return _refused(error)
    return Trouble(str(error))


def _refused(error: ClientError) -> Trouble:
    code, said = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", str(error))
    if code in _EXPIRED:
        return Trouble(f"The credentials have expired: {said}.", _LOG_IN)
    if code in _UNKNOWN:
        return Trouble(f"AWS does not know these credentials: {said}.", _LOG_IN)
    if code in _DENIED:
        action = action_of(error)
        where = (
            " A bucket of another account denies everything: look at the account too." if action[:3] == "s3:" else ""
        )
        return Trouble(f"{action} is denied: {said}", f"Give that permission to whom you are logged in as.{where}")
    return Trouble(
        f"{error.operation_name}: {said} ({code}).", "Mend that, and run the same command again: it goes on."
    )


def action_of(error: ClientError) -> str:
    """The IAM action that was denied, or the operation where nobody says which."""
    found = _ACTION.search(str(error))
    return found[1] if found else _S3_ACTIONS.get(error.operation_name, error.operation_name)


def is_denied(error: ClientError) -> bool:
    """Whether a permission is missing."""
    return error.response["Error"].get("Code", "") in _DENIED
