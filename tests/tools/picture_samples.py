"""Pictures made for the tests: each is bytes, or a Pillow image that a test saves in its own way."""

import os
import resource
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import product

from PIL import Image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 200, 0), (0, 0, 255), (255, 255, 255)
CORNERS = (RED, GREEN, BLUE, WHITE)  # top left, top right, bottom left, bottom right, of a picture that is upright
INVERSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # how a camera stores an upright scene that it tags with this EXIF orientation


def cost(work: Callable[[], object]) -> tuple[float, int]:
    """Seconds that `work` takes in a forked child, and the megabytes by which the child grows, up to 255."""
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        grown = 255 * 1024
        try:
            work()
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        finally:
            os._exit(min(255, grown // 1024))
    _, status = os.waitpid(pid, 0)
    return time.monotonic() - start, os.waitstatus_to_exitcode(status)


def corners(width: int = 96, height: int = 64) -> Image.Image:
    """Four quarters, one colour each."""
    image = Image.new("RGB", (width, height))
    for colour, (y, x) in zip(CORNERS, product((0, height // 2), (0, width // 2)), strict=True):
        image.paste(colour, (x, y, x + width // 2, y + height // 2))
    return image


def noise(width: int = 160, height: int = 120) -> Image.Image:
    """A picture that no format can compress to almost nothing."""
    return Image.effect_noise((width, height), 90).convert("RGB")


def saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(kind: str, orientation: int, **options) -> bytes:
    """`corners`, stored as `orientation` says; TIFF has it among its tags, all others in EXIF."""
    image = corners()
    if orientation in INVERSE:
        image = image.transpose(INVERSE[orientation])
    if kind == "TIFF":
        return saved(image, kind, tiffinfo={274: orientation}, **options)
    exif = Image.Exif()
    exif[274] = orientation
    return saved(image, kind, exif=exif, **options)


def film(kind: str, *, frames: int = 6, size: tuple[int, int] = (64, 48), **options) -> bytes:
    """A sequence of frames, each in another colour."""
    images = [Image.new("RGB", size, (number * 40 % 256, number % 256, number // 256 * 16)) for number in range(frames)]
    return saved(images[0], kind, save_all=True, append_images=images[1:], **options)


def gif_bomb(*, frames: int, side: int) -> bytes:
    """A canvas of `side` x `side` and frames of one pixel: 23 bytes each."""
    screen = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    frame = b"!\xf9\x04\x04\x01\0\0\0" + b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return screen + frame * frames + b";"


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these chunks."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in [*chunks, (b"IEND", b"")])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bomb(side: int) -> bytes:
    """A black square, a bit a pixel: 144 million pixels in 17 kB."""
    rows = zlib.compressobj(9)
    row = bytes(1 + -(-side // 8))
    data = b"".join(rows.compress(row) for _ in range(side)) + rows.flush()
    return png((b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), (b"IDAT", data))


def apng_claiming(frames: int) -> bytes:
    """One pixel that says it is an animation of so many frames."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    control = struct.pack(">IIIIIHHBB", 0, 1, 1, 0, 0, 1, 10, 0, 0)
    data = zlib.compress(bytes(2))
    return png((b"IHDR", header), (b"acTL", struct.pack(">II", frames, 0)), (b"fcTL", control), (b"IDAT", data))


def webp_canvas(side: int) -> bytes:
    """An animated WebP of one pixel whose canvas is said to be `side` x `side`."""
    data = bytearray(film("WEBP", frames=2, size=(1, 1), duration=40))
    data[24:30] = (side - 1).to_bytes(3, "little") * 2
    return bytes(data)


def grey_tiff(*, bits: int = 8, compression: int = 1, pages: int = 1, data: bytes = bytes(4)) -> bytes:
    """A TIFF two pixels wide and one high; more `pages` make an endless chain of directories."""
    size = 2 + 8 * 12 + 4
    starts = [8 + size * page for page in range(pages)]
    tags = {256: 2, 257: 1, 258: bits, 259: compression, 262: 1, 273: 8 + size * pages, 278: 1, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    following = [*starts[1:], starts[0] if pages > 1 else 0]
    directories = [struct.pack("<H", len(tags)) + entries + struct.pack("<I", at) for at in following]
    return b"II*\0" + struct.pack("<I", 8) + b"".join(directories) + data


def rgb_profile(description: str, red: Sequence[float], green: Sequence[float], blue: Sequence[float]) -> bytes:
    """An ICC version 2 display profile of three primaries (XYZ under D50) and a gamma of 2.2."""
    curve = b"curv" + struct.pack(">IIH", 0, 1, round(2.2 * 256)) + b"\0\0"
    tags = {b"desc": _description(description), b"cprt": b"text\0\0\0\0" + description.encode() + b"\0"}
    tags |= {b"wtpt": _xyz((0.9642, 1.0, 0.8249)), b"rXYZ": _xyz(red), b"gXYZ": _xyz(green), b"bXYZ": _xyz(blue)}
    tags |= {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    return _profile(b"mntrRGB XYZ ", tags)


def cmyk_profile(lab: Sequence[int]) -> bytes:
    """An ICC version 2 output profile that sees white as white and every ink as the one colour `lab`."""
    straight = bytes(range(256))
    grid = bytes((255, 128, 128)) + bytes(lab) * 15
    matrix = struct.pack(">9i", *(65536 * (place % 4 == 0) for place in range(9)))
    table = b"mft1" + struct.pack(">IBBBB", 0, 4, 3, 2, 0) + matrix + straight * 4 + grid + straight * 3
    tags = {b"desc": _description("ink"), b"cprt": b"text\0\0\0\0-\0", b"wtpt": _xyz((0.9642, 1.0, 0.8249))}
    return _profile(b"prtrCMYKLab ", tags | {b"A2B0": table})


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _description(text: str) -> bytes:
    ascii_text = text.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(ascii_text)) + ascii_text + bytes(78)


def _profile(kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    """ICC.1:2001, 6.1 and 6.2: header, tag table, tag data on four-byte borders."""
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    head = struct.pack(">I4sI", start + len(data), b"\0\0\0\0", 0x02200000) + kind + bytes(12) + b"acsp"
    return (head + bytes(28) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)).ljust(128, b"\0") + table + data
