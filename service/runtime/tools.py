"""What the steps need of programs and models, here or far away. Every untrusted byte is decoded behind these."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from service.core.boxes import Index
from service.core.captions import Cue, Word
from service.core.loudness import Measured
from service.core.media import Clip, Picture
from service.core.recipe import Limits
from service.core.record import Hint, Label, Spent
from service.core.screening import Traits
from service.core.sniff import StreamFile
from service.core.step import ImageFormat
from service.core.verify import Found, Ran
from service.core.waveform import Pair


@dataclass(frozen=True, kw_only=True)
class Target:
    """A picture file to draw: its name, its size in pixels, and how it is encoded."""

    file: str
    width: int
    height: int
    format: ImageFormat
    quality: int
    animated: bool = False


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What drawing gave besides the files."""

    hint: Hint | None
    spent: Spent


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of a picture in the job's folder, from 0, and the JPEG that is written of it."""

    source: str
    page: int
    file: str


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What was measured of each page, in the order they were asked for."""

    traits: tuple[Traits, ...]
    spent: Spent


class Pictures(Protocol):
    """Decodes and draws pictures."""

    async def inspect(self, folder: Path, formats: Sequence[str], limits: Limits) -> Picture:
        """What the source is, by its headers.

        :raises Rejected: for what is no such picture, or breaks a limit.
        """

    async def draw(
        self,
        folder: Path,
        source: str,
        targets: Sequence[Target],
        *,
        formats: Sequence[str],
        background: str,
        limits: Limits,
    ) -> Drawn:
        """Decode `source` once and write every target into `folder`.

        :raises Rejected: `damaged`, or the limit that it broke.
        """

    async def frames(
        self, folder: Path, pages: Sequence[Page], *, formats: Sequence[str], side: int, limits: Limits
    ) -> Shown:
        """Write what a `Judge` may look at: bare JPEGs in sRGB, upright, about `side` pixels long, padded to 80.

        Pages of one source follow one another in ascending order.

        :raises Rejected: `damaged`, or the limit that it broke.
        """


class Films(Protocol):
    """Probes and encodes video and sound."""

    async def probe(self, folder: Path, sniffed: StreamFile, size: int, limits: Limits) -> Clip:
        """What the source is, by its headers and by the times of its packets.

        :raises Rejected: for what is no such clip, or breaks a limit.
        """

    async def run(self, folder: Path, argv: Sequence[str], *, seconds: float, on_share: Callable[[float], None]) -> Ran:
        """Run an ffmpeg command that gives `seconds` of output; `on_share` is told how far it is, 0 to 1.

        :raises Rejected: `damaged`, or the limit that it broke.
        """

    async def loudness(self, path: Path) -> Measured | None:
        """What a command measured of a sound, by the log that it left; None where there was nothing to measure.

        :raises Rejected: `damaged`, when there is no such log.
        """

    async def levels(self, path: Path) -> tuple[Pair, ...]:
        """Lowest and highest sample of each part of a sound, by the log that a command left.

        :raises Rejected: `damaged`, when there is no such log.
        """

    async def index(self, path: Path) -> Index:
        """The index of a track that was just made.

        :raises Rejected: `damaged`, when nothing that can be played was written.
        """

    async def faults(self, path: Path, index: Index, clip: Clip, *, max_bit_rate: int) -> tuple[str, ...]:
        """Why a copy of the clip's picture, of this index, may not be published; none where it may.

        :raises Rejected: `damaged`, when it can't be read.
        """

    async def join(self, folder: Path, names: Sequence[str], target: str) -> None:
        """Make one track of its pieces, and remove them.

        :raises Unseekable: when they do not fit together.
        """

    async def inspect(self, folder: Path, name: str) -> Found:
        """What an MP4 file that was just made holds.

        :raises Unavailable: when it can't be read.
        """


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a moderation provider says of one picture, and the version of the model that says it."""

    labels: tuple[Label, ...]
    model: str
    spent: Spent | None = None


class Judge(Protocol):
    """Says what is to be seen in a picture: a moderation provider."""

    @property
    def name(self) -> str:
        """As the recipe calls it."""

    @property
    def unit(self) -> str | None:
        """What one look is billed as, by the price table's names; None for one that costs nothing."""

    async def look(self, folder: Path, file: str) -> Seen:
        """The labels of a JPEG of ours in `folder`: at most 5 MB, each side 80 to 10 000 pixels.

        :raises Throttled: when asked too often.
        :raises Unavailable: when it gave no answer.
        :raises Misconfigured: when it may not be asked.
        """


@dataclass(frozen=True, kw_only=True)
class Speech:
    """What is to be heard: `name` is the same for the same sound and parameters, whoever asks (40 hex digits).

    `language` (BCP 47) as declared, else one of `languages`, else any.
    """

    name: str
    seconds: float
    language: str | None
    languages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """Words in order, and who heard them; no words where nobody speaks. `language` is BCP 47, as far as it is known."""

    words: tuple[Word, ...]
    language: str | None
    model: str
    spent: Spent | None = None


@dataclass(frozen=True, kw_only=True)
class Pending:
    """It is being listened to elsewhere: look again later, or when a message says that it has ended."""


@dataclass(frozen=True, kw_only=True)
class Declined:
    """It can't be heard, and asking again will not help: `why` is a short code, `detail` for the operator."""

    why: str
    detail: str
    spent: Spent | None = None


class CaptionReader(Protocol):
    """Reads captions that somebody uploaded."""

    async def read(self, folder: Path, file: str) -> tuple[Cue, ...]:
        """The cues of a WebVTT file in `folder`.

        :raises Rejected: `damaged`, for what is none.
        """


class Scribe(Protocol):
    """Writes down what is said: a provider of captions."""

    @property
    def name(self) -> str:
        """As the recipe calls it."""

    @property
    def unit(self) -> str | None:
        """What a minute is billed as, by the price table's names; None for one that costs nothing."""

    @property
    def sound(self) -> Literal["flac", "s16le"]:
        """What it listens to: one channel at 16 kHz, as FLAC or bare."""

    def minutes(self, seconds: float) -> float:
        """What a sound of `seconds` is billed as; nothing where it costs nothing."""

    async def find(self, speech: Speech) -> Heard | Pending | Declined | None:
        """What has become of `speech`, if it was ever asked for; None when it was not. Costs nothing."""

    async def listen(self, speech: Speech, folder: Path, file: str) -> Heard | Pending | Declined:
        """Hear a sound file of ours in `folder`, or have it heard; the same speech is never begun twice.

        :raises Throttled: when asked too often.
        :raises Unavailable: when it gave no answer.
        :raises Misconfigured: when it may not be asked.
        """
