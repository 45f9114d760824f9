"""What `reprocess --dry-run` says, and what a worker then does, are the same steps, whatever was done before."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from service.commands import survey as surveying
from service.core import survey
from service.core.recipe import Recipe
from service.core.record import Label
from service.core.screening import Says
from service.core.step import Subtitles
from service.core.survey import Foreseen
from tests.fakes import film, photo
from tests.listings import ListedUploads, catalogue
from tests.runtime.site import Site, received, rules

CUES = b"WEBVTT\n\n00:00.500 --> 00:02.000\nGood morning.\n"
PICTURE, FILM, SIDE = "a.jpg", "film.mp4", "film.mp4.en.vtt"

PLAIN = rules()
WIDER = rules(320, 640, 1280)
FINER = rules(more="video.crf = 20")
LONGER = rules(more="video.progressive_height = 240")
WHISPER = rules(captions="whisper")
GERMAN = rules(captions="whisper", more='captions.language = "de"')
LOOKED_AT = rules(moderation="local")
STRICT = rules(moderation="local", more='moderation.local.rules = [{ label = "Explicit", block = 20 }]')
SPENT = rules(moderation="rekognition", more="spend.upload = 0.0")


def limited(**changed: int) -> Recipe:
    """The plain recipe with other limits."""
    limits = PLAIN.general.limits.model_copy(update=changed)
    return PLAIN.model_copy(update={"general": PLAIN.general.model_copy(update={"limits": limits})})


@dataclass(kw_only=True)
class Here:
    """A service, and somebody who looks ahead."""

    site: Site
    uploads: ListedUploads

    async def foresee(self, key: str, recipe: Recipe) -> Foreseen:
        """What a worker with this recipe is said to do."""
        found = await surveying.known(catalogue(self.uploads), "uploads", key)
        assert found
        return survey.foresee(found, recipe.rules(key))

    async def reprocess(self, key: str, recipe: Recipe) -> None:
        """What it does."""
        await self.site.process(key, received(f"{key} {id(recipe)}"), recipe=recipe, type_="reprocess")


@pytest.fixture(name="here")
def _here(tmp_path: Path) -> Here:
    site = Site(scratch=tmp_path)
    site.uploads = ListedUploads(published=site.store)
    site.uploads.put(PICTURE, photo(width=800))
    site.uploads.put(FILM, film(seconds=6))
    return Here(site=site, uploads=site.uploads)


def digests(found: Foreseen) -> set[str]:
    """Of the steps that would run again."""
    assert len(found.again) == len({named.digest for named in found.again})
    return {named.digest for named in found.again}


def ordered(found: Foreseen) -> tuple[str, ...]:
    """The same, in the order in which they would."""
    return tuple(named.digest for named in found.again)


def recorded(site: Site, key: str) -> set[str]:
    """Of the steps that records list."""
    return {step.digest for record in site.records(key) for step in record.steps}


@pytest.mark.parametrize("key", [PICTURE, FILM])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PLAIN, PLAIN),
        (PLAIN, WIDER),
        (WIDER, PLAIN),
        (PLAIN, FINER),
        (PLAIN, LONGER),
        (PLAIN, WHISPER),
        (WHISPER, WHISPER),
        (WHISPER, GERMAN),
        (WHISPER, PLAIN),
        (PLAIN, LOOKED_AT),
        (LOOKED_AT, STRICT),
        (PLAIN, STRICT),
    ],
)
async def test_what_is_foreseen_is_what_is_made(before: Recipe, after: Recipe, key: str, here: Here) -> None:
    """Records list those steps besides, and no others; after that there is nothing to do."""
    await here.site.process(key, recipe=before)
    foreseen = await here.foresee(key, after)
    done = recorded(here.site, key)
    await here.reprocess(key, after)
    assert digests(foreseen) == recorded(here.site, key) - done
    assert set() == digests(await here.foresee(key, after))


async def test_the_record_of_a_picture_has_just_that(here: Here) -> None:
    """Number by number, as an operator would compare them."""
    await here.site.process(PICTURE, recipe=PLAIN)
    foreseen = await here.foresee(PICTURE, WIDER)
    await here.reprocess(PICTURE, WIDER)
    outcome = here.site.outcome(PICTURE)
    assert (ordered(foreseen), foreseen.reused) == (outcome.made, len(outcome.reused))
    assert 0 < len(outcome.made) < len(outcome.made) + foreseen.reused


async def test_the_same_recipe_again_touches_nothing(here: Here) -> None:
    """No step is made, nothing is downloaded, and the page stays as it is."""
    await here.site.process(FILM, recipe=WHISPER)
    page = here.site.manifest(FILM)
    foreseen = await here.foresee(FILM, WHISPER)
    wire = await here.site.process(FILM, received("again"), recipe=WHISPER, type_="reprocess")
    assert ((), page) == (foreseen.again, here.site.manifest(FILM))
    assert not {call.split()[0] for call in wire.calls} & {"fetch", "run", "draw", "listen", "probe", "upload"}


async def test_captions_that_were_uploaded_meanwhile(here: Here) -> None:
    """They are adopted, and the playlists are written anew; the machine is not asked any more."""
    await here.site.process(FILM, recipe=WHISPER)
    here.uploads.put(SIDE, CUES)
    foreseen = await here.foresee(FILM, WHISPER)
    await here.reprocess(FILM, WHISPER)
    outcome = here.site.outcome(FILM)
    assert (ordered(foreseen), foreseen.reused) == (outcome.made, len(outcome.reused))
    assert ["Subtitles", "Package"] == [type(named.step).__name__ for named in foreseen.again]
    assert isinstance(foreseen.again[0].step, Subtitles)


@pytest.mark.parametrize(("words", "made"), [("Hello there.", 2), ("", 1)])
async def test_speech_is_taken_to_have_words(words: str, made: int, here: Here) -> None:
    """So it is never less than what is made: where nobody speaks, the playlists are left as they are."""
    here.site.scribe.said = words
    await here.site.process(FILM, recipe=PLAIN)
    before, foreseen = recorded(here.site, FILM), await here.foresee(FILM, WHISPER)
    await here.reprocess(FILM, WHISPER)
    assert ["Transcript", "Package"] == [type(named.step).__name__ for named in foreseen.again]
    assert made == len(recorded(here.site, FILM) - before)


async def test_what_is_blocked_is_not_made(here: Here) -> None:
    """What was seen is judged by the new rules: nothing runs."""
    here.site.judge.labels = lambda _file: (Label(name="Explicit", confidence=50.0),)
    await here.site.process(PICTURE, recipe=LOOKED_AT)
    foreseen = await here.foresee(PICTURE, STRICT)
    await here.reprocess(PICTURE, STRICT)
    assert ((), 0, ()) == (foreseen.again, foreseen.reused, here.site.outcome(PICTURE).made)


@pytest.mark.parametrize(("recipe", "kind"), [(PLAIN, survey.UNKNOWN), (limited(bytes=1), survey.REFUSED)])
async def test_what_was_never_opened_is_unknown(recipe: Recipe, kind: str, here: Here) -> None:
    """No record tells what it is; that it is too large, S3 does."""
    foreseen = await here.foresee(PICTURE, recipe)
    assert (kind, (), 0) == (foreseen.kind, foreseen.again, foreseen.reused)


@pytest.mark.parametrize("recipe", [limited(bytes=1), limited(pixels=100)])
async def test_what_other_limits_refuse_is_not_made(recipe: Recipe, here: Here) -> None:
    """By S3's word, or by that of its records."""
    await here.site.process(PICTURE, recipe=PLAIN)
    foreseen = await here.foresee(PICTURE, recipe)
    await here.reprocess(PICTURE, recipe)
    assert (survey.REFUSED, ()) == (foreseen.kind, foreseen.again)
    assert ("rejected", ()) == (here.site.outcome(PICTURE).status, here.site.outcome(PICTURE).made)


@pytest.mark.parametrize(("says", "steps"), [("allow", 2), ("block", 0)])
async def test_a_reviewer_has_the_last_word(says: Says, steps: int, here: Here) -> None:
    """Nobody is asked again, whatever the recipe says."""
    await here.site.process(PICTURE, recipe=PLAIN)
    found = await surveying.known(catalogue(here.uploads), "uploads", PICTURE)
    assert found
    decided = replace(found, decided=says)
    assert steps == len(survey.foresee(decided, rules(320, 640, 800, moderation="local").rules(PICTURE)).again)


async def test_where_nobody_may_be_asked_nothing_is_made(here: Here) -> None:
    """A cap of nothing buys not even one look."""
    await here.site.process(PICTURE, recipe=PLAIN)
    foreseen = await here.foresee(PICTURE, SPENT)
    assert ((), 0) == (foreseen.again, foreseen.reused)


async def test_what_is_gone_is_not_known(here: Here) -> None:
    """It was deleted since it was listed."""
    here.uploads.delete(PICTURE)
    assert None is await surveying.known(catalogue(here.uploads), "uploads", PICTURE)
