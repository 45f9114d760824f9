"""Frames as moderation looks at them: the real ffmpeg on small clips, and pages that Pillow makes plain."""

import asyncio
import shutil
import struct
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from service.core import frames_command, screening, sniff
from service.core.media import Clip
from service.core.outcome import Reason, Rejected
from service.runtime.reel import Reel
from service.runtime.tools import Page
from service.tools.ffmpeg import FFmpeg
from service.tools.frames import fit, frames, measure
from service.tools.limits import Usage
from service.tools.painter import Painter
from service.tools.sandbox import Sandbox
from tests.core.samples import PHONE, RULES
from tests.tools.picture_samples import BLUE, CORNERS, RED, corners, film, noise, oriented, saved

MEMORY = 1 << 30
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
SECONDS = "nullsrc=s=96x96:r=25:d={},geq=lum='16+3*floor(T+{})':cb=128:cr=128"  # a shot of its own for each second
SIZE = {"max_pixels": 100_000_000, "max_frames": 1000, "max_total_pixels": 1_000_000_000}


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The tools, and the scratch folder of a job."""

    films: FFmpeg
    pictures: Painter
    folder: Path

    async def clip(self, *arguments: str, name: str = "a.mp4") -> Clip:
        """The upload is what ffmpeg makes of the arguments."""
        path = self.folder / name
        command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, str(path)]
        await asyncio.to_thread(subprocess.run, command, check=True)
        shutil.move(path, self.folder / "in")
        return await self.probed()

    async def probed(self) -> Clip:
        """What the upload is."""
        size = (self.folder / "in").stat().st_size
        sniffed = sniff.sniff((self.folder / "in").read_bytes()[:4096])
        assert isinstance(sniffed, sniff.StreamFile)
        return await self.films.probe(self.folder, sniffed, size, RULES.limits)

    def reel(self, clip: Clip, *at: float, seeking: bool) -> Reel:
        """The clip's frames at these times."""
        reel = Reel(films=self.films, clip=clip, folder=self.folder, limits=RULES.limits, at=at)
        reel.seeking = seeking
        return reel

    async def lumas(self, files: list[str]) -> list[float]:
        """How bright each frame is."""
        pages = [Page(source=file, page=0, file=f"plain-{number}.jpg") for number, file in enumerate(files)]
        shown = await self.pictures.frames(self.folder, pages, formats=("JPEG",), side=640, limits=RULES.limits)
        return [traits.luma for traits in shown.traits]


@pytest.fixture(name="bench")
async def _bench(tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "job").mkdir()
    async with Sandbox() as sandbox:
        films, pictures = FFmpeg(sandbox, memory_bytes=MEMORY), Painter(sandbox, memory_bytes=MEMORY)
        yield Bench(films=films, pictures=pictures, folder=tmp_path / "job")


@pytest.mark.parametrize("seeking", [False, True])
@pytest.mark.parametrize("later", [0, 0.48])
async def test_a_shot_of_a_second_is_seen_at_every_second(bench: Bench, *, seeking: bool, later: float):
    """Sixty shots of a second each, the frames a second apart: each of the sixty is among them, either way."""
    clip = await bench.clip("-f", "lavfi", "-i", SECONDS.format(60, later), *H264, "-g", "50", "-qp", "8")
    rules = RULES.moderation.model_copy(update={"interval_seconds": 1.0})
    step = screening.plan(clip, rules, affordable=None)
    assert step is not None
    reel = bench.reel(clip, *step.at, seeking=seeking)
    lumas = await bench.lumas(await reel.frames(step.at))
    assert reel.seeking == seeking
    assert 60 == len(lumas)
    steps = [after - before for before, after in pairwise(lumas)]
    assert all(2 < rise < 5 for rise in steps)


@pytest.mark.parametrize("seeking", [False, True])
async def test_a_slide_is_seen_at_any_time_it_is_shown(bench: Bench, *, seeking: bool):
    """A frame that lasts is the one shown, not the next one; the first and the last are there, and neighbours."""
    slides = "nullsrc=s=96x96:r=2:d=4,geq=lum='40+20*N':cb=128:cr=128"
    clip = await bench.clip("-f", "lavfi", "-i", slides, *H264, "-qp", "8")
    reel = bench.reel(clip, 0.0, 0.45, 0.9, 1.35, 1.8, 2.25, 2.7, 3.15, 3.6, seeking=seeking)
    lumas = await bench.lumas(await reel.frames([0.0, 0.45, 0.9, 1.8, 3.6, 0.6, 3.75]))
    assert [0, 0, 1, 3, 7, 1, 7] == [round((luma - 28) / 23.3) for luma in lumas]


async def test_a_film_that_ends_early_is_seen_to_its_end(bench: Bench):
    """What seeks don't find, a pass does: of times behind the last frame that frame."""
    clip = await bench.clip("-f", "lavfi", "-i", SECONDS.format(3, 0), *H264, "-qp", "8")
    reel = bench.reel(clip, 0.5, 2.5, 4.5, 6.5, seeking=True)
    first, third, last = await bench.lumas(await reel.frames([0.5, 2.5, 6.5]))
    assert not reel.seeking
    assert first < third == last
    reel.clear()
    assert ["in"] == [path.name for path in bench.folder.iterdir() if not path.name.startswith("plain")]


@pytest.mark.parametrize("seconds", [0.04, 0.2, 1])
async def test_the_shortest_films_are_seen(bench: Bench, seconds: float):
    """Down to a single frame."""
    clip = await bench.clip("-f", "lavfi", "-i", f"color=white:s=96x96:r=25:d={seconds}", *H264)
    step = screening.plan(clip, RULES.moderation, affordable=None)
    assert step is not None
    reel = bench.reel(clip, *step.at, seeking=False)
    (luma,) = await bench.lumas(await reel.frames(step.at))
    assert 250 < luma


@pytest.mark.parametrize("name", ["a.ts", "a.flv"])
async def test_files_without_an_index_are_passed(bench: Bench, name: str):
    """A seek in them is a guess; the pass finds every second, wherever their clock starts."""
    codec = H264 if name == "a.ts" else ["-c:v", "flv1", "-q:v", "2"]
    clip = await bench.clip("-f", "lavfi", "-i", SECONDS.format(5, 0), *codec, "-muxdelay", "2", name=name)
    at = (0.5, 1.5, 2.5, 3.5, 4.5)
    assert not frames_command.seekable(clip, (0.5, 100.5))
    lumas = await bench.lumas(await bench.reel(clip, *at, seeking=False).frames(at))
    assert sorted(lumas) == lumas
    assert 10 < lumas[-1] - lumas[0] < 18


async def test_seeks_that_cost_more_than_a_pass_end(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """A film with a single keyframe is decoded from its start by each of them; the first one tells."""
    clip = await bench.clip("-f", "lavfi", "-i", SECONDS.format(2, 0), *H264)
    reel = bench.reel(clip, 0.5, 1.5, seeking=True)
    assert 1 == reel.handful
    monkeypatch.setattr(frames_command, "pass_cpu_seconds", lambda _clip: 0.0)
    assert ["sought-500.jpg"] == await reel.frames([0.5])
    assert not reel.seeking
    assert ["swept-00005.jpg"] == await reel.frames([1.5])


async def test_phones_are_held_upright(bench: Bench):
    """A frame stands as the film is shown: rotated, in square pixels, at most 640 long."""
    await bench.clip("-f", "lavfi", "-i", "color=red:s=720x1280:d=1,drawbox=x=360:w=360:color=blue:t=fill", *H264)
    film = (bench.folder / "in").read_bytes()
    at = film.index(b"tkhd") + 44  # its matrix, ISO/IEC 14496-12, 8.3.2
    quarter = struct.pack(">9i", *(part << 16 for part in (0, 1, 0, -1, 0, 0, 0, 0)), 1 << 30)
    (bench.folder / "in").write_bytes(film[:at] + quarter + film[at + 36 :])
    clip = await bench.probed()
    assert clip.video is not None
    assert (1280, 720) == (clip.video.width, clip.video.height)
    (file,) = await bench.reel(clip, 0.5, seeking=False).frames([0.5])
    with Image.open(bench.folder / file) as image:
        assert (640, 360) == image.size
        assert image.getpixel((320, 20)) != image.getpixel((320, 340))
        assert image.getpixel((20, 20)) == image.getpixel((600, 20))


def test_an_upload_is_read_guarded():
    """Closed lists before each input, constant file names, and nothing of it goes on."""
    wanted = [(20.0, "sought-20000.jpg"), (40.0, "sought-40000.jpg")]
    argvs = [frames_command.seeks(PHONE, wanted, RULES.limits), frames_command.sweep(PHONE, (1, 3), RULES.limits)]
    for argv, inputs in zip(argvs, (2, 1), strict=True):
        guards = ("-protocol_whitelist", "-format_whitelist", "-codec_whitelist", "-max_pixels", "-max_streams", "-i")
        assert {inputs} == {argv.count(guard) for guard in guards}
        assert inputs == argv.count("-map_metadata")
    assert "swept-%05d.jpg" == argvs[1][-1]
    assert ["0:1", "1:1"] == [word[1:4] for word in ";".join(argvs[0]).split(";") if word.startswith(("[0:", "[1:"))]


# ---- pages of pictures


@pytest.fixture(name="shown")
def _shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Image.Image, dict[str, Any]]]:
    monkeypatch.chdir(tmp_path)

    def shown(data: bytes, kind: str, *, page: int = 0, side: int = 1024) -> tuple[Image.Image, dict[str, Any]]:
        """A page as a provider sees it, and what is measured of it."""
        Path("in").write_bytes(data)
        pages = [{"source": "in", "page": page, "file": "out.jpg"}]
        (said,) = frames({"formats": [kind], "pages": pages, "side": side, **SIZE})["pages"]
        with Image.open("out.jpg") as image:
            image.load()
        assert ("JPEG", image.size) == (image.format, (said["width"], said["height"]))
        assert not {"exif", "icc_profile", "comment", "xmp"} & set(image.info)
        return image, said

    return shown


Shown = Callable[..., tuple[Image.Image, dict[str, Any]]]


def near(colour: Any, other: Any) -> bool:
    return all(abs(a - b) < 24 for a, b in zip(colour, other, strict=True))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pictures_stand_upright(shown: Shown, kind: str):
    """Whatever orientation they are stored in, and small ones lie on grey."""
    image, _ = shown(oriented(kind, 6), kind)
    assert (96, 80) == image.size
    spots = [image.getpixel(spot) for spot in ((24, 24), (72, 24), (24, 56), (72, 56))]
    assert all(near(spot, colour) for spot, colour in zip(spots, CORNERS, strict=True))
    assert near((128, 128, 128), image.getpixel((48, 2)))


@pytest.mark.parametrize(
    ("size", "side", "fitted"),
    [
        ((4000, 3000), 1024, (1024, 768)),
        ((300, 200), 1024, (300, 200)),
        ((800, 16_000), 1024, (205, 4096)),
        ((16_000, 20), 1024, (4096, 5)),
        ((640, 360), 640, (640, 360)),
        ((2000, 500), 1024, (1280, 320)),
    ],
)
def test_sizes(size: tuple[int, int], side: int, fitted: tuple[int, int]):
    """No longer than the side, but of a strip more is kept, up to 4096; nothing is enlarged."""
    assert fitted == fit(size, side)


def test_any_picture_is_within_a_provider_s_limits(shown: Shown):
    """Noise, which compresses to nothing less, a strip and a dot."""
    for width, height in ((1500, 1400), (9000, 30), (1, 1)):
        image, said = shown(saved(noise(width, height), "PNG"), "PNG")
        assert min(image.size) >= 80
        assert max(image.size) <= 4096
        assert said["bytes"] < 2_000_000


@pytest.mark.parametrize(("level", "ground"), [(255, 32), (0, 255), (100, 255)])
def test_what_is_drawn_on_nothing_stands_out(shown: Shown, level: int, ground: int):
    """Light drawings are shown on dark, others on white."""
    drawing = Image.new("LA", (200, 200), (level, 0))
    ImageDraw.Draw(drawing).ellipse((50, 50, 150, 150), fill=(level, 255))
    image, _ = shown(saved(drawing, "PNG"), "PNG")
    assert near((level,) * 3, image.getpixel((100, 100)))
    assert near((ground,) * 3, image.getpixel((5, 5)))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_each_page_of_an_animation(shown: Shown, kind: str):
    """Any of them can be asked for, the last too."""
    data = film(kind, frames=5, size=(100, 100), **({} if kind == "GIF" else {"lossless": True}))
    for page in (0, 3, 4):
        image, _ = shown(data, kind, page=page)
        assert near((page * 40, page, 0), image.getpixel((50, 50)))


def test_several_pages_in_one_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Pages ascend, and several sources follow one another."""
    monkeypatch.chdir(tmp_path)
    Path("in").write_bytes(film("GIF", frames=6))
    Path("other").write_bytes(film("GIF", frames=3))
    wanted = [("in", 0), ("in", 2), ("in", 5), ("other", 1)]
    pages = [{"source": source, "page": page, "file": f"{source}{page}.jpg"} for source, page in wanted]
    said = frames({"formats": ["GIF"], "pages": pages, "side": 640, **SIZE})["pages"]
    assert [page["file"] for page in pages] == [one["file"] for one in said]
    assert 4 == len({one["dhash"] + str(one["colour"]) for one in said})


def test_a_picture_for_those_who_cant_play_is_seen_too(shown: Shown):
    """A PNG's default image is what stills are drawn of, and no frame of its animation."""
    first, second = Image.new("RGB", (100, 100), RED), Image.new("RGB", (100, 100), BLUE)
    data = saved(first, "PNG", save_all=True, append_images=[second, corners(100, 100)], default_image=True)
    image, _ = shown(data, "PNG")
    assert (100, 200) == image.size
    assert near(RED, image.getpixel((50, 50)))
    assert near(BLUE, image.getpixel((50, 150)))


def test_what_is_broken_is_rejected(shown: Shown):
    """As when it is drawn."""
    with pytest.raises(Rejected) as raised:
        shown(saved(noise(), "PNG")[:-2000], "PNG")
    assert Reason.DAMAGED == raised.value.reason


def test_what_is_measured():
    """Black is dark and flat; noise is sharp; the hash tells a scene from one turned over, not from a paler one."""
    scene = corners(320, 240)
    pale = scene.point(lambda level: 60 + level // 2)
    assert 0 == measure(Image.new("RGB", (320, 240)))["luma"]
    assert measure(noise(320, 240))["sharpness"] > 1000 > measure(scene)["sharpness"] > 0
    assert measure(scene)["dhash"] == measure(pale)["dhash"] != measure(scene.rotate(180))["dhash"]
    assert [255, 0, 0] == measure(Image.new("RGB", (320, 240), (255, 0, 0)))["colour"]


@dataclass(frozen=True, kw_only=True)
class _Liar:
    """A sandbox whose child was taken over."""

    says: object

    async def call(self, *_: object, **__: object) -> tuple[dict[str, object], Usage]:
        """Its answer, and what it took."""
        return {"pages": self.says}, Usage(cpu_seconds=0.1, max_rss_bytes=1, wall_seconds=0.1)


TRUE = {"file": "a.jpg", "bytes": 3, "width": 80, "height": 80, "dhash": "0" * 16, "luma": 1.0, "deviation": 1.0}
TRUE |= {"sharpness": 1.0, "colour": [1.0, 2.0, 3.0], "fields": "00" * 256}


@pytest.mark.parametrize(
    "says",
    [
        None,
        [],
        [TRUE, TRUE],
        [TRUE | {"bytes": 4}],
        [TRUE | {"file": "../b.jpg"}],
        [TRUE | {"width": 79}],
        [TRUE | {"height": 10_001}],
        [TRUE | {"luma": float("nan")}],
        [TRUE | {"dhash": "0x12"}],
        [TRUE | {"colour": [1]}],
        [TRUE | {"fields": "00"}],
    ],
)
async def test_a_child_that_lies_is_not_believed(tmp_path: Path, says: object):
    """It has seen the upload: its answer and its files are checked."""
    (tmp_path / "a.jpg").write_bytes(b"jpg")
    painter: Any = Painter(_Liar(says=says), memory_bytes=MEMORY)  # type: ignore[arg-type]  # a stub of the one method
    with pytest.raises(Rejected):
        await painter.frames(
            tmp_path, [Page(source="in", page=0, file="a.jpg")], formats=("JPEG",), side=640, limits=RULES.limits
        )


async def test_a_link_is_no_frame(tmp_path: Path):
    """A child may leave a link to somewhere else."""
    (tmp_path / "b").write_bytes(b"jpg")
    (tmp_path / "a.jpg").symlink_to("b")
    painter: Any = Painter(_Liar(says=[TRUE]), memory_bytes=MEMORY)  # type: ignore[arg-type]  # as above
    with pytest.raises(Rejected):
        await painter.frames(
            tmp_path, [Page(source="in", page=0, file="a.jpg")], formats=("JPEG",), side=640, limits=RULES.limits
        )
