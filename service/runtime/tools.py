"""What the steps need of the programs on this machine. Every untrusted byte is decoded behind these."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.core.boxes import Index
from service.core.media import Clip, Picture
from service.core.recipe import Limits
from service.core.record import Hint, Spent
from service.core.sniff import StreamFile
from service.core.step import ImageFormat
from service.core.verify import Found


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


class Films(Protocol):
    """Probes and encodes video and sound."""

    async def probe(self, folder: Path, sniffed: StreamFile, size: int, limits: Limits) -> Clip:
        """What the source is, by its headers and by the times of its packets.

        :raises Rejected: for what is no such clip, or breaks a limit.
        """

    async def run(
        self, folder: Path, argv: Sequence[str], *, seconds: float, on_share: Callable[[float], None]
    ) -> Spent:
        """Run an ffmpeg command that gives `seconds` of output; `on_share` is told how far it is, 0 to 1.

        :raises Rejected: `damaged`, or the limit that it broke.
        """

    async def index(self, path: Path) -> Index:
        """The index of a track that was just made.

        :raises Rejected: `damaged`, when nothing that can be played was written.
        """

    async def inspect(self, folder: Path, name: str) -> Found:
        """What an MP4 file that was just made holds.

        :raises Unavailable: when it can't be read.
        """
