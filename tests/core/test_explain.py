"""What people are told: why a step, at what cost, and what to do about a reason."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from service.core import explain, plan
from service.core.explain import Estimate
from service.core.media import Media
from service.core.outcome import Reason
from service.core.plan import Adopt, Listen, Named, Plan
from service.core.record import StepRecord
from service.core.step import Screen, Step, Subtitles, Transcript
from tests.core.samples import ANIMATION, PHONE, PHOTO, RULES, SONG, rules


def steps(media: Media) -> list[Step]:
    """The steps that are planned for media under the shipped rules."""
    return [named.step for named in plan.make(media, RULES, version="v", done={}).steps]


def done(steps: Sequence[Named]) -> dict[str, StepRecord]:
    """What records say of these steps."""
    return {named.digest: StepRecord(digest=named.digest, kind=type(named.step).__name__) for named in steps}


def test_reasons_of_a_video():
    """Each step with the numbers that it was decided by."""
    told = [explain.why(step, PHONE) for step in steps(PHONE)]
    assert [
        "1080 x 1920 of 1080 x 1920, 29.97 frames/s, CRF 23, at most 5000 kb/s",
        "720 x 1280 of 1080 x 1920, 29.97 frames/s, CRF 23, at most 2800 kb/s",
        "480 x 854 of 1080 x 1920, 29.97 frames/s, CRF 23, at most 1400 kb/s",
        "360 x 640 of 1080 x 1920, 29.97 frames/s, CRF 23, at most 800 kb/s",
        "240 x 426 of 1080 x 1920, 29.97 frames/s, CRF 23, at most 400 kb/s",
        "the best of 8 frame(s), 1080 x 1920 and smaller",
        "10 frame(s) of 90 x 160 on 1 sheet(s)",
        "3 s from 3 s on, 180 x 320",
        "track 0, 1 channel(s), 128 kb/s, brought to -16 LUFS",
        "one file for a plain src, no encode",
        "HLS and DASH over 6 track(s), no encode",
        "a frame every 1 s for the seek bar, no encode",
        "track 0, heard by whisper, in whatever language it is",
    ] == told


def test_reasons_of_a_song():
    """How loud it becomes, if it is to be changed at all."""
    told = [explain.why(step, SONG) for step in steps(SONG)]
    assert ["track 0, 1 channel(s), 128 kb/s, brought to -16 LUFS", "of track 0"] == told[:2]
    (sound, *_) = plan.make(SONG, rules("audio.loudness = false"), version="v", done={}).steps
    assert "track 0, 1 channel(s), 128 kb/s" == explain.why(sound.step, SONG)


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
    whole = plan.make(PHONE, RULES, version="v", done={})
    rest = plan.make(PHONE, RULES, version="v", done=done(whole.steps[:1]))
    none = plan.make(PHONE, RULES, version="v", done=done(whole.steps))
    everything = explain.cost(whole, PHONE, RULES.prices)
    less = explain.cost(rest, PHONE, RULES.prices)
    assert 0 < less.cpu_seconds < everything.cpu_seconds
    assert 0 < less.dollars < everything.dollars
    assert Estimate(cpu_seconds=0, units={}, dollars=0) == explain.cost(none, PHONE, RULES.prices)


def test_cost_of_an_hour():
    """One core that works for an hour costs what Fargate asks for a vCPU and 2 GB for an hour."""
    hour = replace(SONG, timeline=replace(SONG.timeline, duration=60 * 3600.0))
    estimate = explain.cost(plan.make(hour, RULES, version="v", done={}), hour, RULES.prices)
    assert pytest.approx((3600, 0.04937)) == (estimate.cpu_seconds, estimate.dollars)


def assembled(*steps: Step) -> Plan:
    """A plan of these steps, none of them done."""
    named = tuple(Named(digest=f"{number}", step=step) for number, step in enumerate(steps))
    return Plan(steps=named, groups=(Adopt(steps=named),))


def test_cost_of_services():
    """What others bill is counted by their units: a picture for each frame, and minutes by the whole second."""
    screen = Screen(provider="rekognition", at=(0.0, 2.0, 4.0), pad=True)
    heard = Transcript(provider="transcribe", stream=0, language="en-US", languages=())
    later = Listen(clip=PHONE, steps=(Named(digest="1", step=heard),))
    asked = Plan(steps=later.steps, groups=(), later=later)
    expected = Estimate(cpu_seconds=0, units={"rekognition_image": 3, "transcribe_minute": 0.25}, dollars=0.009)
    assert expected == explain.cost(asked, PHONE, RULES.prices, screen=screen)


def test_cost_of_own_models():
    """What models of this machine say is bought from nobody."""
    own = assembled(
        Screen(provider="local", at=(0.0,), pad=True),
        Transcript(provider="whisper", stream=0, language=None, languages=()),
    )
    assert Estimate(cpu_seconds=0, units={}, dollars=0) == explain.cost(own, PHONE, RULES.prices)


@pytest.mark.parametrize(
    ("step", "media", "told"),
    [
        (Screen(provider="local", at=(1.0, 3.0), pad=True), PHONE, "2 frame(s) of 10 s, shown to local"),
        (Screen(provider="local", at=(0, 9), pad=True), ANIMATION, "2 of 20 page(s) or frame(s), shown to local"),
        (
            Transcript(provider="whisper", stream=0, language="de", languages=()),
            PHONE,
            "track 0, heard by whisper, in de",
        ),
        (
            Transcript(provider="whisper", stream=0, language=None, languages=("de", "en")),
            PHONE,
            "track 0, heard by whisper, in one of de, en",
        ),
        (
            Transcript(provider="whisper", stream=0, language=None, languages=()),
            PHONE,
            "track 0, heard by whisper, in whatever language it is",
        ),
        (Subtitles(key="a.mp4.de.vtt", etag="e", language="de"), PHONE, "a.mp4.de.vtt, in de: was uploaded beside it"),
    ],
)
def test_reasons_of_what_is_said(step: Step, media: Media, told: str):
    """What is asked of others, and what was uploaded beside it, is explained as well."""
    assert told == explain.why(step, media)


def test_slower_preset_costs_more():
    """The estimate knows the preset, and takes one that it does not know for a slow one."""
    costs = []
    for preset in ("ultrafast", "veryfast", "fast", "slower"):
        planned = plan.make(PHONE, rules(f"[video]\npreset = '{preset}'"), version="v", done={})
        costs.append(explain.cost(planned, PHONE, RULES.prices).cpu_seconds)
    assert sorted(set(costs)) == costs


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_remedy(reason: Reason):
    """Whoever is told that it did not work is told what to do."""
    assert explain.REMEDIES[reason].endswith((".", "recipe."))
