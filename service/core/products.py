"""Which files each step ends as, and which of them are products: names, types and roles, from the step alone."""

from dataclasses import dataclass
from typing import assert_never

from service.core import pieces
from service.core.record import Entry, Role
from service.core.step import (
    ImageFormat,
    Package,
    Piece,
    Placeholder,
    Poster,
    Progressive,
    Rendition,
    Screen,
    Sound,
    Step,
    Subtitles,
    Transcript,
    Variant,
)

HLS = "application/vnd.apple.mpegurl"  # RFC 8216 section 10
DASH = "application/dash+xml"  # ISO/IEC 23009-1, annex C

SUFFIXES: dict[ImageFormat, str] = {"webp": "webp", "jpeg": "jpg"}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A file that performing a step leaves in the scratch directory."""

    name: str
    content_type: str
    entry: Entry | None = None


def expected(step: Step) -> tuple[Expected, ...]:
    """The files of `step`; an alias is the product's stable name for pages that do not read manifests.

    Those of captions and of moderation depend on what is heard and seen: see `captions` for the former.
    """
    match step:
        case Variant(name=name, format=format_, width=width, height=height):
            entry = Entry(role=Role.IMAGE, alias=name, width=width, height=height)
            return (Expected(name=name, content_type=f"image/{format_}", entry=entry),)
        case Placeholder() | Screen() | Transcript() | Subtitles():
            return ()
        case Poster():
            return tuple(_poster(step, format_) for format_ in step.formats)
        case Rendition(name=name):
            return (
                Expected(name=track_file(step), content_type="video/mp4"),
                Expected(name=f"{name}.m3u8", content_type=HLS),
                Expected(name=f"{name}-iframes.m3u8", content_type=HLS),
            )
        case Piece(rungs=rungs):
            return tuple(Expected(name=pieces.file(step, rung), content_type="video/mp4") for rung in rungs)
        case Sound(name=name):
            return (
                Expected(name=track_file(step), content_type="audio/mp4"),
                Expected(name=f"{name}.m3u8", content_type=HLS),
            )
        case Progressive():
            return (_progressive(step),)
        case Package():
            return (
                Expected(name="index.m3u8", content_type=HLS, entry=Entry(role=Role.HLS, alias="index.m3u8")),
                Expected(name="index.mpd", content_type=DASH, entry=Entry(role=Role.DASH, alias="index.mpd")),
            )
        case _:
            assert_never(step)


def captions(language: str | None, *, machine: bool) -> tuple[Expected, ...]:
    """WebVTT, the same as SRT for editors, and the playlist around the former."""
    stem = f"captions.{language}" if language else "captions"

    def product(name: str, content_type: str) -> Expected:
        entry = Entry(role=Role.CAPTIONS, alias=name, language=language, machine=machine)
        return Expected(name=name, content_type=content_type, entry=entry)

    return (
        product(f"{stem}.vtt", "text/vtt"),
        product(f"{stem}.srt", "application/x-subrip"),
        Expected(name=f"{stem}.m3u8", content_type=HLS),
    )


def track_file(step: Rendition | Sound) -> str:
    """The CMAF file of a track."""
    return f"{step.name}.mp4"


def poster_file(format_: ImageFormat) -> str:
    """A video's poster in one format."""
    return f"poster.{SUFFIXES[format_]}"


def _poster(step: Poster, format_: ImageFormat) -> Expected:
    name = poster_file(format_)
    entry = Entry(role=Role.POSTER, alias=name, width=step.width, height=step.height)
    return Expected(name=name, content_type=f"image/{format_}", entry=entry)


def _progressive(step: Progressive) -> Expected:
    if step.video is None:
        return Expected(name="audio.m4a", content_type="audio/mp4", entry=Entry(role=Role.AUDIO))
    entry = Entry(role=Role.PROGRESSIVE, width=step.width, height=step.height)
    return Expected(name="video.mp4", content_type="video/mp4", entry=entry)
