"""What reprocessing would cost: sums, and how sure they are."""

from collections.abc import Mapping

import pytest

from service.core import explain, plan, survey
from service.core.media import Media
from service.core.plan import Named
from service.core.record import StepRecord
from service.core.step import Screen, digest
from service.core.survey import Known, Survey, Surveyed, Tally
from tests.core.samples import PHONE, PHOTO, RULES, SONG, rules

QUIET = rules("moderation.provider = 'off'\ncaptions.provider = 'off'")
ASKING = rules("moderation.provider = 'rekognition'\ncaptions.provider = 'transcribe'")


def known(media: Media | None, *, steps: tuple[Named, ...] = (), size: int = 1000) -> Known:
    """A version of which these steps are done."""
    done = {named.digest: StepRecord(digest=named.digest, kind=type(named.step).__name__) for named in steps}
    return Known(version="v", size=size, media=media, done=done)


@pytest.mark.parametrize("media", [PHOTO, PHONE, SONG], ids=["photo", "video", "sound"])
def test_what_was_never_made_is_all_of_the_plan(media: Media):
    """And what was is none of it."""
    planned = plan.make(media, QUIET, version="v", done={}).steps
    fresh = survey.foresee(known(media), QUIET)
    done = survey.foresee(known(media, steps=planned), QUIET)
    assert ({named.digest for named in planned}, 0) == ({named.digest for named in fresh.again}, fresh.reused)
    assert ((), len(planned)) == (done.again, done.reused)


def test_looking_comes_first_and_listening_last():
    """As a worker does it; with words, the playlists are written once more."""
    again = [type(named.step).__name__ for named in survey.foresee(known(PHONE), ASKING).again]
    assert ("Screen", ["Storyboard", "Transcript", "Package"]) == (again[0], again[-3:])
    assert 2 == again.count("Package")


@pytest.mark.parametrize("media", [PHOTO, PHONE, SONG], ids=["photo", "video", "sound"])
def test_the_money_is_that_of_a_plan(media: Media):
    """What `plan` says of one file, a survey says of many, in all and by step."""
    found = survey.foresee(known(media), ASKING)
    sums = Survey()
    for _ in range(3):
        sums.add(found, ASKING.prices)
    screen = next((named.step for named in found.again if isinstance(named.step, Screen)), None)
    one = explain.cost(plan.make(media, ASKING, version="v", done={}), media, ASKING.prices, screen=screen)
    assert pytest.approx(3 * one.dollars, abs=1e-6) == sums.whole.dollars
    assert pytest.approx(3 * one.cpu_seconds) == sums.whole.cpu_seconds
    assert {unit: pytest.approx(3 * count) for unit, count in one.units.items()} == dict(sums.units)
    assert pytest.approx(sums.whole.dollars) == sum(tally.dollars for tally in sums.steps.values())
    assert 3 * len(found.again) == sums.whole.steps == sum(tally.steps for tally in sums.steps.values())


def test_kinds_are_told_apart():
    """Objects, bytes and minutes by what they are; those that nobody has opened have no steps."""
    sums = Survey()
    for media in (PHOTO, PHONE, PHONE, SONG, None):
        sums.add(survey.foresee(known(media), QUIET), QUIET.prices)
    sums.add(survey.foresee(known(PHOTO, size=0), QUIET), QUIET.prices)
    objects: Mapping[str, float] = {kind: tally.objects for kind, tally in sums.media.items()}
    seconds = {kind: tally.seconds for kind, tally in sums.media.items() if tally.seconds}
    assert {"image": 1, "video": 2, "audio": 1, "unknown": 1, "refused": 1} == objects
    assert {"video": 20.0, "audio": 10.0} == seconds
    assert (6, 4, 5000) == (sums.whole.objects, sums.whole.touched, sums.whole.bytes)
    assert 0 == sums.media["unknown"].steps


def test_what_was_owed_before_is_told_apart():
    """Of the steps that would run again, those that another recipe asks for too."""
    found = survey.foresee(known(PHOTO), QUIET)
    sums = Survey()
    sums.add(found, QUIET.prices, owed=[found.again[0].digest, "another"])
    assert (1, len(found.again)) == (sums.whole.owed, sums.whole.steps)


def of(dollars: list[float]) -> Survey:
    """A survey of objects that cost this much."""
    bills = [Tally(objects=1, steps=2, dollars=one, squares=one**2) for one in dollars]
    return Survey(media={"image": sum(bills, Tally())})


def test_a_sample_stands_for_all():
    """So many times as much; a survey of all stays as it is."""
    part = Surveyed(survey=of([1.0, 3.0]), objects=100, bytes=7, looked=2)
    whole = Surveyed(survey=of([1.0, 3.0]), objects=2, bytes=7, looked=2)
    assert (False, 100, 200.0, 200) == (
        part.exact,
        part.estimated.whole.objects,
        part.estimated.whole.dollars,
        part.estimated.whole.steps,
    )
    assert (True, 2, 4.0, 0.0) == (
        whole.exact,
        whole.estimated.whole.objects,
        whole.estimated.whole.dollars,
        whole.margin,
    )


@pytest.mark.parametrize(
    ("dollars", "objects", "margin"),
    [
        ([2.0, 2.0, 2.0], 100, 0.0),
        ([1.0, 3.0], 100, 2 * 100 * (2 / 2 * 0.98) ** 0.5),
        ([5.0], 100, 0.0),
        ([], 0, 0.0),
    ],
)
def test_how_far_a_sample_may_be_off(dollars: list[float], objects: int, margin: float):
    """Two standard errors of the sum, corrected for a finite population (Cochran, Sampling Techniques, 2.6)."""
    found = Surveyed(survey=of(dollars), objects=objects, bytes=0, looked=len(dollars))
    assert pytest.approx(margin) == found.margin


def test_digests_are_those_of_records():
    """What was looked at by another provider is looked at again."""
    first = survey.foresee(known(PHOTO), RULES).again[0]
    assert first.digest == digest(first.step, version="v")
    assert isinstance(first.step, Screen)
    assert "local" == first.step.provider
