"""Pieces of one rendition joined without an encode: one init segment, one index, and the fragments of all in a row.

As our own ffmpeg writes them: each piece has the times that it has in the whole (`-output_ts_offset`), and its
fragments' offsets count from their own moof, so that they may lie anywhere. ISO/IEC 14496-12:2022.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from service.core import boxes
from service.core.boxes import Index, Read

_ROW = 12  # bytes of a reference in sidx (8.16.3)
_MOST_ROWS = 65_535
_HEAD = 24  # bytes of a moof up to the end of its first box, mfhd, which ends in the sequence number (8.8.5)


@dataclass(frozen=True, kw_only=True)
class Extent:
    """Bytes that are copied from one of the pieces."""

    piece: int
    offset: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """A piece: `read(offset, length)` gives any part of its `size` bytes."""

    read: Read
    size: int


Part = bytes | Extent


def joined(pieces: Sequence[Source]) -> list[Part]:
    """What the whole consists of, in order.

    Raises ValueError where a piece is no file of ffmpeg's CMAF muxer, is another rendition, or does not go on where
    the one before it ends.
    """
    indices = [boxes.read_index(piece.read, piece.size) for piece in pieces]
    front = _front(pieces[0], indices[0])
    for number, (piece, index) in enumerate(zip(pieces, indices, strict=True)):
        if _front(piece, index) != front:
            raise ValueError(f"piece {number} is encoded otherwise than the first")
    _check_times(pieces, indices)
    parts: list[Part] = [pieces[0].read(0, indices[0].sidx_offset), _index(pieces, indices)]
    fragments = ((at, segment) for at, index in enumerate(indices) for segment in index.segments)
    for sequence, (at, segment) in enumerate(fragments, start=1):
        parts.append(_numbered(pieces[at].read(segment.offset, _HEAD), sequence))
        parts.append(Extent(piece=at, offset=segment.offset + _HEAD, bytes=segment.bytes - _HEAD))
    return parts


def _front(piece: Source, index: Index) -> bytes:
    """ftyp and moov: codec, size, timescale, edit list."""
    return piece.read(0, index.init_bytes)


def _check_times(pieces: Sequence[Source], indices: Sequence[Index]) -> None:
    ends: Fraction | None = None
    for number, (piece, index) in enumerate(zip(pieces, indices, strict=True)):
        begins = boxes.begins(piece.read, index)
        if ends is not None and begins != ends:
            raise ValueError(
                f"piece {number} begins at {float(begins):.3f} s, the one before ends at {float(ends):.3f} s"
            )
        ends = begins + index.duration + index.priming


def _index(pieces: Sequence[Source], indices: Sequence[Index]) -> bytes:
    """The first piece's sidx with the references of all; its header says when the whole begins."""
    rows = b"".join(_rows(piece, index) for piece, index in zip(pieces, indices, strict=True))
    count = len(rows) // _ROW
    if count > _MOST_ROWS:
        raise ValueError(f"{count} fragments are too many for one index (sidx)")
    first = pieces[0].read(indices[0].sidx_offset, indices[0].sidx_bytes)
    header = first[: len(first) - len(indices[0].segments) * _ROW]
    return struct.pack(">I", len(header) + len(rows)) + header[4:-2] + struct.pack(">H", count) + rows


def _rows(piece: Source, index: Index) -> bytes:
    end = index.sidx_offset + index.sidx_bytes
    size = len(index.segments) * _ROW
    return piece.read(end - size, size)


def _numbered(head: bytes, sequence: int) -> bytes:
    """The beginning of a moof, whose fragment is the whole's `sequence`th."""
    if head[4:8] != b"moof" or head[8:16] != b"\0\0\0\x10mfhd":
        raise ValueError("a movie fragment that does not begin with its number (mfhd)")
    return head[:-4] + struct.pack(">I", sequence)


def size(parts: Iterable[Part]) -> int:
    """Bytes of the whole."""
    return sum(part.bytes if isinstance(part, Extent) else len(part) for part in parts)
