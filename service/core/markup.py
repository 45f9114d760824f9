"""Paste-ready HTML for the products of one upload."""

from collections.abc import Sequence
from html import escape
from itertools import chain, count

from service.core.media import Kind
from service.core.record import Product, Role


def write(kind: Kind, products: Sequence[Product], *, width: int | None, height: int | None) -> str:
    """Markup to paste; the author adds `alt` and `sizes` where the page knows better."""
    match kind:
        case "image":
            return _picture([p for p in products if p.role is Role.IMAGE])
        case "video":
            posters = [p for p in products if p.role is Role.POSTER and p.content_type == "image/jpeg"]
            poster = f' poster="{escape(posters[0].url)}"' if posters else ""
            size = f' width="{width}" height="{height}"'
            inner = _sources(products) + _tracks(products) + _thumbnails(products)
            tag = f'<video controls playsinline preload="metadata" crossorigin{poster}{size}{_stream(products)}>'
            return f"{tag}{inner}</video>"
        case "audio":
            tag = f'<audio controls preload="metadata" crossorigin{_stream(products)}>'
            return f"{tag}{_sources(products)}</audio>"


_SOURCE_ROLES = (Role.HLS, Role.PROGRESSIVE, Role.AUDIO)


def _sources(products: Sequence[Product]) -> str:
    """HLS first: a browser that plays it natively takes it, every other one goes on to the plain file."""
    ordered = [p for role in _SOURCE_ROLES for p in products if p.role is role]
    return "".join(f'<source src="{escape(p.url)}" type="{escape(p.content_type)}">' for p in ordered)


def _stream(products: Sequence[Product]) -> str:
    """For a page with hls.js: what to load where the browser plays no HLS by itself, instead of the plain file."""
    return "".join(f' data-hls="{escape(p.url)}"' for p in products if p.role is Role.HLS)


def _thumbnails(products: Sequence[Product]) -> str:
    """Small frames for the seek bar, by the name that players look for; browsers by themselves load none."""
    boards = (p for p in products if p.role is Role.STORYBOARD)
    return "".join(f'<track kind="metadata" label="thumbnails" src="{escape(p.url)}">' for p in boards)


def _tracks(products: Sequence[Product]) -> str:
    """Captions to choose, none of them shown unasked; browsers read WebVTT alone.

    An audio element has no area to show captions in (HTML, 4.8.11.11.1), so there they would be for nothing.
    """
    tracks = [p for p in products if p.role is Role.CAPTIONS and p.content_type == "text/vtt"]
    labels: list[str] = []
    for track in tracks:
        label = _label(track)
        numbered = (f"{label} ({number})" for number in count(2))
        labels.append(next(each for each in chain([label], numbered) if each not in labels))
    return "".join(_track(track, label) for track, label in zip(tracks, labels, strict=True))


def _label(captions: Product) -> str:
    return (captions.label or captions.language or "captions") + (" (automatic)" if captions.machine else "")


def _track(captions: Product, label: str) -> str:
    """No two of one element may have the same label (HTML, 4.8.11.11.1)."""
    language = f' srclang="{escape(captions.language)}"' if captions.language else ""
    return f'<track kind="captions" src="{escape(captions.url)}"{language} label="{escape(label)}">'


def _picture(images: list[Product]) -> str:
    by_type: dict[str, list[Product]] = {}
    for image in images:
        by_type.setdefault(image.content_type, []).append(image)
    *sources, (_, last) = by_type.items()
    largest = last[-1]
    inner = "".join(
        f'<source type="{escape(kind)}" srcset="{_srcset(found)}" sizes="100vw">' for kind, found in sources
    )
    img = (
        f'<img src="{escape(largest.url)}" srcset="{_srcset(last)}" sizes="100vw" '
        f'width="{largest.width}" height="{largest.height}" alt="" loading="lazy" decoding="async">'
    )
    return f"<picture>{inner}{img}</picture>"


def _srcset(images: list[Product]) -> str:
    return escape(", ".join(f"{image.url} {image.width}w" for image in images))
