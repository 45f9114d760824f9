"""Layouts and profiles: whatever comes in, 8-bit sRGB goes out."""

from collections.abc import Sequence
from io import BytesIO
from math import dist

import pytest
from PIL import Image

from service.tools import colour
from tests.tools.picture_samples import cmyk_profile, grey_tiff, rgb_profile, saved

P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))  # XYZ under D50
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
D50 = (0.9642, 1.0, 0.8249)
DISPLAY_P3 = rgb_profile("a display", *P3)

WHITE = {
    "1": 1,
    "L": 255,
    "P": "white",
    "LA": (255, 255),
    "La": (255, 255),
    "RGB": (255, 255, 255),
    "RGBA": (255, 255, 255, 255),
    "RGBa": (255, 255, 255, 255),
    "RGBX": (255, 255, 255, 0),
    "CMYK": (0, 0, 0, 0),
    "YCbCr": (255, 128, 128),
    "LAB": (255, 128, 128),
    "HSV": (0, 0, 255),
    "I;16": 65535,
    "F": 1.0,
}


def converted(image: Image.Image, profile: bytes | None = None) -> Image.Image:
    return colour.to_srgb(colour.eight_bit(image), profile)


def gradient(mode: str, white: float) -> Image.Image:
    """256 pixels, each 1/255 of `white` brighter than the one before."""
    image = Image.new(mode, (256, 1))
    for x in range(256):
        level = x * white / 255
        image.putpixel((x, 0), level if mode == "F" else round(level))
    return image


def lab(xyz: Sequence[float]) -> list[float]:
    """CIE L*a*b* under D50."""
    x, y, z = (
        (v / w) ** (1 / 3) if v / w > 0.008856 else 7.787 * v / w + 16 / 116 for v, w in zip(xyz, D50, strict=True)
    )
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)]


def mixed(light: Sequence[float], primaries: Sequence[Sequence[float]]) -> list[float]:
    """The L*a*b* of so much light of each primary."""
    return lab(
        [sum(level * primary[axis] for level, primary in zip(light, primaries, strict=True)) for axis in range(3)]
    )


def seen_in_p3(pixel: Sequence[int]) -> list[float]:
    """What `DISPLAY_P3` makes of `pixel`, worked out by hand."""
    return mixed([(value / 255) ** 2.2 for value in pixel], P3)


def seen_in_srgb(pixel: Sequence[int]) -> list[float]:
    """What sRGB (IEC 61966-2-1) makes of `pixel`, worked out by hand."""
    values = [value / 255 for value in pixel]
    return mixed([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values], SRGB)


@pytest.mark.parametrize("mode", WHITE)
def test_every_layout(mode):
    """White is white, and opaque, in every layout that a decoder hands out; L*a*b* is a level off."""
    white = converted(Image.new(mode, (2, 1), WHITE[mode]))
    assert "RGB" == white.mode
    assert {254, 255} >= set(white.tobytes())


@pytest.mark.parametrize(
    ("mode", "white"), [("I;16", 65535), ("I;16B", 65535), ("I", 65535), ("I", 2**31 - 1), ("F", 1.0), ("F", 65535.0)]
)
def test_wide_grey(mode, white):
    """Greys of 16 bits and more are scaled, not clipped."""
    assert list(range(256)) == list(converted(gradient(mode, white)).getchannel("R").tobytes())


def test_white_is_zero():
    """A 16-bit TIFF whose zero is white is not shown as its negative."""
    tiff = Image.open(BytesIO(saved(gradient("I;16", 65535), "TIFF", tiffinfo={262: 0})), formats=["TIFF"])
    assert list(range(255, -1, -1)) == list(converted(tiff).getchannel("R").tobytes())


def test_twelve_bits():
    """White of twelve bits is white, although Pillow keeps it as 4095 in sixteen."""
    tiff = Image.open(BytesIO(grey_tiff(bits=12, data=b"\xff\xf0\x00")), formats=["TIFF"])
    assert b"\xff\xff\xff" == converted(tiff).crop((0, 0, 1, 1)).tobytes()


def test_alpha_kept():
    """Transparency survives in whatever way it is stored."""
    for mode, pixel in (("LA", (90, 7)), ("PA", None), ("RGBA", (90, 90, 90, 7)), ("RGBa", (2, 2, 2, 7))):
        image = (
            Image.new("RGBA", (1, 1), (90, 90, 90, 7)).convert("PA")
            if pixel is None
            else Image.new(mode, (1, 1), pixel)
        )
        assert ("RGBA", 7) == (converted(image).mode, converted(image).getpixel((0, 0))[3])


def test_transparent_colour():
    """One colour that a grey or true-colour picture calls transparent shows through."""
    for mode, key in (("L", 5), ("RGB", (5, 5, 5))):
        image = Image.new(mode, (1, 1), key)
        image.info["transparency"] = key
        assert (5, 5, 5, 0) == converted(image).getpixel((0, 0))


@pytest.mark.parametrize("pixel", [(200, 100, 60), (120, 160, 90), (60, 90, 170), (235, 220, 210), (128, 128, 128)])
def test_display_p3(pixel):
    """A colour of another profile looks the same in sRGB: within ΔE 3 of the formulas."""
    (found,) = converted(Image.new("RGB", (1, 1), pixel), DISPLAY_P3).get_flattened_data()
    assert dist(seen_in_p3(pixel), seen_in_srgb(found)) < 3


def test_profile_matters():
    """Without its profile the same colour would be far off, so the test above can fail."""
    assert dist(seen_in_p3((200, 100, 60)), seen_in_srgb((200, 100, 60))) > 5


def test_profile_and_alpha():
    """A profile is for the colours; alpha passes beside it."""
    opaque = converted(Image.new("RGB", (1, 1), (200, 100, 60)), DISPLAY_P3).getpixel((0, 0))
    assert (*opaque, 77) == converted(Image.new("RGBA", (1, 1), (200, 100, 60, 77)), DISPLAY_P3).getpixel((0, 0))


def test_srgb_profile_is_skipped():
    """A profile that changes nothing costs nothing: the pixels stay what they are."""
    profile = colour.ImageCms.ImageCmsProfile(colour.SRGB).tobytes()
    assert b"\x01\x02\x03" == converted(Image.new("RGB", (1, 1), (1, 2, 3)), profile).tobytes()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("profile", [b"", b"no profile", DISPLAY_P3[:300], cmyk_profile((150, 60, 128))[:150]])
def test_broken_profile(mode, profile):
    """A profile that cannot be read is dropped."""
    image = Image.new(mode, (1, 1), "teal")
    assert converted(image).tobytes() == converted(image, profile).tobytes()


def test_foreign_profile():
    """A profile for another kind of pixels is dropped."""
    image = Image.new("L", (1, 1), 100)
    assert b"ddd" == converted(image, DISPLAY_P3).tobytes()


def test_cmyk():
    """Inks without a profile are subtracted from white."""
    assert (0, 255, 255) == converted(Image.new("CMYK", (1, 1), (255, 0, 0, 0))).getpixel((0, 0))


def test_cmyk_profile():
    """Inks with a profile get the colours of the profile: here the odd one that sees green in all of them."""
    red, green, blue = converted(Image.new("CMYK", (1, 1), (255, 0, 0, 0)), cmyk_profile((150, 60, 180))).getpixel(
        (0, 0)
    )
    assert green > 2 * max(red, blue)
    assert (255, 255, 255) == converted(Image.new("CMYK", (1, 1)), cmyk_profile((150, 60, 180))).getpixel((0, 0))
