"""What a moderation provider is shown of a picture: its pages as plain JPEGs of its size, and what is measured of them.

Runs in a forked child, as `pictures` does. Nothing of the upload goes on but pixels: sRGB, upright, no transparency.
"""

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter, ImageStat

from service.core.outcome import Reason, Rejected
from service.tools import colour
from service.tools.picture_files import Picture, Source, faults, opened

Size = tuple[int, int]

QUALITY = 85  # the largest, 1024 x 1024 of noise, has 1 MB: a fifth of what Rekognition takes
LEAST_SIDE = 80  # Rekognition's limits page; the rest is padded
STRIP_SIDE, LONGEST_SIDE = 320, 4096  # a strip keeps so much of its short side, while the long one allows it
GREY = (128, 128, 128)
LIGHT, DARK = (255, 255, 255), (32, 32, 32)
REDUCING_GAP = 2.0  # as in `pictures`
LAPLACIAN = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), scale=1, offset=128)
FIELDS = 16  # in a row and in a column
MEASURED_SIDE = 320  # pixels: sharpness is compared between frames of one clip, and is no finer than that


def frames(request: Mapping[str, Any]) -> dict[str, Any]:
    """Write page `page` of file `source` to `file`, for each of `request["pages"]`, and measure it.

    `side` is the longest in pixels; pages of one source follow one another in ascending order.
    """
    limits = {name: request[name] for name in ("formats", "max_pixels", "max_frames", "max_total_pixels")}
    done: list[dict[str, Any]] = []
    try:
        for source, pages in groupby(request["pages"], key=lambda page: str(page["source"])):
            with opened(Source(path=source, **limits)) as picture:
                canvas = picture.image.size  # of the first page: Pillow lets GIFs grow
                for page in pages:
                    image = _bare(_shown(picture, canvas, page["page"], request["side"]))
                    image.save(page["file"], "JPEG", quality=QUALITY)
                    done.append({"file": page["file"], "bytes": Path(page["file"]).stat().st_size} | measure(image))
    except MemoryError as error:
        raise Rejected(Reason.MEMORY_LIMIT, "This picture needs more memory than is allowed.") from error
    return {"pages": done}


def measure(image: Image.Image) -> dict[str, Any]:
    """Size in pixels, `dhash` (16 hex digits), and levels from 0 to 255 (`fields` in hex, row by row).

    `sharpness` is the Laplacian's variance.
    """
    small = image.copy()
    small.thumbnail((MEASURED_SIDE, MEASURED_SIDE), Image.Resampling.BOX)
    grey = small.convert("L")
    levels = ImageStat.Stat(grey)
    edges = grey.filter(LAPLACIAN).crop(
        (1, 1, grey.width - 1, grey.height - 1)
    )  # the filter leaves borders as they are
    return {
        "width": image.width,
        "height": image.height,
        "dhash": f"{dhash(grey):016x}",
        "luma": round(levels.mean[0], 3),
        "deviation": round(levels.stddev[0], 3),
        "sharpness": round(ImageStat.Stat(edges).var[0], 3),
        "colour": [round(mean, 3) for mean in ImageStat.Stat(small).mean],
        "fields": grey.resize((FIELDS, FIELDS), Image.Resampling.BOX).tobytes().hex(),
    }


def dhash(grey: Image.Image) -> int:
    """64 bits: whether each of 8 x 8 fields is brighter than the next one to its right."""
    levels = grey.resize((9, 8), Image.Resampling.BOX).tobytes()
    bits = (levels[row + at] > levels[row + at + 1] for row in range(0, 72, 9) for at in range(8))
    return sum(bit << number for number, bit in enumerate(bits))


def _shown(picture: Picture, canvas: Size, page: int, side: int) -> Image.Image:
    """A page as it may be published; the first of some PNGs has a still of its own for whoever can't play them."""
    if page == 0 and picture.first:
        return _stacked(_decoded(picture, canvas, 0, side), _decoded(picture, canvas, picture.first, side))
    return _decoded(picture, canvas, picture.first + page, side)


def _stacked(above: Image.Image, below: Image.Image) -> Image.Image:
    both = Image.new("RGB", (above.width, above.height + below.height))
    both.paste(above, (0, 0))
    both.paste(below, (0, above.height))
    return both


def _decoded(picture: Picture, canvas: Size, number: int, side: int) -> Image.Image:
    image, size = picture.image, fit(canvas, side)
    with faults(str(image.format)):
        image.seek(number)
        profile = image.info.get("icc_profile")
        draft = image.draft(None, size)
        image.load()
        pixels = colour.eight_bit(image)
    box = draft[1] if draft else (0, 0, *canvas)
    small = pixels.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=REDUCING_GAP)
    return _flat(picture.upright(colour.to_srgb(small, profile)))


def fit(size: Size, side: int) -> Size:
    """`size` with no side longer than `side`, never enlarged; of a strip more is kept, up to 4096 pixels."""
    longer, shorter = max(size), min(size)
    scale = min(1.0, max(side / longer, min(STRIP_SIDE / shorter, LONGEST_SIDE / longer)))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _flat(image: Image.Image) -> Image.Image:
    """Transparency filled with what what is drawn stands out from: light drawings would vanish on white."""
    if image.mode != "RGBA":
        return image
    alpha = image.getchannel("A")
    drawn = ImageStat.Stat(image.convert("L"), mask=alpha.point(lambda level: 255 if level > 127 else 0))
    light = drawn.count[0] and drawn.mean[0] > 160
    flat = Image.new("RGB", image.size, DARK if light else LIGHT)
    flat.paste(image, mask=alpha)
    return flat


def _bare(image: Image.Image) -> Image.Image:
    """Its pixels alone, in the middle of grey where a side is too short for a provider."""
    size = max(LEAST_SIDE, image.width), max(LEAST_SIDE, image.height)
    bare = Image.new("RGB", size, GREY)
    bare.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return bare
