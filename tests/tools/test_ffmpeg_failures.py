"""What went wrong when ffmpeg failed: the file, the tool, or the machine."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import pytest

from service.core import plan, recipe
from service.core.command import Progress
from service.core.media import Clip
from service.core.outcome import Misconfigured, Reason, Rejected, Unavailable
from service.core.sniff import StreamFile, sniff
from service.core.step import Sound
from service.runtime.tools import Target
from service.tools import ffmpeg, painter
from service.tools.ffmpeg import FFmpeg
from service.tools.limits import Finished, Limits, Usage
from service.tools.sandbox import Sandbox

RULES = recipe.read("", shipped=(files("service") / "recipe.toml").read_text()).general
USAGE = Usage(cpu_seconds=0, max_rss_bytes=0, wall_seconds=0)
GUESSED = StreamFile(demuxers=("mp3", "aac"), certain=False, least_score=26)


def ended(returncode: int, errors: str = "") -> Finished:
    """A child that ended so."""
    return Finished(returncode=returncode, stdout=b"", errors=errors, error_lines=1, usage=USAGE)


@pytest.mark.parametrize("told", [ffmpeg._failed, lambda finished: ffmpeg._unreadable(finished, GUESSED)])
@pytest.mark.parametrize(
    ("finished", "expected"),
    [
        (ended(-9), Unavailable),
        (ended(-11), Rejected),
        (ended(1, "Unknown encoder 'libx264'"), Misconfigured),
        (ended(1, "Unrecognized option 'fps_mode'."), Misconfigured),
        (ended(1, "Option max_streams not found."), Misconfigured),
        (ended(1, "[AVFilterGraph @ 0x1] No such filter: 'fps'"), Misconfigured),
        (ended(1, "moov atom not found"), Rejected),
    ],
)
def test_who_is_at_fault(told, finished: Finished, expected: type[Exception]):
    """The machine, the file or the tool: only the file's faults are published."""
    assert expected is type(told(finished))


def test_a_header_that_asks_for_too_much_memory():
    """Our own limit on one block is told as what it is."""
    error = ffmpeg._failed(ended(1, "Cannot allocate memory"))
    assert isinstance(error, Rejected)
    assert Reason.MEMORY_LIMIT == error.reason


def test_progress_is_what_is_further_than_ever():
    """ffmpeg 7 repeats its lines while nothing advances."""
    progress = Progress()
    lines = ["out_time_us=N/A", "out_time_us=40", "out_time_us=40", "total_size= 9", "speed=1x", "out_time_us=41"]
    assert [False, True, False, True, False, True] == [progress.advances(line) for line in lines]


@pytest.fixture(name="films")
async def _films() -> AsyncIterator[FFmpeg]:
    async with Sandbox() as sandbox:
        yield FFmpeg(sandbox, memory_bytes=1 << 30)


@pytest.fixture(name="film", scope="session")
def _film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "v.mp4"
    sources = "-f lavfi -i testsrc2=duration=3:size=160x90 -f lavfi -i sine=duration=3"
    made(path, *f"{sources} -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac".split())
    return path


def made(path: Path, *arguments: str) -> None:
    """Make a file with ffmpeg."""
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, str(path)], check=True)


async def probed(films: FFmpeg, file: Path, folder: Path) -> Clip:
    """What a file is."""
    shutil.copyfile(file, folder / "in")
    sniffed = sniff(file.read_bytes()[:4096])
    assert isinstance(sniffed, StreamFile)
    return await films.probe(folder, sniffed, file.stat().st_size, RULES.limits)


async def test_a_film_that_begins_late_is_whole(films: FFmpeg, film: Path, tmp_path: Path) -> None:
    """An empty edit in front counts for the declared duration."""
    made(tmp_path / "late.mp4", "-itsoffset", "5", "-i", str(film), "-c", "copy")
    clip = await probed(films, tmp_path / "late.mp4", tmp_path)
    assert pytest.approx(8.0, abs=0.1) == clip.duration
    assert pytest.approx(3.0, abs=0.1) == clip.seconds


async def test_a_sound_track_without_packets_is_left_out(films: FFmpeg, film: Path, tmp_path: Path) -> None:
    """The picture is published without sound."""
    empty = tmp_path / "empty.mkv"
    made(empty, "-i", str(film), "-map", "0", "-c", "copy", "-bsf:a", "noise=amount=0:drop=1")
    clip = await probed(films, empty, tmp_path)
    assert (1, ()) == (len(clip.audio), clip.sounds)
    steps = plan.make(clip, RULES, version="v", done=()).steps
    assert [] == [named for named in steps if isinstance(named.step, Sound)]


async def test_what_was_made_is_read_back(films: FFmpeg, film: Path, tmp_path: Path) -> None:
    """Kinds of streams and duration; what is no MP4 was made wrong."""
    shutil.copyfile(film, tmp_path / "video.mp4")
    found = await films.inspect(tmp_path, "video.mp4")
    assert (("audio", "video"), pytest.approx(3.0, abs=0.1), 75) == (found.kinds, found.duration, found.frames)
    (tmp_path / "audio.m4a").write_bytes(b"nothing")
    with pytest.raises(Unavailable, match=r"audio\.m4a"):
        await films.inspect(tmp_path, "audio.m4a")


async def test_the_encoders_are_there(films: FFmpeg, tmp_path: Path) -> None:
    """Those of the distribution's package."""
    await films.check_encoders(tmp_path)


async def test_an_ffmpeg_without_encoders_is_misconfigured(tmp_path: Path) -> None:
    """As some distributions build it."""
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\necho \"Unknown encoder 'libx264'\" >&2; exit 1\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    async with Sandbox(path=f"{tmp_path}:/usr/bin:/bin") as sandbox:
        with pytest.raises(Misconfigured, match="libx264"):
            await FFmpeg(sandbox, memory_bytes=1 << 30).check_encoders(tmp_path)


@pytest.mark.parametrize("returncode", [0, 1])
async def test_a_full_disk_is_not_the_fault_of_the_file(tmp_path: Path, returncode: int) -> None:
    """ffmpeg 5.1 ends well although the end of a file was not written; an upload must not be refused for that."""
    said = "Error closing file 60p.mp4: No space left on device"
    (tmp_path / "ffmpeg").write_text(f"#!/bin/sh\necho '{said}' >&2; exit {returncode}\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    async with Sandbox(path=f"{tmp_path}:/usr/bin:/bin") as sandbox:
        with pytest.raises(Unavailable, match="scratch disk is full"):
            await FFmpeg(sandbox, memory_bytes=1 << 30).run(tmp_path, ["ffmpeg"], seconds=1, on_share=print)


@pytest.mark.parametrize("progress", [True, False])
async def test_lines_that_say_nothing_new_are_a_stall(tmp_path: Path, progress: bool) -> None:  # noqa: FBT001
    """A program that chatters is stopped, unless its lines are progress."""
    limits = Limits(wall_seconds=20, cpu_seconds=10, memory_bytes=500_000_000, file_bytes=1_000_000, stall_seconds=0.5)
    program = "import time\nfor _ in range(12):\n    print('x', flush=True)\n    time.sleep(0.1)"
    chatter = [sys.executable, "-I", "-c", program]
    async with Sandbox() as sandbox:
        running = sandbox.run(chatter, cwd=tmp_path, limits=limits, on_line=lambda _: progress)
        (ending,) = await asyncio.gather(running, return_exceptions=True)
    assert progress is isinstance(ending, Finished)


@pytest.mark.parametrize(
    "said",
    [
        {"thumbhash": "<script>", "color": "#102030"},
        {"thumbhash": "a" * 65, "color": "#102030"},
        {"thumbhash": "abcd", "color": "url(x)"},
    ],
)
def test_a_hint_that_is_none_is_refused(said: dict[str, str]):
    """It would be published."""
    with pytest.raises(Rejected, match="nonsense"):
        painter._hint(said)


@pytest.mark.parametrize(
    "changed", [{}, {"width": 9}, {"bytes": 4}], ids=["as asked for", "another size in pixels", "another length"]
)
def test_drawn_files_are_as_asked_for(tmp_path: Path, changed: dict[str, int]):
    """There, not empty, and of the size in pixels."""
    target = Target(file="8.webp", width=8, height=6, format="webp", quality=80)
    (tmp_path / "8.webp").write_bytes(b"abc")
    said = [{"file": "8.webp", "width": 8, "height": 6, "bytes": 3} | changed]
    if not changed:
        painter._check(said, [target], tmp_path)
        return
    with pytest.raises(Unavailable):
        painter._check(said, [target], tmp_path)
