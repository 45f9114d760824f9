"""The markup that people paste, whole, and that no address breaks out of it."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import markup
from service.core.record import Product, Role


def product(role: Role, url: str, content_type: str, width: int | None = None, height: int | None = None) -> Product:
    """A product as the page manifest lists it."""
    return Product(role=role, url=url, content_type=content_type, bytes=1, width=width, height=height)


def image(url: str, width: int, kind: str = "webp") -> Product:
    """A variant, 4:3."""
    return product(Role.IMAGE, url, f"image/{kind}", width, width * 3 // 4)


HLS = product(Role.HLS, "/v/index.m3u8", "application/vnd.apple.mpegurl")
DASH = product(Role.DASH, "/v/index.mpd", "application/dash+xml")
PLAIN = product(Role.PROGRESSIVE, "/v/video.mp4", "video/mp4", 1280, 720)
SOUND = product(Role.AUDIO, "/v/audio.m4a", "audio/mp4")
POSTERS = [
    product(Role.POSTER, "/v/poster.webp", "image/webp", 1280, 720),
    product(Role.POSTER, "/v/poster.jpg", "image/jpeg", 1280, 720),
    product(Role.POSTER, "/v/poster-640.jpg", "image/jpeg", 640, 360),
]


def test_picture():
    """The better format as source, the last one as plain image; its size is that of the largest."""
    products = [
        image("/320.webp", 320),
        image("/640.webp", 640),
        image("/320.jpg", 320, "jpeg"),
        image("/640.jpg", 640, "jpeg"),
    ]
    expected = (
        '<picture><source type="image/webp" srcset="/320.webp 320w, /640.webp 640w" sizes="100vw">'
        '<img src="/640.jpg" srcset="/320.jpg 320w, /640.jpg 640w" sizes="100vw" width="640" height="480" alt="" '
        'loading="lazy" decoding="async"></picture>'
    )
    assert expected == markup.write("image", products, width=4000, height=3000)


def test_picture_in_one_format():
    """One format needs no source."""
    expected = (
        '<picture><img src="/9.webp" srcset="/9.webp 9w" sizes="100vw" width="9" height="6" alt="" '
        'loading="lazy" decoding="async"></picture>'
    )
    assert expected == markup.write("image", [image("/9.webp", 9)], width=9, height=6)


def test_video():
    """HLS for whoever plays it or has hls.js, the plain file for all others, a JPEG before, thumbnails to scrub."""
    expected = (
        '<video controls playsinline preload="metadata" crossorigin poster="/v/poster.jpg" width="1920" height="1080" '
        'data-hls="/v/index.m3u8">'
        '<source src="/v/index.m3u8" type="application/vnd.apple.mpegurl"><source src="/v/video.mp4" type="video/mp4">'
        '<track kind="metadata" label="thumbnails" src="/v/storyboard.vtt"></video>'
    )
    board = product(Role.STORYBOARD, "/v/storyboard.vtt", "text/vtt")
    assert expected == markup.write("video", [*POSTERS, PLAIN, HLS, DASH, board], width=1920, height=1080)


def captions(url: str, language: str | None, *, machine: bool, content_type: str = "text/vtt") -> Product:
    """Captions as the page manifest lists them."""
    made = product(Role.CAPTIONS, url, content_type)
    return made.model_copy(update={"language": language, "machine": machine})


def test_video_with_captions():
    """A track for each WebVTT file, none of them shown unasked; SRT is for editors, and a machine's are called so."""
    products = [
        PLAIN,
        captions("/v/de.vtt", "de-DE", machine=False),
        captions("/v/de.srt", "de-DE", machine=False, content_type="application/x-subrip"),
        captions("/v/en.vtt", "en", machine=True),
        captions("/v/captions.vtt", None, machine=True),
    ]
    expected = (
        '<source src="/v/video.mp4" type="video/mp4">'
        '<track kind="captions" src="/v/de.vtt" srclang="de-DE" label="de-DE">'
        '<track kind="captions" src="/v/en.vtt" srclang="en" label="en (automatic)">'
        '<track kind="captions" src="/v/captions.vtt" label="captions (automatic)"></video>'
    )
    assert markup.write("video", products, width=2, height=2).endswith(f">{expected}")


def test_audio_shows_no_captions():
    """An audio element has nowhere to show them."""
    assert "track" not in markup.write("audio", [SOUND, captions("/en.vtt", "en", machine=True)], width=0, height=0)


def test_video_without_a_jpeg():
    """A poster that some browser cannot show is none."""
    written = markup.write("video", [POSTERS[0], PLAIN], width=2, height=2)
    assert "poster" not in written


def test_audio():
    """The same for sound."""
    expected = (
        '<audio controls preload="metadata" crossorigin data-hls="/v/index.m3u8"><source src="/v/index.m3u8" '
        'type="application/vnd.apple.mpegurl"><source src="/v/audio.m4a" type="audio/mp4"></audio>'
    )
    assert expected == markup.write("audio", [SOUND, HLS, DASH], width=None, height=None)


class Tags(HTMLParser):
    """What a browser would see: start tags with their attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


_HOSTILE = st.sampled_from(
    ['"><script>alert(1)</script>', "' onerror='x", "&quot;&lt;", "</picture>", "a&amp;b", "javascript:alert(1)", "`"]
) | st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)


@given(url=_HOSTILE, content_type=_HOSTILE)
def test_hostile_addresses_stay_attributes(url: str, content_type: str):
    """Whatever an address holds, the tags are the same, and the browser reads the address as it was."""
    parts = [
        product(Role.HLS, url, content_type),
        product(Role.PROGRESSIVE, url, "video/mp4"),
        product(Role.POSTER, url, "image/jpeg"),
    ]
    video = Tags(markup.write("video", parts, width=1, height=1))
    assert ["video", "source", "source"] == [tag for tag, _ in video.seen]
    assert [url] * 3 == [video.seen[0][1]["poster"], video.seen[1][1]["src"], video.seen[2][1]["src"]]
    assert content_type == video.seen[1][1]["type"]
    assert "" == video.text


@given(url=_HOSTILE, language=_HOSTILE.filter(bool))
def test_hostile_captions_stay_attributes(url: str, language: str):
    """The same for a track, whatever language an upload claims."""
    video = Tags(markup.write("video", [captions(url, language, machine=True)], width=1, height=1))
    expected = {"kind": "captions", "src": url, "srclang": language, "label": f"{language} (automatic)"}
    assert ("track", expected) == video.seen[1]
    assert "" == video.text


@given(_HOSTILE)
def test_hostile_addresses_of_pictures(url: str):
    """The same in a picture, where addresses stand in lists."""
    picture = Tags(markup.write("image", [image(url, 1), image(url, 4, "jpeg")], width=4, height=3))
    assert ["picture", "source", "img"] == [tag for tag, _ in picture.seen]
    assert [f"{url} 1w", f"{url} 4w", url] == [
        picture.seen[1][1]["srcset"],
        picture.seen[2][1]["srcset"],
        picture.seen[2][1]["src"],
    ]
    assert "" == picture.text


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_nothing_to_play(kind: str):
    """Without products there is an empty element, and no error."""
    assert f"></{kind}>" in markup.write(kind, [], width=1, height=1)
