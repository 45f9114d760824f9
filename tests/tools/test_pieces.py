"""Films in pieces with the real ffmpeg: what is joined is what would have been encoded in one go."""

import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import pytest

from service.core import command, encoding, pieces, plan, recipe, sniff, verify
from service.core.media import Clip
from service.core.outcome import Unseekable
from service.core.plan import Cut, Encode, Join
from service.core.step import Rendition
from service.tools.ffmpeg import FFmpeg
from service.tools.sandbox import Sandbox

RULES = recipe.read(
    "captions.provider = 'off'\n[video]\nladder = [{ height = 120, max_bit_rate = 300_000 }]",
    shipped=(files("service") / "recipe.toml").read_text(),
).general
LASTS = 3  # seconds of a piece, here
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "100", "-bf", "3"]
TEST = "testsrc2=size=160x120:rate={rate}:duration=10"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds are long."""
    monkeypatch.setattr(pieces, "LONG", 5)
    monkeypatch.setattr(pieces, "SECONDS", LASTS)


@pytest.fixture(name="films")
async def _films() -> AsyncIterator[FFmpeg]:
    async with Sandbox() as sandbox:
        yield FFmpeg(sandbox, memory_bytes=1 << 30)


def source(folder: Path, *arguments: str, name: str) -> Path:
    """A film, where an upload lies."""
    path = folder / name
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, str(path)], check=True)
    shutil.copyfile(path, folder / command.SOURCE)
    return path


async def looked_at(films: FFmpeg, folder: Path) -> Clip:
    """What the upload is."""
    path = folder / command.SOURCE
    sniffed = sniff.sniff(path.read_bytes()[: sniff.HEAD_BYTES])
    assert isinstance(sniffed, sniff.StreamFile)
    return await films.probe(folder, sniffed, path.stat().st_size, RULES.limits)


async def encoded(films: FFmpeg, folder: Path, clip: Clip, *, whole: bool) -> Path:
    """The one rendition, made in one go or of pieces."""
    planned = plan.make(clip, RULES, version="0" * 32, done={}, whole=whole)
    for group in planned.groups:
        match group:
            case Encode(steps=(*_,)) if any(isinstance(named.step, Rendition) for named in group.steps):
                await run(films, folder, encoding.encode(group, RULES.limits))
            case Cut():
                await run(films, folder, encoding.encode_piece(group.piece, clip, RULES.limits))
                (rung,) = group.piece.rungs
                verify.check_piece(group.piece, await films.index(folder / pieces.file(group.piece, rung)))
            case Join():
                cut = pieces.cut(clip, [named.step for named in group.steps if isinstance(named.step, Rendition)])
                await films.join(folder, [pieces.file(piece, piece.rungs[0]) for piece in cut], "120p.mp4")
    return (folder / "120p.mp4").rename(folder / ("whole.mp4" if whole else "joined.mp4"))


async def run(films: FFmpeg, folder: Path, argv: list[str]) -> None:
    """ffmpeg, as a job runs it."""
    await films.run(folder, argv, seconds=10, on_share=lambda _share: None)


def times(path: Path) -> list[tuple[int, int]]:
    """When each frame is shown, and for how long, in ticks."""
    argv = ["ffprobe", "-v", "error", "-show_entries", "packet=pts,duration", "-of", "csv=p=0", str(path)]
    lines = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    return sorted((int(pts), int(lasts)) for pts, lasts, *_ in (line.split(",") for line in lines))


def likeness(path: Path, other: Path) -> float:
    """The PSNR of the two frames that are least alike, in dB."""
    argv = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-i", str(other)]
    argv += ["-lavfi", "psnr=stats_file=-", "-f", "null", "-"]
    said = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert not said.stderr
    return min(float(found) for found in re.findall(r"psnr_avg:(\S+)", said.stdout))


SOURCES = {
    "film.mp4": ["-f", "lavfi", "-i", TEST.format(rate=25), *H264],
    "ntsc.mkv": ["-f", "lavfi", "-i", TEST.format(rate="30000/1001"), *H264],
    "slow.webm": ["-f", "lavfi", "-i", TEST.format(rate=12), "-c:v", "libvpx", "-b:v", "400k", "-deadline", "realtime"],
    "slides.mkv": ["-f", "lavfi", "-i", f"{TEST.format(rate=25)},select=not(mod(n\\,70))", "-vsync", "vfr", *H264],
    "late.mp4": [
        *("-f", "lavfi", "-i", "sine=duration=10", "-itsoffset", "0.7"),
        *("-f", "lavfi", "-i", TEST.format(rate=25), "-c:a", "aac", *H264),
    ],
    "fragments.mp4": ["-f", "lavfi", "-i", TEST.format(rate=25), *H264, "-movflags", "frag_keyframe+empty_moov"],
}


@pytest.mark.parametrize("name", SOURCES)
async def test_joined_pieces_are_the_whole(name: str, films: FFmpeg, tmp_path: Path) -> None:
    """The same frames at the same times, and pictures as like as two encodes of them are; every byte decodes."""
    source(tmp_path, *SOURCES[name], name=name)
    clip = await looked_at(films, tmp_path)
    joined = await encoded(films, tmp_path, clip, whole=False)
    whole = await encoded(films, tmp_path, clip, whole=True)
    assert times(whole) == times(joined)
    assert likeness(whole, joined) > 28
    index = await films.index(joined)
    assert (await films.index(whole)).duration == index.duration
    assert [] == list(tmp_path.glob("120p-*"))


async def test_what_is_encoded_otherwise_is_not_joined(films: FFmpeg, tmp_path: Path) -> None:
    """A piece of another size has another init segment; one that is missing leaves a hole in time."""
    source(tmp_path, *SOURCES["film.mp4"], name="film.mp4")
    clip = await looked_at(films, tmp_path)
    rung = next(
        named.step
        for named in plan.make(clip, RULES, version="0" * 32, done={}, whole=True).steps
        if isinstance(named.step, Rendition)
    )
    cut = pieces.cut(clip, [rung])
    names = [pieces.file(piece, rung) for piece in cut]
    for piece in cut:
        await run(films, tmp_path, encoding.encode_piece(piece, clip, RULES.limits))
    with pytest.raises(Unseekable, match=r"piece 1 begins at 6\.\d+ s, the one before ends at 3\.\d+ s"):
        await films.join(tmp_path, [names[0], names[2]], "120p.mp4")
    smaller = ["-t", "3", "-s", "80x60", *H264, "-f", "mp4", "-movflags", "+cmaf+frag_keyframe+global_sidx"]
    source(tmp_path, "-i", str(tmp_path / "film.mp4"), *smaller, name=names[1])
    with pytest.raises(Unseekable, match="piece 1 is encoded otherwise than the first"):
        await films.join(tmp_path, names, "120p.mp4")
    (tmp_path / names[1]).write_bytes(b"no film")
    with pytest.raises(Unseekable):
        await films.join(tmp_path, names, "120p.mp4")
    assert not (tmp_path / "120p.mp4").exists()
