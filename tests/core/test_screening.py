"""Which frames are looked at, which speak for others, and what the labels come to."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import screening, step, taxonomy
from service.core.record import Label, Look, Screening
from service.core.screening import Traits
from service.core.step import Screen
from tests.core.samples import ANIMATION, PHONE, PHOTO, SONG, rules

SHIPPED = rules("").moderation
REKOGNITION = rules('[moderation]\nprovider = "rekognition"').moderation
FRAME = Traits(
    dhash=0x0F0F_0F0F_0F0F_0F0F, luma=120, deviation=50, sharpness=400, colour=(120, 110, 100), fields=bytes(256)
)
BLACK = replace(FRAME, dhash=0, luma=4, deviation=2, sharpness=1, colour=(4, 4, 4))

labels = st.builds(
    Label,
    name=st.sampled_from([*taxonomy.TAXONOMIES["rekognition"], "Something New"]),
    parent=st.sampled_from(["", "Explicit", "Violence", "Elsewhere"]),
    confidence=st.floats(),
)


def moderation(changes: str, provider: str = "local"):
    return rules(f'[moderation]\nprovider = "{provider}"\n{changes}').moderation


def film(seconds: float):
    return replace(PHONE, duration=seconds, timeline=replace(PHONE.timeline, duration=seconds))


def planned(media, changes: str = "", *, affordable: int | None = None) -> Screen:
    found = screening.plan(media, moderation(changes), affordable=affordable)
    assert found is not None
    return found


def seen(*found: Label, provider: str = "rekognition", **changes) -> Screening:
    looks = (Look(at=1.5, labels=found),)
    return Screening(**{"provider": provider, "model": "7.0", "planned": 1, "looks": looks} | changes)


def said(*found: Label, rules=REKOGNITION, **changes) -> str:
    return screening.verdict(seen(*found, **changes), rules).says


def label(name: str, confidence: float, parent: str = "") -> Label:
    return Label(name=name, parent=parent, confidence=confidence)


@pytest.mark.parametrize(
    ("media", "changes", "at"),
    [
        (PHOTO, "", (0,)),
        (ANIMATION, "frames = 60", tuple(range(20))),
        (ANIMATION, "frames = 3", (0, 10, 19)),
        (ANIMATION, "frames = 1", (0,)),
        (PHONE, "interval_seconds = 2.0", (1, 3, 5, 7, 9)),
        (PHONE, "interval_seconds = 4.0", (1.667, 5, 8.333)),
        (PHONE, "interval_seconds = 1.0\nframes = 2", (2.5, 7.5)),
        (film(0), "", (0,)),
    ],
)
def test_what_is_looked_at(media, changes, at):
    """A still's page, an animation's pages with the first and the last, the middles of equal parts of a film."""
    assert at == planned(media, changes).at


def test_nothing_to_look_at():
    """Moderation that is off and sound alone have no step."""
    assert screening.plan(PHOTO, moderation("").model_copy(update={"provider": "off"}), affordable=None) is None
    assert screening.plan(SONG, SHIPPED, affordable=None) is None


@pytest.mark.parametrize(("affordable", "count"), [(None, 5), (9, 5), (3, 3), (0, 1)])
def test_the_budget_bounds_the_frames(affordable, count):
    """No more frames than can be paid for, but one at least: the allowance says no, not the plan."""
    assert count == len(planned(PHONE, affordable=affordable).at)


@pytest.mark.parametrize(("small", "at", "pad"), [("pad", (0,), True), ("skip", (), False)])
def test_small_pictures(small, at, pad):
    """A picture with a side below 80 pixels is padded, or not looked at."""
    found = planned(replace(PHOTO, height=79), f'small = "{small}"')
    assert (at, pad) == (found.at, found.pad)
    assert planned(replace(PHOTO, height=80), f'small = "{small}"').at == (0,)


def test_the_digest_knows_no_rule_of_the_verdict():
    """Other thresholds, image widths or policies for small pictures are no reason to look again."""
    other = moderation('small = "skip"\nunknown = { review = 99 }\nlocal.rules = [{ label = "Explicit", block = 50 }]')
    first = screening.plan(PHONE, SHIPPED, affordable=None)
    assert step.digest(first, version="v") == step.digest(screening.plan(PHONE, other, affordable=None), version="v")
    assert screening.policy(SHIPPED) != screening.policy(other)
    assert screening.policy(SHIPPED) == screening.policy(moderation("frames = 7"))


@given(st.floats(0.3, 3600), st.floats(0.2, 60), st.floats(0, 1))
def test_no_shot_as_long_as_the_interval_is_missed(seconds, interval, begin):
    """Wherever it lies, a time falls into it (times are rounded to a millisecond)."""
    found = planned(film(seconds), f"interval_seconds = {interval:.3f}\nframes = 5000")
    length = max(float(f"{interval:.3f}"), seconds / 5000) + 0.001
    start = begin * max(0, seconds - length)
    assert any(start <= at <= start + length for at in found.at) or length > seconds
    assert screening.gap(found.at, seconds) <= length
    assert len(found.at) == len(set(found.at))


@given(st.integers(1, 300))
def test_coarse_to_fine(count):
    """Every time once, the first of them spread: after n of them no gap is longer than four times the even one."""
    at = tuple(float(n) for n in range(count))
    order = screening.coarse_to_fine(at)
    assert at == tuple(sorted(order))
    for n in range(1, count):
        assert screening.gap(order[:n], count - 1) <= max(1, 4 * count / n)


def test_the_middle_is_looked_at_first():
    """Then the beginning, then what lies between."""
    assert (4, 0, 6, 2, 5, 1, 7, 3) == screening.coarse_to_fine((0, 1, 2, 3, 4, 5, 6, 7))


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({}, True),
        ({"dhash": FRAME.dhash ^ 0b11}, True),
        ({"dhash": FRAME.dhash ^ 0b111}, False),
        ({"colour": (126, 110, 100)}, False),
        ({"fields": bytes([20] * 256)}, True),
        ({"fields": bytes([0] * 255 + [21])}, False),
        ({"sharpness": 1, "luma": 121, "deviation": 56}, True),
    ],
)
def test_what_speaks_for_what(changes, alike):
    """Few bits of the gradients, and hardly any of colour (flat red and blue are alike in them) and of any part."""
    assert alike == screening.alike(FRAME, replace(FRAME, **changes))


@pytest.mark.parametrize(
    ("frame", "others", "chosen"),
    [
        (BLACK, [BLACK, FRAME], 1),
        (BLACK, [BLACK, BLACK], None),
        (replace(FRAME, sharpness=10), [FRAME, replace(FRAME, sharpness=500)], 1),
        (replace(FRAME, sharpness=10), [replace(FRAME, dhash=~FRAME.dhash & (1 << 64) - 1), BLACK], None),
        (replace(FRAME, sharpness=10), [replace(FRAME, colour=(200, 0, 0)), BLACK], None),
    ],
)
def test_neighbours_of_poor_frames(frame, others, chosen):
    """A black frame gives way to anything that shows something, a blurred one to the same scene alone."""
    assert screening.poor(frame, usual=400)
    assert chosen == screening.stand_in(frame, others, usual=400)


def test_black_frames_say_nothing_about_sharpness():
    """The median is that of what shows something, and a film of nothing but black has none."""
    assert 400 == screening.usual_sharpness([BLACK, BLACK, FRAME])
    assert 0 == screening.usual_sharpness([BLACK])


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([], "allow"),
        ([label("Explicit", 95)], "block"),
        ([label("Explicit", 60)], "review"),
        ([label("Explicit", 59.9)], "allow"),
        ([label("Sex Toys", 95, "Explicit")], "block"),
        ([label("Sex Toys of a Later Model", 95, "Explicit Nudity")], "block"),
        ([label("Exposed Buttocks or Anus", 95)], "block"),
        ([label("Gambling", 99)], "allow"),
        ([label("Blood & Gore", 96, "Graphic Violence"), label("Violence", 96)], "block"),
        ([label("Something New", 60)], "review"),
        ([label("Something New", 59)], "allow"),
        ([label("Explicit", float("nan"))], "block"),
        ([label("Explicit", -1)], "block"),
        ([label("Explicit", 1e9)], "block"),
    ],
)
def test_the_nearest_rule_decides(found, says):
    """Its own, else one above it by the provider's word or by the taxonomy, else the one for the unknown."""
    assert says == said(*found)


def test_an_exception_below_a_rule():
    """What has a rule of its own sets those above it aside, as far as they are no more certain."""
    above = "Non-Explicit Nudity of Intimate parts and Kissing"
    kiss = label("Kissing on the Lips", 95, above)
    assert "allow" == said(kiss, label(above, 95))
    assert "review" == said(kiss, label(above, 96))
    assert "review" == said(kiss, label(above, 95), label("Bare Back", 90, "Non-Explicit Nudity"))
    assert "allow" == said(label("Bare Back", 50, "Non-Explicit Nudity"), label("Non-Explicit Nudity", 50))


def test_reasons_are_the_strongest_first():
    """What blocks before what waits, of each label the most certain look; what is allowed is none."""
    looks = (
        Look(at=1, labels=(label("Explicit", 70), label("Gambling", 100))),
        Look(at=2, labels=(label("Explicit", 92), label("Violence", 99))),
    )
    verdict = screening.verdict(seen(looks=looks), REKOGNITION)
    assert "block" == verdict.says
    assert (("Explicit", 92, 2, "Explicit"), ("Violence", 99, 2, "Violence")) == verdict.because
    assert "unknown" == screening.verdict(seen(label("New", 80)), REKOGNITION).because[0][3]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"complete": False}, "review"),
        ({"looks": ()}, "review"),
        ({"looks": (), "skipped": "small"}, "allow"),
        ({"looks": (), "skipped": "elsewise"}, "review"),
    ],
)
def test_what_was_not_seen_is_not_allowed(changes, says):
    """Unless it is a picture that the recipe calls too small to matter."""
    assert says == said(**changes)


@given(st.lists(labels, max_size=4), st.integers(0, 3), st.floats(0, 100))
def test_more_confidence_is_never_milder(found, at, more):
    """Raise one label that no exception hangs on, and the verdict is at least as strict."""
    raised = [
        one.model_copy(update={"confidence": max(screening.confidence(one), more)}) if number == at else one
        for number, one in enumerate(found)
    ]
    order = ["allow", "review", "block"]
    own = {rule.label for rule in REKOGNITION.rekognition.rules}
    if at < len(found) and not (found[at].name in own and taxonomy.parents("rekognition", found[at].name)):
        assert order.index(said(*found)) <= order.index(said(*raised))
    assert screening.hard_hit(found, REKOGNITION) == (said(*found) == "block")


@pytest.mark.parametrize(("sure", "strongest"), [(59.9, None), (60, 60), (float("inf"), 100)])
def test_what_a_reviewer_may_want_to_see(sure, strongest):
    """A frame with any label from the lowest threshold of all on."""
    assert strongest == screening.noteworthy([label("Gambling", sure), label("Alcohol", 30)], REKOGNITION)
