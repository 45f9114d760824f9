"""What people are told: why a step, at what cost, and what to do about a reason."""

from dataclasses import replace

import pytest

from service.core import explain, plan
from service.core.media import Media
from service.core.outcome import Reason
from service.core.step import Step
from tests.core.samples import ANIMATION, PHONE, PHOTO, RULES, SONG, rules


def steps(media: Media) -> list[Step]:
    """The steps that are planned for media under the shipped rules."""
    return [named.step for named in plan.make(media, RULES, version="v", done=()).steps]


def test_reasons_of_a_video():
    """Each step with the numbers that it was decided by."""
    told = [explain.why(step, PHONE) for step in steps(PHONE)]
    assert [
        "1080 x 1920 of 1080 x 1920, 29.97 frames/s, CRF 23, at most 5000 kb/s",
        "720 x 1280 of 1080 x 1920, 29.97 frames/s, CRF 23, at most 2800 kb/s",
        "480 x 854 of 1080 x 1920, 29.97 frames/s, CRF 23, at most 1400 kb/s",
        "360 x 640 of 1080 x 1920, 29.97 frames/s, CRF 23, at most 800 kb/s",
        "240 x 426 of 1080 x 1920, 29.97 frames/s, CRF 23, at most 400 kb/s",
        "the frame at 1 s, 1080 x 1920",
        "track 0, 1 channel(s), 128 kb/s",
        "one file for a plain src, no encode",
        "HLS and DASH over 6 track(s), no encode",
    ] == told


def test_reasons_of_pictures():
    """A still, an animation that moves, and one that stands."""
    assert "320 of 4000 pixels wide, quality 80, still" == explain.why(steps(PHOTO)[0], PHOTO)
    assert "320 of 1600 pixels wide, quality 80, animation kept" == explain.why(steps(ANIMATION)[0], ANIMATION)
    assert "320 of 1600 pixels wide, quality 80, first frame" == explain.why(steps(ANIMATION)[3], ANIMATION)
    assert "ThumbHash and colour" == explain.why(steps(PHOTO)[-1], PHOTO)


@pytest.mark.parametrize("media", [PHONE, SONG, PHOTO, ANIMATION], ids=["video", "sound", "photo", "animation"])
def test_every_step_has_a_reason(media: Media):
    """No line of the plan stands there unexplained, or costs less than nothing."""
    for step in steps(media):
        assert explain.why(step, media)
        assert explain.cpu_seconds(step, media) >= 0


def test_cost():
    """Seconds and dollars grow with what is to do, and there are none for what is done."""
    whole = plan.make(PHONE, RULES, version="v", done=())
    rest = plan.make(PHONE, RULES, version="v", done=[whole.steps[0].digest])
    none = plan.make(PHONE, RULES, version="v", done=[named.digest for named in whole.steps])
    all_seconds, all_dollars = explain.cost(whole, PHONE)
    seconds, dollars = explain.cost(rest, PHONE)
    assert 0 < seconds < all_seconds
    assert 0 < dollars < all_dollars
    assert (0, 0) == explain.cost(none, PHONE)


def test_cost_of_an_hour():
    """One core that works for an hour costs what Fargate asks for a vCPU and 2 GB for an hour."""
    hour = replace(SONG, timeline=replace(SONG.timeline, duration=60 * 3600.0))
    seconds, dollars = explain.cost(plan.make(hour, RULES, version="v", done=()), hour)
    assert pytest.approx((3600, 0.04937)) == (seconds, dollars)


def test_slower_preset_costs_more():
    """The estimate knows the preset, and takes one that it does not know for a slow one."""
    costs = []
    for preset in ("ultrafast", "veryfast", "fast", "slower"):
        planned = plan.make(PHONE, rules(f"[video]\npreset = '{preset}'"), version="v", done=())
        costs.append(explain.cost(planned, PHONE)[0])
    assert sorted(set(costs)) == costs


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_remedy(reason: Reason):
    """Whoever is told that it did not work is told what to do."""
    assert explain.REMEDIES[reason].endswith((".", "recipe."))
