"""The documents under `records/`: what was made, and how a version ended. Never public."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from service.core.tracks import AudioTrack, VideoTrack


class Document(BaseModel):
    """A frozen JSON document; readers of older versions ignore what they do not know."""

    model_config = ConfigDict(frozen=True)

    def to_json(self) -> bytes:
        """UTF-8, indented: people read these at 3 a.m."""
        return self.model_dump_json(indent=1, exclude_none=False).encode()


class Role(StrEnum):
    """What a product is for."""

    IMAGE = "image"
    POSTER = "poster"
    PREVIEW = "preview"
    STORYBOARD = "storyboard"
    HLS = "hls"
    DASH = "dash"
    PROGRESSIVE = "progressive"
    AUDIO = "audio"
    CAPTIONS = "captions"
    WAVEFORM = "waveform"


class Entry(Document):
    """What makes a file a product, an entry point for a page; `alias` is its stable name, where it has one."""

    role: Role
    alias: str | None = None
    width: int | None = None
    height: int | None = None
    bandwidth: int | None = None


class File(Document):
    """One object of a step; `name` is relative to the record's folder."""

    name: str
    content_type: str
    bytes: int
    sha256: str
    product: Entry | None = None


class Hint(Document):
    """What a page may show while the picture loads: base64 ThumbHash and `#rrggbb`."""

    thumbhash: str = Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$", max_length=64)
    color: str = Field(pattern=r"^#[0-9a-f]{6}$")
    alpha: bool = False


class Product(Document):
    """An entry point for a page; sizes in pixels as displayed, `bandwidth` in bits a second."""

    role: Role
    url: str
    alias_url: str | None = None
    content_type: str
    bytes: int
    width: int | None = None
    height: int | None = None
    bandwidth: int | None = None


class StepRecord(Document):
    """One step that was done."""

    digest: str
    kind: str
    files: tuple[File, ...] = ()
    placeholder: Hint | None = None
    video: VideoTrack | None = None
    audio: AudioTrack | None = None


class Spent(Document):
    """What a group of steps cost this machine."""

    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int


class Record(Document):
    """A group of steps that were done and committed together; its files lie in `folder`."""

    version: str
    digest: str
    folder: str
    made_at: datetime
    made_by: dict[str, str]
    spent: Spent
    steps: tuple[StepRecord, ...]


class Failure(Document):
    """One attempt that failed for no fault of the file."""

    at: datetime
    error: str


class Outcome(Document):
    """Everything that is known of how one version ended, or stands: what `show` reads."""

    version: str
    bucket: str
    key: str
    etag: str
    version_id: str | None
    size: int
    status: str
    reason: str | None = None
    message: str | None = None
    cause: str
    requested_at: datetime | None = None
    started_at: datetime
    ended_at: datetime | None = None
    worker: str
    recipe: str
    media: dict[str, Any] | None = None
    made: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()
    spent: Spent | None = None
    failures: tuple[Failure, ...] = ()
