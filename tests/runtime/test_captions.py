"""Captions join what is public: by a machine here or elsewhere, or by whoever uploads them; never in anybody's way."""

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from service.core import job as jobs
from service.core import places as keys
from service.core import webvtt
from service.core.job import Ended, Input, Job, Later
from service.core.manifest import Serving, Status
from service.core.outcome import Misconfigured, Overspent, Throttled, Transient, Unavailable
from service.core.recipe import Recipe
from service.core.record import Captioned, Product, Role
from service.runtime.worker import Pulse, Terms, Worker
from tests.fakes import FakeQueue, FakeScribe, Wire, film, photo
from tests.runtime.site import Site, job, places, received, rules
from tests.runtime.test_interruptions import Death

KEY = "film.mp4"
SIDE = f"{KEY}.en.vtt"
OFF = rules()
WHISPER = rules(captions="whisper")
TRANSCRIBE = rules(captions="transcribe")
CUES = b"WEBVTT\n\n00:00.500 --> 00:02.000\nGood morning.\n"
GUTEN_TAG = "WEBVTT\n\n00:00.500 --> 00:02.000\nGuten Tag – schönen Morgen.\n".encode()


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Site:
    return Site(scratch=tmp_path)


@pytest.fixture(name="away")
def _away(tmp_path: Path) -> Site:
    """A site whose scribe is a service elsewhere, billed by the minute."""
    scribe = FakeScribe(name="transcribe", unit="transcribe_minute", sound="flac", away=True)
    return Site(scratch=tmp_path, scribe=scribe)


def serving(site: Site) -> Serving:
    """What the page shows."""
    found = site.ready(KEY).serving
    assert found
    return found


def tracks(site: Site) -> list[tuple[str, str | None, bool | None]]:
    """Every caption product: its name, its language, and whether a machine wrote it."""
    shown = [one for one in serving(site).products if one.role is Role.CAPTIONS]
    return [(_name(one), one.language, one.machine) for one in shown]


def _name(product: Product) -> str:
    return product.url.rpartition("/")[2]


def captioned(site: Site) -> Captioned:
    """What the outcome record says of captions."""
    found = site.outcome(KEY).captions
    assert found
    return found


def failing(error: Exception, call: str = "listen") -> Wire:
    """A worker whose scribe fails."""

    async def before(told: str) -> None:
        if told.startswith(call):
            raise error

    return Wire(before=before)


class States:
    """The states of captions that the page was told, in order."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.told: list[str] = []

    def wire(self) -> Wire:
        """What a worker's calls go over."""
        return Wire(after=self._after)

    async def _after(self, call: str) -> None:
        if call == f"write {places(KEY).manifest}":
            found = self._site.manifest(KEY)
            assert found
            self.told.append(found.serving.captions if found.serving else found.status)


# -- by a machine here --------------------------------------------------------------------------------------------


async def test_the_page_does_not_wait_for_captions(site: Site) -> None:
    """It is ready first; then there is a second revision with the tracks, and playlists that name them."""
    site.uploads.put(KEY, film())
    states = States(site)
    wire = states.wire()
    await site.deliver(job(KEY), recipe=WHISPER, wire=wire)
    assert (["pending", "machine"], 2) == (states.told, site.ready(KEY).revision)
    assert [("captions.en.vtt", "en", True), ("captions.en.srt", "en", True)] == tracks(site)
    shown = site.products(KEY)
    assert b"Hello there." in shown["captions.en.vtt"]
    assert b"Hello there." in shown["captions.en.srt"]
    assert re.search(rb'TYPE=SUBTITLES.*LANGUAGE="en".*URI="\.\./~[^/"]+/captions\.en\.m3u8"', shown["index.m3u8"])
    assert re.search(rb"\.\./~[^/<]+/captions\.en\.vtt", shown["index.mpd"])
    assert ("en", "fake-1", True, 1) == (
        captioned(site).language,
        captioned(site).model,
        captioned(site).machine,
        captioned(site).cues,
    )
    assert (1, 1) == (wire.count("fetch"), wire.count("probe"))
    site.check(KEY)


async def test_playlists_reach_what_they_name(site: Site) -> None:
    """Every address in a playlist, and in the playlist that it leads to, is an object."""
    site.uploads.put(KEY, film())
    await site.process(KEY, recipe=WHISPER)
    (package,) = [one.url for one in serving(site).products if one.role is Role.HLS]
    folder = package.partition("media/")[2].rpartition("/")[0]
    named = re.findall(rb'\.\./(~[^/"\s]+/[^"\s]+)', site.products(KEY)["index.m3u8"])
    assert len(named) >= 4
    assert {f"media/{folder.rpartition('/')[0]}/{one.decode()}" for one in named} <= set(site.store.objects)
    (playlist,) = [key for key in site.store.objects if key.endswith("captions.en.m3u8")]
    assert "captions.en.vtt" in site.store.objects[playlist].decode()


@pytest.mark.parametrize(
    ("scribe", "none"),
    [(FakeScribe(said=""), "no_speech"), (FakeScribe(declines="language"), "language")],
    ids=["silence", "declined"],
)
async def test_nothing_to_read_is_no_failure(scribe: FakeScribe, none: str, tmp_path: Path) -> None:
    """The page has no captions, the outcome record says why, and nobody is asked again."""
    site = Site(scratch=tmp_path, scribe=scribe)
    site.uploads.put(KEY, film())
    states = States(site)
    await site.deliver(job(KEY), recipe=WHISPER, wire=states.wire())
    assert (["pending", "none"], []) == (states.told, tracks(site))
    assert none == captioned(site).none
    assert b"SUBTITLES" not in site.products(KEY)["index.m3u8"]
    wire = await site.process(KEY, received("again"), recipe=WHISPER, type_="reprocess")
    assert 0 == wire.count("find", "listen", "fetch", "run")
    site.check(KEY)


@pytest.mark.parametrize("body", [photo(), film(width=0)], ids=["picture", "sound"])
async def test_only_what_has_sound_is_listened_to(body: bytes, site: Site) -> None:
    """A picture is not; sound alone is."""
    site.uploads.put(KEY, body)
    wire = await site.process(KEY, recipe=WHISPER)
    assert (body != photo()) == (wire.count("listen") == 1) == bool(tracks(site))
    site.check(KEY)


@pytest.mark.parametrize("error", [Unavailable("down"), Throttled("slow down")], ids=repr)
async def test_a_scribe_that_is_away_keeps_nobody_waiting(error: Transient, site: Site) -> None:
    """The page stays ready, the message is tried again; the fifth time it is enough."""
    site.uploads.put(KEY, film())
    for count in range(1, 5):
        with pytest.raises(type(error)):
            await site.deliver(job(KEY), received(count=count), recipe=WHISPER, wire=failing(error))
        assert ("pending", 1) == (serving(site).captions, site.ready(KEY).revision)
    await site.deliver(job(KEY), received(count=5), recipe=WHISPER, wire=failing(error))
    assert ("unavailable", 2, "unavailable") == (
        serving(site).captions,
        site.ready(KEY).revision,
        captioned(site).none,
    )
    assert 2 == len((await site.process(KEY, received("duplicate"), recipe=WHISPER)).calls)
    site.check(KEY)
    await site.process(KEY, received("anew"), recipe=WHISPER, type_="reprocess")
    assert "machine" == serving(site).captions
    site.check(KEY)


@pytest.mark.parametrize("error", [Overspent("spend.day"), Misconfigured("AccessDenied")], ids=repr)
async def test_what_nobody_may_ask_is_unavailable_at_once(error: Exception, site: Site) -> None:
    """Nothing is tried again for it: the page is ready without."""
    site.uploads.put(KEY, film())
    states = States(site)
    wire = states.wire()
    wire.before = failing(error).before
    await site.deliver(job(KEY), recipe=WHISPER, wire=wire)
    assert (["pending", "unavailable"], []) == (states.told, tracks(site))
    site.check(KEY)


async def test_a_mistake_of_ours_is_not_tried_for_ever(site: Site) -> None:
    """Nobody foresaw it: five tries tell it from a bad moment, and the page is ready all the while."""
    site.uploads.put(KEY, film())
    wire = failing(RuntimeError("a mistake of ours"))
    for count in range(1, 5):
        with pytest.raises(RuntimeError):
            await site.deliver(job(KEY), received(count=count), recipe=WHISPER, wire=wire)
        assert "pending" == serving(site).captions
    await site.deliver(job(KEY), received(count=5), recipe=WHISPER, wire=wire)
    assert "unavailable" == serving(site).captions
    site.check(KEY)


async def test_a_cap_that_is_reached_buys_nothing(away: Site) -> None:
    """The scribe is not called, and no file is made for it."""
    away.uploads.put(KEY, film())
    wire = await away.process(KEY, recipe=rules(captions="transcribe", more="spend.upload = 0.001\n"))
    assert ("unavailable", 0) == (serving(away).captions, wire.count("listen"))
    assert [] == [call for call in wire.calls if call.startswith("run speech")]
    away.check(KEY)


async def test_a_scribe_that_is_not_at_hand(site: Site) -> None:
    """The recipe names one that this worker lacks: that is said, and the page is ready."""
    site.uploads.put(KEY, film())
    await site.process(KEY, recipe=TRANSCRIBE)
    assert "unavailable" == serving(site).captions


@pytest.mark.parametrize(
    ("declared", "recipe", "language"),
    [
        ("de-de", 'captions.language = "fr"', "de-DE"),
        (None, 'captions.language = "fr"', "fr"),
        ("nonsense!", 'captions.language = "fr"', "fr"),
        ("und", "", "en"),
        (None, "", "en"),
    ],
)
async def test_language(declared: str | None, recipe: str, language: str, site: Site) -> None:
    """The upload's own word first, then the recipe's, and then what was heard; what is no tag is no word."""
    site.uploads.put(KEY, film(), language=declared)
    await site.process(KEY, recipe=rules(captions="whisper", more=f"{recipe}\n"))
    assert (f"captions.{language}.vtt", language, True) == tracks(site)[0]
    site.check(KEY)


# -- by a machine elsewhere ---------------------------------------------------------------------------------------


async def begun(site: Site) -> tuple[str, Later]:
    """A film is published, and its sound is being listened to elsewhere: the speech, and what is to be done later."""
    site.uploads.put(KEY, film())
    later = await site.deliver(job(KEY), recipe=TRANSCRIBE)
    assert later
    (speech,) = site.scribe.begun
    return speech, later


async def test_what_is_heard_elsewhere_is_looked_at_later(away: Site) -> None:
    """The page is ready and says that they will come; a delayed message is the backstop."""
    speech, later = await begun(away)
    assert ("pending", 1) == (serving(away).captions, away.ready(KEY).revision)
    assert ("captions", KEY) == (later.job.type, later.job.key)
    assert later.job.requested_at
    assert 60 <= later.after <= 900
    assert {"bucket": "uploads", "key": KEY} == json.loads(away.store.objects[keys.speech_source(speech)])
    assert (later.job,) == jobs.read(jobs.envelope(later.job))
    away.check(KEY)


async def test_its_end_joins_without_a_look_at_the_source(away: Site) -> None:
    """The message names the speech alone; nothing is fetched, probed, encoded or bought for it."""
    speech, _ = await begun(away)
    away.scribe.ended.add(speech)
    found = await away.pipeline().whose(Ended(speech=speech))
    assert found == Job(bucket="uploads", key=KEY, type="captions", cause="transcribed")
    wire = Wire()
    assert await away.deliver(found, received("end"), recipe=TRANSCRIBE, wire=wire) is None
    assert ("machine", 2) == (serving(away).captions, away.ready(KEY).revision)
    assert 0 == wire.count("fetch", "probe", "run", "listen", "draw")
    assert {speech: 1} == away.scribe.begun
    assert [] == [key for key in away.store.objects if "speech" in key]
    away.check(KEY)
    assert {"transcribe_minute": 4 / 60} == {line.unit: line.count for line in _cost(away)}
    before = away.objects()
    assert await away.pipeline().whose(Ended(speech=speech)) is None
    assert await away.deliver(job(KEY, "captions"), received("backstop"), recipe=TRANSCRIBE) is None
    assert before == away.objects()


def _cost(site: Site) -> tuple[object, ...]:
    found = site.outcome(KEY).cost
    assert found
    return found.lines


async def test_a_speech_of_somebody_else_is_nobody_s_job(away: Site) -> None:
    """Another deployment's in the same account, or one of a source that is gone."""
    assert await away.pipeline().whose(Ended(speech="0" * 40)) is None


async def test_looking_too_early_changes_nothing(away: Site) -> None:
    """The next look is as far away, and the first one is remembered."""
    _, later = await begun(away)
    before = away.objects()
    wire = Wire()
    again = await away.deliver(later.job, received("look"), recipe=TRANSCRIBE, wire=wire)
    assert again
    assert (later.job.requested_at, before) == (again.job.requested_at, away.objects())
    assert (1, 0) == (wire.count("find"), wire.count("listen", "fetch", "run", "tell"))


async def test_a_duplicate_begins_nothing_twice(away: Site) -> None:
    """While it is being heard another message of the upload comes, and the same one again."""
    speech, _ = await begun(away)
    for message in (received("duplicate"), received(count=2)):
        wire = Wire()
        assert await away.deliver(job(KEY), message, recipe=TRANSCRIBE, wire=wire)
        assert 0 == wire.count("listen", "fetch", "run")
    assert {speech: 1} == away.scribe.begun


async def test_after_a_day_nobody_waits_any_more(away: Site) -> None:
    """The page says that there are none; should they come after all, they are shown."""
    speech, later = await begun(away)
    old = replace(later.job, requested_at=datetime.now(UTC) - timedelta(hours=23))
    assert await away.deliver(old, received("a day"), recipe=TRANSCRIBE)
    old = replace(later.job, requested_at=datetime.now(UTC) - timedelta(hours=25))
    assert await away.deliver(old, received("more than a day"), recipe=TRANSCRIBE) is None
    assert ("unavailable", 2) == (serving(away).captions, away.ready(KEY).revision)
    away.scribe.ended.add(speech)
    await away.deliver(job(KEY, "captions"), received("at last"), recipe=TRANSCRIBE)
    assert "machine" == serving(away).captions
    away.check(KEY)


async def test_what_is_declined_elsewhere_is_none(away: Site) -> None:
    """Its end is told like any other; the record says why, and no minute is billed."""
    speech, later = await begun(away)
    away.scribe.declines = "refused"
    away.scribe.ended.add(speech)
    await away.deliver(later.job, received("end"), recipe=TRANSCRIBE)
    assert ("none", "refused") == (serving(away).captions, captioned(away).none)
    assert () == _cost(away)
    away.check(KEY)


async def test_wherever_a_worker_dies_it_is_begun_once(tmp_path: Path) -> None:
    """Killed at any call, the message comes again, and the end is told: one start, and captions in the end."""
    number = 0
    while True:
        number += 1
        scribe = FakeScribe(name="transcribe", unit="transcribe_minute", sound="flac", away=True)
        site = Site(scratch=tmp_path, scribe=scribe)
        site.uploads.put(KEY, film())
        death = Death(number=number)
        working = asyncio.ensure_future(site.deliver(job(KEY), recipe=TRANSCRIBE, wire=death.wire()))
        await asyncio.wait([working])
        if not death.came:
            break
        assert await site.deliver(job(KEY), received(count=2), recipe=TRANSCRIBE), f"after call {number}"
        assert [1] == list(scribe.begun.values()), f"after call {number}"
        scribe.ended.update(scribe.begun)
        await _dies_once(site, job(KEY, "captions"), number)
        assert ("machine", [1]) == (serving(site).captions, list(scribe.begun.values()))
        site.check(KEY)
    assert number > 20


async def _dies_once(site: Site, one: Job, number: int) -> None:
    """A worker dies at one of its calls, if it makes so many; the message comes again."""
    work = site.deliver(one, received("end"), recipe=TRANSCRIBE, wire=Death(number=number).wire())
    working = asyncio.ensure_future(work)
    await asyncio.wait([working])
    await site.deliver(one, received("end", 2), recipe=TRANSCRIBE)


TERMS = Terms(
    inputs=(Input(bucket="uploads", prefix=""),), output_bucket="published", slots=1, visibility=30, drain_seconds=0
)


async def test_a_worker_sends_itself_a_delayed_message_and_hears_of_the_end(away: Site) -> None:
    """From the upload's event over the service's to the captions, through the queue."""
    away.uploads.put(KEY, film())
    queue = FakeQueue()
    worker = Worker(
        queue=queue, pipeline=away.pipeline(recipe=TRANSCRIBE), terms=TERMS, pulse=Pulse(slots=1), jitter=Random(1)
    )
    await _handled(worker, queue, queue.put(jobs.envelope(job(KEY))))
    ((name, letter),) = queue.letters.items()
    assert 60 <= letter.visible_at - queue.clock() <= 900
    (speech,) = away.scribe.begun
    away.scribe.ended.add(speech)
    event = {
        "detail-type": "Transcribe Job State Change",
        "source": "aws.transcribe",
        "detail": {"TranscriptionJobName": keys.speech_job(speech, 1), "TranscriptionJobStatus": "COMPLETED"},
    }
    await _handled(worker, queue, queue.put(json.dumps(event)))
    assert "machine" == serving(away).captions
    await _handled(worker, queue, name)
    assert ({}, [], 2) == (queue.letters, queue.dead, away.ready(KEY).revision)
    away.check(KEY)


async def _handled(worker: Worker, queue: FakeQueue, name: str) -> None:
    await worker._attempt(queue._given(name))


@pytest.mark.parametrize("then", ["deleted", "replaced"])
async def test_captions_of_what_is_gone(then: str, away: Site) -> None:
    """The end of a speech whose source is deleted, or another one by now, changes nothing that is shown."""
    speech, later = await begun(away)
    away.uploads.delete(KEY)
    if then == "replaced":
        away.uploads.put(KEY, photo())
    await away.process(KEY, received("event"), recipe=TRANSCRIBE)
    away.scribe.ended.add(speech)
    found = await away.pipeline().whose(Ended(speech=speech))
    before = away.manifest(KEY)
    for number, one in enumerate(one for one in (found, later.job) if one):
        assert await away.deliver(one, received(f"end {number}"), recipe=TRANSCRIBE) is None
    assert before == away.manifest(KEY)


# -- by whoever uploads them --------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [WHISPER, OFF], ids=["whisper", "off"])
async def test_uploaded_captions_win(recipe: Recipe, site: Site) -> None:
    """Now and on reprocess: the machine is not asked, and the page is told who wrote them."""
    site.uploads.put(SIDE, CUES)
    site.uploads.put(KEY, film())
    wire = await site.process(KEY, recipe=recipe)
    assert (0, "uploaded", 1) == (wire.count("find", "listen"), serving(site).captions, site.ready(KEY).revision)
    assert [("captions.en.vtt", "en", False), ("captions.en.srt", "en", False)] == tracks(site)
    assert b"Good morning." in site.products(KEY)["captions.en.vtt"]
    assert b"SUBTITLES" in site.products(KEY)["index.m3u8"]
    assert (False, "en", 1) == (captioned(site).machine, captioned(site).language, captioned(site).cues)
    wire = await site.process(KEY, received("again"), recipe=recipe, type_="reprocess")
    assert 0 == wire.count("find", "listen", "fetch", "read_captions")
    site.check(KEY)


async def test_captions_that_come_later_take_the_machine_s_place(site: Site) -> None:
    """The event of the captions is a change of the film; no track of it is made again, and no page is made of them."""
    site.uploads.put(KEY, film())
    await site.process(KEY, recipe=WHISPER)
    site.uploads.put(SIDE, CUES)
    wire = await site.process(SIDE, received("captions"), recipe=WHISPER)
    assert ("uploaded", 3) == (serving(site).captions, site.ready(KEY).revision)
    assert [SIDE] == [call.split()[1] for call in wire.calls if call.startswith("fetch")]
    assert 0 == wire.count("listen", "probe", "run")
    assert site.manifest(SIDE) is None
    site.check(KEY)
    await site.process(KEY, received("again"), recipe=WHISPER, type_="reprocess")
    assert "uploaded" == serving(site).captions


async def test_captions_that_are_replaced_are_shown_as_they_are_now(site: Site) -> None:
    """A typo was mended."""
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, CUES)
    await site.process(KEY, recipe=WHISPER)
    site.uploads.put(SIDE, CUES.replace(b"morning", b"evening"))
    await site.process(SIDE, received("mended"), recipe=WHISPER)
    assert b"Good evening." in site.products(KEY)["captions.en.vtt"]
    site.check(KEY)


@pytest.mark.parametrize(("recipe", "state"), [(WHISPER, "machine"), (OFF, "none")], ids=["whisper", "off"])
async def test_captions_that_are_deleted_are_not_shown(recipe: Recipe, state: str, site: Site) -> None:
    """The machine is asked then, where the recipe wants one."""
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, CUES)
    await site.process(KEY, recipe=recipe)
    site.uploads.delete(SIDE)
    await site.process(SIDE, received("deleted"), recipe=recipe)
    assert state == serving(site).captions
    assert not [body for body in site.products(KEY).values() if b"Good morning" in body]
    site.check(KEY)


@pytest.mark.parametrize("body", [b"not captions", b"", b"\xff\xfe\x00" * 50], ids=["text", "nothing", "bytes"])
async def test_captions_that_cannot_be_read_are_no_fault_of_the_film(body: bytes, site: Site) -> None:
    """That is noted, and the machine is asked."""
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, body)
    wire = await site.process(KEY, recipe=WHISPER)
    assert ("machine", 1) == (serving(site).captions, wire.count("listen"))
    notes = [step.captioned for record in site.records(KEY) for step in record.steps if step.captioned]
    assert [("damaged", False)] == [(note.none, note.machine) for note in notes if note.none]
    site.check(KEY)


async def test_captions_in_two_languages_are_two_tracks(site: Site) -> None:
    """In the order of their tags; of two spellings of one language one counts."""
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, CUES)
    site.uploads.put(f"{KEY}.de.vtt", GUTEN_TAG)
    site.uploads.put(f"{KEY}.DE.vtt", GUTEN_TAG)
    site.uploads.put(f"{KEY}.txt", b"no captions")
    site.uploads.put(f"{KEY}.notalanguage.vtt", b"no captions")
    await site.process(KEY, recipe=WHISPER)
    assert [("de", False), ("de", False), ("en", False), ("en", False)] == [one[1:] for one in tracks(site)]
    assert 2 == site.products(KEY)["index.m3u8"].count(b"TYPE=SUBTITLES")
    site.check(KEY)


async def test_captions_that_change_while_they_are_read(site: Site) -> None:
    """Listed as one thing, fetched as another: the job starts over with what is there."""
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, CUES)
    newer = [CUES.replace(b"morning", b"evening")]

    async def before(call: str) -> None:
        if call == f"fetch {SIDE}" and newer:
            site.uploads.put(SIDE, newer.pop())

    await site.deliver(job(KEY), recipe=WHISPER, wire=Wire(before=before))
    assert b"Good evening." in site.products(KEY)["captions.en.vtt"]
    site.check(KEY)


async def test_captions_without_a_film_are_an_upload_like_any_other(site: Site) -> None:
    """They are no media; when the film comes they are its captions all the same."""
    site.uploads.put(SIDE, CUES)
    await site.process(SIDE, recipe=WHISPER)
    found = site.manifest(SIDE)
    assert found
    assert Status.REJECTED == found.status
    site.uploads.put(KEY, film())
    await site.process(KEY, received("film"), recipe=WHISPER)
    assert "uploaded" == serving(site).captions


async def test_captions_beside_a_picture_are_nothing_to_it(site: Site) -> None:
    """Its page stays as it is."""
    site.uploads.put(KEY, photo())
    await site.process(KEY, recipe=WHISPER)
    before = site.objects()
    site.uploads.put(SIDE, CUES)
    await site.process(SIDE, received("captions"), recipe=WHISPER)
    assert before == site.objects()


async def test_uploaded_captions_join_while_the_machine_listens(away: Site) -> None:
    """The machine's come too late: nobody shows them."""
    speech, later = await begun(away)
    away.uploads.put(SIDE, CUES)
    await away.process(SIDE, received("captions"), recipe=TRANSCRIBE)
    assert "uploaded" == serving(away).captions
    away.scribe.ended.add(speech)
    with suppress(Transient):
        await away.deliver(later.job, received("end"), recipe=TRANSCRIBE)
    assert [False, False] == [one[2] for one in tracks(away)]


# -- by whoever made the film -------------------------------------------------------------------------------------

TALK = CUES.decode()


async def test_subtitles_inside_a_film_become_captions(site: Site) -> None:
    """Tracks like those beside it, and no machine listens; reprocessing finds them done."""
    site.uploads.put(KEY, film(texts=[("eng", TALK), ("ger", GUTEN_TAG.decode()), ("eng", TALK)]))
    wire = await site.process(KEY, recipe=WHISPER)
    assert (0, "uploaded") == (wire.count("find", "listen"), serving(site).captions)
    assert ["captions.en.vtt", "captions.de.vtt", "captions.en-2.vtt"] == [name for name, *_ in tracks(site)][::2]
    assert (False, True, 1) == (captioned(site).machine, captioned(site).embedded, captioned(site).cues)
    assert 3 == site.products(KEY)["index.m3u8"].count(b"TYPE=SUBTITLES")
    labels = re.findall(r'<track kind="captions"[^>]* label="([^"]*)"', serving(site).html)
    assert 3 == len(set(labels))
    wire = await site.process(KEY, received("again"), recipe=WHISPER, type_="reprocess")
    assert 0 == wire.count("find", "listen", "fetch", "run", "read_captions")
    site.check(KEY)


async def test_captions_beside_a_film_win_over_its_own(site: Site) -> None:
    """In their language; when they are deleted its own are shown."""
    site.uploads.put(KEY, film(texts=[("eng", TALK.replace("morning", "night")), ("ger", GUTEN_TAG.decode())]))
    site.uploads.put(SIDE, CUES)
    await site.process(KEY, recipe=WHISPER)
    assert [("captions.en.vtt", "en", False), ("captions.de.vtt", "de", False)] == tracks(site)[::2]
    assert b"Good morning." in site.products(KEY)["captions.en.vtt"]
    site.check(KEY)
    site.uploads.delete(SIDE)
    await site.process(SIDE, received("deleted"), recipe=WHISPER)
    assert b"Good night." in site.products(KEY)["captions.en.vtt"]
    site.check(KEY)


@pytest.mark.parametrize(
    ("text", "none"),
    [("", "damaged"), ("no captions at all", "damaged"), ("WEBVTT\n", "empty")],
    ids=["undecodable", "unreadable", "empty"],
)
async def test_subtitles_that_give_nothing_are_no_fault_of_the_film(text: str, none: str, site: Site) -> None:
    """That is noted, and the machine is asked."""
    site.uploads.put(KEY, film(texts=[("eng", text)]))
    wire = await site.process(KEY, recipe=WHISPER)
    assert ("machine", 1) == (serving(site).captions, wire.count("listen"))
    notes = [step.captioned for record in site.records(KEY) for step in record.steps if step.captioned]
    assert [(none, True)] == [(note.none, note.embedded) for note in notes if note.none]
    site.check(KEY)


async def test_one_track_that_cannot_be_decoded_takes_no_other_with_it(site: Site) -> None:
    """Each is tried alone then, and nothing is left of the first try."""
    site.uploads.put(KEY, film(texts=[("eng", TALK), ("fre", ""), ("ger", GUTEN_TAG.decode())]))
    await site.process(KEY, recipe=WHISPER)
    assert ["en", "de"] == [language for _, language, _ in tracks(site)][::2]
    site.check(KEY)


@pytest.mark.parametrize("body", [b"WEBVTT\n", b"WEBVTT\n\n" + b"00:01.000 --> 00:02.000\n" + b"&" * 400 + b"\n\n"])
async def test_captions_without_a_word_or_with_few_are_both_read(body: bytes, site: Site) -> None:
    """A file without a cue is no track, and no failure of the film."""
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, body)
    await site.process(KEY, recipe=OFF)
    assert (captioned(site).none == "empty") == (serving(site).captions == "none") == (tracks(site) == [])
    site.check(KEY)


async def test_captions_too_large_to_read_are_not_fetched(site: Site) -> None:
    """Whoever uploads gigabytes under such a name fills no disk."""
    site.uploads.put(KEY, film())
    site.uploads.put(SIDE, CUES.ljust(webvtt.MAX_INPUT + 1))
    wire = await site.process(KEY, recipe=OFF)
    assert ([KEY], "damaged") == (
        [call.split()[1] for call in wire.calls if call.startswith("fetch")],
        captioned(site).none,
    )
    site.check(KEY)
