"""Boxes of ISO/IEC 14496-12:2022 in memory: headers, children, and the samples of a movie fragment.

Section numbers are those of that standard. Whatever does not fit raises ValueError, or struct.error or IndexError
where a box is too short for its fields: `boxes.read_index` turns these into ValueError too.
"""

import struct
from typing import NamedTuple


class Box(NamedTuple):
    """Where a box lies: its header at `offset`, its content from `body` to `end`."""

    kind: str
    offset: int
    body: int
    end: int


class Defaults(NamedTuple):
    """What a sample has that says nothing itself: ticks it lasts, bytes, flags (8.8.3)."""

    ticks: int
    size: int
    flags: int


class Run(NamedTuple):
    """The samples of one movie fragment: first decode time and sum of ticks, how many, and where their bytes lie.

    Of the first sample `flags`, and its bytes.
    """

    start: int
    ticks: int
    samples: int
    data_offset: int
    data_end: int
    flags: int
    first_offset: int
    first_end: int


def box(data: bytes, at: int, end: int, within: int = 0) -> Box:
    """The box at `at`, of which `data[within:]` has the header; size 1 means 64 bits, 0 up to the end (4.2)."""
    length, kind = struct.unpack_from(">I4s", data, within)
    header = 16 if length == 1 else 8
    if length == 1:
        (length,) = struct.unpack_from(">Q", data, within + 8)
    if length == 0:
        length = end - at
    if not header <= length <= end - at:
        raise ValueError(f"the box at byte {at} claims {length} of {end - at} bytes")
    return Box(kind.decode("latin-1"), at, at + header, at + length)


def children(data: bytes, kind: str) -> list[bytes]:
    """The contents of every box of this kind."""
    found, at = [], 0
    while at < len(data):
        inner = box(data, at, len(data), at)
        if inner.kind == kind:
            found.append(data[inner.body : inner.end])
        at = inner.end
    return found


def child(data: bytes, *path: str) -> bytes:
    """The content of the one box at `path`."""
    for kind in path:
        found = children(data, kind)
        if len(found) != 1:
            raise ValueError(f"{len(found)} {kind} boxes where one is expected")
        data = found[0]
    return data


def rows(data: bytes, at: int, count: int, form: str) -> list[int]:
    """The one number that `form` has, of each of `count` rows."""
    length = struct.calcsize(form) * count
    if len(data) - at < length:
        raise ValueError(f"a box of {len(data)} bytes claims {count} entries")
    return [number for (number,) in struct.iter_unpack(form, data[at : at + length])]


def run(traf: bytes, moof: int, defaults: Defaults) -> Run:
    """The samples of a track fragment whose moof begins at byte `moof`; `defaults` are those of trex."""
    tfdt = child(traf, "tfdt")
    (start,) = struct.unpack_from(">Q" if tfdt[0] == 1 else ">I", tfdt, 4)  # 8.8.12
    defaults, base = _fragment_defaults(child(traf, "tfhd"), moof, defaults)
    truns = [trun for trun in children(traf, "trun") if any(trun[4:8])]
    if not truns:
        raise ValueError(f"the moof at byte {moof} has no sample")
    offset, first = _first_sample(truns[0], defaults)
    extents = _extents(truns, base, defaults)
    return Run(
        start=start,
        ticks=sum(_sum(trun, 0x100, defaults.ticks) for trun in truns),
        samples=sum(_count(trun) for trun in truns),
        data_offset=min(begin for begin, _ in extents),
        data_end=max(end for _, end in extents),
        flags=first.flags,
        first_offset=base + offset,
        first_end=base + offset + first.size,
    )


def _fragment_defaults(tfhd: bytes, moof: int, defaults: Defaults) -> tuple[Defaults, int]:
    """The defaults of one fragment, and what its data offsets count from (8.8.7)."""
    given = int.from_bytes(tfhd[1:4], "big")
    (base,), at = (struct.unpack_from(">Q", tfhd, 8), 16) if given & 0x1 else ((moof,), 8)
    (_, *own), _ = _optional(tfhd, at, given, (0x2, 0x8, 0x10, 0x20))
    return _or(own, defaults), base


def _first_sample(trun: bytes, defaults: Defaults) -> tuple[int, Defaults]:
    """Where a run begins, and what its first sample has (8.8.8)."""
    given = int.from_bytes(trun[1:4], "big")
    (offset, first_flags), at = _optional(trun, 8, given, (0x1, 0x4))
    own, _ = _optional(trun, at, given, (0x100, 0x200, 0x400))
    first = _or(own, defaults)
    return offset or 0, first if first_flags is None else first._replace(flags=first_flags)


def _extents(truns: list[bytes], base: int, defaults: Defaults) -> list[tuple[int, int]]:
    """Where the bytes of each run lie: where it says, else right behind the one before it (8.8.8)."""
    found, at = [], base
    for trun in truns:
        (offset,), _ = _optional(trun, 8, int.from_bytes(trun[1:4], "big"), (0x1,))
        begin = at if offset is None else base + offset
        at = begin + _sum(trun, 0x200, defaults.size)
        found.append((begin, at))
    return found


def _count(trun: bytes) -> int:
    """How many samples a run has."""
    return int.from_bytes(trun[4:8], "big")


def _sum(trun: bytes, column: int, default: int) -> int:
    """The sum of a column over all samples of a run: 0x100 is how long they last, 0x200 their bytes (8.8.8)."""
    given, count = struct.unpack_from(">II", trun)
    if not given & column:
        return int(count * default)
    _, at = _optional(trun, 8, given, (0x1, 0x4))
    before = (given & (column - 1) & 0xF00).bit_count()
    after = (given & 0xF00).bit_count() - before - 1
    return sum(rows(trun, at, count, f">{4 * before}xI{4 * after}x"))


def _optional(data: bytes, at: int, given: int, flags: tuple[int, ...]) -> tuple[list[int | None], int]:
    """The 32-bit fields that are there according to the bits of `given`, and where they end."""
    found: list[int | None] = []
    for flag in flags:
        found.append(struct.unpack_from(">I", data, at)[0] if given & flag else None)
        at += 4 if given & flag else 0
    return found, at


def _or(own: list[int | None], defaults: Defaults) -> Defaults:
    return Defaults(*(default if value is None else value for value, default in zip(own, defaults, strict=True)))
