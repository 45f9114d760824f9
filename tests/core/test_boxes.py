"""The index of a CMAF file: of real ones that ffmpeg wrote, of hand-made ones, and of broken ones."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core import boxes
from service.core.boxes import Fragment, Index, read_index
from tests.core.renditions import EXACT_SOUND, LATE_SOUND, index_of, needs_ffmpeg, packets, probed, sound, video

KEY = 0x0200_0000
NOT_KEY = 0x0101_0000


# Hand-made files: one H.264 track of two fragments, each box as small as the standard lets it be


def box(kind: str, *parts: bytes, wide: bool = False) -> bytes:
    """A box with a 32-bit or a 64-bit size."""
    body = b"".join(parts)
    if wide:
        return struct.pack(">I4sQ", 1, kind.encode(), 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind.encode()) + body


def full(kind: str, version: int, flags: int, *parts: bytes) -> bytes:
    """A box with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def words(*numbers: int) -> bytes:
    """Numbers of 32 bits."""
    return struct.pack(f">{len(numbers)}I", *numbers)


AVCC = box("avcC", bytes([1, 0x64, 0x00, 0x1F, 0xFF]))
AVC1 = box("avc1", bytes(78), AVCC)
ESDS = full("esds", 0, 0, bytes.fromhex("03808080220001000480808014401500000000000000000000000580808002129006"))
MP4A = box("mp4a", bytes(28), ESDS)


def moov(*, timescale: int = 1000, entry: bytes = AVC1, edits: bytes = b"", version: int = 0) -> bytes:
    """A movie of one track; trex gives samples 40 ticks, 10 bytes and the flags of a key frame."""
    mdhd = full("mdhd", version, 0, bytes(16 if version else 8), words(timescale), bytes(12 if version else 8))
    stsd = full("stsd", 0, 0, words(1), entry)
    trak = box("trak", edits, box("mdia", mdhd, box("minf", box("stbl", stsd))))
    return box("moov", full("mvhd", 0, 0), trak, box("mvex", full("trex", 0, 0, words(1, 1, 40, 10, KEY))))


def trun(*samples: tuple[int, int], offset: int, key: bool = True) -> bytes:
    """A run whose samples have ticks and bytes of their own, and its first one flags."""
    rows = b"".join(words(*sample) for sample in samples)
    return full("trun", 0, 0x305, words(len(samples), offset, KEY if key else NOT_KEY), rows)


TFHD = full("tfhd", 0, 0x020000, words(1))


def moof(tfdt: bytes, *runs: bytes, tfhd: bytes = TFHD) -> bytes:
    """A movie fragment of one track."""
    return box("moof", full("mfhd", 0, 0, words(1)), box("traf", tfhd, tfdt, *runs))


def time(ticks: int, version: int = 1) -> bytes:
    """A decode time of 64 or 32 bits."""
    return full("tfdt", version, 0, struct.pack(">Q" if version else ">I", ticks))


def fragment(ticks: int, *samples: tuple[int, int], key: bool = True, wide: bool = False) -> bytes:
    """A moof and its mdat."""
    head = 16 if wide else 8
    length = len(moof(time(ticks), trun(*samples, offset=0)))
    media = box("mdat", bytes(sum(size for _, size in samples)), wide=wide)
    return moof(time(ticks), trun(*samples, offset=length + head, key=key)) + media


def sidx(*lengths: int, version: int = 1, first_offset: int = 0, kind: int = 0) -> bytes:
    """A global index; its times are not read."""
    times = struct.pack(">QQ" if version else ">II", 0, first_offset)
    rows = b"".join(words(kind << 31 | length, 0, 0x8000_0000) for length in lengths)
    return full("sidx", version, 0, words(1, 1000), times, struct.pack(">HH", 0, len(lengths)), rows)


FTYP = box("ftyp", b"iso6", bytes(4), b"cmfc")
FRAGMENTS = (fragment(0, (40, 100), (40, 20)), fragment(80, (40, 90)))
GOOD = FTYP + moov() + sidx(*map(len, FRAGMENTS)) + b"".join(FRAGMENTS)


def parsed(data: bytes) -> Index:
    """The index of a file in memory."""
    return read_index(lambda offset, length: data[offset : offset + length], len(data))


def rebuilt(
    *fragments: bytes, movie: bytes | None = None, index: bytes | None = None, front: bytes = FTYP, rest: bytes = b""
) -> bytes:
    """A file of these parts, good ones where none is given."""
    chosen = fragments or FRAGMENTS
    return b"".join([front, movie or moov(), index or sidx(*map(len, chosen)), *chosen, rest])


def test_hand_made_file_gives_the_whole_index() -> None:
    """Every field of the index comes from the box that the standard says."""
    start = len(FTYP) + len(moov())
    media = start + len(sidx(1, 1))
    first, second = FRAGMENTS
    expected = Index(
        init_bytes=start,
        sidx_offset=start,
        sidx_bytes=len(sidx(1, 1)),
        codec="avc1.64001f",
        timescale=1000,
        priming=Fraction(0),
        samples=3,
        segments=(
            Fragment(
                offset=media,
                bytes=len(first),
                duration=Fraction(80, 1000),
                starts_with_key=True,
                key_frame_bytes=len(first) - 20,
            ),
            Fragment(
                offset=media + len(first),
                bytes=len(second),
                duration=Fraction(40, 1000),
                starts_with_key=True,
                key_frame_bytes=len(second),
            ),
        ),
    )
    assert expected == parsed(GOOD)
    assert Fraction(120, 1000) == parsed(GOOD).duration


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(rebuilt(index=sidx(*map(len, FRAGMENTS), version=0)), id="32-bit sidx"),
        pytest.param(rebuilt(movie=moov(version=1)), id="64-bit mdhd"),
        pytest.param(rebuilt(rest=box("mfra", bytes(40))), id="mfra"),
        pytest.param(rebuilt(rest=box("free", bytes(40)) + box("mfra")), id="free and mfra"),
        pytest.param(rebuilt(rest=b"\0\0\0\0mfra" + bytes(9)), id="last box without a size"),
        pytest.param(rebuilt(front=box("ftyp", b"iso6", bytes(4), wide=True)), id="64-bit ftyp"),
        pytest.param(
            rebuilt(fragment(0, (40, 100), (40, 20), wide=True), fragment(80, (40, 90), wide=True)), id="64-bit mdat"
        ),
        pytest.param(
            FTYP + moov() + sidx(*map(len, FRAGMENTS), first_offset=12) + box("free", b"1234") + b"".join(FRAGMENTS),
            id="space before the first fragment",
        ),
        pytest.param(FTYP + box("free") + moov() + box("udta") + GOOD[len(FTYP + moov()) :], id="boxes between"),
    ],
)
def test_other_spellings_of_the_same_file(data: bytes) -> None:
    """Box sizes, versions and boxes that carry nothing do not change what the fragments are."""
    index = parsed(data)
    assert [Fraction(80, 1000), Fraction(40, 1000)] == [each.duration for each in index.segments]
    assert [each.starts_with_key for each in index.segments] == [True, True]
    assert data[index.segments[0].offset + 4 :][:4] == b"moof"
    assert data[index.sidx_offset + 4 :][:4] == b"sidx"


def _traf(tfhd: bytes, *runs: bytes, version: int = 1) -> bytes:
    return moof(time(0, version), *runs, tfhd=tfhd) + box("mdat", bytes(100))


def _placed(runs: Callable[[int], bytes], tfhd: bytes, version: int = 1) -> bytes:
    """A fragment of 100 bytes of media, whose runs are told where that begins."""
    media = len(_traf(tfhd, runs(0), version=version)) - 100
    return _traf(tfhd, runs(media), version=version)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(_placed(lambda at: full("trun", 0, 0x1, words(3, at)), TFHD), (120, True, 10), id="trex"),
        pytest.param(
            _placed(
                lambda at: full("trun", 0, 0x1, words(3, at)), full("tfhd", 0, 0x02003A, words(1, 1, 7, 30, NOT_KEY))
            ),
            (21, False, 30),
            id="tfhd",
        ),
        pytest.param(
            _placed(lambda at: full("trun", 0, 0x5, words(2, at, KEY)), full("tfhd", 0, 0x020020, words(1, NOT_KEY))),
            (80, True, 10),
            id="first sample's flags",
        ),
        pytest.param(
            _placed(lambda at: full("trun", 1, 0xF01, words(2, at, 5, 60, KEY, 0, 6, 9, NOT_KEY, 8)), TFHD),
            (11, True, 60),
            id="every column",
        ),
        pytest.param(
            _placed(lambda at: full("trun", 1, 0xC01, words(1, at, NOT_KEY, 0)), TFHD, version=0),
            (40, False, 10),
            id="flags and composition offset",
        ),
        pytest.param(
            _placed(
                lambda at: (
                    full("trun", 0, 0x1, words(0, at))
                    + full("trun", 0, 0x201, words(1, at, 50))
                    + full("trun", 0, 0x101, words(2, at + 50, 1, 2))
                ),
                TFHD,
            ),
            (43, True, 50),
            id="several runs, the first one empty",
        ),
    ],
)
def test_samples_take_what_they_lack_from_the_defaults(data: bytes, expected: tuple[int, bool, int]) -> None:
    """Duration, flags and size come from trun, else from tfhd, else from trex (8.8.3, 8.8.7, 8.8.8)."""
    (only,) = parsed(rebuilt(data)).segments
    first_size = only.key_frame_bytes - (len(data) - 100)
    assert expected == (only.duration * 1000, only.starts_with_key, first_size)


def test_data_may_be_counted_from_anywhere_in_the_file() -> None:
    """A base data offset in tfhd counts from the file's first byte (8.8.7)."""
    head = len(FTYP) + len(moov()) + len(sidx(1))
    tfhd = full("tfhd", 0, 0x1, words(1), struct.pack(">Q", head))
    data = _placed(lambda at: full("trun", 0, 0x201, words(1, at, 33)), tfhd)
    assert len(data) - 100 + 33 == parsed(rebuilt(data)).segments[0].key_frame_bytes


def test_gap_between_fragments_belongs_to_the_earlier_one() -> None:
    """A fragment is shown until the next one's decode time, although its samples end before."""
    index = parsed(rebuilt(fragment(0, (40, 9)), fragment(100, (40, 9))))
    assert [Fraction(100, 1000), Fraction(40, 1000)] == [each.duration for each in index.segments]


def test_fragment_that_starts_within_a_gop_is_told_apart() -> None:
    """The sync flag of its first sample says whether a fragment can be started with."""
    index = parsed(rebuilt(fragment(0, (40, 9)), fragment(40, (40, 9), key=False)))
    assert [each.starts_with_key for each in index.segments] == [True, False]


@pytest.mark.parametrize(
    "elst", [full("elst", 0, 0, words(1, 0, 21, 1 << 16)), full("elst", 1, 0, struct.pack(">IQqI", 1, 0, 21, 1 << 16))]
)
def test_an_edit_that_hides_priming_shortens_the_presentation(elst: bytes) -> None:
    """Fragments keep their decode times; the presentation is shorter by what the edit list hides."""
    index = parsed(rebuilt(movie=moov(entry=MP4A, edits=box("edts", elst))))
    assert ("mp4a.40.2", Fraction(21, 1000)) == (index.codec, index.priming)
    assert Fraction(120 - 21, 1000) == index.duration


EMPTY_EDIT = box("edts", full("elst", 0, 0, struct.pack(">IIiI", 1, 500, -1, 1 << 16)))
TWO_EDITS = box("edts", full("elst", 0, 0, words(2, 0, 0, 1 << 16, 0, 0, 1 << 16)))
BAD_ESDS = full("esds", 0, 0, bytes.fromhex("0422000100") + bytes(40))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no moov and sidx"),
        (b"\0\0\0\1", "too short"),
        (b"RIFF" + bytes(40), "claims"),
        (box("moov"), "'moov' at byte 0"),
        (FTYP + moov(), "no moov and sidx"),
        (FTYP + sidx(1), "no moov and sidx"),
        (FTYP + FTYP, "'ftyp' at byte"),
        (FTYP + moov() + b"".join(FRAGMENTS), "'moof' at byte"),
        (rebuilt(movie=box("moov")), "0 trak boxes"),
        (rebuilt(movie=box("moov", box("trak"), box("trak"))), "2 trak boxes"),
        (rebuilt(movie=moov(timescale=0)), "timescale is 0"),
        (rebuilt(movie=moov(entry=box("hvc1", bytes(78)))), "no codec string"),
        (rebuilt(movie=moov(entry=box("avc1", bytes(78)))), "0 avcC boxes"),
        (rebuilt(movie=moov(entry=box("avc1", bytes(78), box("avcC", b"1")))), "too short"),
        (rebuilt(movie=moov(entry=box("avc1", bytes(7)))), "0 avcC boxes"),
        (rebuilt(movie=moov(entry=box("mp4a", bytes(28), BAD_ESDS))), "descriptors"),
        (rebuilt(movie=moov(edits=EMPTY_EDIT)), "not start at zero"),
        (rebuilt(movie=moov(edits=TWO_EDITS)), "not start at zero"),
        (rebuilt(movie=box("moov", bytes(1 << 25))), "too many for a box"),
        (rebuilt(index=sidx()), "names no fragment"),
        (rebuilt(index=sidx(10, 10, kind=1)), "further indexes"),
        (rebuilt(index=full("sidx", 0, 0, bytes(16), words(9), bytes(12 * 8))), "entries"),
        (rebuilt(index=sidx(0, sum(map(len, FRAGMENTS)))), "too short"),
        (rebuilt(index=sidx(1 << 30)), "of a file of"),
        (rebuilt(index=sidx(len(FRAGMENTS[0]))), "'moof' at byte"),
        (rebuilt(index=sidx(sum(map(len, FRAGMENTS)))), "not followed by an mdat"),
        (rebuilt(index=sidx(*map(len, FRAGMENTS), first_offset=4)), "of a file of"),
        (rebuilt(box("mdat", bytes(50))), "not to a moof"),
        (rebuilt(box("moof")), "too short"),
        (rebuilt(box("moof") + box("free")), "not followed by an mdat"),
        (rebuilt(box("moof") + box("mdat", b"1")), "0 traf boxes"),
        (rebuilt(moof(b"", trun((1, 1), offset=0)) + box("mdat", b"1")), "0 tfdt boxes"),
        (rebuilt(moof(time(0)) + box("mdat", b"1")), "no sample"),
        (rebuilt(moof(time(0), trun((1, 1), offset=0)) + box("mdat", b"1")), "not in its mdat"),
        (rebuilt(moof(time(0), trun((1, 9), offset=999)) + box("mdat", b"1")), "not in its mdat"),
        (rebuilt(_placed(lambda at: full("trun", 0, 0x1, words(0xFFFF_FFFF, at)), TFHD)), "not in its mdat"),
        (rebuilt(_placed(lambda at: full("trun", 0, 0x201, words(2, at, 50, 51)), TFHD)), "not in its mdat"),
        (rebuilt(_placed(lambda at: full("trun", 0, 0x201, words(1, at, 0)), TFHD)), "not in its mdat"),
        (
            rebuilt(
                _placed(
                    lambda at: (
                        full("trun", 0, 0x201, words(1, at, 50)) + full("trun", 0, 0x201, words(1, max(8, at) - 8, 9))
                    ),
                    TFHD,
                )
            ),
            "not in its mdat",
        ),
        (
            rebuilt(
                _placed(
                    lambda at: full("trun", 0, 0x201, words(1, at, 50)) + full("trun", 0, 0x200, words(2, 25, 26)), TFHD
                )
            ),
            "not in its mdat",
        ),
        (rebuilt(_placed(lambda at: full("trun", 0, 0x301, words(1 << 30, at, 1, 9)), TFHD)), "entries"),
        (rebuilt(_placed(lambda at: full("trun", 0, 0x301, words(1, at)), TFHD)), "too short"),
        (rebuilt(fragment(40, (40, 9)), fragment(40, (40, 9))), "do not rise"),
        (rebuilt(fragment(0, (0, 9))), "do not rise"),
        (rebuilt(rest=box("mdat")), "not in the index"),
        (rebuilt(rest=b"junk"), "too short"),
    ],
)
def test_malformed_files_are_refused(data: bytes, message: str) -> None:
    """Whatever ffmpeg's CMAF muxer does not write is a ValueError that says what is wrong."""
    with pytest.raises(ValueError, match=message):
        parsed(data)


def test_truncated_file_is_refused() -> None:
    """A file that was cut anywhere, even between two boxes, is refused."""
    for length in range(len(GOOD)):
        with pytest.raises(ValueError, match=r"."):
            parsed(GOOD[:length])


def test_file_that_shrinks_while_it_is_read_is_refused() -> None:
    """A reader that gives less than was asked for ends in a plain message."""
    with pytest.raises(ValueError, match="the file ends early"):
        read_index(lambda offset, length: GOOD[offset : offset + length][:-1], len(GOOD))


@settings(max_examples=400, deadline=1000)
@given(data=st.data())
def test_damage_never_does_more_than_a_value_error(data: st.DataObject) -> None:
    """However a file was damaged: an index whose fragments lie in the file, or ValueError; never a large read."""
    damaged = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=8))
        damaged = damaged or bytearray(1)
    asked: list[int] = []

    def read(offset: int, length: int) -> bytes:
        asked.append(length)
        return bytes(damaged[offset : offset + length])

    try:
        index = read_index(read, len(damaged))
    except ValueError:
        pass
    else:
        assert all(0 < each.offset < each.offset + each.bytes <= len(damaged) for each in index.segments)
        assert all(0 < each.key_frame_bytes <= each.bytes for each in index.segments)
    assert max(asked, default=0) <= len(damaged)


# Real files


@needs_ffmpeg
@pytest.mark.parametrize(
    ("rate", "seconds", "frames"),
    [("30", "10", 300), ("30000/1001", "10", 300), ("24000/1001", "10", 240), ("25", "9.3", 233), ("60", "3", 180)],
)
def test_fragments_of_real_pictures(tmp_path: Path, rate: str, seconds: str, frames: int) -> None:
    """Each fragment is a GOP that begins with its keyframe where ffprobe finds it, and lasts exactly its frames."""
    file = video(tmp_path / "video.mp4", rate=rate, seconds=seconds)
    index = index_of(file)
    keys = [(int(pos), int(size)) for size, pos, flags in packets(file, "size,pos,flags") if "K" in flags]
    assert [pos + size for pos, size in keys] == [each.offset + each.key_frame_bytes for each in index.segments]
    assert frames / Fraction(rate) == index.duration
    assert all((each.duration * Fraction(rate)).denominator == 1 for each in index.segments)
    assert {True} == {each.starts_with_key for each in index.segments}
    assert {2} == {round(each.duration) for each in index.segments[:-1]}
    assert frames == index.samples
    profile, level = probed(file, "stream=profile,level").strip().split(",")
    assert ("Main", f"avc1.4d40{int(level):02x}") == (profile, index.codec)


@needs_ffmpeg
@pytest.mark.parametrize(
    ("flags", "priming"), [pytest.param(LATE_SOUND, 0, id="late"), pytest.param(EXACT_SOUND, 1024, id="exact")]
)
def test_fragments_of_real_sound(tmp_path: Path, flags: tuple[str, ...], priming: int) -> None:
    """Ten seconds of sound last ten seconds where the encoder's first frame is hidden, and 21 ms more where not."""
    file = sound(tmp_path / "sound.mp4", flags=flags)
    index = index_of(file)
    assert ("mp4a.40.2", 48_000, Fraction(priming, 48_000)) == (index.codec, index.timescale, index.priming)
    assert Fraction(480_000 + 1024 - priming, 48_000) == index.duration
    assert -(-480_000 // 1024) + 1 == index.samples
    assert [Fraction(94 * 1024, 48_000)] * 4 == [each.duration for each in index.segments[:-1]]


@needs_ffmpeg
def test_media_is_not_read(tmp_path: Path) -> None:
    """Headers and movie fragments alone are read, so that a film of gigabytes needs no more memory than a clip."""
    file = video(tmp_path / "video.mp4", bit_rate="2M")
    data = file.read_bytes()
    asked: list[int] = []

    def read(offset: int, length: int) -> bytes:
        asked.append(length)
        return data[offset : offset + length]

    index = boxes.read_index(read, len(data))
    assert len(index.segments) == 5
    assert sum(asked) < len(data) / 100
    assert max(asked) < 2000
