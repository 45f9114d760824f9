"""Files opened: what their headers say, what is refused, and what that costs."""

import ast
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from service.core.outcome import Reason, Rejected
from service.tools import gif, picture_files
from service.tools.pictures import inspect
from tests.tools.picture_samples import (
    apng_claiming,
    corners,
    cost,
    film,
    gif_bomb,
    grey_tiff,
    oriented,
    png_bomb,
    saved,
    webp_canvas,
)

LIMITS = {"max_pixels": 100_000_000, "max_frames": 1000, "max_total_pixels": 1_000_000_000}
KINDS = ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000"]
ALPHA = Image.new("RGBA", (8, 8), (0, 0, 0, 0))


@pytest.fixture(autouse=True)
def _scratch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def inspected(data: bytes, *formats: str, **changes) -> dict[str, object]:
    Path("in").write_bytes(data)
    return inspect({"path": "in", "formats": list(formats), **LIMITS, **changes})


def refused(data: bytes, *formats: str, **changes) -> Reason:
    with pytest.raises(Rejected) as rejected:
        inspected(data, *formats, **changes)
    return rejected.value.reason


@pytest.mark.parametrize("kind", KINDS)
def test_inspect(kind):
    """Every format tells its name and size, and that it stands still."""
    expected = {"format": kind, "width": 96, "height": 64, "frames": 1, "animated": False, "alpha": False}
    assert expected == inspected(saved(corners(), kind), kind)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_size_as_displayed(kind, orientation):
    """Width and height are those of the upright picture."""
    found = inspected(oriented(kind, orientation), kind)
    assert (96, 64) == (found["width"], found["height"])


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_animations(kind):
    """Sequences are animated, and their frames counted."""
    found = inspected(film(kind, duration=40), kind)
    assert (6, True) == (found["frames"], found["animated"])


def test_default_image():
    """The still that an APNG shows where animations are unknown is no frame."""
    assert 5 == inspected(film("PNG", duration=40, default_image=True), "PNG")["frames"]


@pytest.mark.parametrize("kind", ["TIFF", "MPO"])
def test_pages(kind):
    """More pages, or a phone's second picture, do not make an animation."""
    found = inspected(film(kind), "JPEG", "MPO", "TIFF")
    assert (kind, 1, False) == (found["format"], found["frames"], found["animated"])


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF", "GIF"])
def test_alpha(kind):
    """Transparency is told from the header."""
    assert inspected(saved(ALPHA, kind), kind)["alpha"]


def test_closed_formats():
    """Nowhere in the service is a picture opened without a closed list of formats."""
    calls = [
        node
        for path in Path(picture_files.__file__).parents[1].rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Image.open"
    ]
    assert calls
    assert all(["formats"] == [keyword.arg for keyword in call.keywords] for call in calls)


def test_no_other_plugin():
    """A file that is neither of its formats does not make Pillow import all others."""
    known = set(Image.OPEN)
    refused(b"%!PS-Adobe-3.0 EPSF-3.0", "JPEG", "MPO")
    assert known == set(Image.OPEN)


def test_broken_exif():
    """Metadata that makes no sense does not spoil the picture."""
    data = saved(corners(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert (96, 64) == (inspected(data, "JPEG")["width"], inspected(data, "JPEG")["height"])


def test_long_metadata():
    """Megabytes of packed text are no reason to refuse a picture."""
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 5_000_000, zip=True)
    assert inspected(saved(corners(), "PNG", pnginfo=text), "PNG")["width"] == 96


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_xmp_orientation(kind):
    """An orientation in XMP alone is ignored, as by browsers."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    options = {"tiffinfo": {700: xmp}} if kind == "TIFF" else {"xmp": xmp}
    if kind == "PNG":
        options = {"pnginfo": PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
    assert 96 == inspected(saved(corners(), kind, **options), kind)["width"]


def test_settings_restored():
    """Pillow's limit is what it was before."""
    former = Image.MAX_IMAGE_PIXELS
    inspected(saved(corners(), "PNG"), "PNG")
    assert former == Image.MAX_IMAGE_PIXELS


def test_only_known_formats():
    """Asking for any other format is a mistake of the caller."""
    with pytest.raises(ValueError, match="EPS"):
        inspected(b"%!PS", "EPS")


@pytest.mark.parametrize("kind", KINDS)
def test_another_format(kind):
    """A file that is not what it was sniffed as is damaged, though Pillow could open it."""
    other = "PNG" if kind == "JPEG" else "JPEG"
    assert Reason.DAMAGED == refused(saved(corners(), kind), other)


@pytest.mark.parametrize("data", [grey_tiff(bits=5), b"BM" + bytes(12) + (40).to_bytes(4, "little") + bytes(40)])
def test_unsupported(data):
    """A format's rare variety that Pillow knows by name only is unsupported, not damaged."""
    assert Reason.UNSUPPORTED_TYPE == refused(data, "TIFF", "BMP")


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8\xff", b"GIF89a", b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"\0\0\0\x20ftypheic"]
)
def test_nothing_in_it(data):
    """A mere beginning is damaged."""
    assert Reason.DAMAGED == refused(data, "JPEG", "PNG", "GIF", "WEBP", "HEIF", "AVIF", "TIFF", "BMP")


@pytest.mark.parametrize("limit", ["max_pixels", "max_total_pixels"])
@pytest.mark.parametrize("kind", KINDS)
def test_too_many_pixels(kind, limit):
    """A picture may have as many pixels as allowed, and not one more."""
    data = saved(corners(), kind)
    assert 96 == inspected(data, kind, **{limit: 96 * 64})["width"]
    assert Reason.TOO_MANY_PIXELS == refused(data, kind, **{limit: 96 * 64 - 1})


@pytest.mark.parametrize("limits", [{"max_frames": 5}, {"max_total_pixels": 64 * 48 * 6 - 1}])
@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_too_many_frames(kind, limits):
    """Frames are limited in number, and in pixels all together."""
    data = film(kind, duration=40)
    assert 6 == inspected(data, kind, max_frames=6, max_total_pixels=64 * 48 * 6)["frames"]
    assert Reason.TOO_MANY_FRAMES == refused(data, kind, **limits)


BOMBS = {
    "144 megapixels of PNG": (png_bomb(12_000), "PNG", Reason.TOO_MANY_PIXELS),
    "400 megapixels of PNG": (png_bomb(20_000), "PNG", Reason.TOO_MANY_PIXELS),
    "2000 large frames of GIF": (gif_bomb(frames=2000, side=9000), "GIF", Reason.TOO_MANY_FRAMES),
    "a million small frames of GIF": (gif_bomb(frames=1_000_000, side=2), "GIF", Reason.TOO_MANY_FRAMES),
    "a billion frames of APNG": (apng_claiming(2**30), "PNG", Reason.TOO_MANY_FRAMES),
    "144 megapixels of WebP": (webp_canvas(12_000), "WEBP", Reason.TOO_MANY_PIXELS),
    "two thousand frames of WebP": (film("WEBP", frames=2000, size=(2, 2), duration=9), "WEBP", Reason.TOO_MANY_FRAMES),
    "a thousand frames of AVIF": (
        film("AVIF", frames=1100, size=(16, 16), duration=9, speed=10),
        "AVIF",
        Reason.TOO_MANY_FRAMES,
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name):
    """Bombs are refused at once: within two seconds and 60 MB."""
    data, kind, reason = BOMBS[name]
    assert reason == refused(data, kind)
    seconds, megabytes = cost(lambda: refused(data, kind))
    assert seconds < 2
    assert megabytes < 60


def test_endless_pages():
    """An endless chain of TIFF directories is not followed."""
    data = grey_tiff(pages=1000)
    assert 1 == inspected(data, "TIFF")["frames"]
    seconds, _ = cost(lambda: inspected(data, "TIFF"))
    assert seconds < 2


@pytest.mark.parametrize("frames", [1, 2, 57])
def test_gif_frames(frames):
    """GIF frames are counted by their blocks, and counting stops where it is enough."""
    data = gif_bomb(frames=frames, side=4)
    assert frames == gif.count_frames(BytesIO(data), enough=100)
    assert min(frames, 9) == gif.count_frames(BytesIO(data), enough=9)


def test_gif_without_trailer():
    """A GIF that ends behind a whole frame, or in padding, is whole."""
    data = gif_bomb(frames=3, side=4)
    assert [3, 3] == [gif.count_frames(BytesIO(end), enough=9) for end in (data[:-1], data[:-1] + bytes(9))]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), Reason.MEMORY_LIMIT),
        (Image.DecompressionBombError(), Reason.TOO_MANY_PIXELS),
        (NotImplementedError(), Reason.UNSUPPORTED_TYPE),
        (OSError("image file is truncated"), Reason.DAMAGED),
        (KeyError(7), Reason.DAMAGED),
    ],
)
def test_faults(error, reason):
    """Whatever a decoder raises is told as a reason."""
    with pytest.raises(Rejected) as rejected, picture_files.faults("PNG"):
        raise error
    assert reason == rejected.value.reason
