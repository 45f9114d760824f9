"""Every pixel layout that a decoder hands out, brought to 8-bit sRGB: Pillow's own conversions clip or refuse some."""

from functools import lru_cache
from io import BytesIO
from itertools import chain, product
from typing import cast

from PIL import Image, ImageChops, ImageCms

GREY_LEVELS = (255, 4095, 65535, 2**31 - 1)  # white in wide greys that do not say: 8, 12, 16 and 32 bits
BITS_PER_SAMPLE = 258  # TIFF tag; Pillow leaves 12 bits unscaled in a 16-bit mode
PHOTOMETRIC = 262  # TIFF tag; Pillow inverts white-is-zero in 8 bits, not in 16
WHITE_IS_ZERO = 0
UNNOTICEABLE = 2  # levels of 255: profiles of sRGB itself differ by rounding
SRGB = ImageCms.createProfile("sRGB")
LAYOUTS = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # ICC data colour spaces (ICC.1, 7.2.6) and Pillow's names

PLAIN = {
    "1": "L",
    "P": "RGB",
    "PA": "RGBA",
    "La": "LA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "YCbCr": "RGB",
    "HSV": "RGB",
}


def eight_bit(image: Image.Image) -> Image.Image:
    """The same picture in L, LA, RGB, RGBA, CMYK or LAB, which can be resized without harm."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _wide_grey(image)
    plain = PLAIN.get(image.mode, image.mode)
    if has_alpha(image) and not plain.endswith("A"):
        plain = "RGBA"
    return image if plain == image.mode else image.convert(plain)


def has_alpha(image: Image.Image) -> bool:
    """Whether `eight_bit` keeps a transparency; one colour of a 16-bit grey called transparent is not kept."""
    return image.has_transparency_data and image.mode[0] not in "IF"


def _wide_grey(image: Image.Image) -> Image.Image:
    levels = image if image.mode == "F" else image.convert("I")
    scale = 255 / _white(image, levels)
    grey = levels.point(lambda level: level * scale + 0.5).convert("L")
    inverted = _tag(image, PHOTOMETRIC) == WHITE_IS_ZERO
    return ImageChops.invert(grey) if inverted else grey


def _white(image: Image.Image, levels: Image.Image) -> float:
    """The level that stands for white: by the bit depth where that is known, else by the highest level there is."""
    if image.mode.startswith("I;16"):
        bits = _tag(image, BITS_PER_SAMPLE)
        return 4095 if bits == 12 else 65535
    highest = cast("tuple[float, float]", levels.getextrema())[1]
    known = (1.0, *GREY_LEVELS) if image.mode == "F" else GREY_LEVELS
    return next((level for level in known if highest <= level), highest)


def _tag(image: Image.Image, tag: int) -> object:
    value: object = getattr(image, "tag_v2", {}).get(tag)
    return value[0] if isinstance(value, tuple) and value else value


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB, or RGBA where a pixel shows through; `image` comes from `eight_bit`, `profile` is an ICC one."""
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    colours = _converted(image.convert(image.mode[:-1]) if alpha else image, profile)
    if alpha and alpha.getextrema() != (255, 255):
        colours.putalpha(alpha)
    return colours


def _converted(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode == "LAB":
        return _applied(image, _from_lab())
    transform = _from_profile(profile, image.mode) if profile else None
    return _applied(image, transform) if transform else image.convert("RGB")


def _applied(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    return cast("Image.Image", ImageCms.applyTransform(image, transform))


@lru_cache(maxsize=1)
def _from_lab() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), SRGB, "LAB", "RGB")


@lru_cache(maxsize=1)
def _from_profile(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None where the profile is broken, is for another kind of pixels, or changes nothing that can be seen."""
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        if LAYOUTS.get(opened.profile.xcolor_space.strip()) != mode:
            return None
        transform = ImageCms.buildTransform(opened, SRGB, mode, "RGB")
        return None if mode == "RGB" and _changes_nothing(transform) else transform
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Tried on a cube of colours: three cameras out of four embed sRGB, and converting costs as much as resizing."""
    steps = chain.from_iterable(product(range(0, 256, 17), repeat=3))
    cube = Image.frombytes("RGB", (64, 64), bytes(steps))
    difference = ImageChops.difference(cube, _applied(cube, transform))
    return all(high <= UNNOTICEABLE for _, high in cast("list[tuple[int, int]]", difference.getextrema()))
