"""Pictures that claim too much, unpack to too much, or never end."""

import struct
import zlib
from collections.abc import Mapping

from PIL import Image, PngImagePlugin

from service.core.outcome import Reason
from tests.attacks.containers import replaced
from tests.attacks.lures import Attacks
from tests.tools.picture_samples import (
    apng_claiming,
    corners,
    film,
    gif_bomb,
    grey_tiff,
    noise,
    png,
    png_bomb,
    rgb_profile,
    saved,
    webp_canvas,
)

_MUCH = 100_000_000  # bytes, which zlib makes a hundred thousand of
MARKUP = b"<script>alert('planted')</script>"
_KINDS: Mapping[str, Mapping[str, object]] = {
    "JPEG": {},
    "PNG": {},
    "GIF": {},
    "WEBP": {},
    "TIFF": {},
    "BMP": {},
    "AVIF": {"speed": 10},
    "JPEG2000": {},
}


def pictures() -> Attacks:
    """Refused, each for its own reason; those that are only odd are published without what is odd about them."""
    return {**_dimensions(), **_bombs(), **_sequences(), **_metadata(), **_polyglots(), **_cut_off(), **_keys()}


def _keys() -> Attacks:
    """A picture is a picture, whatever it is called: the name is escaped wherever it is written."""
    names = ('"><script>alert(1)</script>.png', "'onload='alert(1).png", "a\n#EXT-X-ENDLIST.png", "%d.png", "-i.png")
    return dict.fromkeys(names, (saved(corners(), "PNG"), None))


def _dimensions() -> Attacks:
    """Headers of pictures that no memory holds."""
    much = Reason.TOO_MANY_PIXELS
    heic = _resized(_heic(), b"ispe", 8, ">II", 2**31 - 1, 2**31 - 1)
    sizes = {
        "png": png((b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0)), (b"IDAT", b"")),
        "jpeg": _resized(saved(corners(), "JPEG"), b"\xff\xc0", 5, ">HH", 65_535, 65_535),
        "gif": gif_bomb(frames=1, side=65_535),
        "tiff": _tiff({256: 2**32 - 1, 257: 2**32 - 1}),
        "webp": webp_canvas(2**24),
        "lossless webp": _resized(saved(corners(), "WEBP", lossless=True), b"VP8L", 9, "<I", (1 << 28) - 1),
        "bmp": _resized(saved(corners(), "BMP"), b"BM", 18, "<ii", 2**31 - 1, 2**31 - 1),
        "avif": _resized(saved(corners(), "AVIF", speed=10), b"ispe", 8, ">II", 12_000, 12_000),
        "jpeg 2000": _resized(saved(corners(), "JPEG2000"), b"ihdr", 4, ">II", 2**31 - 1, 2**31 - 1),
    }
    return {f"huge/{kind}": (body, much) for kind, body in sizes.items()} | {"huge/heic": (heic, Reason.DAMAGED)}


def _heic() -> bytes:
    """An AVIF that says it is HEIC: who reads its header looks no further."""
    return replaced(saved(corners(), "AVIF", speed=10), (b"ftypavif", b"ftypheic"), (b"av01", b"hvc1"))


def _resized(picture: bytes, mark: bytes, offset: int, layout: str, *values: int) -> bytes:
    made = bytearray(picture)
    struct.pack_into(layout, made, made.index(mark) + offset, *values)
    return bytes(made)


def _tiff(more: Mapping[int, int], *, kind: int = 4, count: int = 1) -> bytes:
    """A TIFF of one pixel, but for these tags (TIFF 6.0, section 2)."""
    tags = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 8, 278: 1, 279: 1} | dict(more)
    entries = b"".join(struct.pack("<HHII", tag, kind, count, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def _bombs() -> Attacks:
    """Small files that unpack to a hundred thousand times as much, or take for ever."""
    packed = zlib.compress(bytes(_MUCH), 9)
    one = (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    dot = (b"IDAT", zlib.compress(bytes(2)))
    text = b"Comment\0\0" + packed
    return {
        "bomb/144 megapixels.png": (png_bomb(12_000), Reason.TOO_MANY_PIXELS),
        "bomb/400 megapixels.png": (png_bomb(20_000), Reason.TOO_MANY_PIXELS),
        "bomb/text.png": (png(one, (b"zTXt", text), dot), Reason.DAMAGED),
        "bomb/many texts.png": (png(one, *[(b"zTXt", b"a\0\0" + _PACKED)] * 40, dot), Reason.DAMAGED),
        "bomb/international text.png": (png(one, (b"iTXt", b"XML\0\1\0\0\0" + packed), dot), Reason.DAMAGED),
        "bomb/profile.png": (png(one, (b"iCCP", b"ICC\0\0" + packed), dot), Reason.DAMAGED),
        "bomb/pixels.png": (png(one, (b"IDAT", packed)), None),  # the first of them are its picture
        "bomb/scans.jpg": (_scans(), Reason.DAMAGED),
        "bomb/strips.tiff": (_tiff({257: 2**16, 273: 8, 279: 2**31}), None),
        "bomb/itself.tiff": (grey_tiff(pages=2), None),
        "bomb/first is next.tiff": (grey_tiff(pages=1)[:-8] + struct.pack("<I", 8) + bytes(4), None),
        "bomb/counts.tiff": (_tiff({}, count=2**32 - 1), Reason.DAMAGED),
        "bomb/tile.tiff": (_tiff({322: 2**31, 323: 2**31, 324: 8, 325: 8}), None),
        "bomb/deflated.tiff": (_deflated_tiff(packed), None),
    }


_PACKED = zlib.compress(bytes(4_000_000), 9)


def _scans() -> bytes:
    """A progressive JPEG of 16 megapixels whose last scan comes ten thousand times: a minute for a megabyte."""
    picture = saved(Image.new("L", (4000, 4000), 99), "JPEG", progressive=True)
    last = picture.rindex(b"\xff\xda")
    return picture[:last] + picture[last:-2] * 10_000 + picture[-2:]


def _deflated_tiff(packed: bytes) -> bytes:
    at = 8 + 2 + 8 * 12 + 4
    return _tiff({256: 3000, 257: 3000, 259: 8, 273: at, 278: 3000, 279: len(packed)}) + packed


def _sequences() -> Attacks:
    """Animations of more frames than anybody looks at."""
    many = Reason.TOO_MANY_FRAMES
    still = film("AVIF", frames=2, speed=10)
    return {
        "frames/100000.gif": (gif_bomb(frames=100_000, side=1), many),
        "frames/2000 of 9000 x 9000.gif": (gif_bomb(frames=2000, side=9000), many),
        "frames/claimed.png": (apng_claiming(100_000), many),
        "frames/2 billion.png": (apng_claiming(2**31 - 1), many),
        "frames/100000.webp": (_frames_of_webp(100_000), many),
        "frames/huge canvas.webp": (webp_canvas(10_900), Reason.TOO_MANY_PIXELS),  # two frames of one pixel
        "frames/huge canvas.gif": (gif_bomb(frames=2, side=10_900), Reason.TOO_MANY_PIXELS),
        "frames/claimed.avif": (_resized(still, b"stsz", 12, ">I", 2**32 - 1), Reason.DAMAGED),
        "frames/endless.gif": (gif_bomb(frames=3, side=1)[:-1] + b"!\xfe\xff" + b"a" * 255, Reason.DAMAGED),
    }


def _frames_of_webp(count: int) -> bytes:
    """A frame of a real animation, again and again (RFC 9649, 2.7.1.1)."""
    data = film("WEBP", frames=2, size=(1, 1), duration=40)
    at = data.index(b"ANMF")
    frame = data[at : at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")]
    body = data[8:at] + frame * count
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _metadata() -> Attacks:
    """What lies beside the pixels is not believed, and not kept."""
    plain, info = corners(), PngImagePlugin.PngInfo()
    info.add_text("Title", MARKUP.decode())
    info.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta>{MARKUP.decode()}</x:xmpmeta>")
    exif = Image.Exif()
    exif[0x010E], exif[0x0112], exif[0x9286] = MARKUP.decode(), 65_535, MARKUP
    profiles = {
        "noise": bytes(range(256)) * 40_000,
        "short": b"\0\0\x02\x0c",
        "sizes": _lying_profile(),
        "huge": rgb_profile("a", (1, 0, 0), (0, 1, 0), (0, 0, 1)) + bytes(4_000_000),
    }
    return {
        **{f"meta/profile {name}.jpg": (saved(plain, "JPEG", icc_profile=one), None) for name, one in profiles.items()},
        **{f"meta/profile {name}.png": (saved(plain, "PNG", icc_profile=one), None) for name, one in profiles.items()},
        "meta/exif.jpg": (saved(plain, "JPEG", exif=exif, comment=MARKUP), None),
        "meta/exif.webp": (saved(plain, "WEBP", exif=exif, xmp=MARKUP), None),
        "meta/exif loop.jpg": (saved(plain, "JPEG", exif=_exif_loop(next_=8)), None),
        "meta/exif counts.jpg": (saved(plain, "JPEG", exif=_exif_loop(count=2**32 - 1)), None),
        "meta/exif depth.png": (saved(plain, "PNG", exif=_exif_loop(inner=8)), None),
        "meta/text.png": (saved(plain, "PNG", pnginfo=info), None),
        "meta/xmp.jpg": (saved(plain, "JPEG", xmp=b"<x>" * 20_000), None),
        "meta/comment.gif": (saved(plain, "GIF", comment=MARKUP * 7), None),
    }


def _lying_profile() -> bytes:
    profile = bytearray(rgb_profile("a", (1, 0, 0), (0, 1, 0), (0, 0, 1)))
    struct.pack_into(">I", profile, 128, 2**32 - 1)  # tags
    struct.pack_into(">II", profile, 136, 2**32 - 9, 2**32 - 1)  # where the first is, and how long
    return bytes(profile)


def _exif_loop(*, next_: int = 0, count: int = 1, inner: int = 0) -> bytes:
    """A directory that is followed by itself, holds itself, or says that it holds more than there is."""
    entries = [(0x0112, 3, 1, 1), (0x010E, 2, count, 8), (0x8769, 4, 1, inner)]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", next_)


def _polyglots() -> Attacks:
    """Something else at the same time: a picture all the same, and nothing else is left of it."""
    script = saved(corners(0x2F2A, 1), "GIF")  # its width reads `*/`, so that a script may begin with its name
    return {
        "polyglot/zip.jpg": (saved(corners(), "JPEG") + b"PK\x03\x04" + MARKUP + b"PK\x05\x06" + bytes(18), None),
        "polyglot/page.png": (saved(corners(), "PNG") + MARKUP, None),
        "polyglot/script.gif": (script + b"/*" + b"*/=1;" + MARKUP, None),
        "polyglot/phar.jpg": (saved(corners(), "JPEG", comment=b"<?php __HALT_COMPILER(); ?>" + MARKUP), None),
        "polyglot/webp.webp": (saved(corners(), "WEBP") + MARKUP, None),
    }


def _cut_off() -> Attacks:
    """Pictures of each kind that end early, and files of a byte or two."""
    made: dict[str, tuple[bytes, Reason | None]] = {"cut/nothing.jpg": (b"", Reason.EMPTY)}
    for kind, options in _KINDS.items():
        whole = saved(noise(), kind, **options)
        for share in (0.02, 0.5):
            made[f"cut/{kind} at {share}"] = (whole[: max(30, int(len(whole) * share))], Reason.DAMAGED)
        made[f"cut/{kind} 1 byte"] = (whole[:1], Reason.UNSUPPORTED_TYPE)
    return made
