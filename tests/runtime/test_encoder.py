"""What comes of one decode, on fakes: sound by a second command, the best of the candidates, and what was lost."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from service.core import encoding, plan, products, sniff
from service.core.media import Clip
from service.core.outcome import Reason, Rejected
from service.core.plan import Encode
from service.core.recipe import Rules
from service.core.record import Damaged, Loudness, StepRecord
from service.core.step import Sound
from service.runtime.desk import Desk
from service.runtime.encoder import Encoder
from service.runtime.ledger import Ledger
from service.runtime.tools import Page
from tests import fakes
from tests.fakes import FakeFilms, FakePictures, FakeStore, FakeUploads, Wire, film, unlike
from tests.runtime.site import Site, job, places, received, rules

KEY = "a.mkv"
PEAK = -8.98  # dBTP, of every sound that is not silent
SOUNDS = (-23.0, -30.0, None)
AS_IT_IS = "audio.loudness = false\n"


@dataclass(kw_only=True)
class Bench:
    """One upload, the tools around it, and the folder that they work in."""

    folder: Path
    wire: Wire = field(default_factory=Wire)
    films: FakeFilms = field(default_factory=FakeFilms)
    pictures: FakePictures = field(default_factory=FakePictures)
    clip: Clip | None = None
    steps: list[plan.Named] = field(default_factory=list)

    async def encode(self, body: bytes, *, more: str = "") -> list[StepRecord]:
        """All that is made of an upload by its first decode."""
        uploads, asked = FakeUploads(), rules(more=more).rules(KEY)
        group = await self._group(body, asked)
        self.films.wire = self.pictures.wire = self.wire
        desk = Desk(folder=self.folder, head=uploads.put(KEY, body), uploads=uploads, limits=asked.limits)
        encoder = Encoder(films=self.films, pictures=self.pictures)
        ledger = Ledger(store=FakeStore(), at=places(KEY), version="v", attempt="1", made_by={})
        records, _ = await encoder.encode(group, desk, ledger, lambda _share: None)
        return records

    async def _group(self, body: bytes, asked: Rules) -> Encode:
        (self.folder / "in").write_bytes(body)
        sniffed = sniff.sniff(body)
        assert isinstance(sniffed, sniff.StreamFile)
        self.clip = await self.films.probe(self.folder, sniffed, len(body), asked.limits)
        planned = plan.make(self.clip, asked, version="v", done={})
        (group,) = (one for one in planned.groups if isinstance(one, Encode))
        self.steps = list(group.steps)
        return group

    @property
    def sounds(self) -> list[Sound]:
        """What is to be heard."""
        return [named.step for named in self.steps if isinstance(named.step, Sound)]

    @property
    def runs(self) -> list[list[str]]:
        """The files that each command of ffmpeg was to make."""
        return [call.split()[1:] for call in self.wire.calls if call.startswith("run")]

    def left(self) -> set[str]:
        """The files in the folder."""
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture(name="bench")
def _bench(tmp_path: Path) -> Bench:
    return Bench(folder=tmp_path)


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Site:
    return Site(scratch=tmp_path)


def kind(records: Sequence[StepRecord], name: str) -> list[StepRecord]:
    """The steps of one kind, in order."""
    return [record for record in records if record.kind == name]


def steps(site: Site, name: str) -> list[StepRecord]:
    """The steps of one kind, of what was published."""
    return kind([step for record in site.records(KEY) for step in record.steps], name)


def encoded(wire: Wire) -> list[str]:
    """What ffmpeg made, a command each, by its first file; logs are none."""
    return [(*call.split(), "")[1] for call in wire.calls if call.startswith(("run", "join"))]


async def test_sound_is_encoded_with_the_gain_that_brings_it_to_its_target(bench: Bench) -> None:
    """By a command of its own: each track with its own gain, as far as its peak allows; silence is left as it is."""
    records = kind(await bench.encode(film(loudness=SOUNDS)), "Sound")
    first, second = bench.runs
    assert not any(name.startswith("audio") for name in first)
    assert ["audio.mp4", "audio-1.mp4", "audio-2.mp4"] == second
    silence = Loudness(integrated=None, true_peak=-66.02, gain=0.0)
    loud = [Loudness(integrated=-23.0, true_peak=PEAK, gain=7.0), Loudness(integrated=-30.0, true_peak=PEAK, gain=7.48)]
    assert [*loud, silence] == [record.loudness for record in records]
    assert bench.clip
    gains = dict(zip(bench.sounds, (7.0, 7.48, 0.0), strict=True))
    assert encoding.master(bench.clip, gains, rules().rules(KEY).limits) == bench.films.commands[1]


async def test_every_track_is_a_track_of_sound(bench: Bench) -> None:
    """Its codec and its stream are those of its own file."""
    tracks = [record.audio for record in kind(await bench.encode(film(loudness=SOUNDS)), "Sound")]
    found = [(track.file, track.codec, track.stream) for track in tracks if track]
    assert [(f"audio{at}.mp4", "mp4a.40.2", stream) for stream, at in enumerate(("", "-1", "-2"), 1)] == found


@pytest.mark.parametrize("width", [640, 0], ids=["film", "sound"])
async def test_sound_that_is_left_as_it_is_takes_one_command(width: int, bench: Bench) -> None:
    """Nothing is measured, and nothing is said of its loudness."""
    records = kind(await bench.encode(film(width=width), more=AS_IT_IS), "Sound")
    (only,) = bench.runs
    assert ("audio.mp4" in only, [None]) == (True, [record.loudness for record in records])
    assert 0 == bench.wire.count("loudness")


@pytest.mark.parametrize(("more", "levels"), [("", [-101, 51, -51, 101]), (AS_IT_IS, [-64, 32, -32, 64])])
async def test_the_waveform_is_of_what_is_heard(more: str, levels: list[int], bench: Bench) -> None:
    """After a gain of 4 dB, or none."""
    await bench.encode(film(width=0, loudness=(-20.0,)), more=more)
    assert levels == json.loads((bench.folder / products.WAVEFORM_JSON).read_text())["data"]


async def test_a_waveform_that_is_asked_for_later_is_of_what_is_heard_too(site: Site) -> None:
    """The sound is there already, and is not encoded again."""
    site.uploads.put(KEY, film(width=0, loudness=(-20.0,)))
    await site.process(KEY, recipe=rules(more="audio.waveform = false\n"))
    wire = await site.process(KEY, received("later"), recipe=rules(), type_="reprocess")
    assert [-101, 51, -51, 101] == json.loads(site.products(KEY)[products.WAVEFORM_JSON])["data"]
    assert not any(name.startswith("audio") for name in encoded(wire))
    site.check(KEY)


@pytest.mark.parametrize("shown", [1, 3, 8])
async def test_a_poster_is_the_best_of_the_frames_that_there_are(shown: int, bench: Bench) -> None:
    """Fewer than were asked for are no damage: of a short clip several times fall on one frame."""
    best = f"candidate-{shown:02}.ppm"
    found: list[bytes] = []

    def bright(page: Page) -> fakes.Traits:
        dull = unlike(page)
        return dull if page.source != best else replace(dull, fields=bytes([128]) * 256)

    async def look(call: str) -> None:
        if call.startswith("draw"):
            found.append((bench.folder / best).read_bytes())

    bench.pictures.traits, bench.wire.before = bright, look
    records = await bench.encode(film(shown=shown))
    (poster,) = kind(records, "Poster")
    drawn = fakes._etag(*found)
    assert all((bench.folder / file.name).read_text().endswith(drawn) for file in poster.files)
    assert poster.placeholder
    assert [None] == list({record.damaged for record in records})


async def test_a_film_without_a_single_frame_is_damaged(bench: Bench) -> None:
    """There is nothing to see in it."""
    with pytest.raises(Rejected) as refused:
        await bench.encode(film(shown=0))
    assert Reason.DAMAGED == refused.value.reason


@pytest.mark.parametrize("width", [640, 0], ids=["film", "sound"])
async def test_nothing_but_products_is_left(width: int, bench: Bench) -> None:
    """Candidates, what they were looked at as, and logs take room, and are nobody's business."""
    records = await bench.encode(film(width=width, loudness=SOUNDS))
    assert {"in", *(file.name for record in records for file in record.files)} == bench.left()


@pytest.mark.parametrize("width", [640, 0], ids=["film", "sound"])
async def test_nothing_but_products_is_uploaded(width: int, site: Site) -> None:
    """Neither to where they are served, nor to anywhere else."""
    site.uploads.put(KEY, film(width=width, loudness=SOUNDS))
    wire = await site.process(KEY)
    uploaded = [call.rpartition("/")[2] for call in wire.calls if call.startswith("upload")]
    assert uploaded
    assert [] == [name for name in uploaded if name.endswith((".ppm", ".ppm.jpg", ".txt"))]
    site.check(KEY)


@pytest.mark.parametrize("width", [640, 0], ids=["film", "sound"])
async def test_damage_is_told_of_every_step(width: int, bench: Bench) -> None:
    """Both commands meet the same parts: they are counted once."""
    records = await bench.encode(film(width=width, errors=3))
    assert len(bench.steps) == len(records)
    assert {(3, "h264: concealing errors", 0.0)} == {
        (record.damaged.errors, record.damaged.first, record.damaged.missing) if record.damaged else None
        for record in records
    }


async def test_damage_of_pieces_is_that_of_the_whole(site: Site) -> None:
    """Each piece is another part of the source; its sound is decoded as a whole."""
    site.uploads.put(KEY, film(seconds=900.0, errors=2))
    await site.process(KEY)
    assert [6, 6] == [step.damaged and step.damaged.errors for step in steps(site, "Rendition")]
    assert [2] == [step.damaged and step.damaged.errors for step in steps(site, "Sound")]
    site.check(KEY)


async def test_sound_that_ends_early_beside_a_picture_is_missing(bench: Bench) -> None:
    """By so many seconds; of the picture nothing is."""
    records = await bench.encode(film(seconds=4.0, heard=1.0))
    assert [Damaged(missing=3.0)] == [record.damaged for record in kind(records, "Sound")]
    assert {None} == {record.damaged for record in records if record.kind != "Sound"}


async def test_sound_that_ends_a_little_early_is_whole(bench: Bench) -> None:
    """Encoders of all kinds do that."""
    records = await bench.encode(film(seconds=4.0, heard=3.5))
    assert {None} == {record.damaged for record in records}


async def test_sound_that_ends_early_by_itself_is_refused(bench: Bench) -> None:
    """Nothing else is there to be shown."""
    with pytest.raises(Rejected) as refused:
        await bench.encode(film(width=0, seconds=4.0, heard=1.0))
    assert Reason.DAMAGED == refused.value.reason


@dataclass(kw_only=True)
class Meeting:
    """Holds the poster and the sound until both have begun; then `failing` fails, and the other one never ends."""

    failing: str | None = None
    begun: set[str] = field(default_factory=set)
    cancelled: list[str] = field(default_factory=list)
    _both: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, call: str) -> None:
        if not call.startswith(("frames candidate", "run audio.mp4")):
            return
        who = "poster" if call.startswith("frames") else "sound"
        self.begun.add(who)
        if len(self.begun) == 2:
            self._both.set()
        try:
            await asyncio.wait_for(self._both.wait(), 10)  # were they one after the other, they would never meet
            if self.failing:
                await self._fail(who)
        except asyncio.CancelledError:
            self.cancelled.append(who)
            raise

    async def _fail(self, who: str) -> None:
        if who == self.failing:
            raise Rejected(Reason.TIME_LIMIT, who)
        await asyncio.Event().wait()


async def test_the_poster_is_drawn_while_sound_is_encoded(bench: Bench) -> None:
    """Neither waits for the other."""
    bench.wire.before = meeting = Meeting()
    records = await bench.encode(film())
    assert ({"poster", "sound"}, []) == (meeting.begun, meeting.cancelled)
    assert kind(records, "Poster")
    assert kind(records, "Sound")


@pytest.mark.parametrize(("failing", "other"), [("poster", "sound"), ("sound", "poster")])
async def test_what_fails_ends_what_goes_on_beside_it(failing: str, other: str, bench: Bench) -> None:
    """The error is that of the one that failed."""
    bench.wire.before = meeting = Meeting(failing=failing)
    with pytest.raises(Rejected, match=failing):
        await bench.encode(film())
    assert [other] == meeting.cancelled


@pytest.mark.parametrize(
    ("body", "dies_at", "left"),
    [
        (film(), "run video.mp4", ["video.mp4"]),
        (film(width=0), "run audio.m4a", ["audio.m4a"]),
        (
            film(seconds=900.0),
            "run 360p-000.mp4",
            ["360p-000.mp4", "360p-001.mp4", "360p-002.mp4", "360p.mp4", "240p.mp4", "video.mp4"],
        ),
    ],
    ids=["film", "sound", "long film"],
)
async def test_a_death_between_two_groups_makes_nothing_twice(
    body: bytes, dies_at: str, left: list[str], site: Site
) -> None:
    """Sound, posters, storyboard, preview and waveform are there: nothing is decoded, measured or drawn again."""

    async def die(call: str) -> None:
        if call.startswith(dies_at):
            raise asyncio.CancelledError

    site.uploads.put(KEY, body)
    with pytest.raises(asyncio.CancelledError):
        await site.pipeline(Wire(before=die)).process(job(KEY), received())
    wire = await site.process(KEY, received(count=2))
    assert (left, 0) == (encoded(wire), wire.count("loudness", "levels", "frames", "draw"))
    site.check(KEY)
