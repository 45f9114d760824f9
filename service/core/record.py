"""The documents under `records/`: what was made, and how a version ended. Never public."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.core.media import Clip, Picture
from service.core.tracks import AudioTrack, CaptionTrack, VideoTrack

#: Raised when a clip is asked for more than before: 1 for colours, subtitles, and how its keyframes lie.
EXAMINED = 1


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
    """What makes a file a product, an entry point for a page; `alias` is its stable name, where it has one.

    `language` is that of captions (BCP 47), `machine` says that no person wrote them, `label` what the file calls them.
    """

    role: Role
    alias: str | None = None
    width: int | None = None
    height: int | None = None
    bandwidth: int | None = None
    language: str | None = None
    machine: bool | None = None
    label: str | None = None


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
    language: str | None = None
    machine: bool | None = None
    label: str | None = None


class Label(Document):
    """What a moderation provider sees, in its own words: all kept as data, whether we know them or not.

    `parent` is "" at the top of its taxonomy; `confidence` in percent.
    """

    name: str
    parent: str = ""
    confidence: float
    level: int | None = None


class Look(Document):
    """One frame that a provider was shown; `at` in seconds, or the number of a page. `file` is kept for a reviewer."""

    at: float
    labels: tuple[Label, ...] = ()
    file: str | None = None


class Screening(Document):
    """What moderation saw of one version; the verdict is made of it by the recipe of the day.

    `planned` frames were to be looked at, `alike` of them were so like another one that it spoke for them; `gap` is the
    longest time in seconds that no frame stands for. `complete` is false where a hard hit made the rest needless, and
    `skipped` says why nothing was shown to the provider at all.
    """

    provider: str
    model: str | None
    planned: int
    alike: int = 0
    gap: float = 0.0
    complete: bool = True
    skipped: str | None = None
    looks: tuple[Look, ...] = ()


class Captioned(Document):
    """What came of captions; `none` says why there are no cues (`no_speech`, `language`, `refused`, `spend`, …).

    `embedded` says that the upload brought them along.
    """

    language: str | None = None
    model: str | None = None
    machine: bool = True
    cues: int = 0
    none: str | None = None
    embedded: bool = False


class Loudness(Document):
    """How loud a sound was, and what it was made: LUFS integrated, dBTP, and the gain in dB; None for silence."""

    integrated: float | None
    true_peak: float
    gain: float


class Damaged(Document):
    """What is lost of a source: parts that could not be decoded, and `missing` seconds at the end of a sound.

    `first` is what the decoder said then, for an operator.
    """

    errors: int = 0
    first: str = ""
    missing: float = 0.0


class StepRecord(Document):
    """One step that was done, or tried: `refused` says why nothing was kept of it.

    Of a copy, `rhythm` names the durations of its fragments: renditions beside it have to have the same.
    Of a picture that was uploaded to be a poster, `picture` says what it is.
    """

    digest: str
    kind: str
    files: tuple[File, ...] = ()
    placeholder: Hint | None = None
    video: VideoTrack | None = None
    audio: AudioTrack | None = None
    captions: CaptionTrack | None = None
    loudness: Loudness | None = None
    damaged: Damaged | None = None
    refused: tuple[str, ...] = ()
    rhythm: str | None = None
    picture: Picture | None = None
    screening: Screening | None = None
    captioned: Captioned | None = None


class Spent(Document):
    """What a group of steps cost this machine."""

    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    units: dict[str, float] = Field(
        default_factory=dict, description="what was bought, by the names of the price table"
    )


class Record(Document):
    """A group of steps that were done and committed together; its files lie in `folder`.

    `media` is what examining the version gave, so that what needs no decode needs no download either; `examined` says
    how much was asked of it then: see `known`.
    """

    version: str
    media: Picture | Clip | None = None
    examined: int = 0
    digest: str
    folder: str
    made_at: datetime
    made_by: dict[str, str]
    spent: Spent
    steps: tuple[StepRecord, ...]

    @property
    def known(self) -> Picture | Clip | None:
        """What the version is; None where too little was asked of a clip then, and it has to be examined again."""
        return None if isinstance(self.media, Clip) and self.examined < EXAMINED else self.media


class Decision(Document):
    """What a reviewer said of one version, and at which revision of its page manifest."""

    says: Literal["allow", "block"]
    revision: int
    at: datetime
    by: str


class Because(Document):
    """A label that made the verdict, and the rule that it fell under; `at` in seconds or pages."""

    label: str
    confidence: float
    at: float
    rule: str


class Moderated(Document):
    """The verdict on one version, by whom, and how much of it was looked at; times in seconds.

    `by` is the provider, `reviewer`, or `off` where the recipe asks nobody; `policy` names the rules.
    """

    says: Literal["allow", "review", "block"]
    by: str
    policy: str
    because: tuple[Because, ...] = ()
    model: str | None = None
    planned: int = 0
    alike: int = 0
    gap: float = 0.0
    complete: bool = True
    skipped: str | None = None


class Ticket(Document):
    """`quarantine/<name>/~/waiting.json`: what waits for a review, and the frames that were flagged."""

    bucket: str
    key: str
    version: str
    since: datetime
    because: tuple[Because, ...] = ()
    frames: tuple[str, ...] = ()


class Line(Document):
    """What was bought of one kind."""

    unit: str
    count: float
    dollars: float


class Cost(Document):
    """What one version has cost by now: what was bought, what this machine did, and dollars for both."""

    lines: tuple[Line, ...]
    cpu_seconds: float
    bytes_in: int
    bytes_out: int
    dollars: float


class Failure(Document):
    """One attempt that failed for no fault of the file."""

    at: datetime
    error: str


class Outcome(Document):
    """Everything that is known of how one version ended, or stands: what `show` reads.

    `poster` tells of the one that lay beside it: `uploaded` where it is shown, else why a frame is.
    """

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
    moderation: Moderated | None = None
    captions: Captioned | None = None
    poster: str | None = None
    damaged: Damaged | None = None
    cost: Cost | None = None
    failures: tuple[Failure, ...] = ()


class Unready(Document):
    """`records/~failures/<day>/<version>.json`: one version that was rejected or failed, for `failures` to list."""

    at: datetime
    bucket: str
    key: str
    version: str
    status: str
    reason: str
    message: str


class Paused(Document):
    """Since when a queue is paused, by whom, and why."""

    since: datetime
    by: str
    why: str | None = None


class Capacity(Document):
    """The fewest and the most tasks that scaling may start of a lane."""

    fewest: int = Field(ge=0)
    most: int = Field(ge=0)


class Pause(Document):
    """`records/~pause.json`: the queues that are paused, by name.

    `lanes` are the capacities that ECS lanes had before a pause changed them, by the id of their scalable target.
    """

    queues: dict[str, Paused] = Field(default_factory=dict)
    lanes: dict[str, Capacity] = Field(default_factory=dict)
