"""Long videos in pieces: where they are cut, what is decoded for each, and when they are joined."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import encoding, pieces, plan, verify
from service.core.boxes import Fragment, Index
from service.core.media import Clip, Timeline
from service.core.outcome import Unseekable
from service.core.plan import Assemble, Cut, Encode, Join, Plan
from service.core.record import StepRecord
from service.core.sniff import StreamFile
from service.core.step import Piece, Poster, Preview, Rendition, Sound, Sprites
from tests.core.samples import PHONE, rules

RULES = rules('captions.provider = "off"\n')
VERSION = "0" * 32


def long(seconds: float, *, gap: float = 0.04, demuxer: str = "mov") -> Clip:
    """A film of so many seconds."""
    timeline = Timeline(duration=seconds, packets=round(seconds * 25), longest_gap=gap, reach=seconds, end=seconds)
    sniffed = StreamFile(demuxers=(demuxer,), certain=True)
    return replace(PHONE, duration=seconds, timeline=timeline, sniffed=sniffed)


def rung(rate: str = "25") -> Rendition:
    """A small one."""
    return Rendition(
        name="240p",
        width=426,
        height=240,
        frame_rate=rate,
        crf=23,
        max_bit_rate=400_000,
        preset="veryfast",
        gop_seconds=2.0,
    )


def planned(clip: Clip, done: dict[str, StepRecord] | None = None, *, whole: bool = False) -> Plan:
    """The plan for a film."""
    return plan.make(clip, RULES, version=VERSION, done=done or {}, whole=whole)


def records(*groups: plan.Group) -> dict[str, StepRecord]:
    """What says that these are done."""
    return {
        named.digest: StepRecord(digest=named.digest, kind=type(named.step).__name__)
        for group in groups
        for named in group.steps
    }


@given(
    seconds=st.floats(pieces.LONG + 1, 21_600),
    rate=st.sampled_from(["24000/1001", "24", "25", "30000/1001", "30", "60000/1001", "60", "15000/1001"]),
    gap=st.floats(0, 120),
)
def test_pieces_make_up_the_whole(seconds: float, rate: str, gap: float):
    """Each frame is in one of them; each begins on the grid of frames, and where one picture may have begun before."""
    cut = pieces.cut(long(seconds, gap=gap), [rung(rate)])
    assert list(range(len(cut))) == [piece.number for piece in cut]
    assert 0 == cut[0].first == cut[0].lead
    assert None is cut[-1].frames
    for piece, after in pairwise(cut):
        assert piece.frames
        assert piece.first + piece.frames == after.first
        lasts = pieces.lasts(piece)
        assert lasts
        assert pieces.SECONDS * 0.6 < lasts < pieces.SECONDS * 1.5
        assert pieces.begins(after) - pieces.sought(after) >= min(pieces.begins(after), Fraction(gap))
    assert seconds - pieces.begins(cut[-1]) > pieces.SECONDS * 0.6


def test_a_long_film_is_cut():
    """Pictures and sound apart, by keyframes; a group a piece; at last what joins them and what needs no decode."""
    found = planned(long(1500))
    kinds = [type(group) for group in found.groups]
    assert [Encode, Cut, Cut, Cut, Cut, Cut, Join, Assemble] == kinds
    apart = found.groups[0]
    assert isinstance(apart, Encode)
    assert apart.sparse
    assert [Poster, Sprites, Preview, Sound] == [type(named.step) for named in apart.steps]
    (join,) = [group for group in found.groups if isinstance(group, Join)]
    assert {Rendition} == {type(named.step) for named in join.steps}
    assert not any(isinstance(named.step, Piece) for named in found.steps)


@pytest.mark.parametrize(
    ("clip", "whole"),
    [(long(600), False), (long(3000, demuxer="mpegts"), False), (long(3000), True)],
    ids=["short", "no index", "found out"],
)
def test_what_is_not_cut(clip: Clip, whole: bool):  # noqa: FBT001 - a case
    """One decode for everything, of every frame."""
    encode, assemble = planned(clip, whole=whole).groups
    assert (Encode, Assemble) == (type(encode), type(assemble))
    assert not getattr(encode, "sparse", True)


def test_what_is_done_is_not_done_again():
    """After a death: the pieces that have records are not cut again; once all have, they are joined."""
    clip, done = long(900), dict[str, StepRecord]()
    ways = []
    while (found := planned(clip, done)).groups:
        ways.append(type(found.groups[0]).__name__)
        done |= records(found.groups[0])
    assert ["Encode", "Cut", "Cut", "Cut", "Join", "Assemble"] == ways


def test_renditions_are_the_same_steps_however_they_are_made():
    """A film that was cut, and is looked at anew as a whole, has nothing to do."""
    clip = long(900)
    found = planned(clip)
    done = {named.digest: StepRecord(digest=named.digest, kind="") for named in found.steps}
    assert () == planned(clip, done).groups == planned(clip, done, whole=True).groups
    assert found.steps == planned(clip, whole=True).steps


def test_the_command_of_a_piece():
    """Frames are counted on the grid of the whole, from a second before; times are those of the whole."""
    _, piece, _ = pieces.cut(long(900), [rung("30000/1001")])
    argv = encoding.encode_piece(piece, long(900), RULES.limits)
    said = " ".join(argv)
    assert (8991, 8991, 32) == (piece.first, piece.frames, piece.lead)
    assert " -ss 298.931967 " in said
    assert "fps=eof_action=pass:fps=30000/1001:start_time=0" in said
    assert "trim=end_frame=9023:start_frame=32" in said
    assert "-output_ts_offset 299.999700" in said
    assert "+cmaf+frag_keyframe+global_sidx+frag_discont" in said
    assert "240p-001.mp4" == argv[-1]


def test_the_first_and_the_last():
    """The first is not sought, the last has no end."""
    first, *_, last = pieces.cut(long(900), [rung()])
    said = " ".join(encoding.encode_piece(first, long(900), RULES.limits))
    assert ("-ss" in said, "output_ts_offset" in said, "frag_discont" in said) == (False, False, False)
    said = " ".join(encoding.encode_piece(last, long(900), RULES.limits))
    assert ("start_frame=26" in said, "end_frame" in said) == (True, False)


def index(seconds: float) -> Index:
    """Of a track that lasts so long."""
    whole = Fragment(offset=0, bytes=1, duration=Fraction(seconds), starts_with_key=True, key_frame_bytes=1)
    return Index(
        init_bytes=1,
        sidx_offset=1,
        sidx_bytes=1,
        codec="avc1",
        timescale=1,
        priming=Fraction(0),
        samples=1,
        segments=(whole,),
    )


def test_a_piece_has_all_its_frames():
    """An index that lies leads to too few of them; how many the last one has, nobody knows before."""
    first, *_, last = pieces.cut(long(900), [rung()])
    verify.check_piece(first, index(300))
    verify.check_piece(last, index(1))
    with pytest.raises(Unseekable, match=r"piece 0 lasts 299\.960 s, not 300\.000 s"):
        verify.check_piece(first, index(299.96))
