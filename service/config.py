"""Settings: read from the environment once, frozen, contradictions refused at start."""

import tempfile
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.core import places
from service.core.job import Input
from service.core.outcome import Misconfigured

_DOCTORED = {"missing": "is not set"}


def _scratch() -> Path:
    """Asked only when it is needed: a read-only root without TMPDIR has no temporary folder."""
    return Path(tempfile.gettempdir()) / "media-worker"


class Settings(BaseSettings):
    """Environment variables `MEDIA_…`; those of AWS keep AWS's names and are read here as well."""

    model_config = SettingsConfigDict(env_prefix="MEDIA_", frozen=True, extra="ignore", env_ignore_empty=True)

    queue_url: str = Field(description="SQS queue that S3 notifies")
    input_buckets: Annotated[tuple[str, ...], NoDecode] = Field(
        description="buckets of uploads, comma separated: `bucket` or `bucket/prefix/`"
    )
    output_bucket: str = Field(description="bucket that products, manifests and records are written to")
    public_url: str = Field(description="address that the output bucket is seen at, such as a CDN's")
    dead_letter_queue_url: str | None = Field(default=None, description="default: as the queue's redrive policy says")
    outcome_target: str | None = Field(default=None, description="ARN of an SNS topic, event bus or SQS queue")
    bucket_owner: str | None = Field(default=None, pattern=r"^\d{12}$", description="account that owns the buckets")
    recipe: str | None = Field(default=None, description="path or s3:// address of a recipe; default: the shipped one")
    slots: int = Field(default=2, ge=1, le=64, description="jobs at once")
    visibility_seconds: int = Field(default=120, ge=15, le=43_200, description="lease of a message; renewed each third")
    poll_seconds: int = Field(default=20, ge=1, le=20, description="long poll")
    job_seconds: int = Field(default=39_600, ge=60, le=42_000, description="most time for one job")
    drain_seconds: int = Field(default=100, ge=0, le=3600, description="time to finish after SIGTERM")
    child_memory_mb: int = Field(default=3072, ge=256, description="most memory of one decoder")
    scratch: Path = Field(default_factory=_scratch, description="folder for files at work")
    http_host: str = Field(default="127.0.0.1", description="address of /healthz, /readyz and /metrics")
    http_port: int = Field(default=8080, ge=0, le=65_535)
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    aws_region: str = Field(default="us-east-1", validation_alias="AWS_REGION")
    aws_endpoint_url: str | None = Field(default=None, validation_alias="AWS_ENDPOINT_URL")

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

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.input_buckets:
            raise ValueError("MEDIA_INPUT_BUCKETS names no bucket")
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
    def several_buckets(self) -> bool:
        """Whether names have to begin with the bucket's."""
        return len({one.bucket for one in self.inputs}) > 1


def _disjoint(prefix: str) -> bool:
    return bool(prefix) and not any(area.startswith(prefix) or prefix.startswith(area) for area in places.AREAS)


def load(**given: Any) -> Settings:
    """Settings from the environment.

    :raises Misconfigured: naming the variable.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        raise Misconfigured("; ".join(_told(found) for found in error.errors())) from error


def _told(found: Any) -> str:
    message = str(found["msg"]).removeprefix("Value error, ")
    if not found["loc"]:
        return message
    name = str(found["loc"][0])
    variable = name if name.isupper() else f"MEDIA_{name.upper()}"
    return f"{variable}: {_DOCTORED.get(found['type'], message)}"
