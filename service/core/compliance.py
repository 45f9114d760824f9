"""Whether a source's picture may be copied as the top rung, and whether the copy turned out to be one.

`reasons_against` decides by headers and packet times, `faults` reads the copy itself: only bits tell whether a
keyframe can be begun at, and whether the decoder is set up anew on the way. ITU-T H.264 and ISO/IEC 14496-15.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from service.core import ladder, step
from service.core.boxes import Fragment, Index, Read
from service.core.media import Clip, Timeline, VideoStream
from service.core.recipe import Video

LONGEST_GOP = 4.0  #: seconds; RFC 8216bis asks for a keyframe in every segment, and ours last about four seconds
SHORTEST_GOP = 0.5  #: seconds on average: each is a fragment, and a request for who seeks by I-frames

_MOST_FRAGMENTS = 65_535  # that one sidx can list (14496-12, 8.16.3)
_CONTAINERS = frozenset({"mov", "matroska"})  # others have no decode times, or parameter sets between the frames
_PROFILES = frozenset(
    {"Constrained Baseline", "Main", "High"}
)  # Baseline may reorder slices; others are 10-bit or 4:2:2
_HD_BLOCKS = 8704  # macroblocks of a frame up to level 4.2 (H.264, table A-1)
_HD_LEVEL, _UHD_LEVEL = 42, 52
_UNSAID = frozenset({None, "unknown", "unspecified", "reserved"})
_NEAR = 0.25  # of a frame: together with as much jitter, still less than the half that `fps` would round away
_IDR, _SLICE = 5, 1  # nal_unit_type (H.264, table 7-1)
_PEAK = 2  # times the bit rate that players are told to expect: what x264 may spend with our buffer


def reasons_against(clip: Clip, wanted: Video, *, max_bit_rate: int, frame_rate: Fraction) -> tuple[str, ...]:
    """Why the picture has to be encoded; none where it may be copied.

    :param max_bit_rate: of the top rung, in bits a second.
    :param frame_rate: that the rungs have.
    """
    video, timeline = clip.video, clip.timeline
    if video is None or timeline is None:
        return ("it has no picture",)
    return (
        *_said(_of_stream(clip, video)),
        *_said(_of_size(video, wanted)),
        *_said(_of_colour(video)),
        *_said(_of_rate(clip, video, max_bit_rate=max_bit_rate, frame_rate=frame_rate)),
        *_said(_of_time(timeline, video)),
    )


def _said(checks: Sequence[tuple[bool, str]]) -> Iterator[str]:
    return (why for complies, why in checks if not complies)


def _of_stream(clip: Clip, video: VideoStream) -> list[tuple[bool, str]]:
    container = clip.sniffed.demuxers[0] if clip.sniffed.certain else "of a kind that is only guessed"
    return [
        (container in _CONTAINERS, f"its container is {container}, not MP4, MOV or Matroska"),
        (video.codec == "h264", f"it is {video.codec}, not H.264"),
        (video.profile in _PROFILES, f"its profile is {video.profile or 'not known'}, beyond High"),
        (video.level is not None and 0 < video.level <= _most_level(video), "its level is too high, or not known"),
        (video.pixel_format == "yuv420p", f"its pixels are {video.pixel_format or 'not known'}, not 8-bit 4:2:0"),
        (video.progressive and not video.interlaced, "it is interlaced, or does not say"),
    ]


def _most_level(video: VideoStream) -> int:
    blocks = -(-video.width // 16) * -(-video.height // 16)
    return _HD_LEVEL if blocks <= _HD_BLOCKS else _UHD_LEVEL


def _of_size(video: VideoStream, wanted: Video) -> list[tuple[bool, str]]:
    most = wanted.ladder[0].height
    return [
        (video.upright, "players would have to turn, crop or stretch it"),
        (video.width % 2 == 0 and video.height % 2 == 0, "a side is odd"),
        (min(video.width, video.height) <= most, f"its short side is over {most} pixels"),
    ]


def _of_colour(video: VideoStream) -> list[tuple[bool, str]]:
    """Untagged is BT.709 from 720 lines on: `VideoStream.matrix` has the guess. The copy is tagged."""
    bt709 = _UNSAID | {"bt709"}
    plain = video.matrix == "bt709" and video.primaries in bt709 and video.transfer in bt709
    return [
        (plain, "its colours are not BT.709"),
        (not video.full_range, "its range is full, not limited"),
    ]


def _of_rate(clip: Clip, video: VideoStream, *, max_bit_rate: int, frame_rate: Fraction) -> list[tuple[bool, str]]:
    bit_rate = video.bit_rate or (round(clip.size * 8 / clip.seconds) if clip.seconds > ladder.SHORTEST else 0)
    return [
        (
            0 < bit_rate <= max_bit_rate,
            f"it has {bit_rate / 1e6:.1f} Mb/s, and the top rung at most {max_bit_rate / 1e6:.1f}",
        ),
        (
            video.frame_rate == frame_rate,
            f"it has {float(video.frame_rate):.3f} frames a second, the rungs have others",
        ),
        (_ticks(video) is not None, "its clock is too coarse for its frame rate"),
    ]


def _of_time(timeline: Timeline, video: VideoStream) -> list[tuple[bool, str]]:
    frame = float(1 / video.frame_rate)
    starts = video.starts is not None and abs(video.starts) <= frame * _NEAR
    gop = timeline.duration / timeline.keyframes if timeline.keyframes else 0.0
    return [
        (starts, "it does not begin when the file does"),
        (
            timeline.keyframes <= _MOST_FRAGMENTS,
            f"it has {timeline.keyframes:,} keyframes, more than an index can list",
        ),
        (timeline.regular, "its frame rate is not constant"),
        (timeline.intact, "an edit list hides frames, packets are corrupt, or the codec is set up anew on the way"),
        (timeline.closed, "frames cross its keyframes (open GOPs)"),
        (
            timeline.longest_gop <= LONGEST_GOP + frame / 2,
            f"its keyframes are up to {timeline.longest_gop:.1f} s apart, more than {LONGEST_GOP:g}",
        ),
        (
            timeline.keyframes <= 1 or gop >= SHORTEST_GOP,
            f"its keyframes are {gop:.2f} s apart, less than {SHORTEST_GOP:g}",
        ),
    ]


def _ticks(video: VideoStream) -> int | None:
    """How many units of its clock a frame lasts, if that is a whole number."""
    if video.tick is None or video.tick.numerator != 1:
        return None
    ticks = 1 / video.frame_rate / video.tick
    return ticks.numerator if ticks.denominator == 1 else None


def ticks(video: VideoStream) -> int:
    """How many units of its clock a frame lasts; ValueError for a picture that there are reasons against."""
    found = _ticks(video)
    if found is None:
        raise ValueError("a frame does not last a whole number of ticks")
    return found


def faults(read: Read, index: Index, *, frames: int, seconds: Fraction, max_bit_rate: int) -> tuple[str, ...]:
    """Why a copy may not be published; none where it may.

    Every fragment has to begin with an IDR picture, and to have no other. Parameter sets between frames would mean that
    the one set in front is not all that a decoder needs.

    :param frames: of the source, `seconds` what one of them lasts.
    """
    lasting = frames * seconds
    segments = index.segments
    heaviest = max(fragment.bytes * 8 / max(fragment.duration, Fraction(1)) for fragment in segments)
    uneven = [fragment for fragment in segments if (fragment.duration / seconds).denominator != 1]
    checks: list[tuple[bool, str]] = [
        (index.samples == frames, f"it has {index.samples} frames of {frames}"),
        (index.priming == 0, "an edit list hides its beginning"),
        (index.duration == lasting and not uneven, f"it lasts {float(index.duration):.3f} s of {float(lasting):.3f}"),
        (heaviest <= max_bit_rate * _PEAK, f"a second of it has {float(heaviest) / 1e6:.1f} Mb"),
        (all(fragment.starts_with_key for fragment in segments), "a fragment does not begin with a keyframe"),
    ]
    return (*_said(checks), *sorted({why for fragment in segments for why in _units(read, fragment)}))


def aligned(index: Index, other: Index) -> bool:
    """Whether players may change between two renditions at every fragment."""
    return rhythm(index) == rhythm(other)


def rhythm(index: Index) -> str:
    """Names the durations of the fragments: equal for renditions that are `aligned`."""
    return step.fingerprint([fragment.duration for fragment in index.segments])


def _units(read: Read, fragment: Fragment) -> Iterator[str]:
    """What is wrong with the units of a fragment: each has four bytes of length before it (14496-15, 5.3.3)."""
    moof = int.from_bytes(read(fragment.offset, 4), "big")
    at, end = fragment.offset + moof + 8, fragment.offset + fragment.bytes
    key_end = fragment.offset + fragment.key_frame_bytes
    while at < end:
        head = read(at, 5)
        if len(head) < 5:
            yield "a frame is cut off"
            return
        kind = head[4] & 0x1F
        if kind != (_IDR if at < key_end else _SLICE):
            yield _unexpected(kind, key=at < key_end)
            return  # what goes on like this may go on in steps of four bytes
        at += 4 + int.from_bytes(head[:4], "big")
    if at != end:
        yield "a frame is cut off"


def _unexpected(kind: int, *, key: bool) -> str:
    if kind in {7, 8}:
        return "its parameter sets lie between the frames"
    if key and kind == _SLICE:
        return "a keyframe is none that a decoder can begin at (no IDR)"
    return f"a unit of type {kind} lies where none may"
