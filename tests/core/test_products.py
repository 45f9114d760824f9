"""Which files each step ends as, and which of them a page is told of."""

from dataclasses import replace

import pytest

from service.core import products
from service.core.products import DASH, HLS, Expected
from service.core.record import Entry, Role
from service.core.step import Placeholder, Progressive, Screen, Step, Subtitles, Transcript
from tests.core.test_step import (
    LAYOUT,
    PACKAGE,
    PIECE,
    POSTER,
    PREVIEW,
    PROGRESSIVE,
    RENDITION,
    SOUND,
    SPRITES,
    STEPS,
    STORYBOARD,
    VARIANT,
    WAVEFORM,
)


def poster(name: str, content_type: str, width: int, height: int) -> Expected:
    """A poster, which has a stable name."""
    entry = Entry(role=Role.POSTER, alias=name, width=width, height=height)
    return Expected(name=name, content_type=content_type, entry=entry)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (
            VARIANT,
            [
                Expected(
                    name="320.webp",
                    content_type="image/webp",
                    entry=Entry(role=Role.IMAGE, alias="320.webp", width=320, height=240),
                )
            ],
        ),
        (Placeholder(), []),
        (Screen(provider="local", at=(0.0,), pad=False), []),
        (Transcript(provider="whisper", stream=0, language=None, languages=()), []),
        (Subtitles(key="a.mp4.en.vtt", etag="e", language="en"), []),
        (
            POSTER,
            [
                poster("poster.webp", "image/webp", 640, 360),
                poster("poster-320.webp", "image/webp", 320, 180),
                poster("poster.jpg", "image/jpeg", 640, 360),
                poster("poster-320.jpg", "image/jpeg", 320, 180),
            ],
        ),
        (
            SPRITES,
            [
                Expected(name="storyboard-1.jpg", content_type="image/jpeg"),
                Expected(name="storyboard-2.jpg", content_type="image/jpeg"),
            ],
        ),
        (
            STORYBOARD,
            [
                Expected(
                    name="storyboard.vtt",
                    content_type="text/vtt",
                    entry=Entry(role=Role.STORYBOARD, alias="storyboard.vtt"),
                )
            ],
        ),
        (
            PREVIEW,
            [
                Expected(
                    name="preview.webp",
                    content_type="image/webp",
                    entry=Entry(role=Role.PREVIEW, alias="preview.webp", width=320, height=180),
                )
            ],
        ),
        (
            WAVEFORM,
            [
                Expected(
                    name="waveform.json",
                    content_type="application/json",
                    entry=Entry(role=Role.WAVEFORM, alias="waveform.json"),
                ),
                Expected(
                    name="waveform.png",
                    content_type="image/png",
                    entry=Entry(role=Role.WAVEFORM, alias="waveform.png"),
                ),
            ],
        ),
        (
            RENDITION,
            [
                Expected(name="720p.mp4", content_type="video/mp4"),
                Expected(name="720p.m3u8", content_type=HLS),
                Expected(name="720p-iframes.m3u8", content_type=HLS),
            ],
        ),
        (PIECE, [Expected(name="720p-001.mp4", content_type="video/mp4")]),
        (
            SOUND,
            [Expected(name="audio.mp4", content_type="audio/mp4"), Expected(name="audio.m3u8", content_type=HLS)],
        ),
        (
            PROGRESSIVE,
            [
                Expected(
                    name="video.mp4",
                    content_type="video/mp4",
                    entry=Entry(role=Role.PROGRESSIVE, width=1280, height=720),
                )
            ],
        ),
        (
            Progressive(video=None, audio="a" * 40, width=None, height=None),
            [Expected(name="audio.m4a", content_type="audio/mp4", entry=Entry(role=Role.AUDIO))],
        ),
        (
            PACKAGE,
            [
                Expected(name="index.m3u8", content_type=HLS, entry=Entry(role=Role.HLS, alias="index.m3u8")),
                Expected(name="index.mpd", content_type=DASH, entry=Entry(role=Role.DASH, alias="index.mpd")),
            ],
        ),
    ],
    ids=lambda one: type(one).__name__,
)
def test_expected(step: Step, expected: list[Expected]):
    """Tracks and their playlists are parts; what a page enters by is a product."""
    assert tuple(expected) == products.expected(step)


def test_sheets_are_those_of_the_layout():
    """As many as the layout has, and players that are led to them by the WebVTT file find every one."""
    fewer = replace(LAYOUT, count=80)
    assert ["storyboard-1.jpg"] == [one.name for one in products.expected(replace(SPRITES, layout=fewer))]
    assert LAYOUT.names == tuple(one.name for one in products.expected(SPRITES))


@pytest.mark.parametrize(
    ("size", "names"),
    [((640, 360), ("poster.webp", "poster.jpg")), ((320, 180), ("poster-320.webp", "poster-320.jpg"))],
)
def test_the_largest_poster_has_the_plain_name(size: tuple[int, int], names: tuple[str, str]):
    """Whoever knows of no others finds it; the others say how wide they are."""
    assert names == tuple(products.poster_file(POSTER, format_, size) for format_ in POSTER.formats)


def test_media_types():
    """Types as registered: a player goes by them."""
    assert ("application/vnd.apple.mpegurl", "application/dash+xml") == (HLS, DASH)


def test_no_name_leaves_the_folder():
    """Every file is a plain name in its step's folder, and none is what stands for the page manifest."""
    names = [one.name for step in STEPS for one in products.expected(step)]
    assert [] == [name for name in names if "/" in name or name.startswith(("~", ".")) or name == "manifest.json"]


@pytest.mark.parametrize("machine", [True, False])
@pytest.mark.parametrize(
    ("language", "stem"), [("en", "captions.en"), ("zh-Hant-TW", "captions.zh-Hant-TW"), (None, "captions")]
)
def test_captions(language: str | None, stem: str, *, machine: bool):
    """WebVTT and SRT are products with a stable name for each language; the playlist is a part."""
    vtt, srt, playlist = products.captions(language, machine=machine)
    entries = [
        Entry(role=Role.CAPTIONS, alias=f"{stem}.{s}", language=language, machine=machine) for s in ("vtt", "srt")
    ]
    assert Expected(name=f"{stem}.vtt", content_type="text/vtt", entry=entries[0]) == vtt
    assert Expected(name=f"{stem}.srt", content_type="application/x-subrip", entry=entries[1]) == srt
    assert Expected(name=f"{stem}.m3u8", content_type=HLS) == playlist
