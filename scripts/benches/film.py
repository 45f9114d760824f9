"""The film that a bench is about: what it is, what the service would make of it, and how it is made longer."""

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.benches import watched
from service import recipes
from service.cli.options import MEMORY_MB
from service.commands import examine
from service.core.media import Clip
from service.core.step import Rendition, Sound

#: Neither is part of the ladder that is compared; what they take has nothing to do with encoding. Nothing is copied:
#: a ladder whose largest rung costs nothing is no match for one that is encoded.
RECIPE = """
[moderation]
provider = "off"

[captions]
provider = "off"

[video]
copy = false
"""


class NotAFilmError(Exception):
    """It can't be measured with; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A film, and the ladder and sound that the service plans for it."""

    file: Path
    clip: Clip
    rungs: tuple[Rendition, ...]
    sound: Sound | None

    @property
    def described(self) -> str:
        """In a few words."""
        video = self.clip.video
        assert video
        size = f"{video.width}x{video.height}"
        return f"{self.clip.seconds:.1f} s of {video.codec} {size}, {float(video.frame_rate):.4g} frames/s"


def planned(file: Path) -> Planned:
    """What the service would make of `file`, asked as `media-worker plan` asks.

    :raises NotAFilmError: when it would be rejected, or has no picture.
    """
    if not file.is_file():
        raise NotAFilmError(f"{file}: there is no such file")
    recipe = recipes.read(RECIPE)
    (found,) = asyncio.run(examine.files({file.name: file}, recipe, memory_mb=MEMORY_MB, decode=False, jobs=1))
    if not isinstance(found.media, Clip) or found.media.video is None:
        raise NotAFilmError(f"{file}: {found.message or 'it is no film'}")
    rungs = tuple(step for step in found.steps if isinstance(step, Rendition))
    sounds = [step for step in found.steps if isinstance(step, Sound)]
    return Planned(file=file, clip=found.media, rungs=rungs, sound=sounds[0] if sounds else None)


@contextmanager
def looped(file: Path, seconds: float | None) -> Iterator[Path]:
    """The film again and again, without decoding it, up to so many seconds; the film itself where none are given.

    :raises FailedError: when ffmpeg can't.
    """
    if seconds is None:
        yield file.resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        longer = Path(folder) / file.name
        repeated = ["-stream_loop", "-1", "-i", str(file.resolve()), "-map", "0:v:0", "-map", "0:a:0?"]
        argv = ["ffmpeg", "-nostdin", "-hide_banner", "-v", "error", *repeated, "-c", "copy", "-t", f"{seconds:g}"]
        watched.run([*argv, str(longer)], folder=Path(folder))
        yield longer


def ffmpeg_version() -> str:
    """As it says it."""
    said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout.split()
    return said[2]
