"""Which files each step ends as, and which of them are products: names, types and roles, from the step alone."""

from dataclasses import dataclass
from typing import assert_never

from service.core import pieces, preview, storyboard
from service.core.record import Entry, Role
from service.core.step import (
    Copy,
    Cover,
    Embedded,
    ImageFormat,
    Package,
    Piece,
    Placeholder,
    Poster,
    Preview,
    Progressive,
    Rendition,
    Screen,
    Sound,
    Sprites,
    Step,
    Storyboard,
    Subtitles,
    Transcript,
    UploadedPoster,
    Variant,
    Waveform,
)

HLS = "application/vnd.apple.mpegurl"  # RFC 8216 section 10
DASH = "application/dash+xml"  # ISO/IEC 23009-1, annex C

WAVEFORM_JSON, WAVEFORM_PNG = "waveform.json", "waveform.png"
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
        case Placeholder() | Screen() | Cover() | Transcript() | Subtitles() | Embedded():
            return ()
        case Poster() | UploadedPoster() | Sprites() | Storyboard() | Preview() | Waveform():
            return _pictures(step)
        case Copy() | Rendition() | Piece() | Sound() | Progressive() | Package():
            return _streams(step)
        case _:
            assert_never(step)


def _pictures(step: Poster | UploadedPoster | Sprites | Storyboard | Preview | Waveform) -> tuple[Expected, ...]:
    match step:
        case Poster() | UploadedPoster():
            return tuple(_poster(step, format_, size) for format_ in step.formats for size in step.sizes)
        case Sprites(layout=layout):
            return tuple(Expected(name=name, content_type="image/jpeg") for name in layout.names)
        case Storyboard():
            entry = Entry(role=Role.STORYBOARD, alias=storyboard.VTT)
            return (Expected(name=storyboard.VTT, content_type="text/vtt", entry=entry),)
        case Preview(width=width, height=height):
            entry = Entry(role=Role.PREVIEW, alias=preview.FILE, width=width, height=height)
            return (Expected(name=preview.FILE, content_type="image/webp", entry=entry),)
        case Waveform():
            numbers, drawn = (Entry(role=Role.WAVEFORM, alias=name) for name in (WAVEFORM_JSON, WAVEFORM_PNG))
            return (
                Expected(name=WAVEFORM_JSON, content_type="application/json", entry=numbers),
                Expected(name=WAVEFORM_PNG, content_type="image/png", entry=drawn),
            )


def _streams(step: Copy | Rendition | Piece | Sound | Progressive | Package) -> tuple[Expected, ...]:
    match step:
        case Copy(name=name) | Rendition(name=name):
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


def captions(language: str | None, *, machine: bool, number: int = 1, label: str | None = None) -> tuple[Expected, ...]:
    """WebVTT, the same as SRT for editors, and the playlist around the former, of the `number`th of its language."""
    stem = (f"captions.{language}" if language else "captions") + (f"-{number}" if number > 1 else "")

    def product(name: str, content_type: str) -> Expected:
        entry = Entry(role=Role.CAPTIONS, alias=name, language=language, machine=machine, label=label)
        return Expected(name=name, content_type=content_type, entry=entry)

    return (
        product(f"{stem}.vtt", "text/vtt"),
        product(f"{stem}.srt", "application/x-subrip"),
        Expected(name=f"{stem}.m3u8", content_type=HLS),
    )


def track_file(step: Copy | Rendition | Sound) -> str:
    """The CMAF file of a track."""
    return f"{step.name}.mp4"


def poster_file(step: Poster | UploadedPoster, format_: ImageFormat, size: tuple[int, int]) -> str:
    """A video's poster in one format and size; the largest has the plain name."""
    width = "" if size == step.sizes[0] else f"-{size[0]}"
    return f"poster{width}.{SUFFIXES[format_]}"


def _poster(step: Poster | UploadedPoster, format_: ImageFormat, size: tuple[int, int]) -> Expected:
    name = poster_file(step, format_, size)
    entry = Entry(role=Role.POSTER, alias=name, width=size[0], height=size[1])
    return Expected(name=name, content_type=f"image/{format_}", entry=entry)


def _progressive(step: Progressive) -> Expected:
    if step.video is None:
        return Expected(name="audio.m4a", content_type="audio/mp4", entry=Entry(role=Role.AUDIO))
    entry = Entry(role=Role.PROGRESSIVE, width=step.width, height=step.height)
    return Expected(name="video.mp4", content_type="video/mp4", entry=entry)
