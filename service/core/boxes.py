"""Where each fragment of a CMAF file lies and how long it plays, read from the boxes that our own ffmpeg wrote.

A rendition is one track in one file: ftyp, moov, one global sidx, then a moof and an mdat for each fragment,
perhaps an mfra. Only headers, moov, sidx and moofs are read: of a film, well under one part in a hundred.
Section numbers are those of ISO/IEC 14496-12:2022 unless another document is named.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise

from service.core.isobmff import Box, Defaults, Run, box, child, children, rows, run

Read = Callable[[int, int], bytes]

_MAX_LOADED = 16 << 20  # bytes of one box in memory; a sidx of all 65,535 references has 786 kB
_NOT_SYNC = 0x0001_0000  # sample_is_non_sync_sample, 8.8.3.1
_AFTER_FRAGMENTS = {"mfra", "free", "skip"}


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """One moof and its mdat, or several in a row.

    `duration` is in seconds, up to the next fragment's decode time: what players that join fragments reckon with.
    `key_frame_bytes` go from the start of the moof to the end of its first sample.
    """

    offset: int
    bytes: int
    duration: Fraction
    starts_with_key: bool
    key_frame_bytes: int


@dataclass(frozen=True, kw_only=True)
class Index:
    """What playlists need of one rendition.

    `init_bytes` go up to where moov ends, `codec` is as in RFC 6381, `samples` is how many there are, and `priming` the
    seconds of the first fragment that an edit list hides: what an AAC encoder puts before the sound.
    """

    init_bytes: int
    sidx_offset: int
    sidx_bytes: int
    codec: str
    timescale: int
    priming: Fraction
    samples: int
    segments: tuple[Fragment, ...]

    @property
    def duration(self) -> Fraction:
        """Seconds that are presented."""
        return sum((fragment.duration for fragment in self.segments), -self.priming)


def read_index(read: Read, size: int) -> Index:
    """The index of a file of `size` bytes, of which `read(offset, length)` gives any part.

    Raises ValueError for a file that ends early, and for what ffmpeg's CMAF muxer does not write.
    """
    try:
        return _index(read, size)
    except (struct.error, IndexError) as error:
        raise ValueError(f"a box is too short for its fields: {error}") from error


def begins(read: Read, index: Index) -> Fraction:
    """The decode time of the first fragment, in seconds (8.8.12)."""
    first = index.segments[0]
    moof = _header(read, first.offset, first.offset + first.bytes)
    start = run(child(_content(read, moof), "traf"), first.offset, Defaults(0, 0, 0)).start
    return Fraction(start, index.timescale)


def _index(read: Read, size: int) -> Index:
    moov, sidx = _front(read, size)
    movie = _content(read, moov)
    trak = child(movie, "trak")
    timescale = _timescale(child(trak, "mdia", "mdhd"))
    defaults = Defaults(*struct.unpack_from(">3I", child(movie, "mvex", "trex"), 12))  # 8.8.3
    extents = _extents(_content(read, sidx), sidx.end)
    _check_rest(read, sum(extents[-1]), size)
    runs = [_run(read, offset, length, defaults) for offset, length in extents]
    spans = _spans(runs)
    return Index(
        init_bytes=moov.end,
        sidx_offset=sidx.offset,
        sidx_bytes=sidx.end - sidx.offset,
        codec=_codec(child(trak, "mdia", "minf", "stbl", "stsd")),
        timescale=timescale,
        priming=Fraction(_hidden(trak), timescale),
        samples=sum(samples.samples for samples in runs),
        segments=tuple(
            Fragment(
                offset=offset,
                bytes=length,
                duration=Fraction(span, timescale),
                starts_with_key=not samples.flags & _NOT_SYNC,
                key_frame_bytes=samples.first_end - offset,
            )
            for (offset, length), samples, span in zip(extents, runs, spans, strict=True)
        ),
    )


def _front(read: Read, size: int) -> tuple[Box, Box]:
    """The moov and the sidx, which both stand before any media; ftyp is first (4.3)."""
    found: dict[str, Box] = {}
    for next_box in _file_boxes(read, 0, size):
        kind = next_box.kind
        if kind in found or kind in {"moof", "mdat"} or (not found and kind != "ftyp"):
            raise ValueError(f"box {kind!r} at byte {next_box.offset} where ftyp, moov and sidx are expected")
        found[kind] = next_box
        if "moov" in found and kind == "sidx":
            return found["moov"], next_box
    raise ValueError("the file has no moov and sidx")


def _check_rest(read: Read, at: int, size: int) -> None:
    """The fragments and what may follow them make up the rest of the file."""
    if at > size:
        raise ValueError(f"the index (sidx) goes up to byte {at} of a file of {size}")
    for rest in _file_boxes(read, at, size):
        if rest.kind not in _AFTER_FRAGMENTS:
            raise ValueError(f"box {rest.kind!r} at byte {rest.offset} is not in the index (sidx)")


def _file_boxes(read: Read, at: int, end: int) -> Iterator[Box]:
    while at < end:
        found = _header(read, at, end)
        yield found
        at = found.end


def _header(read: Read, at: int, end: int) -> Box:
    return box(_exactly(read, at, min(16, end - at)), at, end)


def _content(read: Read, at: Box) -> bytes:
    return _exactly(read, at.body, at.end - at.body)


def _exactly(read: Read, offset: int, length: int) -> bytes:
    if length > _MAX_LOADED:
        raise ValueError(f"{length} bytes at byte {offset} are too many for a box of an index")
    data = read(offset, length)
    if len(data) != length:
        raise ValueError(f"the file ends early: {len(data)} of {length} bytes at byte {offset}")
    return data


def _timescale(mdhd: bytes) -> int:
    """Ticks a second (8.4.2)."""
    (timescale,) = struct.unpack_from(">I", mdhd, 20 if mdhd[0] == 1 else 12)
    if timescale == 0:
        raise ValueError("the track's timescale is 0")
    return int(timescale)


def _hidden(trak: bytes) -> int:
    """Ticks before the presentation begins, by the one edit there may be (8.6.6)."""
    if not children(trak, "edts"):
        return 0
    elst = child(trak, "edts", "elst")
    count, _, start = struct.unpack_from(">IQq" if elst[0] == 1 else ">IIi", elst, 4)
    if count != 1 or start < 0:
        raise ValueError("an edit list that does more than hide priming: the track would not start at zero")
    return int(start)


def _codec(stsd: bytes) -> str:
    """The codecs parameter (RFC 6381, 3.3) of the one sample entry (8.5.2)."""
    entry = box(stsd, 8, len(stsd), 8)
    match entry.kind:
        case "avc1":  # profile, constraints and level: ISO/IEC 14496-15, 5.3.3.1
            return f"avc1.{struct.unpack_from('>x3s', child(stsd[entry.body + 78 : entry.end], 'avcC'))[0].hex()}"
        case "mp4a":
            return _mp4a(child(stsd[entry.body + 28 : entry.end], "esds"))
        case _:
            raise ValueError(f"no codec string is known for {entry.kind!r}")


def _mp4a(esds: bytes) -> str:
    """Object type and audio object type; ffmpeg writes all three descriptors (ISO/IEC 14496-1, 7.2.6) at one size."""
    stream, decoder, kind, specific, audio = struct.unpack_from(">4xB7xB4xB12xB4xB", esds)
    if (stream, decoder, specific) != (3, 4, 5):
        raise ValueError("the descriptors in esds are not as ffmpeg writes them")
    return f"mp4a.{kind:x}.{audio >> 3}"


def _extents(sidx: bytes, anchor: int) -> list[tuple[int, int]]:
    """Offset and length of each subsegment (8.16.3)."""
    form, at, table = (">Q2xH", 20, 32) if sidx[0] else (">I2xH", 16, 24)
    first, count = struct.unpack_from(form, sidx, at)
    words = rows(sidx, table, count, ">I8x")
    if not words or any(word >> 31 for word in words):
        raise ValueError("the index (sidx) names no fragment, or further indexes")
    return list(zip(accumulate(words, initial=anchor + first), words, strict=False))


def _run(read: Read, offset: int, length: int, defaults: Defaults) -> Run:
    """The samples of a subsegment that is one moof and one mdat."""
    end = offset + length
    moof = _header(read, offset, end)
    if moof.kind != "moof":
        raise ValueError(f"the index (sidx) points to {moof.kind!r} at byte {offset}, not to a moof")
    mdat = _header(read, moof.end, end)
    if (mdat.kind, mdat.end) != ("mdat", end):
        raise ValueError(f"the moof at byte {offset} is not followed by an mdat that ends its fragment")
    samples = run(child(_content(read, moof), "traf"), offset, defaults)
    if not mdat.body <= samples.data_offset <= samples.first_offset < samples.first_end <= samples.data_end <= end:
        raise ValueError(f"samples of the moof at byte {offset} are not in its mdat")
    return samples


def _spans(runs: list[Run]) -> list[int]:
    """Ticks from each fragment's decode time to the next one's, which its samples need not fill."""
    starts = [samples.start for samples in runs] + [runs[-1].start + runs[-1].ticks]
    spans = [after - before for before, after in pairwise(starts)]
    if min(spans) <= 0:
        raise ValueError("the decode times (tfdt) of the fragments do not rise")
    return spans
