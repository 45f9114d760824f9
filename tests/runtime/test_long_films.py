"""Long films on fakes: what a death costs, and what is left of their pieces."""

import asyncio
from pathlib import Path

import pytest

from service.core import pieces
from service.core.outcome import Unseekable
from service.core.places import is_record
from tests.fakes import FakeFilms, Wire, film
from tests.runtime.site import Site, job, places, received, rules

KEY = "a.mkv"
THREE = 900.0  # seconds: as many pieces


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Site:
    site = Site(scratch=tmp_path)
    site.uploads.put(KEY, film(seconds=THREE))
    return site


def encoded(wire: Wire) -> list[str]:
    """What ffmpeg made, a command each; a piece by the name of its largest rendition."""
    return [call.split()[1] for call in wire.calls if call.startswith(("run", "join"))]


async def test_a_long_film_is_published(site: Site) -> None:
    """As any other; of its pieces nothing is left, and what they cost is told."""
    wire = await site.process(KEY)
    site.check(KEY)
    assert [] == [key for key in site.objects() if key.startswith("work/")]
    assert ["Piece"] != [step.kind for record in site.records(KEY) for step in record.steps]
    outcome = site.outcome(KEY)
    assert set(outcome.made) == {step.digest for record in site.records(KEY) for step in record.steps}
    commands = ["candidate-01.ppm", "audio.mp4", "360p-000.mp4", "360p-001.mp4", "360p-002.mp4"]
    assert [*commands, "360p.mp4", "240p.mp4", "video.mp4"] == encoded(wire)
    assert outcome.spent
    assert round(0.1 * 8, 3) == round(outcome.spent.cpu_seconds, 3)  # of ffmpeg's six commands, and two for the poster


async def test_a_death_costs_one_piece(site: Site) -> None:
    """What has a record is not encoded again: the next worker begins with the piece that was under way."""

    async def die(call: str) -> None:
        if call == "run 360p-002.mp4 240p-002.mp4":
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await site.pipeline(Wire(before=die)).process(job(KEY), received())
    wire = await site.process(KEY, received(count=2))
    assert ["360p-002.mp4", "360p.mp4", "240p.mp4", "video.mp4"] == encoded(wire)
    site.check(KEY)


async def test_pieces_that_were_tidied_away_are_made_again(site: Site) -> None:
    """They expire after a week: a film that is taken up later begins anew, but for its poster and its sound."""

    async def die(call: str) -> None:
        if call.startswith("join"):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await site.pipeline(Wire(before=die)).process(job(KEY), received())
    await site.store.delete([key for key in site.objects() if key.startswith("work/")])
    wire = await site.process(KEY, received(count=2))
    assert ["360p-000.mp4", "360p-001.mp4", "360p-002.mp4"] == encoded(wire)[:3]
    site.check(KEY)
    assert [] == [key for key in site.objects() if key.startswith("work/")]


@pytest.mark.parametrize("where", ["cut", "join"])
async def test_what_does_not_come_in_pieces_is_encoded_whole(
    where: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that lies, an encoder that decides otherwise in the middle: one decode for all, and no piece is left."""

    async def refuse(*_arguments: object) -> None:
        raise Unseekable("they do not fit")

    if where == "join":
        monkeypatch.setattr(FakeFilms, "join", refuse)
    else:
        monkeypatch.setattr(pieces, "lasts", lambda _piece: 299)
    wire = await site.process(KEY)
    assert "360p.mp4" in encoded(wire)
    site.check(KEY)
    assert [] == [key for key in site.objects() if key.startswith("work/")]


async def test_what_is_deleted_takes_its_pieces_along(site: Site) -> None:
    """Whenever that is."""

    async def die(call: str) -> None:
        if call.startswith("join"):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await site.pipeline(Wire(before=die)).process(job(KEY), received())
    site.uploads.delete(KEY)
    await site.process(KEY, received("gone"))
    assert {places(KEY).manifest} >= set(site.objects())
    assert [] == [key for key in site.objects() if is_record(key)]


@pytest.mark.parametrize("seconds", [4.0, THREE], ids=["short", "long"])
async def test_captions_beside_it_are_not_the_film(seconds: float, tmp_path: Path) -> None:
    """What is fetched first may be a sidecar, where a record says already what the film is."""
    site = Site(scratch=tmp_path)
    site.uploads.put(KEY, film(seconds=seconds))
    await site.process(KEY)
    site.uploads.put(f"{KEY}.de.vtt", b"WEBVTT\n\n00:00.000 --> 00:01.000\nHallo\n")
    wanted = rules(320, more='video.preset = "faster"\n')
    wire = await site.process(KEY, received("again"), recipe=wanted, type_="reprocess")
    assert {f"fetch {KEY}", f"fetch {KEY}.de.vtt"} <= set(wire.calls)
    site.check(KEY)


async def test_a_piece_that_others_have_made_is_not_made_again(site: Site) -> None:
    """Two workers at one film: while one is at its second piece, the other one commits them all."""

    async def die(call: str) -> None:
        if call.startswith("join"):
            raise asyncio.CancelledError

    async def be_overtaken(call: str) -> None:
        if call == "run 360p-001.mp4 240p-001.mp4":
            with pytest.raises(asyncio.CancelledError):
                await site.pipeline(Wire(before=die)).process(job(KEY), received("faster"))

    wire = Wire(before=be_overtaken)
    await site.pipeline(wire).process(job(KEY), received("slower"))
    assert ["360p-000.mp4", "360p-001.mp4"] == [name for name in encoded(wire) if "-00" in name]
    site.check(KEY)
