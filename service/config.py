"""Settings: read from the environment once, frozen, contradictions refused at start."""

import difflib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.core import places
from service.core.job import Input
from service.core.outcome import Misconfigured
from service.tools.confine import Mode

_SERVICE_LINKS = "MEDIA_WORKER_"  # what Kubernetes sets for a service of this name
_PREFIX = "MEDIA_"
_DOCTORED = {"missing": "is not set"}


def _scratch() -> Path:
    """Asked only when it is needed: a read-only root without TMPDIR has no temporary folder."""
    return Path(tempfile.gettempdir()) / "media-worker"


class Settings(BaseSettings):
    """Environment variables `MEDIA_…`; those of AWS keep AWS's names and are read here as well."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    queue_url: str = Field(description="SQS queue that S3 notifies")
    input_buckets: Annotated[tuple[str, ...], NoDecode] = Field(
        description="buckets of uploads, comma separated: `bucket` or `bucket/prefix/`"
    )
    output_bucket: str = Field(description="bucket that products, manifests and records are written to")
    public_url: str = Field(description="address that the output bucket is seen at, such as a CDN's")
    dead_letter_queue_url: str | None = Field(default=None, description="default: as the queue's redrive policy says")
    heavy_queue_url: str | None = Field(default=None, description="queue that video and sound are sent on to")
    backfill_queue_url: str | None = Field(default=None, description="queue that is polled while the other is empty")
    lane: Literal["all", "light", "heavy"] = Field(default="all", description="what this worker is, in metrics")
    stage: str = Field(default="local", pattern=r"^[a-z][a-z0-9]{0,11}$", description="deployment, in metrics")
    metrics: Literal["off", "emf"] = Field(default="off", description="emf: CloudWatch's, each minute, on stdout")
    outcome_target: str | None = Field(default=None, description="ARN of an SNS topic, event bus or SQS queue")
    bucket_owner: str | None = Field(default=None, pattern=r"^\d{12}$", description="account that owns the buckets")
    recipe: str | None = Field(default=None, description="path or s3:// address of a recipe; default: the shipped one")
    slots: int = Field(default=2, ge=1, le=64, description="jobs at once")
    visibility_seconds: int = Field(default=120, ge=15, le=43_200, description="lease of a message; renewed each third")
    poll_seconds: int = Field(default=20, ge=1, le=20, description="long poll")
    job_seconds: int = Field(default=39_600, ge=60, le=42_000, description="most time for one job")
    drain_seconds: int = Field(default=100, ge=0, le=3600, description="time to finish after SIGTERM")
    child_memory_mb: int = Field(default=3072, ge=256, description="most memory of one decoder")
    sandbox: Mode = Field(default="required", description="optional: decode even where decoders can't be cut off")
    whisper_model: Path | None = Field(default=None, description="folder of a faster-whisper model; default: tiny.en")
    rekognition_rate: float = Field(default=5, gt=0, allow_inf_nan=False, description="calls a second, by the quota")
    transcribe_rate: float = Field(default=5, gt=0, allow_inf_nan=False, description="starts a second, by the quota")
    scratch: Path = Field(default_factory=_scratch, description="folder for files at work")
    http_host: str = Field(default="127.0.0.1", description="address of /healthz, /readyz and /metrics")
    http_port: int = Field(default=8080, ge=0, le=65_535)
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    ecs_agent_uri: str | None = Field(default=None, validation_alias="ECS_AGENT_URI")
    aws_region: str = Field(default="us-east-1", validation_alias="AWS_REGION")
    aws_endpoint_url: str | None = Field(default=None, validation_alias="AWS_ENDPOINT_URL")
    aws_endpoint_url_rekognition: str | None = Field(default=None, validation_alias="AWS_ENDPOINT_URL_REKOGNITION")
    aws_endpoint_url_transcribe: str | None = Field(default=None, validation_alias="AWS_ENDPOINT_URL_TRANSCRIBE")

    @field_validator("input_buckets", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("public_url")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if not value.startswith(("http://", "https://", "/")):
            raise ValueError("has to begin with https://, http:// or /")
        return value.rstrip("/")

    @field_validator("aws_endpoint_url", "aws_endpoint_url_rekognition", "aws_endpoint_url_transcribe")
    @classmethod
    def _endpoint(cls, value: str | None) -> str | None:
        if value is not None and not _is_endpoint(value):
            raise ValueError(f"{value!r} is no address such as http://localhost:4566")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.input_buckets:
            raise ValueError("MEDIA_INPUT_BUCKETS names no bucket")
        if len(set(self.queue_urls.values())) < len(self.queue_urls):
            raise ValueError("MEDIA_QUEUE_URL, MEDIA_HEAVY_QUEUE_URL and MEDIA_BACKFILL_QUEUE_URL have to differ")
        for one in self.inputs:
            if one.bucket == self.output_bucket and not _disjoint(one.prefix):
                raise ValueError(
                    f"MEDIA_INPUT_BUCKETS: {one.bucket} is the output bucket too: give it a prefix of its own, such as "
                    f"{one.bucket}/uploads/, outside of {', '.join(places.AREAS)}"
                )
        return self

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The buckets and prefixes of uploads."""
        parts = (one.partition("/") for one in self.input_buckets)
        return tuple(Input(bucket=bucket, prefix=prefix) for bucket, _, prefix in parts)

    @property
    def queue_urls(self) -> dict[str, str]:
        """The queues of this deployment, by their names: `intake`, and where they are set `heavy` and `backfill`."""
        named = {"intake": self.queue_url, "heavy": self.heavy_queue_url, "backfill": self.backfill_queue_url}
        return {name: url for name, url in named.items() if url}

    @property
    def several_buckets(self) -> bool:
        """Whether names have to begin with the bucket's."""
        return len({one.bucket for one in self.inputs}) > 1


def _disjoint(prefix: str) -> bool:
    return bool(prefix) and not any(area.startswith(prefix) or prefix.startswith(area) for area in places.AREAS)


def _is_endpoint(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an IPv6 address, a port that is no number
        return False


def load(**given: Any) -> Settings:
    """Settings from the environment.

    :raises Misconfigured: naming the variable; for one that is no setting as well, which would do nothing.
    """
    if unknown := _unknown(os.environ):
        raise Misconfigured("; ".join(unknown))
    try:
        return Settings(**given)
    except ValidationError as error:
        raise Misconfigured("; ".join(_told(found) for found in error.errors())) from error
    except OSError as error:
        raise Misconfigured(f"MEDIA_SCRATCH: is not set, and {error}") from error


def sandbox_here() -> Mode:
    """MEDIA_SANDBOX for commands that need no other setting; optional where it says nothing: files of one's own.

    :raises Misconfigured: when it is none of these.
    """
    match os.environ.get("MEDIA_SANDBOX") or "optional":
        case "required" | "optional" | "off" as mode:
            return mode
        case other:
            raise Misconfigured(f"MEDIA_SANDBOX: {other!r} is none of required, optional and off")


def _unknown(environment: Iterable[str]) -> list[str]:
    """What to say of variables that begin like ours and are none; their case means nothing, as to pydantic."""
    fields = Settings.model_fields.items()
    known = {name.upper(): str(field.validation_alias or _PREFIX + name.upper()) for name, field in fields}
    ours = (n for n in sorted(environment) if n.upper().startswith(_PREFIX) and not n.startswith(_SERVICE_LINKS))
    return [_told_unknown(name, known) for name in ours if name.upper() not in known.values()]


def _told_unknown(name: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name.upper().removeprefix(_PREFIX), known, n=1)
    return f"{name}: there is no such setting" + "".join(f"; is it {known[one]}?" for one in close)


def _told(found: Any) -> str:
    message = str(found["msg"]).removeprefix("Value error, ")
    if not found["loc"]:
        return message
    name = str(found["loc"][0])
    variable = name if name.isupper() else _PREFIX + name.upper()
    return f"{variable}: {_DOCTORED.get(found['type'], message)}"
