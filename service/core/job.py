"""Message bodies to jobs. Nothing in a body is trusted: it is validated here, and every name is checked.

Shapes: S3 event notification (S3 user guide, notification-content-structure), the same wrapped by SNS, EventBridge
`Object Created` and the like (events ref, S3), and the service's own envelope.
"""

import json
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import unquote_plus

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.core import places
from service.core.outcome import Forged, Poison, Unknown

Type = Literal["process", "reprocess", "captions", "approve", "reject", "sweep"]

_MAX_KEY = 1024  # bytes, the limit of S3
_EVENTS = ("ObjectCreated:", "ObjectRemoved:", "ObjectRestore:Completed", "LifecycleExpiration:")
_EVENTBRIDGE = frozenset({"Object Created", "Object Deleted", "Object Restore Completed"})


@dataclass(frozen=True, kw_only=True)
class Job:
    """A key that changed. What it changed to is asked of S3, not of the message."""

    bucket: str
    key: str
    type: Type
    cause: str
    requested_at: datetime | None = None
    revision: int | None = None  #: of the page manifest that a reviewer saw


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A service has ended listening to the `speech` of this name; whose it is, our own records say."""

    speech: str


@dataclass(frozen=True, kw_only=True)
class Later:
    """A job that is to be looked at again after some seconds."""

    job: Job
    after: int


@dataclass(frozen=True, kw_only=True)
class Input:
    """A bucket, and the prefix of it, whose objects are uploads."""

    bucket: str
    prefix: str


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


_Name = Annotated[str, Field(min_length=1)]  # with a bound pydantic refuses lone surrogates: no S3 name has them
_Cause = Annotated[str, Field(max_length=200)]


class _Named(_Part):
    name: _Name


class _Object(_Part):
    key: _Name


class _S3(_Part):
    bucket: _Named
    object: _Object


class _Record(_Part):
    event_source: Literal["aws:s3"] = Field(alias="eventSource")
    event_version: str = Field(alias="eventVersion", pattern=r"^2\.")
    event_name: _Cause = Field(alias="eventName")
    event_time: AwareDatetime | None = Field(alias="eventTime", default=None)
    s3: _S3


class _Notification(_Part):
    records: tuple[_Record, ...] = Field(alias="Records", min_length=1, max_length=1000, fail_fast=True)


class _EventBridge(_Part):
    source: Literal["aws.s3"]
    detail_type: str = Field(alias="detail-type")
    time: AwareDatetime | None = None
    detail: _S3


class _Transcription(_Part):
    """Amazon EventBridge events reference, Transcribe Job State Change; other people's jobs are of no concern."""

    class Detail(_Part):
        name: _Cause = Field(alias="TranscriptionJobName")

    source: Literal["aws.transcribe"]
    detail: Detail


class _Envelope(_Part):
    class Source(_Part):
        bucket: _Name
        key: _Name

    media_worker: Literal[1]
    type: Type
    source: Source
    cause: _Cause = "request"
    requested_at: AwareDatetime | None = None
    revision: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _reviewed(self) -> Self:
        if self.type in {"approve", "reject"} and self.revision is None:
            raise ValueError("a review names the revision that the reviewer saw")
        return self


def read(body: str) -> tuple[Job | Ended, ...]:
    """The jobs in a message, or the end of what somebody else did for one; none for a greeting (`s3:TestEvent`).

    :raises Poison: for a body that is none of the known shapes.
    :raises Unknown: for an envelope of a type or version that a newer worker may know.
    """
    document = _parsed(body)
    try:
        return _read(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise Poison(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    except UnicodeDecodeError as error:
        raise Poison("the key is not UTF-8") from error


def _parsed(body: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Poison("the body is not JSON") from error
    if not isinstance(document, dict):
        raise Poison("the body is not a JSON object")
    return document


def _read(document: dict[str, Any]) -> tuple[Job | Ended, ...]:
    if document.get("Type") == "Notification" and isinstance(document.get("Message"), str):
        document = _parsed(document["Message"])
    if "media_worker" in document:
        return (_from_envelope(document),)
    if document.get("Event") == "s3:TestEvent":
        return ()
    if document.get("detail-type") == "Transcribe Job State Change":
        return _from_transcription(_Transcription.model_validate(document))
    if "detail-type" in document:
        return _from_eventbridge(_EventBridge.model_validate(document))
    if "Records" in document:
        return tuple(_from_record(r) for r in _Notification.model_validate(document).records if _concerns(r))
    raise Poison("the body is no S3 event and no envelope of this service")


def _from_envelope(document: dict[str, Any]) -> Job:
    version, type_ = document["media_worker"], document.get("type")
    if version != 1 or type_ not in get_args(Type):
        raise Unknown(f"version {reprlib.repr(version)}, type {reprlib.repr(type_)}")
    envelope = _Envelope.model_validate(document)
    return Job(
        bucket=envelope.source.bucket,
        key=envelope.source.key,
        type=envelope.type,
        cause=envelope.cause,
        requested_at=envelope.requested_at,
        revision=envelope.revision,
    )


def _from_transcription(event: _Transcription) -> tuple[Ended, ...]:
    speech = places.speech_of(event.detail.name)
    return (Ended(speech=speech),) if speech else ()


def _from_eventbridge(event: _EventBridge) -> tuple[Job, ...]:
    if event.detail_type not in _EVENTBRIDGE:
        return ()
    source = event.detail
    job = Job(
        bucket=source.bucket.name,
        key=source.object.key,
        type="process",
        cause=event.detail_type,
        requested_at=event.time,
    )
    return (job,)


def _concerns(record: _Record) -> bool:
    return record.event_name.removeprefix("s3:").startswith(_EVENTS)


def _from_record(record: _Record) -> Job:
    key = unquote_plus(record.s3.object.key, errors="strict")
    return Job(
        bucket=record.s3.bucket.name,
        key=key,
        type="process",
        cause=record.event_name,
        requested_at=record.event_time,
    )


def envelope(job: Job) -> str:
    """The service's own message for `job`."""
    document = {
        "media_worker": 1,
        "type": job.type,
        "source": {"bucket": job.bucket, "key": job.key},
        "cause": job.cause,
        "requested_at": job.requested_at.isoformat() if job.requested_at else None,
    }
    if job.revision is not None:
        document["revision"] = job.revision
    return json.dumps(document)


def admit(job: Job, inputs: Sequence[Input], *, output_bucket: str) -> bool:
    """Whether `job` is to be done: False for the service's own outputs, which never start a job.

    :raises Forged: for a bucket or key that is not configured as an input.
    """
    if not job.key or len(job.key.encode("utf-8", "surrogatepass")) > _MAX_KEY:
        raise Forged("the key is empty or longer than S3 allows")
    if job.bucket == output_bucket and places.is_own(job.key):
        return False
    if not any(job.bucket == one.bucket and job.key.startswith(one.prefix) for one in inputs):
        raise Forged(f"bucket {job.bucket!r} with this key is not among the configured inputs")
    return True
