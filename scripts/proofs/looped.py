"""Five clips of a corpus, each of another kind, looped until there is something to seek in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.proofs import clips, samples
from scripts.proofs.samples import Sample

SECONDS = 30
_SUFFIXES = frozenset({".mp4", ".mov", ".webm", ".flac", ".mp3", ".wav", ".m4a"})  # what ffmpeg can write again


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a clip is to be, and how many rungs it has to have at least."""

    name: str
    fits: Callable[[Sample], bool]
    rungs: int = 1


def _turned(one: Sample) -> bool:
    return bool(one.tags & {"rot90", "rot-90"})


def _hdr(one: Sample) -> bool:
    return any(tag.startswith("hdr-") for tag in one.tags)


def _odd(one: Sample) -> bool:
    return "odd-dim" in one.tags


def _silent(one: Sample) -> bool:
    return one.kind == "video" and "no-audio" in one.tags and not (_turned(one) or _hdr(one) or _odd(one))


KINDS = (
    Kind(name="portrait", fits=_turned, rungs=3),
    Kind(name="hdr", fits=_hdr, rungs=3),
    Kind(name="odd", fits=_odd),
    Kind(name="silent", fits=_silent),
    Kind(name="sound", fits=lambda one: one.kind == "audio", rungs=0),
)


class NoSuchClipError(Exception):
    """The corpus has none of a kind; the message says which."""


def chosen(found: Sequence[Sample], kind: Kind) -> Sample:
    """The largest of a kind: it is likely to be the one with the most in it.

    :raises NoSuchClipError: when there is none.
    """
    fitting = [one for one in found if one.path.suffix.lower() in _SUFFIXES and kind.fits(one)]
    if not fitting:
        raise NoSuchClipError(f"no clip of the corpus is {kind.name}")
    return max(fitting, key=lambda one: one.size)


def write(folder: Path, into: Path) -> dict[str, tuple[Kind, Sample, Path]]:
    """A looped file of each kind, by the key that it is uploaded as: the packets as they are, but samples anew.

    :raises NoSuchClipError: when the corpus has none of a kind.
    :raises OSError: when it has no index.
    """
    into.mkdir()
    found, made = samples.read(folder), {}
    for kind in KINDS:
        sample = chosen(found, kind)
        target = into / f"{kind.name}{sample.path.suffix.lower()}"
        tracks = ["-map", "0:v:0", "-map", "0:a:0?", "-c", "copy"] if sample.kind == "video" else ["-map", "0:a:0"]
        looped = ["-stream_loop", "-1", "-i", str(sample.path), *tracks, "-t", str(SECONDS)]
        clips.run(["ffmpeg", "-nostdin", "-v", "error", *looped, str(target)])
        made[target.name] = (kind, sample, target)
    return made
