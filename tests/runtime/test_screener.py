"""From a plan to what was seen: which frames a provider is shown, when it is asked again, and what is kept."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from service.core import screening, sniff
from service.core.media import Clip, Media, Picture
from service.core.outcome import Overspent, Reason, Rejected, Throttled, Unavailable
from service.core.record import Label, Screening
from service.core.screening import Traits
from service.runtime.screener import Allowance, Screened, Screener
from service.runtime.tools import Page
from tests import fakes
from tests.core.samples import ANIMATION, PHOTO, RULES, rules
from tests.fakes import Clock, FakeFilms, FakeJudge, FakePictures, film, photo, unlike

HARD = (Label(name="Explicit", confidence=95),)
SOFT = (Label(name="Explicit", confidence=70),)


@dataclass(kw_only=True)
class Purse:
    """Leave for so many units, and what was taken."""

    most: float = 1000
    taken: list[tuple[str | None, float]] = field(default_factory=list)

    async def take(self, unit: str | None, count: float) -> None:
        """One more, if there is one."""
        if len(self.taken) >= self.most:
            raise Overspent("upload: 0.01 dollars")
        self.taken.append((unit, count))

    async def throttled(self, unit: str | None, count: float) -> None:
        """Taken all the same."""


@dataclass(kw_only=True)
class Stage:
    """One upload and the tools around it; waiting takes no time but the clock's."""

    folder: Path
    judge: FakeJudge = field(default_factory=lambda: FakeJudge(unit="rekognition_image"))
    pictures: FakePictures = field(default_factory=FakePictures)
    films: FakeFilms = field(default_factory=FakeFilms)
    purse: Allowance = field(default_factory=Purse)
    clock: Clock = field(default_factory=Clock)

    async def media(self, body: bytes) -> Media:
        """What an upload is."""
        (self.folder / "in").write_bytes(body)
        sniffed = sniff.sniff(body)
        if isinstance(sniffed, sniff.PictureFile):
            return await self.pictures.inspect(self.folder, sniffed.formats, RULES.limits)
        return await self.films.probe(self.folder, sniffed, len(body), RULES.limits)

    async def screen(self, upload: bytes | Media, changes: str = "") -> Screened:
        """Screen an upload by the local provider's rules, with changes."""
        media = await self.media(upload) if isinstance(upload, bytes) else upload
        if isinstance(media, Picture) and not (self.folder / "in").exists():
            (self.folder / "in").write_bytes(photo())
        moderation = rules(f'[moderation]\nprovider = "local"\n{changes}').moderation
        step = screening.plan(media, moderation, affordable=None)
        assert step is not None
        screener = Screener(
            judge=self.judge,
            pictures=self.pictures,
            films=self.films,
            allowance=self.purse,
            clock=self.clock,
            sleep=self._sleep,
            jitter=Random(7),
        )
        return await screener.screen(step, media, self.folder, RULES.limits, moderation)

    async def long_film(self) -> Media:
        """Twenty minutes, whose picture begins and ends with the film."""
        clip = await self.media(film(seconds=1200))
        assert isinstance(clip, Clip)
        assert clip.timeline
        return replace(clip, timeline=replace(clip.timeline, end=1200.0))

    async def _sleep(self, seconds: float) -> None:
        self.clock.now += seconds
        await asyncio.sleep(0)

    @property
    def files(self) -> list[str]:
        """What lies in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture(name="stage")
def _stage(tmp_path: Path) -> Stage:
    return Stage(folder=tmp_path)


def at(milliseconds: int, found: tuple[Label, ...]) -> Callable[[str], tuple[Label, ...]]:
    """Labels for one frame."""
    return lambda file: found if file == f"frame-{milliseconds}.jpg" else ()


def looking(traits: Traits, *files: str) -> Callable[[Page], Traits]:
    """These files look so, and all others like nothing else."""
    return lambda page: traits if page.file in files else unlike(page)


async def test_a_photograph_is_shown_once(stage: Stage):
    """In the size of a provider, and nothing but the upload is left."""
    done = await stage.screen(photo())
    assert ["look frame-0.jpg"] == stage.judge.wire.calls
    assert (1, True, None, "fake-1") == (
        done.screening.planned,
        done.screening.complete,
        done.screening.skipped,
        done.screening.model,
    )
    assert [0.0] == [look.at for look in done.screening.looks]
    assert {"rekognition_image": 1.0} == done.spent.units
    assert (["in"], ()) == (stage.files, done.kept)


async def test_a_film_is_shown_from_coarse_to_fine(stage: Stage):
    """Each planned time once, the looks in order; the record says how closely it was looked at."""
    done = await stage.screen(film(seconds=12))
    assert ["look frame-7000.jpg", "look frame-1000.jpg"] == stage.judge.wire.calls[:2]
    assert [1, 3, 5, 7, 9, 11] == [look.at for look in done.screening.looks]
    assert (2.0, 6, 0) == (done.screening.gap, done.screening.planned, done.screening.alike)
    assert "allow" == screening.verdict(done.screening, RULES.moderation).says
    assert ["in"] == stage.files


async def test_an_animation_is_decoded_once(stage: Stage):
    """All its pages in one order, which ascends."""
    done = await stage.screen(replace(ANIMATION, frames=4, formats=("JPEG",)))
    assert 1 == stage.pictures.wire.count("frames")
    assert [0, 1, 2, 3] == [look.at for look in done.screening.looks]
    assert 0 == done.screening.gap


async def test_a_small_picture_may_be_skipped(stage: Stage):
    """Nobody is asked, nothing is decoded, and the record says why."""
    done = await stage.screen(replace(PHOTO, width=50), 'small = "skip"')
    assert ("small", ()) == (done.screening.skipped, done.screening.looks)
    assert [] == stage.judge.wire.calls + stage.pictures.wire.calls
    assert "allow" == screening.verdict(done.screening, RULES.moderation).says


async def test_a_hard_hit_ends_it(stage: Stage):
    """In a film of a hundred frames most are never bought, nor is what was under way waited for."""
    stage.judge.labels = at(1000, HARD)
    done = await stage.screen(film(seconds=200), "frames = 100")
    assert not done.screening.complete
    assert stage.judge.wire.count("look") <= 16
    assert done.screening.gap > 10
    assert "block" == screening.verdict(done.screening, RULES.moderation).says
    assert (("frame-1000.jpg",), ["frame-1000.jpg", "in"]) == (done.kept, stage.files)
    assert len(asyncio.all_tasks()) == 1


async def test_a_hard_hit_outweighs_a_failure_beside_it(stage: Stage):
    """The provider fails for another frame at that very moment."""
    hit = asyncio.Event()

    async def before(call: str) -> None:
        if call == "look frame-1000.jpg":
            hit.set()
        else:
            await hit.wait()
            raise Unavailable("gone")

    stage.judge.wire.before, stage.judge.labels = before, at(1000, HARD)
    done = await stage.screen(film(seconds=8), "patience_seconds = 0.0")
    assert "block" == screening.verdict(done.screening, RULES.moderation).says


async def test_what_is_alike_is_not_bought_twice(stage: Stage):
    """A still film costs one frame; the others are counted, and leave no gap."""
    same = Traits(dhash=1, luma=128, deviation=60, sharpness=100, colour=(9, 9, 9), fields=bytes(256))
    stage.pictures.traits = lambda _page: same
    done = await stage.screen(film(seconds=12))
    assert (1, 5, 2.0) == (stage.judge.wire.count("look"), done.screening.alike, done.screening.gap)
    assert "allow" == screening.verdict(done.screening, RULES.moderation).says


async def test_a_black_frame_gives_way_to_a_neighbour(stage: Stage):
    """A third of the way to the next one, and the record says when that was."""
    black = Traits(dhash=0, luma=3, deviation=1, sharpness=0, colour=(3, 3, 3), fields=bytes(256))
    stage.pictures.traits = looking(black, "frame-5000.jpg", "frame-4333.jpg")
    done = await stage.screen(film(seconds=12))
    assert [1, 3, 5.667, 7, 9, 11] == [look.at for look in done.screening.looks]
    assert 2.667 == done.screening.gap


async def test_a_black_film_is_looked_at(stage: Stage):
    """Once at least."""
    stage.pictures.traits = lambda _page: Traits(
        dhash=0, luma=3, deviation=1, sharpness=0, colour=(3, 3, 3), fields=bytes(256)
    )
    done = await stage.screen(film(seconds=12))
    assert (1, 5) == (len(done.screening.looks), done.screening.alike)


async def test_frames_are_kept_for_a_reviewer(stage: Stage):
    """The strongest twelve of those from the lowest threshold on."""
    stage.judge.labels = lambda file: (Label(name="Explicit", confidence=50 + int(file[6:-4]) / 1000),)
    done = await stage.screen(film(seconds=36))
    assert 12 == len(done.kept)
    assert "frame-35000.jpg" == done.kept[0]
    assert sorted([*done.kept, "in"]) == stage.files
    named = {look.file for look in done.screening.looks if look.file}
    assert set(done.kept) == named
    assert "review" == screening.verdict(done.screening, RULES.moderation).says


async def test_a_throttled_provider_is_asked_again(stage: Stage):
    """Each time with leave; what was throttled is not billed."""
    failures = iter([Throttled("slow down"), Unavailable("away")])

    async def before(_call: str) -> None:
        if failure := next(failures, None):
            raise failure

    stage.judge.wire.before = before
    done = await stage.screen(photo())
    assert 3 == stage.judge.wire.count("look")
    assert isinstance(stage.purse, Purse)
    assert [("rekognition_image", 1)] * 3 == stage.purse.taken
    assert {"rekognition_image": 2.0} == done.spent.units


@pytest.mark.parametrize("error", [Throttled("slow down"), Unavailable("away")])
async def test_patience_ends(stage: Stage, error: Exception):
    """Its own error is raised, in time, after several tries; no frame and no task is left."""

    async def before(_call: str) -> None:
        raise error

    stage.judge.wire.before = before
    began = stage.clock.now
    with pytest.raises(type(error)):
        await stage.screen(film(), "patience_seconds = 30.0")
    assert 15 < stage.clock.now - began <= 30
    assert stage.judge.wire.count("look") > 4
    assert (["in"], 1) == (stage.files, len(asyncio.all_tasks()))


async def test_the_budget_refuses_the_next_frame(stage: Stage):
    """Of a film of six frames three are bought, and nobody is asked for the fourth."""
    stage.purse = Purse(most=3)
    with pytest.raises(Overspent):
        await stage.screen(film(seconds=12))
    assert 3 == stage.judge.wire.count("look")
    assert ["in"] == stage.files


async def test_at_most_four_at_once(stage: Stage):
    """However many frames there are."""
    now, most = 0, 0

    async def before(_call: str) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)

    async def after(_call: str) -> None:
        nonlocal now
        now -= 1

    stage.judge.wire.before, stage.judge.wire.after = before, after
    await stage.screen(film(seconds=60))
    assert 4 == most


async def test_a_cancellation_leaves_nothing(stage: Stage):
    """Neither a question under way nor a file."""
    asked = asyncio.Event()

    async def before(_call: str) -> None:
        asked.set()
        await asyncio.Event().wait()

    stage.judge.wire.before = before
    work = asyncio.create_task(stage.screen(film(seconds=12)))
    await asked.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (["in"], 1) == (stage.files, len(asyncio.all_tasks()))


async def test_a_long_film_is_sought(stage: Stage):
    """One frame at first, then several in one process; the middle before the rest."""
    done = await stage.screen(await stage.long_film())
    runs = [call for call in stage.films.wire.calls if call.startswith("run")]
    assert "run sought-610000.jpg" == runs[0]
    assert 8 == len(runs[1].split()[1:])
    assert (60, 20.0) == (len(done.screening.looks), done.screening.gap)
    assert ["in"] == stage.files


async def test_dear_seeks_give_way_to_a_pass(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    """The first one has cost more than a pass would, as in a film with one keyframe."""
    monkeypatch.setattr(fakes, "_SPENT", fakes._SPENT.model_copy(update={"cpu_seconds": 100.0}))
    done = await stage.screen(await stage.long_film())
    assert 2 == stage.films.wire.count("run")
    assert 60 == len(done.screening.looks)


async def test_nonsense_counts_as_certain(stage: Stage):
    """A confidence that is no number blocks, and the record of it can be read again."""
    stage.judge.labels = lambda _file: (Label(name="Explicit", confidence=float("nan")),)
    done = await stage.screen(photo())
    again = Screening.model_validate_json(done.screening.to_json())
    assert "block" == screening.verdict(again, RULES.moderation).says


async def test_an_upload_that_breaks_is_rejected(stage: Stage):
    """As when it is encoded."""
    with pytest.raises(Rejected) as raised:
        await stage.screen(film(fault="damaged"))
    assert Reason.DAMAGED == raised.value.reason
    assert ["in"] == stage.files


def test_protocols() -> None:
    """The fakes are what the screener asks for."""
    tools: tuple[Any, ...] = (FakeJudge(), FakePictures(), FakeFilms())
    judge, pictures, films = tools
    assert Screener(judge=judge, pictures=pictures, films=films).allowance is None
