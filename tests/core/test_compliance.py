"""Which sources may be copied, by what their headers and packets say, and which copies may be published."""

import struct
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from service.core import compliance, copying
from service.core.boxes import Fragment, Index
from service.core.media import Clip
from service.core.sniff import StreamFile
from tests.core.samples import PHONE, RULES, SONG

MOST = 5_000_000
GOOD = replace(
    PHONE,
    video=replace(
        PHONE.video,
        width=1920,
        height=1080,
        bit_rate=4_900_000,
        profile="High",
        level=40,
        pixel_format="yuv420p",
        progressive=True,
        upright=True,
        tick=Fraction(1, 30_000),
        starts=0.0,
        primaries="bt709",
    ),
    timeline=replace(PHONE.timeline, longest_gop=2.002, keyframes=5, regular=True, closed=True, intact=True, reorder=2),
)


def with_video(**changed: Any) -> Clip:
    """The same but for its picture."""
    return replace(GOOD, video=replace(GOOD.video, **changed))


def with_timeline(**changed: Any) -> Clip:
    """The same but for its packets."""
    return replace(GOOD, timeline=replace(GOOD.timeline, **changed))


def reasons(clip: Clip, *, frame_rate: Fraction = Fraction(30_000, 1001), most: int = MOST) -> tuple[str, ...]:
    """Why it is not copied."""
    return compliance.reasons_against(clip, RULES.video, max_bit_rate=most, frame_rate=frame_rate)


@pytest.mark.parametrize(
    "clip",
    [
        GOOD,
        with_video(width=1080, height=1920),
        with_video(profile="Main", level=42),
        with_video(profile="Constrained Baseline", level=13),
        with_video(transfer=None, primaries="unknown"),
        with_video(bit_rate=MOST),
        with_video(starts=0.008),
        with_video(bit_rate=None),
        with_timeline(longest_gop=4.004),
        with_timeline(keyframes=20),
        with_timeline(duration=0.3, keyframes=1),
        replace(GOOD, sniffed=StreamFile(demuxers=("matroska",), certain=True)),
    ],
)
def test_what_may_be_copied(clip: Clip):
    """Any orientation and profile that players know, with what bounds there are inclusive."""
    assert () == reasons(replace(clip, size=6_000_000))


@pytest.mark.parametrize(
    ("clip", "why"),
    [
        (SONG, "it has no picture"),
        (replace(GOOD, timeline=None), "it has no picture"),
        (replace(GOOD, sniffed=StreamFile(demuxers=("mpegts",), certain=True)), "its container is mpegts"),
        (replace(GOOD, sniffed=StreamFile(demuxers=("mov",), certain=False)), "only guessed"),
        (with_video(codec="hevc"), "it is hevc"),
        (with_video(profile="High 10"), "its profile is High 10"),
        (with_video(profile="Baseline"), "its profile is Baseline"),
        (with_video(profile=None), "its profile is not known"),
        (with_video(level=50), "its level"),
        (with_video(level=None), "its level"),
        (with_video(level=0), "its level"),
        (with_video(pixel_format="yuv422p"), "its pixels are yuv422p"),
        (with_video(pixel_format=None), "its pixels are not known"),
        (with_video(progressive=False), "it is interlaced"),
        (with_video(interlaced=True), "it is interlaced"),
        (with_video(upright=False), "players would have to"),
        (with_video(width=1919), "a side is odd"),
        (with_video(width=2048, height=1082), "its short side is over 1080 pixels"),
        (with_video(matrix="smpte170m"), "its colours"),
        (with_video(primaries="bt2020"), "its colours"),
        (with_video(transfer="smpte2084"), "its colours"),
        (with_video(transfer="arib-std-b67"), "its colours"),
        (with_video(full_range=True), "its range is full"),
        (with_video(bit_rate=MOST + 1), "Mb/s"),
        (with_video(bit_rate=None), "it has 6.1 Mb/s, and the top rung at most 5.0"),
        (replace(with_video(bit_rate=None), size=0), "it has 0.0 Mb/s"),
        (with_video(frame_rate=Fraction(60)), "it has 60.000 frames a second"),
        (with_video(tick=Fraction(1, 1000)), "too coarse"),
        (with_video(tick=Fraction(1001, 30_000)), "too coarse"),
        (with_video(tick=None), "too coarse"),
        (with_video(starts=0.009), "does not begin"),
        (with_video(starts=-0.009), "does not begin"),
        (with_video(starts=None), "does not begin"),
        (with_timeline(regular=False), "not constant"),
        (with_timeline(duration=39_000.0, keyframes=65_536), "it has 65,536 keyframes"),
        (with_timeline(intact=False), "edit list"),
        (with_timeline(closed=False), "open GOPs"),
        (with_timeline(longest_gop=4.1), "4.1 s apart, more than 4"),
        (with_timeline(keyframes=21), "0.48 s apart, less than 0.5"),
    ],
)
def test_what_may_not(clip: Clip, why: str):
    """One thing is enough, and it is said; what is not known counts as wrong."""
    (said,) = reasons(clip)
    assert why in said


def test_records_of_before_are_not_copied():
    """What was examined by an older release says nothing of all this."""
    assert len(reasons(PHONE)) > 5


def test_many_reasons():
    """Each is said."""
    assert 2 == len(reasons(replace(with_video(codec="vp9"), timeline=replace(GOOD.timeline, closed=False))))


def test_command():
    """No metadata, no SEI; frames on the grid of the rungs, in the source's own clock."""
    argv = copying.copy(GOOD, "1080p.mp4", RULES.limits)
    said = {name: argv[at + 1] for at, name in enumerate(argv[:-1]) if name.startswith("-")}
    assert "copy" == said["-c:v"]
    assert [
        "filter_units=pass_types=1|5|7|8",
        "h264_metadata=video_full_range_flag=0:colour_primaries=1:transfer_characteristics=1:matrix_coefficients=1",
        "setts=pts=round(PTS*TB*30000/1001)*1001:dts=(N-2)*1001:duration=1001",
    ] == said["-bsf:v"].split(",")
    assert ("30000", "avc1", "-1") == (said["-video_track_timescale"], said["-tag:v"], said["-map_metadata"])
    assert ("0:1", "1080p.mp4") == (said["-map"], argv[-1])
    assert "-filter_complex" not in said


@pytest.mark.parametrize(
    "clip", [SONG, replace(GOOD, timeline=None), with_video(tick=None), with_video(tick=Fraction(1, 7))]
)
def test_no_command(clip: Clip):
    """What there are reasons against cannot be asked for."""
    with pytest.raises(ValueError, match=r"no picture|whole number"):
        copying.copy(clip, "1080p.mp4", RULES.limits)


def unit(kind: int, length: int = 20) -> bytes:
    """A NAL unit behind its length."""
    return struct.pack(">IB", length, 0x60 | kind) + bytes(length - 1)


KEY, REST = unit(5), unit(1) + unit(1, 9)


def track(*fragments: tuple[bytes, bytes], **changed: Any) -> tuple[bytes, Index]:
    """Fragments of a keyframe and two more frames, and their index."""
    data, segments = b"", []
    for key, rest in fragments:
        begin = len(data)
        data += struct.pack(">I4s8x", 16, b"moof") + struct.pack(">I4s", 8 + len(key + rest), b"mdat") + key + rest
        segments.append(
            Fragment(
                offset=begin,
                bytes=len(data) - begin,
                duration=Fraction(3, 25),
                starts_with_key=True,
                key_frame_bytes=24 + len(key),
            )
        )
    known: dict[str, Any] = {"samples": 3 * len(segments), "priming": Fraction(0), "segments": tuple(segments)}
    index = Index(init_bytes=0, sidx_offset=0, sidx_bytes=0, codec="avc1.64001f", timescale=25, **known | changed)
    return data, index


def faults(data: bytes, index: Index, *, frames: int = 6, most: int = MOST) -> tuple[str, ...]:
    """What is wrong with a copy."""
    seconds = Fraction(1, 25)
    return compliance.faults(
        lambda offset, length: data[offset : offset + length],
        index,
        frames=frames,
        seconds=seconds,
        max_bit_rate=most,
    )


@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        ([(KEY, REST), (KEY, REST)], ()),
        ([(KEY + unit(5), REST), (KEY, REST)], ()),
        ([(KEY, REST), (unit(1), REST)], ("a keyframe is none that a decoder can begin at (no IDR)",)),
        ([(KEY, REST), (unit(7) + KEY, REST)], ("its parameter sets lie between the frames",)),
        ([(KEY, REST + unit(8)), (KEY, REST)], ("its parameter sets lie between the frames",)),
        ([(KEY, unit(5) + REST), (KEY, REST)], ("a unit of type 5 lies where none may",)),
        ([(KEY, REST), (unit(6) + KEY, REST)], ("a unit of type 6 lies where none may",)),
        ([(KEY, REST), (KEY, REST + b"\0\0\0\5\x61")], ("a frame is cut off",)),
        ([(KEY, REST), (KEY, REST + b"\0\0")], ("a frame is cut off",)),
        ([(KEY, REST), (KEY, REST + b"\xff\xff\xff\xff\x61")], ("a frame is cut off",)),
    ],
)
def test_units(fragments: list[tuple[bytes, bytes]], expected: tuple[str, ...]):
    """Each fragment is an IDR picture of any number of slices, then pictures that are none, and nothing else."""
    assert expected == faults(*track(*fragments))


@pytest.mark.parametrize(
    ("changed", "frames", "most", "why"),
    [
        ({"samples": 5}, 6, MOST, "it has 5 frames of 6"),
        ({"priming": Fraction(1, 25)}, 6, MOST, "an edit list"),
        ({}, 7, MOST, "it lasts 0.240 s of 0.280"),
        ({}, 6, 200, "a second of it has"),
    ],
)
def test_faults(changed: dict[str, Any], frames: int, most: int, why: str):
    """It has all frames from zero on, and no second that is far too heavy."""
    assert any(why in said for said in faults(*track((KEY, REST), (KEY, REST), **changed), frames=frames, most=most))


def test_uneven_fragments():
    """What begins between two places of the grid would not line up with other rungs."""
    data, index = track((KEY, REST), (KEY, REST))
    first, second = index.segments
    shifted = (replace(first, duration=Fraction(5, 50)), replace(second, duration=Fraction(7, 50)))
    assert ("it lasts 0.240 s of 0.240",) == faults(data, replace(index, segments=shifted))
    assert not compliance.aligned(index, replace(index, segments=shifted))
    assert compliance.aligned(index, replace(index, timescale=90_000))


def test_fragment_without_keyframe():
    """By its flags, whatever its bits are."""
    data, index = track((KEY, REST), (KEY, REST))
    first, second = index.segments
    unmarked = replace(index, segments=(first, replace(second, starts_with_key=False)))
    assert ("a fragment does not begin with a keyframe",) == faults(data, unmarked)
