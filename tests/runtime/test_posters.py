"""A poster that is uploaded beside a video: shown instead of a frame, if it may be shown and can be read."""

from pathlib import Path

import pytest

from service.core import covers
from service.core.manifest import Serving, Status
from service.core.outcome import Unavailable
from service.core.recipe import Recipe
from service.core.record import Label, Role
from tests.fakes import FakeJudge, Wire, film, photo
from tests.runtime.site import Site, job, received, rules

KEY = "film.mp4"
SIDE = f"{KEY}.poster.jpg"
OFF = rules()
LOCAL = rules(moderation="local")
PORTRAIT = photo(width=400, height=800)
LANDSCAPE = photo(width=800, height=400)


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Site:
    return Site(scratch=tmp_path)


def serving(site: Site) -> Serving:
    """What the page shows."""
    found = site.ready(KEY).serving
    assert found
    return found


def sizes(site: Site) -> set[tuple[int | None, int | None]]:
    """Those of the posters that the page shows."""
    return {(one.width, one.height) for one in serving(site).products if one.role is Role.POSTER}


PORTRAITS = {(400, 800), (320, 640)}
LANDSCAPES = {(800, 400), (640, 320), (320, 160)}
FRAMES = {(640, 360), (320, 180)}


def told(site: Site) -> str | None:
    """What the outcome record says of the poster."""
    return site.outcome(KEY).poster


def flagged(*, sure: float) -> FakeJudge:
    """Sees something in whatever is no frame of the film: those are looked at half a second in, and later."""
    label = Label(name="Explicit", confidence=sure)
    return FakeJudge(labels=lambda file: (label,) if file == "frame-0.jpg" else ())


@pytest.mark.parametrize("recipe", [OFF, LOCAL], ids=["off", "local"])
async def test_an_uploaded_poster_is_shown(recipe: Recipe, site: Site) -> None:
    """In its own proportions, under the names of posters; no frame is looked for."""
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, PORTRAIT)
    wire = await site.process(KEY, recipe=recipe)
    assert (PORTRAITS, covers.SHOWN) == (sizes(site), told(site))
    assert {"poster.webp", "poster-320.webp", "poster.jpg", "poster-320.jpg"} <= set(site.products(KEY))
    assert not [call for call in wire.calls if "candidate" in call]
    assert serving(site).placeholder
    site.check(KEY)
    wire = await site.process(KEY, received("again"), recipe=recipe, type_="reprocess")
    assert 0 == wire.count("fetch", "look", "inspect", "draw", "run")
    site.check(KEY)


async def test_a_poster_that_comes_later_takes_the_place_of_the_frame(site: Site) -> None:
    """Its event is a change of the film, of which nothing else is made again; it has no page of its own."""
    site.uploads.put(KEY, film())
    await site.process(KEY)
    assert (FRAMES, None) == (sizes(site), told(site))
    site.uploads.put(SIDE, PORTRAIT)
    wire = await site.process(SIDE, received("poster"))
    assert (PORTRAITS, 2) == (sizes(site), site.ready(KEY).revision)
    assert {SIDE} == {call.split()[1] for call in wire.calls if call.startswith("fetch")}
    assert (0, None) == (wire.count("probe", "run"), site.manifest(SIDE))
    site.check(KEY)


async def test_a_poster_that_is_replaced_is_shown_as_it_is_now(site: Site) -> None:
    """And nothing of the former one is left, once pages that show it have had their time."""
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, PORTRAIT)
    await site.process(KEY)
    former = {key for key in site.public(KEY) if "/poster" in key and "/~/" not in key}
    site.uploads.put(SIDE, LANDSCAPE)
    later = await site.deliver(job(SIDE), received("replaced"))
    assert LANDSCAPES == sizes(site)
    assert later
    assert "sweep" == later.job.type
    await site.deliver(later.job, received("sweep"))
    assert former
    assert not former & site.public(KEY)
    site.check(KEY)


async def test_a_poster_that_is_deleted_is_not_shown(site: Site) -> None:
    """The best frame is, and the picture is gone with the next sweep."""
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, PORTRAIT)
    await site.process(KEY)
    portrait = set(site.products(KEY).values())
    site.uploads.delete(SIDE)
    later = await site.deliver(job(SIDE), received("deleted"))
    assert (FRAMES, None) == (sizes(site), told(site))
    assert later
    await site.deliver(later.job, received("sweep"))
    shown = [key for key in site.public(KEY) if "/poster" in key]
    assert all("400x800" not in site.store.objects[key].decode() for key in shown)
    assert [body for body in portrait if b"400x800" in body]
    site.check(KEY)


@pytest.mark.parametrize(("sure", "says"), [(70, "review"), (95, "block")])
async def test_a_poster_that_moderation_does_not_allow_is_never_public(sure: float, says: str, tmp_path: Path) -> None:
    """Not a byte of it; the film is ready with a frame, and the outcome says why."""
    site = Site(scratch=tmp_path, judge=flagged(sure=sure))
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, PORTRAIT)
    wire = await site.process(KEY, recipe=LOCAL)
    assert (FRAMES, says) == (sizes(site), told(site))
    drawn = [call for call in wire.calls if call.startswith("draw")]
    assert 1 == len(drawn)
    assert not [key for key in site.store.objects if b"400x800" in site.store.objects[key]]
    site.check(KEY)


async def test_a_poster_is_judged_by_the_rules_of_the_day(tmp_path: Path) -> None:
    """Nobody is asked again when they change, in either direction."""
    site = Site(scratch=tmp_path, judge=flagged(sure=70))
    lax = rules(moderation="local", more='moderation.local.rules = [{ label = "Explicit", review = 80 }]\n')
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, PORTRAIT)
    await site.process(KEY, recipe=LOCAL)
    for number, (recipe, shown) in enumerate([(lax, PORTRAITS), (LOCAL, FRAMES), (lax, PORTRAITS)]):
        wire = await site.process(KEY, received(f"rules {number}"), recipe=recipe, type_="reprocess")
        assert (0, shown) == (wire.count("look"), sizes(site))


async def test_a_poster_that_nobody_can_be_asked_about_waits_for_the_next_job(site: Site) -> None:
    """The film does not: it is ready with a frame, and says so."""
    site.uploads.put(KEY, film())
    await site.process(KEY, recipe=LOCAL)
    site.uploads.put(SIDE, PORTRAIT)

    async def before(call: str) -> None:
        if call.startswith("look"):
            raise Unavailable("down")

    await site.deliver(job(SIDE), received("poster"), recipe=LOCAL, wire=Wire(before=before))
    assert FRAMES == sizes(site)
    await site.deliver(job(KEY, "reprocess"), received("down"), recipe=LOCAL, wire=Wire(before=before))
    assert (FRAMES, Status.READY) == (sizes(site), site.ready(KEY).status)
    await site.process(KEY, received("again"), recipe=LOCAL, type_="reprocess")
    assert (PORTRAITS, covers.SHOWN) == (sizes(site), told(site))
    site.check(KEY)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"no picture at all", "damaged"),
        (film(), "unsupported_type"),
        (b"\xff\xd8\xffcut off", "damaged"),
        (photo(fault="damaged"), "damaged"),
        (photo(note="x" * 100_000), "too_large"),
    ],
    ids=["nothing", "text", "film", "headers", "pixels", "large"],
)
@pytest.mark.parametrize("recipe", [OFF, LOCAL], ids=["off", "local"])
async def test_a_poster_that_cannot_be_read_is_no_fault_of_the_film(
    recipe: Recipe, body: bytes, why: str, site: Site
) -> None:
    """That is noted, and a frame is shown; it is not tried again."""
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, body)
    await site.process(KEY, recipe=recipe)
    assert (FRAMES, why) == (sizes(site), told(site))
    site.check(KEY)
    wire = await site.process(KEY, received("again"), recipe=recipe, type_="reprocess")
    assert (0, why) == (wire.count("fetch", "look", "inspect", "draw", "run"), told(site))


async def test_a_poster_that_comes_before_its_film_is_a_picture_as_well(site: Site) -> None:
    """Like any upload; its page goes when it is deleted, although the film is told too."""
    site.uploads.put(SIDE, PORTRAIT)
    await site.process(SIDE)
    assert site.ready(SIDE)
    site.uploads.put(KEY, film())
    await site.process(KEY, received("film"))
    assert PORTRAITS == sizes(site)
    site.check(KEY, SIDE)
    site.uploads.delete(SIDE)
    await site.process(SIDE, received("deleted"))
    gone = site.manifest(SIDE)
    assert gone
    assert (FRAMES, Status.DELETED, None) == (sizes(site), gone.status, gone.serving)
    assert set() == site.public(SIDE)
    site.uploads.put(SIDE, LANDSCAPE)
    await site.process(SIDE, received("anew"))
    assert (LANDSCAPES, gone) == (sizes(site), site.manifest(SIDE))


@pytest.mark.parametrize("body", [photo(), film(width=0)], ids=["picture", "sound"])
async def test_a_poster_beside_what_is_no_video_is_nothing_to_it(body: bytes, site: Site) -> None:
    """It is not even looked at."""
    site.uploads.put(KEY, body)
    site.uploads.put(SIDE, PORTRAIT)
    wire = await site.process(KEY, recipe=LOCAL)
    assert [KEY] == [call.split()[1] for call in wire.calls if call.startswith("fetch")]
    assert told(site) is None


async def test_of_several_posters_one_is_shown(site: Site) -> None:
    """The first by its key: which one that is does not change from job to job."""
    site.uploads.put(KEY, film())
    site.uploads.put(f"{KEY}.poster.png", PORTRAIT)
    site.uploads.put(SIDE, LANDSCAPE)
    await site.process(KEY)
    assert LANDSCAPES == sizes(site)


async def test_a_poster_of_a_film_that_waits_waits_with_it(tmp_path: Path) -> None:
    """What is allowed of it by itself is out of sight until somebody lets the film pass."""
    label = Label(name="Explicit", confidence=70)
    judge = FakeJudge(labels=lambda file: () if file == "frame-0.jpg" else (label,))
    site = Site(scratch=tmp_path, judge=judge)
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, PORTRAIT)
    await site.process(KEY, recipe=LOCAL)
    assert set() == site.public(KEY)
    assert [key for key in site.held(KEY) if key.endswith("/poster.jpg")]


async def test_a_poster_that_changes_while_it_is_read(site: Site) -> None:
    """Listed as one thing, fetched as another: the job starts over with what is there."""
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, PORTRAIT)
    newer = [LANDSCAPE]

    async def before(call: str) -> None:
        if call == f"fetch {SIDE}" and newer:
            site.uploads.put(SIDE, newer.pop())

    await site.deliver(job(KEY), wire=Wire(before=before))
    assert LANDSCAPES == sizes(site)
    site.check(KEY)
