"""When the largest rung is a copy of the source's picture: what is planned for it, and what takes it back."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from service.core import compliance, copies, encoding, explain, pieces, plan, products, survey, tracks
from service.core.boxes import Fragment, Index
from service.core.media import Clip
from service.core.plan import Assemble, Cut, Encode, Join, Named, Plan, Remux
from service.core.recipe import Rules
from service.core.record import Damaged, StepRecord
from service.core.step import Copy, Package, Poster, Progressive, Rendition
from service.core.survey import Known
from tests.core.samples import PHONE, rules
from tests.core.test_compliance import GOOD

RULES = rules("captions.provider = 'off'\nmoderation.provider = 'off'")
ENCODING = rules("captions.provider = 'off'\nmoderation.provider = 'off'\nvideo.copy = false")
SMALL = replace(GOOD, video=replace(GOOD.video, width=426, height=240, bit_rate=300_000))


def planned(clip: Clip, done: dict[str, StepRecord] | None = None, wanted: Rules = RULES) -> Plan:
    """The plan for a clip."""
    return plan.make(clip, wanted, version="v", done=done or {})


def named(found: Plan, *kinds: type) -> list[Named]:
    """The steps of these kinds."""
    return [one for one in found.steps if isinstance(one.step, kinds)]


def record(one: Named, **told: object) -> dict[str, StepRecord]:
    """What says that a step was done, or tried."""
    return {one.digest: StepRecord(digest=one.digest, kind=type(one.step).__name__).model_copy(update=told)}


def long(clip: Clip, seconds: float) -> Clip:
    """The same for so long, with keyframes two seconds apart."""
    rate = clip.video.frame_rate
    gop = round(2 * rate)
    keys = range(0, int(seconds * rate), gop)
    minutes = {int(key / rate) // 60: key for key in reversed(keys)}
    timeline = replace(
        clip.timeline,
        duration=seconds,
        packets=round(seconds * rate),
        reach=seconds,
        keyframes=len(keys),
        landmarks=tuple(sorted(minutes.values())),
    )
    return replace(clip, duration=seconds, timeline=timeline)


def index(*lengths: float | Fraction) -> Index:
    """A track whose fragments last so long."""
    fragments = tuple(
        Fragment(offset=800 + at, bytes=1, duration=Fraction(one), starts_with_key=True, key_frame_bytes=1)
        for at, one in enumerate(lengths)
    )
    return Index(
        init_bytes=700,
        sidx_offset=700,
        sidx_bytes=100,
        codec="avc1.64001f",
        timescale=30_000,
        priming=Fraction(0),
        samples=1,
        segments=fragments,
    )


def test_what_complies_is_its_own_largest_rung():
    """Copied first, without a decode; the other rungs have the keyframes that it has."""
    found = planned(GOOD)
    top, *others = (one.step for one in named(found, Copy, Rendition))
    assert Copy(name="1080p", width=1920, height=1080, frame_rate="30000/1001", max_bit_rate=5_000_000) == top
    assert ["720p", "480p", "360p", "240p"] == [rung.name for rung in others]
    assert {0.0} == {rung.gop_seconds for rung in others}
    assert [Remux, Encode, Assemble] == [type(group) for group in found.groups]
    assert ((), None) == (found.against, found.futile)


def test_files_are_those_of_a_rendition():
    """Playlists and players know no difference."""
    (copied,), (top, *_) = named(planned(GOOD), Copy), named(planned(GOOD, wanted=ENCODING), Rendition)
    assert products.expected(top.step) == products.expected(copied.step)


def test_other_rungs_are_what_they_were():
    """But for their keyframes: a recipe that copies nothing gives the digests that it always gave."""
    copied, encoded = (named(planned(GOOD, wanted=wanted), Rendition) for wanted in (RULES, ENCODING))
    assert [replace(one.step, gop_seconds=2.0) for one in copied] == [one.step for one in encoded[1:]]
    assert {one.digest for one in encoded}.isdisjoint(one.digest for one in copied)


def test_manifests_and_the_plain_file_take_the_copy():
    """As the track that it is; a source below 720 lines is the plain file's picture too."""
    found = planned(SMALL)
    (copied,), (package,), (progressive,) = (named(found, kind) for kind in (Copy, Package, Progressive))
    assert copied.digest in package.step.tracks
    assert (copied.digest, 426, 240) == (progressive.step.video, progressive.step.width, progressive.step.height)


@pytest.mark.parametrize("told", [{"refused": ("it has no IDR",)}], ids=["refused"])
def test_a_copy_that_turned_out_not_to_be_one_is_not_tried_again(told: dict[str, object]):
    """All rungs are encoded, as they would have been without it."""
    (copied,) = named(planned(GOOD), Copy)
    found = planned(GOOD, record(copied, **told))
    assert planned(GOOD, wanted=ENCODING).steps == found.steps
    assert ("it has no IDR",) == found.against
    assert [Encode, Assemble] == [type(group) for group in found.groups]


def test_damage_that_a_decoder_met_takes_the_copy_back():
    """Whichever step met it: the poster is decoded from the same frames."""
    first = planned(GOOD)
    (copied,), (poster,) = named(first, Copy), named(first, Poster)
    done = record(copied) | record(poster, damaged=Damaged(errors=1, first="h264: concealing"))
    found = planned(GOOD, done)
    assert ("parts of it can't be decoded",) == found.against
    assert copied.digest == found.futile
    assert ["1080p", "720p", "480p", "360p", "240p"] == [one.step.name for one in named(found, Copy, Rendition)]


def test_sound_that_ends_early_says_nothing_of_the_picture():
    """Nothing there could not be decoded."""
    first = planned(GOOD)
    (copied,), (poster,) = named(first, Copy), named(first, Poster)
    assert () == planned(GOOD, record(copied) | record(poster, damaged=Damaged(missing=3.0))).against


def test_a_rung_that_does_not_fit_takes_the_copy_back():
    """Players could not change between them."""
    first = planned(GOOD)
    (copied,), (rung, *_) = named(first, Copy), named(first, Rendition)
    found = planned(GOOD, record(copied) | record(rung, refused=("a rung has its keyframes elsewhere",)))
    assert ("a rung has its keyframes elsewhere",) == found.against
    assert copied.digest == found.futile
    assert [] == named(found, Copy)


def test_rungs_are_held_to_the_rhythm_of_the_copy():
    """Which its record tells."""
    (copied,) = named(planned(GOOD), Copy)
    (group, *_) = planned(GOOD, record(copied, rhythm="abc")).groups
    assert isinstance(group, Encode)
    assert "abc" == group.rhythm
    rhythm = compliance.rhythm(index(2, 1.5))
    assert () == copies.unfit(index(2, 1.5), None, rhythm)
    assert () == copies.unfit(index(2, 1.5), Damaged(missing=2.0), rhythm)
    assert ("a rung has its keyframes elsewhere",) == copies.unfit(index(2, 1.5, 0.5), None, rhythm)
    assert ("parts of it can't be decoded",) == copies.unfit(index(2, 1.5), Damaged(errors=1), rhythm)


def test_keyframes_of_the_source_are_asked_of_the_encoder():
    """By the one word that ffmpeg has for it; with a GOP of its own, a rung has those."""
    for wanted, keyframes in ((RULES, "source"), (ENCODING, "expr:gte(t,n_forced*2)")):
        (group,) = (one for one in planned(GOOD, wanted=wanted).groups if isinstance(one, Encode))
        argv = encoding.encode(group, wanted.limits)
        asked = [argv[at + 1] for at, part in enumerate(argv) if part.startswith("-force_key_frames")]
        assert {keyframes} == set(asked)


def test_what_is_a_ladder_by_itself_is_decoded_all_the_same():
    """Every frame, of a long one too: nothing else would tell that it is damaged."""
    for clip in (SMALL, long(SMALL, 1800.0)):
        (copied,) = named(planned(clip), Copy)
        found = planned(clip, record(copied, rhythm="abc"))
        (group, _) = found.groups
        assert isinstance(group, Encode)
        assert (True, False) == (group.watched, group.sparse)
        assert "-map 0:1 -f null -fps_mode passthrough -" in " ".join(encoding.encode(group, RULES.limits))
        assert [] == named(found, Rendition)


def test_pieces_begin_at_keyframes_of_the_source():
    """At the nearest one known: the rungs have keyframes nowhere else."""
    clip = long(GOOD, 1800.0)
    (copied,) = named(planned(clip), Copy)
    found = planned(clip, record(copied, rhythm="abc"))
    cut = [group.piece for group in found.groups if isinstance(group, Cut)]
    assert len(cut) == round(clip.seconds / pieces.SECONDS)
    assert 0 == cut[0].first
    assert {piece.first for piece in cut} <= set(clip.timeline.landmarks)
    assert all(one.first + one.frames == other.first for one, other in pairwise(cut))
    assert all(abs(float(pieces.lasts(piece)) - pieces.SECONDS) <= 60 for piece in cut[:-1])
    assert ["abc"] == [group.rhythm for group in found.groups if isinstance(group, Join)]
    assert {piece.first for piece in cut} != {
        group.piece.first for group in planned(clip, wanted=ENCODING).groups if isinstance(group, Cut)
    }


def test_damage_that_a_piece_met_ends_the_rest_of_them():
    """The next plan has pieces of the whole ladder."""
    clip = long(GOOD, 1800.0)
    (copied,) = named(planned(clip), Copy)
    cut = [group for group in planned(clip, record(copied)).groups if isinstance(group, Cut)]
    done = record(copied) | record(cut[1].steps[0], damaged=Damaged(errors=3))
    again = planned(clip, done)
    assert copied.digest == again.futile
    (top, *_) = next(group for group in again.groups if isinstance(group, Cut)).piece.rungs
    assert "1080p" == top.name


def test_the_plan_says_why():
    """That it is copied, else the first reason why not, beside the largest rung."""
    (_, copied), *_ = explain.reasons(planned(GOOD), GOOD)
    assert "copied: it complies, and has no more than 5000 kb/s" == copied
    (_, top), (_, other), *_ = explain.reasons(planned(PHONE), PHONE)
    assert top.endswith("; not copied: its profile is not known, beyond High")
    assert "not copied" not in other
    (_, asked), *_ = explain.reasons(planned(GOOD, wanted=ENCODING), GOOD)
    assert asked.endswith("; not copied: the recipe wants it encoded")


def test_reprocessing_foresees_a_copy_and_that_there_is_none():
    """By the same plans; it costs next to nothing."""
    fresh = survey.foresee(Known(version="v", size=1000, media=GOOD), RULES)
    assert "Copy" == type(fresh.again[0].step).__name__
    done = {one.digest: record(one, rhythm="abc")[one.digest] for one in planned(GOOD).steps}
    assert () == survey.foresee(Known(version="v", size=1000, media=GOOD, done=done), RULES).again
    refused = record(fresh.again[0], refused=("it has no IDR",))
    again = survey.foresee(Known(version="v", size=1000, media=GOOD, done=refused), RULES).again
    assert {one.digest for one in planned(GOOD, wanted=ENCODING).steps} == {one.digest for one in again}
    assert explain.cost(planned(GOOD), GOOD, RULES.prices).cpu_seconds < (
        explain.cost(planned(GOOD, wanted=ENCODING), GOOD, RULES.prices).cpu_seconds * 0.7
    )


@pytest.mark.parametrize(
    ("gops", "segments"),
    [
        ([2.4] * 4, [2.4] * 4),
        ([2.5] * 3, [2.5] * 3),
        ([2.0] * 5, [4.0, 4.0, 2.0]),
        ([2.2] * 4, [4.4, 4.4]),
        ([1.5] * 6, [3.0, 3.0, 3.0]),
        ([0.5] * 9, [4.0, 0.5]),
        ([4.0, 4.0], [4.0, 4.0]),
        ([2.24, 2.24, 0.02], [2.24, 2.26]),
        ([2.2, 2.2, 0.02], [4.42]),
    ],
)
def test_no_segment_is_longer_than_the_target_of_the_sound(gops: list[float], segments: list[float]):
    """All playlists of a stream have one target duration, four seconds, which longer segments would raise."""
    joined = tracks.joined(index(*(Fraction(str(gop)) for gop in gops)))
    assert [Fraction(str(one)) for one in segments] == [one.duration for one in joined]
    assert tracks.SEGMENT_SECONDS == tracks.target(joined)
