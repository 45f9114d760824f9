"""Poster candidates, storyboard and preview by the real ffmpeg, on clips whose brightness tells the time."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg
import pytest
from PIL import Image, ImageStat

from service.core import colour, graphs, posters, preview, sizes, storyboard
from service.core.command import compiled, stripped
from service.core.screening import Traits
from service.core.storyboard import Layout
from service.tools.frames import measure
from tests.core.samples import PHONE_PICTURE as VIDEO

H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-qp", "8"]
#: Black for as long as `later` says; then a shot from each quarter of a second before a whole one or a half.
SHOTS = "nullsrc=s={size}:r=25:d={seconds},geq=lum='40+30*floor(2*T+0.5)':cb=128:cr=128"
STEP = 30 * 255 / 219  # what a shot is brighter than the one before, in full range
FIRST = (40 - 16) * 255 / 219


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a command took."""

    peak_memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The folder of a job."""

    folder: Path

    def source(self, *arguments: str) -> None:
        """The upload is what ffmpeg makes of the arguments, as Matroska."""
        command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, "-f", "matroska", str(self.folder / "in")]
        subprocess.run(command, check=True, timeout=60)

    def shots(self, seconds: float, size: str = "320x180", *, gop: int = 25) -> None:
        """Twice a second another shot, each brighter by `STEP`."""
        self.source("-f", "lavfi", "-i", SHOTS.format(size=size, seconds=seconds), *H264, "-g", str(gop))

    def run(self, *outputs: Any) -> Spent:
        """As the service runs it, without the sandbox."""
        argv = graphs.apart(compiled(ffmpeg.merge_outputs(*outputs)))
        child = subprocess.Popen(argv, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert child.stderr
        said = child.stderr.read()
        child.stderr.close()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert (0, b"") == (child.returncode, said)
        return Spent(peak_memory_bytes=usage.ru_maxrss * 1024)

    def storyboard(self, plan: Layout, **reading: Any) -> Any:
        """The output of the sheets."""
        return storyboard.sprites(
            scaled(storyboard.sampled(frames(**reading), plan), plan.width, plan.height, storyboard.PIXELS), plan
        )

    def tiles(self, plan: Layout) -> list[float]:
        """How bright each tile is, across sheets."""
        assert sorted(plan.names) == sorted(path.name for path in self.folder.glob("storyboard-*"))
        sheets = [loaded(self.folder / name) for name in plan.names]
        assert {plan.sheet_size} == {sheet.size for sheet in sheets}
        places = [plan.place(tile) for tile in range(plan.count)]
        return [
            luma(
                sheets[at].crop(
                    (
                        column * plan.width,
                        row * plan.height,
                        (column + 1) * plan.width,
                        (row + 1) * plan.height,
                    )
                )
            )
            for at, column, row in places
        ]

    def film(self) -> tuple[list[int], list[float]]:
        """Which shots the preview shows, frame by frame, and for how long, in milliseconds."""
        seen, durations = [], []
        with Image.open(self.folder / "preview.webp") as film:
            assert ((160, 90), 0) == (film.size, film.info["loop"])
            for number in range(film.n_frames):
                film.seek(number)
                film.load()
                seen.append(shot(luma(film)))
                durations.append(film.info["duration"])
        return seen, durations

    def candidates(self) -> list[Image.Image]:
        """The files, in order."""
        return [loaded(path) for path in sorted(self.folder.glob("candidate-*.ppm"))]


@pytest.fixture(name="bench")
def _bench(tmp_path: Path) -> Bench:
    return Bench(folder=tmp_path)


def frames(**reading: Any) -> Any:
    return ffmpeg.input("file:in", **reading)["v:0"]


def scaled(stream: Any, width: int, height: int, pixels: str = "yuv420p") -> Any:
    return colour.scaled(stream, VIDEO, width, height, pixel_format=pixels)


def loaded(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def luma(image: Image.Image) -> float:
    return ImageStat.Stat(image.convert("L")).mean[0]


def shot(brightness: float) -> int:
    """Which shot has it."""
    return round((brightness - FIRST) / STEP)


def traits(image: Image.Image) -> Traits:
    found = measure(image)
    return Traits(
        dhash=int(found["dhash"], 16),
        luma=found["luma"],
        deviation=found["deviation"],
        sharpness=found["sharpness"],
        colour=tuple(found["colour"]),
        fields=bytes.fromhex(found["fields"]),
    )


def poster_candidates(seconds: float, **reading: Any) -> Any:
    return posters.written(scaled(posters.selected(frames(**reading), posters.times(seconds)), 160, 90, posters.PIXELS))


def animation(at: float, seconds: float, **reading: Any) -> Any:
    return preview.written(scaled(preview.cut(frames(**reading), at, seconds), 160, 90, preview.PIXELS))


def test_a_tile_shows_what_is_shown_in_the_middle_of_its_time(bench: Bench):
    """A second each: of the shots that begin at 0, 0.25, 0.75, 1.25... it is every second one."""
    bench.shots(3)
    plan = storyboard.layout(3, 320, 180)
    bench.run(bench.storyboard(plan))
    assert [1, 3, 5] == [shot(tile) for tile in bench.tiles(plan)]


def test_tiles_go_on_in_the_next_row_and_on_the_next_sheet(bench: Bench):
    """Of six, four fill the first sheet; what is left of the second is black."""
    bench.shots(3)
    plan = Layout(seconds=3.0, width=64, height=36, columns=2, rows=2, count=6)
    bench.run(bench.storyboard(plan))
    assert [0, 1, 2, 3, 4, 5] == [shot(tile) for tile in bench.tiles(plan)]
    assert luma(loaded(bench.folder / "storyboard-2.jpg").crop((0, 40, 128, 72))) < 4


def test_a_clip_that_ends_early_fills_its_storyboard(bench: Bench):
    """As many sheets as were planned, with the last frame on them."""
    bench.shots(1)
    plan = storyboard.layout(130, 320, 180)
    bench.run(bench.storyboard(plan))
    tiles = bench.tiles(plan)
    assert 2 == plan.sheets
    assert 130 == len(tiles)
    assert all(abs(tile - tiles[0]) < STEP for tile in tiles)


def test_a_clip_that_ends_late_has_no_more_tiles(bench: Bench):
    """What was not planned is in no manifest."""
    bench.shots(3)
    plan = storyboard.layout(2, 320, 180)
    bench.run(bench.storyboard(plan))
    assert [1, 3] == [shot(tile) for tile in bench.tiles(plan)]


def test_keyframes_alone_are_enough(bench: Bench):
    """A tile shows the last of them before its middle: those at 0.4, 1.2 and 2.4 seconds."""
    bench.shots(3, gop=10)
    plan = storyboard.layout(3, 320, 180)
    reading = {"skip_frame": "nokey"}
    bench.run(bench.storyboard(plan, **reading), poster_candidates(3, **reading), animation(0, 3, **reading))
    assert [1, 2, 5] == [shot(tile) for tile in bench.tiles(plan)]
    assert 0 == shot(luma(bench.candidates()[0]))
    assert 3000 == sum(bench.film()[1])


@pytest.mark.parametrize(("size", "tile"), [("90x160", (90, 160)), ("640x80", (160, 20))])
def test_any_shape_has_a_storyboard(bench: Bench, size: str, tile: tuple[int, int]):
    """Upright films, and very wide ones."""
    bench.shots(3, size)
    width, height = map(int, size.split("x"))
    plan = storyboard.layout(3, width, height)
    bench.run(bench.storyboard(plan))
    assert tile == (plan.width, plan.height)
    assert [1, 3, 5] == [shot(one) for one in bench.tiles(plan)]


def test_a_clip_of_one_frame_has_all_pictures(bench: Bench):
    """One candidate, one tile, an animation of one frame; also where its header promises an hour."""
    bench.shots(0.04)
    for seconds in (0.04, 3600.0):
        plan = storyboard.layout(seconds, 320, 180)
        bench.run(bench.storyboard(plan), poster_candidates(seconds), animation(*preview.span(seconds)))
        assert {0} == {shot(tile) for tile in bench.tiles(plan)}
        assert [0] == [shot(luma(one)) for one in bench.candidates()]
        assert 0 == shot(luma(loaded(bench.folder / "preview.webp")))
        for path in bench.folder.glob("storyboard-*"):
            path.unlink()


def test_candidates_are_the_frames_at_their_times(bench: Bench):
    """The first frame, then the first one at or after each time; raw, and of the size that was asked for."""
    bench.shots(3)
    bench.run(posters.written(scaled(posters.selected(frames(), (0.0, 0.74, 1.3, 2.8)), 160, 90, posters.PIXELS)))
    found = bench.candidates()
    assert [0, 2, 3, 6] == [shot(luma(one)) for one in found]
    assert {(160, 90)} == {one.size for one in found}
    assert all(path.read_bytes().startswith(b"P6\n160 90\n255\n") for path in bench.folder.glob("candidate-*"))


def test_no_frame_is_a_candidate_twice(bench: Bench):
    """Times between two frames mean one, and times behind the end none."""
    bench.shots(1)
    bench.run(
        posters.written(scaled(posters.selected(frames(), (0.0, 0.3, 0.301, 0.302, 5.0)), 160, 90, posters.PIXELS))
    )
    assert [0, 1] == [shot(luma(one)) for one in bench.candidates()]


def test_a_black_beginning_is_no_poster(bench: Bench):
    """Nor is the fade out of it."""
    bench.source("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=3,fade=st=0.5:d=1", *H264)
    bench.run(poster_candidates(3))
    found = [traits(one) for one in bench.candidates()]
    assert 8 == len(found)
    assert found[0].luma < 16
    assert posters.times(3)[posters.best(found)] > 1.2


def test_a_picture_that_comes_late_is_on_the_first_tile(bench: Bench):
    """The sound begins a second before it: until then players show its first frame."""
    later = SHOTS.format(size="320x180", seconds=2) + ",setpts=PTS+1/TB"
    bench.source("-f", "lavfi", "-i", later, "-f", "lavfi", "-i", "sine=d=3", *H264, "-c:a", "flac", "-copyts")
    plan = storyboard.layout(3, 320, 180)
    bench.run(bench.storyboard(plan), poster_candidates(3), animation(0.0, 3.0))
    assert [0, 1, 3] == [shot(tile) for tile in bench.tiles(plan)]
    assert 0 == shot(luma(bench.candidates()[0]))


def test_a_preview_is_an_animation_of_those_seconds(bench: Bench):
    """From `at` on, for ever, and nothing in the file but pictures."""
    bench.shots(3)
    bench.run(animation(1.0, 1.5))
    seen, durations = bench.film()
    assert ([2, 3, 4, 5], [250, 500, 500, 250]) == (seen, durations)  # what stays the same is one frame
    assert {b"VP8X", b"ANIM", b"ANMF"} == chunks((bench.folder / "preview.webp").read_bytes())


def chunks(data: bytes) -> set[bytes]:
    """The kinds of chunk in a WebP file; its size has to be what its header says."""
    assert (b"RIFF", b"WEBP", len(data) - 8) == (data[:4], data[8:12], int.from_bytes(data[4:8], "little"))
    found, at = set(), 12
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        found.add(data[at : at + 4])
        at += 8 + size + size % 2
    return found


def test_a_preview_has_eight_frames_a_second(bench: Bench):
    """Where each of them differs: three seconds of a ten-second clip."""
    bench.source("-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d=10", *H264)
    bench.run(animation(*preview.span(10)))
    _, durations = bench.film()
    assert [125] * 24 == durations


def test_a_preview_of_a_clip_that_ends_before_it_is_its_last_frame(bench: Bench):
    """A still one, but a file that can be shown."""
    bench.shots(1)
    bench.run(animation(1800, 3))
    assert 2 == shot(luma(loaded(bench.folder / "preview.webp")))


def test_equal_input_gives_equal_bytes(bench: Bench):
    """Neither encoder's names nor the time are in the files."""
    bench.shots(2)
    plan = storyboard.layout(2, 320, 180)
    made = []
    for _ in range(2):
        bench.run(bench.storyboard(plan), poster_candidates(2), animation(*preview.span(2)))
        made.append({path.name: path.read_bytes() for path in bench.folder.iterdir()})
    assert made[0] == made[1]
    assert not any(b"Lav" in data for name, data in made[0].items() if name != "in")


def test_all_of_them_beside_the_rungs_hold_nothing_back(bench: Bench):
    """Sheets come at the very end, candidates seldom: no frame of a rung waits for them in memory."""
    bench.source("-f", "lavfi", "-i", "testsrc2=s=640x360:r=25:d=12", "-f", "lavfi", "-i", "sine=d=12", *H264)
    source = ffmpeg.input("file:in")
    both = source["v:0"].filter_multi_output("split", 2)
    options = {"c:v": "libx264", "preset": "ultrafast", "f": "mp4"}
    rungs = [ffmpeg.output(scaled(both[at], 640, 360), f"{at}.mp4", **options, **stripped()) for at in range(2)]
    sound = ffmpeg.output(source["a:0"].filter("aresample", 48_000), "sound.mp4", f="mp4", **stripped())
    alone = bench.run(*rungs, sound)
    plan = storyboard.layout(12, 640, 360)
    width, height = sizes.within(640, 360, preview.SIDE)
    film = preview.written(scaled(preview.cut(frames(), *preview.span(12)), width, height, preview.PIXELS))
    together = bench.run(*rungs, sound, poster_candidates(12), bench.storyboard(plan), film)
    raw = 12 * 25 * 640 * 360 * 3 // 2
    assert together.peak_memory_bytes - alone.peak_memory_bytes < raw / 2
    assert 8 == len(bench.candidates())
    assert 12 == len(bench.tiles(plan))
