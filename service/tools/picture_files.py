"""Picture files opened with care: a closed list of formats, limits before pixels, every fault told as a `Rejected`.

For a child process that does one job: Pillow keeps its limit and Python its warning filters in global variables.
"""

import mmap
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pi_heif
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from service.core.gate import MAX_CANVAS
from service.core.outcome import Reason, Rejected
from service.tools import colour, gif

PLUGINS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)  # imported here, so that a forked child is warm and never looks for others
FORMATS = frozenset({"AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP"})
SEQUENCES = frozenset({"AVIF", "GIF", "PNG", "WEBP"})  # elsewhere more images are pages, depth maps or burst shots
MAX_SCANS = 50  # of a JPEG: encoders write about ten, and each is a pass over all pixels, for some 90 bytes of file
THREADS = 2  # a decoder's own; one job must not take every core from the others

AvifImagePlugin.DEFAULT_MAX_THREADS = THREADS
pi_heif.register_heif_opener(decode_threads=THREADS, thumbnails=False, depth_images=False, aux_images=False)
ImageFile.LOAD_TRUNCATED_IMAGES = False
Image.WARN_POSSIBLE_FORMATS = True  # says why a file was not identified, see `faults`

PngImagePlugin.MAX_TEXT_CHUNK = 16 * 1024 * 1024  # Pillow's 1 MB refuses what image editors write as XMP

UNSUPPORTED = ("unsupported", "not supported", "unknown", "not yet", "cannot handle")
CUT_OFF = ("truncated", "corrupt", "larger than file")  # after such a remark the unknown thing is the hole itself

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = 5  # orientations from here on swap width and height (Exif 2.32, tag 0x0112)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file, what it was sniffed to be, and how much of it is allowed, in pixels as stored and in frames."""

    path: str
    formats: Sequence[str]
    max_pixels: int
    max_frames: int
    max_total_pixels: int


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An opened file within its limits, nothing of it decoded yet.

    `orientation` is the EXIF value that is still to be applied; `first` is the first frame of the animation,
    which follows a separate default image in some PNGs.
    """

    image: ImageFile.ImageFile
    orientation: int
    frames: int
    first: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as displayed."""
        return self.turned(self.image.size)

    def turned(self, size: tuple[int, int]) -> tuple[int, int]:
        """A size as displayed from one as stored, or the other way round."""
        return (size[1], size[0]) if self.orientation >= SIDEWAYS else size

    def upright(self, image: Image.Image) -> Image.Image:
        """`image`, which is as stored, turned as it is displayed."""
        return image.transpose(TURNS[self.orientation]) if self.orientation in TURNS else image

    @property
    def alpha(self) -> bool:
        """Whether the header (of the first frame) speaks of transparency."""
        return colour.has_alpha(self.image)


@contextmanager
def opened(source: Source) -> Iterator[Picture]:
    """The picture in `source`; Rejected if it is broken or beyond a limit."""
    if not FORMATS.issuperset(source.formats):
        msg = f"not a closed list of known formats: {source.formats}"
        raise ValueError(msg)
    with Path(source.path).open("rb") as file, _bounded(source.max_pixels):
        with faults(source.formats[0]):
            image = _identified(file, source.formats)
            picture = _examined(image, source)
        yield picture


@contextmanager
def _bounded(max_pixels: int) -> Iterator[None]:
    """Pillow refuses larger pictures; every other warning is swallowed."""
    former, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = former


def _identified(file: BinaryIO, formats: Sequence[str]) -> ImageFile.ImageFile:
    """`Image.open`, which reads headers alone; its error says what Pillow otherwise only warns of.

    Nobody opens MPO by that name (JPEG's plugin finds it), and asking for it would import all of Pillow's plugins.
    """
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return Image.open(file, formats=tuple(format_ for format_ in formats if format_ != "MPO"))
        except UnidentifiedImageError as error:
            raise SyntaxError("; ".join(str(remark.message) for remark in remarks)) from error


def _examined(image: ImageFile.ImageFile, source: Source) -> Picture:
    pixels = image.width * image.height
    if not pixels:
        raise ValueError
    if pixels > min(source.max_pixels, source.max_total_pixels):
        raise _too_many_pixels(str(image.format))
    if image.format in {"JPEG", "MPO"} and _scans(source.path, enough=MAX_SCANS + 1) > MAX_SCANS:
        raise Rejected(Reason.DAMAGED, f"This JPEG has more than {MAX_SCANS} scans: no camera or program writes such.")
    first = int(getattr(image, "default_image", False))
    frames = _frames(image, source) - first
    if frames > min(source.max_frames, source.max_total_pixels // pixels):
        message = f"The animation has too many frames: at most {source.max_frames} are allowed, fewer of large ones."
        raise Rejected(Reason.TOO_MANY_FRAMES, message)
    if frames > 1 and pixels > MAX_CANVAS:
        message = f"At most {MAX_CANVAS:,} pixels are accepted of an animation."
        raise Rejected(Reason.TOO_MANY_PIXELS, message)
    return Picture(image=image, orientation=_orientation(image), frames=max(1, frames), first=first)


def _frames(image: ImageFile.ImageFile, source: Source) -> int:
    """How many frames the file declares; only GIF has to be counted, and is as far as they are allowed."""
    if image.format == "GIF":
        with Path(source.path).open("rb") as file:
            return gif.count_frames(file, enough=source.max_frames + 1)
    return int(getattr(image, "n_frames", 1)) if image.format in SEQUENCES else 1


#: A segment begins in the data of a scan (ITU-T T.81, B.1.1.2): neither a stuffed 0xff, nor a restart, nor a fill.
_SEGMENT = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


def _scans(path: str, *, enough: int) -> int:
    """The scans of the JPEG at `path` up to its end, or up to `enough`: what follows it is no part of the picture."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        scans, at = 0, 2
        while scans < enough and (found := _SEGMENT.search(data, at)) and data[found.start() + 1] != _END_OF_IMAGE:
            scans += data[found.start() + 1] == _START_OF_SCAN
            at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
        return scans


def _orientation(image: ImageFile.ImageFile) -> int:
    """The EXIF orientation that nobody has applied yet; XMP is ignored, as by browsers.

    pi_heif and Pillow's TIFF reader turn the pixels themselves; of AVIF's `irot` and `imir`, which count instead of
    its EXIF, Pillow makes an EXIF orientation.
    """
    for name in ("xmp", "XML:com.adobe.xmp"):  # Pillow would fall back to it, TIFF after the size is known
        image.info.pop(name, None)
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken metadata does not make a picture unreadable
        return 1
    return value if value in TURNS and image.format != "TIFF" else 1


@contextmanager
def faults(kind: str) -> Iterator[None]:
    """Around calls of a decoder alone: whatever it raises, the file is to blame, which claims to be a `kind`."""
    try:
        yield
    except Rejected:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(kind) from error
    except MemoryError as error:
        raise Rejected(Reason.MEMORY_LIMIT, f"This {kind} picture needs more memory than is allowed.") from error
    except Exception as error:
        raise _unreadable(kind, error) from error


def _too_many_pixels(kind: str) -> Rejected:
    return Rejected(Reason.TOO_MANY_PIXELS, f"This {kind} picture has more pixels than are allowed.")


def _unreadable(kind: str, error: Exception) -> Rejected:
    if isinstance(error, NotImplementedError) or (_says(error, UNSUPPORTED) and not _says(error, CUT_OFF)):
        return Rejected(Reason.UNSUPPORTED_TYPE, f"This kind of {kind} file is not supported.")
    return Rejected(Reason.DAMAGED, f"The file could not be read as {kind}: it is damaged or incomplete.")


def _says(error: Exception, words: Sequence[str]) -> bool:
    return any(word in str(error).lower() for word in words)
