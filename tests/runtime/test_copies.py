"""Sources that comply, on fakes: their picture is copied, and what takes that back costs no upload anything."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from service.core.boxes import Index
from service.core.media import Clip
from service.core.outcome import Reason, Rejected, Unavailable
from service.core.recipe import Limits
from service.core.record import StepRecord
from service.core.sniff import StreamFile
from service.core.verify import Ran
from tests.fakes import FakeFilms, Wire, film
from tests.runtime.site import Site, job, received, rules

KEY = "a.mkv"
LADDER = ["360p.mp4", "240p.mp4"]
THREE = 900.0  # seconds: as many pieces


@pytest.fixture(name="site")
def _site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Where every film complies."""
    probe = FakeFilms.probe

    async def complying(self: FakeFilms, folder: Path, sniffed: StreamFile, size: int, limits: Limits) -> Clip:
        clip = await probe(self, folder, sniffed, size, limits)
        assert clip.video
        assert clip.timeline
        keyframes = range(0, clip.timeline.packets, 50)
        video = replace(
            clip.video,
            profile="High",
            level=31,
            pixel_format="yuv420p",
            progressive=True,
            upright=True,
            tick=Fraction(1, 1000),
            starts=0.0,
            bit_rate=500_000,
        )
        timeline = replace(
            clip.timeline,
            longest_gop=2.0,
            keyframes=len(keyframes),
            regular=True,
            closed=True,
            intact=True,
            landmarks=tuple(key for key in keyframes if key % 1500 == 0),
        )
        return replace(clip, video=video, timeline=timeline)

    monkeypatch.setattr(FakeFilms, "probe", complying)
    site = Site(scratch=tmp_path)
    site.uploads.put(KEY, film())
    return site


def told(monkeypatch: pytest.MonkeyPatch, tell: Callable[[bool, Ran], Ran]) -> None:
    """What ffmpeg says of each command that reads the source: whether it copies, and what it would say."""
    run = FakeFilms.run

    async def telling(
        self: FakeFilms, folder: Path, argv: Sequence[str], *, seconds: float, on_share: Callable[[float], None]
    ) -> Ran:
        ran = await run(self, folder, argv, seconds=seconds, on_share=on_share)
        return tell(_copies(argv), ran) if "file:in" in argv else ran

    monkeypatch.setattr(FakeFilms, "run", telling)


def _copies(argv: Sequence[str]) -> bool:
    return any(part.startswith("setts") or ",setts" in part for part in argv)


def errors(*, of_copies: bool) -> Callable[[bool, Ran], Ran]:
    """A decoder that meets damage, or a reader that does."""
    return lambda copies, ran: replace(ran, errors=2, first="h264: concealing errors") if copies == of_copies else ran


def made(wire: Wire) -> list[list[str]]:
    """The rungs and pieces of them that each ffmpeg command made."""
    runs = [call.split()[1:] for call in wire.calls if call.startswith(("run", "join"))]
    return [rungs for names in runs if (rungs := [name for name in names if name[0].isdigit()])]


def steps(site: Site, kind: str) -> list[StepRecord]:
    """What records say of the steps of a kind."""
    return [step for record in site.records(KEY) for step in record.steps if step.kind == kind]


async def test_what_complies_is_copied(site: Site) -> None:
    """The other rungs are encoded; all are in the playlists, with true sizes and rates."""
    wire = await site.process(KEY)
    site.check(KEY)
    assert [["360p.mp4"], ["240p.mp4"]] == made(wire)
    (copied,), (rung,) = steps(site, "Copy"), steps(site, "Rendition")
    assert copied.video
    assert ("25", 640, 360) == (copied.video.frame_rate, copied.video.width, copied.video.height)
    assert (True, None, ()) == (bool(copied.rhythm), rung.rhythm, rung.refused)
    hls = site.products(KEY)["index.m3u8"].decode()
    assert ("/360p.m3u8" in hls, "/240p.m3u8" in hls) == (True, True)


async def test_a_recipe_may_have_everything_encoded(site: Site) -> None:
    """By one entry."""
    wire = await site.process(KEY, recipe=rules(more="video.copy = false"))
    assert [LADDER] == made(wire)
    assert [] == steps(site, "Copy")


async def test_a_copy_that_may_not_be_published_is_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record says why; whoever works on it again does not try again, and makes nothing again."""

    async def faults(*_arguments: object, **_named: object) -> tuple[str, ...]:
        return ("a keyframe is none",)

    monkeypatch.setattr(FakeFilms, "faults", faults)
    wire = await site.process(KEY)
    site.check(KEY)
    assert [["360p.mp4"], LADDER] == made(wire)
    (copied,) = steps(site, "Copy")
    assert (("a keyframe is none",), ()) == (copied.refused, copied.files)
    assert [] == made(await site.process(KEY, received("again"), type_="reprocess"))
    await site.process(KEY, received("sweep"), type_="sweep")
    again = await site.process(KEY, received("again"), type_="reprocess")
    assert [] == made(again)
    site.check(KEY)


@pytest.mark.parametrize("reason", [Reason.DAMAGED, Reason.TIME_LIMIT])
async def test_no_upload_is_rejected_for_its_copy(site: Site, monkeypatch: pytest.MonkeyPatch, reason: Reason) -> None:
    """What ffmpeg can't copy it may well decode."""

    def refuse(copies: bool, ran: Ran) -> Ran:  # noqa: FBT001  # as `told` calls it
        if copies:
            raise Rejected(reason, "It could not be copied.")
        return ran

    told(monkeypatch, refuse)
    wire = await site.process(KEY)
    site.check(KEY)
    assert [["360p.mp4"], LADDER] == made(wire)
    assert [("copying it failed: It could not be copied.",)] == [step.refused for step in steps(site, "Copy")]


async def test_a_copy_that_could_not_be_read_whole_is_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a demuxer complains of is as good as damage."""
    told(monkeypatch, errors(of_copies=True))
    await site.process(KEY)
    site.check(KEY)
    assert [("reading it met errors: h264: concealing errors",)] == [step.refused for step in steps(site, "Copy")]


@pytest.mark.parametrize("width", [640, 426], ids=["several rungs", "one rung"])
async def test_damage_takes_the_copy_back(site: Site, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Only who decodes it meets it. Nothing is left of the copy, and it is not made again."""
    site.uploads.put(KEY, film(width=width, height=width * 9 // 16 // 2 * 2))
    told(monkeypatch, errors(of_copies=False))
    wire = await site.process(KEY)
    site.check(KEY)
    ladder = LADDER if width == 640 else [f"{width * 9 // 16 // 2 * 2}p.mp4"]
    assert ladder == made(wire)[-1]
    assert [] == steps(site, "Copy")
    assert ladder == [step.files[0].name for step in steps(site, "Rendition") if step.files]
    serving = site.ready(KEY).serving
    assert serving
    assert serving.damaged
    again = await site.process(KEY, received("again"), type_="reprocess")
    assert [] == made(again)
    site.check(KEY)


async def test_a_rung_with_other_keyframes_takes_the_copy_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Players could not change between them; what was made beside it is not kept either."""
    index = FakeFilms.index

    async def other(self: FakeFilms, path: Path) -> Index:
        found = await index(self, path)
        if path.name != "240p.mp4":
            return found
        first, *rest = found.segments
        half = replace(first, bytes=first.bytes // 2, duration=first.duration / 2)
        return replace(found, segments=(half, replace(half, offset=half.offset + half.bytes), *rest))

    monkeypatch.setattr(FakeFilms, "index", other)
    wire = await site.process(KEY)
    site.check(KEY)
    assert [["360p.mp4"], ["240p.mp4"], LADDER] == made(wire)
    assert [] == steps(site, "Copy")
    assert ("a rung has its keyframes elsewhere",) in [step.refused for step in steps(site, "Rendition")]


async def test_a_death_costs_no_second_copy(site: Site) -> None:
    """It is committed by itself, before anything is decoded."""

    async def die(call: str) -> None:
        if call.startswith("run") and "240p.mp4" in call:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await site.pipeline(Wire(before=die)).process(job(KEY), received())
    wire = await site.process(KEY, received(count=2))
    assert [["240p.mp4"]] == made(wire)
    site.check(KEY)


async def test_what_is_no_fault_of_the_copy_is_tried_again(site: Site) -> None:
    """A full disk says nothing about the source."""

    async def full(call: str) -> None:
        if call == "run 360p.mp4":
            raise Unavailable("the scratch disk is full")

    with pytest.raises(Unavailable):
        await site.pipeline(Wire(before=full)).process(job(KEY), received())
    assert [["360p.mp4"], ["240p.mp4"]] == made(await site.process(KEY, received(count=2)))
    site.check(KEY)


async def test_a_long_film_is_copied_whole(site: Site) -> None:
    """Its other rungs are made in pieces, and joined."""
    site.uploads.put(KEY, film(seconds=THREE))
    wire = await site.process(KEY)
    site.check(KEY)
    assert [["360p.mp4"], ["240p-000.mp4"], ["240p-001.mp4"], ["240p-002.mp4"], ["240p.mp4"]] == made(wire)
    assert [] == [key for key in site.objects() if key.startswith("work/")]


async def test_damage_in_the_middle_of_a_long_film(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the piece on that met it all rungs are made; neither a piece nor the copy is left."""
    site.uploads.put(KEY, film(seconds=THREE))
    count = iter(range(100))

    def second(copies: bool, ran: Ran) -> Ran:  # noqa: FBT001  # as `told` calls it
        return replace(ran, errors=2) if next(count) >= 4 and not copies else ran  # copy, pictures, sound, a piece

    told(monkeypatch, second)
    wire = await site.process(KEY)
    site.check(KEY)
    pieces = [[f"360p-{at:03}.mp4", f"240p-{at:03}.mp4"] for at in range(3)]
    joined = [["360p.mp4"], ["240p.mp4"]]
    assert [["360p.mp4"], ["240p-000.mp4"], ["240p-001.mp4"], *pieces, *joined] == made(wire)
    assert [] == steps(site, "Copy")
    assert [] == [key for key in site.objects() if key.startswith("work/")]
