"""Whether a picture beside a video is its poster, in which sizes, and what is said of it."""

from importlib.resources import files

import pytest

from service.core import covers, explain, media, plan, recipe, survey
from service.core.covers import SHOWN, Uploaded
from service.core.media import Clip, Picture
from service.core.outcome import Rejected
from service.core.plan import Beside, Redraw, Vet
from service.core.record import File, Label, Look, Screening, StepRecord
from service.core.step import Cover, Poster, UploadedPoster
from tests.core.test_texts import MATROSKA, document

SHIPPED = (files("service") / "recipe.toml").read_text()
RULES = recipe.read("[moderation]\nprovider = 'rekognition'", shipped=SHIPPED).general
BESIDE = Beside(poster=Uploaded(key="a.mkv.poster.jpg", etag="e"))
COVER = Cover(key="a.mkv.poster.jpg", etag="e", provider="rekognition", small="pad")
FILE = File(name="poster.jpg", content_type="image/jpeg", bytes=1, sha256="0")


def picture(width: int = 1600, height: int = 900, *, frames: int = 1) -> Picture:
    """What was uploaded."""
    return Picture(formats=("PNG",), width=width, height=height, frames=frames, animated=frames > 1, alpha=False)


def film() -> Clip:
    """What it is to be the poster of."""
    return media.from_ffprobe(document(), size=1000, sniffed=MATROSKA)


def seen(digest: str = "c", *, sure: float = 0.0) -> StepRecord:
    """A look at it, with something in it that is more or less explicit."""
    look = Look(at=0.0, labels=(Label(name="Explicit", confidence=sure),))
    screening = Screening(provider="rekognition", model="7", planned=1, looks=(look,))
    return StepRecord(digest=digest, kind="Cover", picture=picture(), screening=screening)


def make(*records: StepRecord) -> plan.Plan:
    """What is to be done when this is done."""
    return plan.make(film(), RULES, version="v", done={one.digest: one for one in records}, beside=BESIDE)


def digest_of(planned: plan.Plan, kind: type) -> str:
    """The one step of a kind."""
    (found,) = [named.digest for named in planned.steps if isinstance(named.step, kind)]
    return found


def kinds(planned: plan.Plan) -> list[type]:
    """Of the steps about posters."""
    return [type(named.step) for named in planned.steps if isinstance(named.step, Cover | Poster | UploadedPoster)]


def test_it_is_looked_at_before_anything_is_made_of_anything() -> None:
    """What it turns out to be decides whether a frame is looked for."""
    planned = make()
    assert (Vet, [Poster, Cover]) == (type(planned.groups[0]), kinds(planned))


@pytest.mark.parametrize(
    ("sure", "expected"), [(0, [Cover, UploadedPoster]), (70, [Poster, Cover]), (95, [Poster, Cover])]
)
def test_only_what_is_allowed_outright_is_drawn(sure: float, expected: list[type]) -> None:
    """What somebody would have to look at is not: a frame of the film stands in."""
    planned = make(seen(digest_of(make(), Cover), sure=sure))
    assert (expected, UploadedPoster in expected) == (kinds(planned), isinstance(planned.groups[0], Redraw))


def test_one_that_was_refused_when_it_was_drawn_is_no_poster() -> None:
    """The frame is made then."""
    first = seen(digest_of(make(), Cover))
    refused = StepRecord(digest=digest_of(make(first), UploadedPoster), kind="UploadedPoster", refused=("damaged",))
    assert [Poster, Cover, UploadedPoster] == kinds(make(first, refused))


@pytest.mark.parametrize("screening", [None, "other"])
def test_without_a_picture_nothing_is_allowed(screening: str | None) -> None:
    """What could not be read was not seen either."""
    assert covers.allowed(seen().model_copy(update={"picture": None, "screening": screening}), RULES) is None


@pytest.mark.parametrize(
    ("width", "height", "largest", "count"),
    [(1600, 900, (1280, 720), 3), (500, 1000, (500, 1000), 2), (100, 100, (100, 100), 1), (9, 16_383, (9, 16_383), 1)],
)
def test_sizes_are_of_its_own_proportions(width: int, height: int, largest: tuple[int, int], count: int) -> None:
    """As wide as posters may be, never enlarged."""
    found = covers.poster(COVER, "c", picture(width, height), RULES)
    assert (largest, count) == (found.sizes[0], len(found.sizes))


def test_a_strip_is_no_longer_than_a_file_may_be() -> None:
    """WebP holds 16383 pixels."""
    assert all(height <= 16_383 for _, height in covers.poster(COVER, "c", picture(10, 100_000), RULES).sizes)


def test_of_an_animation_the_first_frame_counts() -> None:
    """It is what is looked at, and what is shown."""
    assert picture() == covers.still(picture(frames=40))


def test_a_film_is_no_poster() -> None:
    """Whatever its name says."""
    with pytest.raises(Rejected):
        covers.still(film())


def test_what_is_foreseen_is_one_look_and_a_poster() -> None:
    """At what Rekognition asks for one picture more."""
    known = survey.Known(version="v", size=1000, media=film(), decided="allow", beside=BESIDE)
    again = survey.foresee(known, RULES).again
    assert {Cover, UploadedPoster} < {type(named.step) for named in again}
    assert Poster not in {type(named.step) for named in again}
    vetted = plan.Plan(steps=(), groups=(Vet(steps=again[:1]),))
    assert {"rekognition_image": 1} == explain.cost(vetted, film(), RULES.prices).units


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], None),
        ([seen(sure=70)], "review"),
        ([seen(sure=95)], "block"),
        ([StepRecord(digest="c", kind="Cover", refused=("too_large",))], "too_large"),
        ([seen(), StepRecord(digest="p", kind="UploadedPoster", refused=("damaged",))], "damaged"),
        ([seen(), StepRecord(digest="p", kind="UploadedPoster", files=(FILE,))], SHOWN),
    ],
)
def test_the_outcome_says_what_became_of_it(steps: list[StepRecord], expected: str | None) -> None:
    """Shown, or why not."""
    assert expected == covers.told({one.digest: one for one in steps}, RULES)
