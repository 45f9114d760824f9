"""The steps: every product is made by one of these values, and named by its digest.

A step's digest is of the source version, its own parameters and its maker's epoch, as in a build system, so that
a step that was done is never done again, and one whose maker changed is.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Literal

from service.core.storyboard import Layout

#: Raise a maker's number when the same parameters begin to give other bytes that are worth making again.
EPOCHS = {
    "Variant": 1,
    "Placeholder": 1,
    "Copy": 1,
    "Rendition": 2,
    "Piece": 2,
    "Sound": 2,
    "Waveform": 1,
    "Poster": 2,
    "Cover": 1,
    "UploadedPoster": 1,
    "Sprites": 1,
    "Storyboard": 1,
    "Preview": 1,
    "Progressive": 1,
    "Package": 1,
    "Screen": 1,
    "Transcript": 1,
    "Subtitles": 1,
    "Embedded": 1,
}

ImageFormat = Literal["webp", "jpeg"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One image file of the responsive set, in pixels as displayed."""

    name: str
    width: int
    height: int
    format: ImageFormat
    quality: int
    animated: bool
    background: str


@dataclass(frozen=True, kw_only=True)
class Placeholder:
    """ThumbHash and colour of the picture."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """The largest rung of a source that complies: its own picture in a CMAF file, nothing decoded.

    No second of it may have more than twice `max_bit_rate`.
    """

    name: str
    width: int
    height: int
    frame_rate: str
    max_bit_rate: int


@dataclass(frozen=True, kw_only=True)
class Rendition:
    """One rung: an H.264 track in a CMAF file of its own. `frame_rate` is a fraction as text, for the digest.

    No `gop_seconds`, zero, stand for the keyframes that the source has: those of a rung beside a copy.
    """

    name: str
    width: int
    height: int
    frame_rate: str
    crf: int
    max_bit_rate: int
    preset: str
    gop_seconds: float


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Part of a long video in several renditions, to be joined: `frames` at their common rate from frame `first` on.

    None for all that are left. `lead` frames before it are decoded as well and dropped: what is shown when the piece
    begins may have come long before.
    """

    number: int
    first: int
    frames: int | None
    lead: int
    rungs: tuple[Rendition, ...]


@dataclass(frozen=True, kw_only=True)
class Sound:
    """One AAC track in a CMAF file of its own, brought to `loudness` (LUFS) as far as its true peak (dBTP) allows.

    None leaves it as loud as it is.
    """

    name: str
    stream: int
    channels: int
    bit_rate: int
    language: str | None
    loudness: float | None
    true_peak: float


@dataclass(frozen=True, kw_only=True)
class Waveform:
    """The course of a sound track, as numbers and as a picture; `sound` is what it is heard as."""

    sound: Sound
    samples_per_pixel: int


@dataclass(frozen=True, kw_only=True)
class Poster:
    """The best of some frames of the video as a responsive set; `at` in seconds, the first size is the largest."""

    at: tuple[float, ...]
    sizes: tuple[tuple[int, int], ...]
    formats: tuple[ImageFormat, ...]
    quality: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Cover:
    """A picture that was uploaded beside the source to be its poster: what it is, and what `provider` sees in it.

    It is the object `key` in its version with this ETag; `small` is what is done about one that is too small to be
    looked at, as in the recipe. As with `Screen`, no rule is in it.
    """

    key: str
    etag: str
    provider: str
    small: str


@dataclass(frozen=True, kw_only=True)
class UploadedPoster:
    """That picture as a responsive set, the first size the largest; `cover` is the digest of the step that saw it."""

    key: str
    etag: str
    cover: str
    sizes: tuple[tuple[int, int], ...]
    formats: tuple[ImageFormat, ...]
    quality: tuple[int, ...]
    background: str


@dataclass(frozen=True, kw_only=True)
class Sprites:
    """Sheets of small frames for a seek bar."""

    layout: Layout


@dataclass(frozen=True, kw_only=True)
class Storyboard:
    """Which part of which sheet is shown for which time; `sprites` is the digest of the step that makes them."""

    layout: Layout
    sprites: str


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Some seconds from `at` on as an animation."""

    at: float
    seconds: float
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Progressive:
    """One MP4 or M4A for plain `src`, remuxed from tracks: the digests of the steps that make them."""

    video: str | None
    audio: str | None
    width: int | None
    height: int | None


@dataclass(frozen=True, kw_only=True)
class Package:
    """The multivariant playlist and the DASH manifest over the tracks of these steps, and their captions."""

    tracks: tuple[str, ...]
    captions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Screen:
    """Frames of the upload, shown to a moderation provider: at these seconds of a clip, or these pages of a picture.

    No rule is in it: the verdict is made of what the provider saw, anew each time.
    """

    provider: str
    at: tuple[float, ...]
    pad: bool


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """What a machine hears in one sound track; `language` as declared, else one of `languages`, else any."""

    provider: str
    stream: int
    language: str | None
    languages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Subtitles:
    """Captions that were uploaded beside the source: the object `key` in its version with this ETag."""

    key: str
    etag: str
    language: str


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """Subtitles that the source carries as text: its track `stream`, the `number`th one of its language, from 1."""

    stream: int
    language: str | None
    number: int
    title: str | None


Step = (
    Variant
    | Placeholder
    | Copy
    | Rendition
    | Piece
    | Sound
    | Waveform
    | Poster
    | Cover
    | UploadedPoster
    | Sprites
    | Storyboard
    | Preview
    | Progressive
    | Package
    | Screen
    | Transcript
    | Subtitles
    | Embedded
)


def digest(step: Step, *, version: str) -> str:
    """40 hex digits that name what `step` makes of the source version `version`."""
    kind = type(step).__name__
    return fingerprint([version, kind, EPOCHS[kind], asdict(step)])


def fingerprint(document: object) -> str:
    """40 hex digits of a JSON document's SHA-256, keys sorted."""
    return sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()[:40]
