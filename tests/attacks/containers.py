"""MP4 boxes, Matroska elements and H.264 headers, written by hand so that they can lie."""

import struct
from collections.abc import Callable
from functools import reduce

_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts"})


def box(kind: bytes, *parts: bytes) -> bytes:
    """ISO/IEC 14496-12, 4.2."""
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def changed(film: bytes, kind: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """An MP4 with the content of each box `kind` replaced, and the sizes of those around it set right."""
    made, at = b"", 0
    while at < len(film):
        size, name = struct.unpack_from(">I4s", film, at)
        content = film[at + 8 : at + size]
        if name == kind:
            content = change(content)
        elif name in _CONTAINERS:
            content = changed(content, kind, change)
        made += box(name, content)
        at += size
    return made


def poked(film: bytes, kind: bytes, offset: int, layout: str, *values: int) -> bytes:
    """The first box `kind` with other numbers at `offset` of its content; negative: in its own header."""
    made = bytearray(film)
    struct.pack_into(layout, made, film.index(kind) + 4 + offset, *values)
    return bytes(made)


def nested(kind: bytes, depth: int, inner: bytes = b"") -> bytes:
    """A box in a box in a box."""
    heads = (struct.pack(">I", 8 * (depth - n) + len(inner)) + kind for n in range(depth))
    return b"".join(heads) + inner


def element(identity: str, *parts: bytes) -> bytes:
    """RFC 8794: an id in hexadecimal, a size of eight bytes, the data."""
    body = b"".join(parts)
    return bytes.fromhex(identity) + (len(body) | 1 << 56).to_bytes(8, "big") + body


def number(identity: str, value: int) -> bytes:
    """An unsigned integer."""
    return element(identity, value.to_bytes(8, "big"))


def text(identity: str, value: bytes) -> bytes:
    """A string, or what is said to be one."""
    return element(identity, value)


def matroska(*tracks: bytes, clusters: bytes = b"", more: bytes = b"") -> bytes:
    """RFC 9559: a segment of these tracks, a tick of its clock being a millisecond."""
    head = element("1a45dfa3", number("4286", 1), text("4282", b"matroska"), number("4287", 4), number("4285", 2))
    info = element("1549a966", number("2ad7b1", 1_000_000))
    return head + element("18538067", info, element("1654ae6b", *tracks), more, clusters)


def picture_track(codec: bytes, width: int, height: int, *, index: int = 1, private: bytes = b"") -> bytes:
    """A track of pictures."""
    size = element("e0", number("b0", width), number("ba", height))
    more = element("63a2", private) if private else b""
    return element("ae", number("d7", index), number("73c5", index), number("83", 1), text("86", codec), size, more)


def sound_track(*, index: int = 1, language: bytes = b"und", name: bytes = b"") -> bytes:
    """A track of 16-bit samples, 8000 a second."""
    sound = element("e1", element("b5", struct.pack(">d", 8000)), number("9f", 1), number("6264", 16))
    said = text("22b59c", language), text("536e", name)
    codec = text("86", b"A_PCM/INT/LIT")
    return element("ae", number("d7", index), number("73c5", index), number("83", 2), codec, *said, sound)


def cluster(time: int, *blocks: bytes) -> bytes:
    """Blocks that begin at `time` milliseconds."""
    return element("1f43b675", number("e7", time), *blocks)


def block(data: bytes, *, flags: int = 0x80, time: int = 0) -> bytes:
    """A block of track 1; flags 0x82: Xiph lacing, whose head is in `data`."""
    return element("a3", b"\x81", struct.pack(">hB", time, flags), data)


def h264_size(width: int, height: int) -> bytes:
    """A sequence parameter set that claims this size (ITU-T H.264, 7.3.2.1.1), baseline profile, level 6.2."""
    bits = f"{66:08b}{0:08b}{62:08b}" + "".join(map(_golomb, (0, 0, 2, 1)))
    bits += "0" + _golomb(width // 16 - 1) + _golomb(height // 16 - 1) + "1100" + "1"
    bits += "0" * (-len(bits) % 8)
    return b"\x67" + int(bits, 2).to_bytes(len(bits) // 8, "big")


def _golomb(value: int) -> str:
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def avc_description(width: int, height: int) -> bytes:
    """A `stsd` of one H.264 track (ISO/IEC 14496-15, 5.3.3)."""
    sps, pps = h264_size(width, height), b"\x68\xce\x38\x80"
    record = b"\x01\x42\x00\x3e\xff\xe1" + struct.pack(">H", len(sps)) + sps + b"\x01" + struct.pack(">H", 4) + pps
    visual = bytes(6) + b"\0\1" + bytes(16) + struct.pack(">HHIII", 65_535, 65_535, 0x480000, 0x480000, 0)
    return struct.pack(">II", 0, 1) + box(
        b"avc1", visual + b"\0\1" + bytes(32) + b"\0\x18\xff\xff", box(b"avcC", record)
    )


def replaced(data: bytes, *pairs: tuple[bytes, bytes]) -> bytes:
    """Each first of a pair is in `data`, and becomes the second."""
    assert all(old in data for old, _ in pairs), [old for old, _ in pairs if old not in data]
    return reduce(lambda made, pair: made.replace(*pair), pairs, data)
