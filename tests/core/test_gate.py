"""What is too much, or makes no sense, is refused before anything is decoded."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core import gate
from service.core.gate import Clock
from service.core.media import Clip, Media, Timeline
from service.core.outcome import Reason, Rejected
from service.core.sniff import StreamFile
from tests.core.samples import ANIMATION, PHONE, PHOTO, RULES, SONG, limits

GUESSED = StreamFile(demuxers=("mp3", "aac"), certain=False, least_score=26)


def reason(check: Any, *arguments: Any, **named: Any) -> Reason | None:
    """Why a check refuses, or None where it does not."""
    try:
        check(*arguments, **named)
    except Rejected as error:
        return error.reason
    return None


def heard(lines: Iterable[str], *, stream: int = 0, packet_seconds: float = 0.0, **changed: float) -> Timeline:
    """What a clock says after some lines of ffprobe's."""
    clock = Clock(limits=limits(**changed), stream=stream, packet_seconds=packet_seconds)
    for line in lines:
        clock.read(line)
    return clock.timeline()


@pytest.mark.parametrize(
    ("size", "archived", "expected"),
    [
        (1, False, None),
        (1000, False, None),
        (1001, False, Reason.TOO_LARGE),
        (0, False, Reason.EMPTY),
        (1, True, Reason.ARCHIVED),
        (0, True, Reason.ARCHIVED),
    ],
)
def test_head(*, size: int, archived: bool, expected: Reason | None):
    """What S3 says of an object is enough to refuse it unfetched; limits are inclusive."""
    assert expected == reason(gate.check_head, size, limits(bytes=1000), archived=archived)


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        (PHONE, None),
        (SONG, None),
        (replace(PHONE, sniffed=GUESSED, probe_score=25), Reason.UNSUPPORTED_TYPE),
        (replace(PHONE, sniffed=GUESSED, probe_score=26), None),
        (replace(PHONE, probe_score=0), None),
        (replace(PHONE, streams=32), None),
        (replace(PHONE, streams=33), Reason.TOO_MANY_STREAMS),
        (replace(PHONE, duration=21_600.0), None),
        (replace(PHONE, duration=21_600.1), Reason.TOO_LONG),
        (replace(PHONE, duration=None), None),
        (replace(PHONE, video=replace(PHONE.video, width=12_000, height=10_000)), None),
        (replace(PHONE, video=replace(PHONE.video, width=12_000, height=10_001)), Reason.TOO_MANY_PIXELS),
    ],
)
def test_clip(clip: Clip, expected: Reason | None):
    """Headers alone refuse what is a guess, or over a limit."""
    assert expected == reason(gate.check_clip, clip, RULES.limits)


def lasting(reach: float, **changed: float) -> Timeline:
    """A timeline whose packets reach so far."""
    return replace(PHONE.timeline, reach=reach, **changed)


@pytest.mark.parametrize(
    ("clip", "timeline", "expected"),
    [
        (PHONE, lasting(10.0), None),
        (PHONE, lasting(10.0, packets=0), Reason.NO_MEDIA),
        (PHONE, lasting(9.0), None),
        (PHONE, lasting(8.9), Reason.DAMAGED),
        (PHONE, lasting(60.0), None),
        (replace(PHONE, duration=1000.0), lasting(980.0), None),
        (replace(PHONE, duration=1000.0), lasting(979.0), Reason.DAMAGED),
        (replace(PHONE, duration=1000.0), lasting(900.0, longest_gap=100.0), None),
        (replace(PHONE, duration=None), lasting(1.0), None),
        (replace(PHONE, container="mpegts"), lasting(1.0), None),
        (replace(PHONE, container="matroska,webm"), lasting(1.0), Reason.DAMAGED),
    ],
)
def test_timeline(clip: Clip, timeline: Timeline, expected: Reason | None):
    """Headers without content are no media; an upload that was cut off ends before its header says."""
    assert expected == reason(gate.check_timeline, clip, timeline)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], (0.0, 0, 0.0, 0.0)),
        (["0,0.0,0.0,0.5", "0,0.5,0.5,0.5"], (1.0, 2, 0.5, 1.0)),
        (["0,100.0,100.0,1.0", "0,101.0,101.0,1.0"], (2.0, 2, 1.0, 2.0)),
        (["0,-3.0,-3.0,1.0", "0,-2.0,-2.0,1.0"], (2.0, 2, 1.0, 2.0)),
        (["0,0.2,0.0,0.1", "0,0.1,0.1,0.1", "0,0.0,0.2,0.1"], (0.3, 3, 0.1, 0.3)),
        (["0,0.0,N/A,1.0", "0,N/A,1.0,1.0"], (2.0, 2, 1.0, 2.0)),
        (["0,N/A,N/A,N/A", "0,N/A,N/A,N/A"], (0.5, 2, 0.25, 0.5)),
        (["0,0.0,0.0,N/A"], (0.25, 1, 0.0, 0.25)),
        (["0,0.0,0.0,-9.0"], (0.0, 1, 0.0, 0.0)),
        (["0,0.0,0.0,1.0", "1,5.0,5.0,1.0"], (1.0, 1, 0.0, 6.0)),
        (["1,0.0,0.0,1.0", "1,1.0,1.0,1.0"], (0.0, 0, 0.0, 2.0)),
        (["0,0.0,0.0,1.0,", "0,1.0,1.0,1.0\n"], (2.0, 2, 1.0, 2.0)),
    ],
)
def test_clock(lines: list[str], expected: tuple[float, int, float, float]):
    """Duration, packets and longest gap are those of the main track; the reach is that of all."""
    timeline = heard(lines, packet_seconds=0.25)
    found = (timeline.duration, timeline.packets, timeline.longest_gap, timeline.reach)
    assert pytest.approx(expected) == found


def test_blank_lines_are_no_packets():
    """ffprobe prints one after a packet with side data; they would count twice, and pull a late start to zero."""
    lines = ["0,31814.85,31814.85,0.02,", "", "0,31814.87,31814.87,0.02,", ""]
    timeline = heard(lines)
    assert 2 == timeline.packets
    assert pytest.approx((0.04, 0.04)) == (timeline.duration, timeline.reach)


def test_other_track_without_times():
    """A packet of another track that says nothing changes nothing, before the main track's first one neither."""
    alone = heard(["0,90.0,90.0,1.0"])
    both = replace(alone, streams=(0, 1))
    assert both == heard(["0,90.0,90.0,1.0", "1,N/A,N/A,N/A"])
    assert both == heard(["1,N/A,N/A,N/A", "", "0,90.0,90.0,1.0"])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["0,0,0,1", "0,120,120,1"], None),
        (["0,0,0,1", "0,121,121,1"], Reason.BAD_TIMESTAMPS),
        (["0,500000,500000,1", "0,1,1,1"], Reason.BAD_TIMESTAMPS),
        (["1,0,0,1", "1,500,500,1"], None),
        (["0,0,0,1", "1,1000000,1000000,1"], Reason.TOO_LONG),
        (["0,0,0,21601"], Reason.TOO_LONG),
        (["0,1000000,0,1", "0,0,0,1"], Reason.TOO_LONG),
        ([f"0,{at},{at},100" for at in range(0, 21_600, 100)], None),
        ([f"0,{at},{at},100" for at in range(0, 21_700, 100)], Reason.TOO_LONG),
    ],
)
def test_clock_refuses(lines: list[str], expected: Reason | None):
    """A clock that jumps or goes on too long is refused; before the main track's first packet there is no gap."""
    assert expected == reason(heard, lines)


def test_bomb_is_refused_at_its_second_packet():
    """Three frames over a million seconds: nobody has to read to the end to know."""
    clock = Clock(limits=RULES.limits, stream=0)
    clock.read("0,0.000000,0.000000,0.040000")
    with pytest.raises(Rejected, match="jumps by 500,000 s"):
        clock.read("0,500000.000000,500000.000000,0.040000")


_TIME = st.one_of(
    st.floats(-1e13, 1e13).map(str),
    st.sampled_from(["N/A", "", "nan", "inf", "-inf", "1e400", "1_0", "٣", "²", "0x10", "-", "9" * 5000]),
    st.text(max_size=5),
)
_LINE = st.one_of(st.text(max_size=30), st.tuples(st.sampled_from(["0", "1", "x"]), _TIME, _TIME, _TIME).map(",".join))


def clocked(lines: list[str]) -> Timeline | Rejected:
    """What lines give: nothing but a rejection is ever raised."""
    try:
        return heard(lines, packet_seconds=0.04)
    except Rejected as error:
        return error


@given(st.lists(_LINE, max_size=6))
@example(["0,1e11,1e11,1e11"] * 3)
def test_any_lines(lines: list[str]):
    """Whatever the prober prints, there is a timeline within the limits or a refusal."""
    match clocked(lines):
        case Rejected(reason=why):
            assert why in {Reason.BAD_TIMESTAMPS, Reason.TOO_LONG}
        case timeline:
            assert 0 <= timeline.duration <= timeline.reach <= RULES.limits.seconds
            assert 0 <= timeline.longest_gap <= RULES.limits.gap_seconds
            assert 0 <= timeline.packets <= len(lines)


def test_what_an_edit_list_cuts_away_does_not_count():
    """Packets that are thrown away are neither of the duration nor of the frames: an editor left them before a cut."""
    lines = [f"0,{at},{at},2,{flags}" for at, flags in ((-4, "KD_"), (-2, "_D_"), (0, "__"), (2, "K_"))]
    found = heard([*lines, "1,-1,-1,1,_D", "1,0,0,1,K_"])
    assert (4.0, 2, 4.0, 4.0) == (found.duration, found.packets, found.reach, found.end)


def test_each_track_ends_somewhere():
    """From the beginning of whichever begins first."""
    found = heard(["0,10,10,2", "1,9,9,1", "0,12,12,2", "1,10,10,1", "7,N/A,N/A,1"])
    assert ((0, 5.0), (1, 2.0)) == found.ends


def test_encrypted_packets_are_refused():
    """ffprobe names the codec below the encryption, but not without saying what it found around it."""
    clock = Clock(limits=RULES.limits, stream=0)
    with pytest.raises(Rejected) as refused:
        clock.read("0,0.000000,-0.080000,0.040000,Encryption info")
    assert Reason.ENCRYPTED == refused.value.reason


def timed(reach: float) -> Clip:
    """The phone's clip with packets up to there, whatever its header says."""
    return replace(PHONE, duration=None, timeline=replace(PHONE.timeline, duration=reach, reach=reach))


@pytest.mark.parametrize(
    ("media", "changed", "expected"),
    [
        (PHONE, {}, None),
        (SONG, {}, None),
        (PHOTO, {}, None),
        (ANIMATION, {}, None),
        (replace(PHONE, timeline=None), {}, None),
        (timed(10.0), {"seconds": 10}, None),
        (timed(10.1), {"seconds": 10}, Reason.TOO_LONG),
        (PHONE, {"seconds": 9}, Reason.TOO_LONG),
        (PHONE, {"streams": 1}, Reason.TOO_MANY_STREAMS),
        (PHONE, {"pixels": 1080 * 1920}, None),
        (PHONE, {"pixels": 1080 * 1920 - 1}, Reason.TOO_MANY_PIXELS),
        (PHOTO, {"pixels": 4000 * 3000}, None),
        (PHOTO, {"pixels": 4000 * 3000 - 1}, Reason.TOO_MANY_PIXELS),
        (ANIMATION, {"frames": 20, "total_pixels": 20 * 1600 * 900}, None),
        (ANIMATION, {"frames": 19}, Reason.TOO_MANY_FRAMES),
        (ANIMATION, {"total_pixels": 20 * 1600 * 900 - 1}, Reason.TOO_MANY_FRAMES),
        (replace(PHOTO, frames=9), {"frames": 8, "total_pixels": 1}, None),
        (replace(ANIMATION, width=4096, height=4096), {}, None),
        (replace(ANIMATION, width=4097, height=4096), {}, Reason.TOO_MANY_PIXELS),
    ],
)
def test_again(media: Media, changed: dict[str, float], expected: Reason | None):
    """What was examined under wider limits is held to those of today, without a look at the file; inclusive too."""
    assert expected == reason(gate.check_again, media, limits(**changed))


def test_cadence_of_the_picture():
    """The packets of the main track tell how its frames follow one another; those of sound say nothing."""
    lines = ["0,0.0,-0.5,0.25,K_", "1,0.0,0.0,1.0,K_", "0,0.5,-0.25,0.25,__", "0,0.25,0.0,0.25,__", "1,9.0,1.0,1.0,KD"]
    found = heard(lines, packet_seconds=0.25)
    assert (1, True, True, True) == (found.keyframes, found.regular, found.closed, found.intact)
    assert (1, (0,)) == (found.reorder, found.landmarks)


@pytest.mark.parametrize("line", ["0,0.25,0.25,0.25,_D_", "0,0.25,0.25,0.25,__C", "0,0.25,0.25,0.25,K__,New Extradata"])
def test_packets_that_are_not_intact(line: str):
    """What an edit list hides, what a demuxer knows to be corrupt, and a new set-up of the decoder."""
    found = heard(["0,0.0,0.0,0.25,K__", line], packet_seconds=0.25)
    assert not found.intact
    assert found.regular


def test_packets_without_times_have_no_cadence():
    """AVI has decode times only."""
    found = heard(["0,N/A,0.0,0.25,K_", "0,N/A,0.25,0.25,__"], packet_seconds=0.25)
    assert (False, False, ()) == (found.regular, found.closed, found.landmarks)
