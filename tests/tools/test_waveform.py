"""Waveforms as the real ffmpeg finds them, in the real sandbox."""

import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import ffmpeg
import pytest
from PIL import Image

from service.core import command, loudness, waveform, waveform_picture
from service.core.outcome import Rejected
from service.core.waveform import Pair
from service.tools import waveform as logs
from service.tools.ffmpeg import FFmpeg
from service.tools.sandbox import Sandbox

LOG = "waveform.txt"


@dataclass(frozen=True, kw_only=True)
class Studio:
    """ffmpeg, and the scratch folder of a job."""

    films: FFmpeg
    folder: Path

    def record(self, expression: str, seconds: float, *, codec: str = "pcm_f32le", rate: int = 48_000) -> None:
        """Make a WAV of an expression of `t` and `n` for each channel."""
        source = f"aevalsrc='{expression}':s={rate}:d={seconds}"
        argv = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", source, "-c:a", codec, "-f", "wav"]
        subprocess.run([*argv, self.folder / "in"], check=True)

    def samples(self, layout: str) -> Any:
        """As they are encoded."""
        samples = ffmpeg.input("file:in")["0"].filter("aresample", 48_000, **{"async": 1, "first_pts": 0})
        return samples.filter("aformat", channel_layouts=layout, sample_fmts=loudness.SAMPLE_FORMAT)

    async def run(self, *outputs: Any) -> None:
        """Run one ffmpeg command as a job does."""
        argv = command.compiled(ffmpeg.merge_outputs(*outputs))
        await self.films.run(self.folder, argv, seconds=1, on_share=lambda _: None)

    async def pairs(self, seconds: float, layout: str = "stereo") -> tuple[Pair, ...]:
        """The extremes of `in`, which is said to be so long."""
        size = waveform.samples_per_pixel(seconds, 48_000)
        await self.run(waveform.sampled(self.samples(layout), LOG, samples_per_pixel=size))
        return logs.read(self.folder / LOG)


@pytest.fixture(name="studio")
async def _studio(tmp_path: Path) -> AsyncIterator[Studio]:
    (tmp_path / "job").mkdir()
    async with Sandbox() as sandbox:
        yield Studio(films=FFmpeg(sandbox, memory_bytes=1 << 30), folder=tmp_path / "job")


@pytest.mark.parametrize("codec", ["pcm_f32le", "pcm_s16le"])
async def test_a_click_of_one_sample_is_as_high_as_it_is(studio: Studio, codec: str) -> None:
    """In the part in which it is, in either kind of sample; a lower rate would show a fifth of it."""
    studio.record("0.9*eq(n,100000)|-0.7*eq(n,50000)", 3, codec=codec)
    pairs = await studio.pairs(3)
    assert 2000 == len(pairs)
    shown = [(at, pair) for at, pair in enumerate(pairs) if pair != (0.0, 0.0)]
    near = pytest.approx
    assert [(694, near((-0.7, 0.0), abs=1e-4)), (1388, near((0.0, 0.9), abs=1e-4))] == shown


async def test_channels_in_opposite_phase_are_no_silence(studio: Studio) -> None:
    """A mix to mono would be."""
    studio.record("0.5*sin(2*PI*441*t)|-0.5*sin(2*PI*441*t)", 2)
    pairs = await studio.pairs(2)
    assert pytest.approx((-0.5, 0.5), abs=0.001) == (min(low for low, _ in pairs), max(high for _, high in pairs))


async def test_a_sine_has_the_height_that_it_has(studio: Studio) -> None:
    """Every part of it, where a part is longer than a period."""
    studio.record("0.25*sin(2*PI*4000*t)", 2)
    pairs = await studio.pairs(2, "mono")
    assert all(pytest.approx((-0.25, 0.25), abs=0.001) == pair for pair in pairs)


async def test_the_last_part_may_be_short(studio: Studio) -> None:
    """It is not filled up, so nothing is shown that is not there, and what is there is."""
    studio.record("0.5+0.25*gte(n,48049)", 48_050 / 48_000)
    pairs = await studio.pairs(1.001, "mono")
    assert 1502 == len(pairs)
    assert (0.5, 0.75) == pairs[-1]


async def test_a_sound_that_is_longer_than_it_says_has_an_end(studio: Studio) -> None:
    """The log stays small, and the rest of the command goes on to the end."""
    studio.record("0.5*sin(2*PI*440*t)|0", 6)
    split = studio.samples("stereo").filter_multi_output("asplit", 2)
    sound = ffmpeg.output(split[1], "out", f="s16le", **{"c:a": "pcm_s16le"})
    await studio.run(waveform.sampled(split[0], LOG, samples_per_pixel=32), sound)
    assert waveform.MOST_PIXELS == len(logs.read(studio.folder / LOG))
    assert 6 * 48_000 * 4 == (studio.folder / "out").stat().st_size
    assert (studio.folder / LOG).stat().st_size < waveform.LOG_BYTES / 4


async def test_both_branches_come_from_one_decode(studio: Studio) -> None:
    """Loudness and waveform, side by side, of a source at another rate."""
    studio.record("0.1*sin(2*PI*1000*t)|0.1*sin(2*PI*1000*t)", 2, codec="pcm_s16le", rate=44_100)
    split = studio.samples("stereo").filter_multi_output("asplit", 2)
    measured = loudness.measured(split[0], "loudness.txt")
    await studio.run(measured, waveform.sampled(split[1], LOG, samples_per_pixel=48))
    found = loudness.parse((studio.folder / "loudness.txt").read_text())
    assert found
    assert pytest.approx(-20.0, abs=0.2) == found.integrated
    assert 2000 == len(logs.read(studio.folder / LOG))


async def test_metadata_of_the_source_is_none_of_ours(studio: Studio) -> None:
    """What a file says on its samples, even in our own words, is not in the log."""
    studio.record("0.5", 1)
    forged = "x\nlavfi.astats.Overall.Min_level=-9.000000"
    said = studio.samples("mono").filter("ametadata", mode="add", key="comment", value=forged)
    await studio.run(waveform.sampled(said, LOG, samples_per_pixel=480))
    assert ((0.5, 0.5),) * 100 == logs.read(studio.folder / LOG)


async def test_a_sound_is_drawn(studio: Studio) -> None:
    """From samples to a picture of some kilobytes: loud, silent, and a click."""
    studio.record("if(lt(t,1),0.5*sin(2*PI*4000*t),0.9*eq(n,72000))", 2)
    shown = waveform.make(await studio.pairs(2, "mono"), rate=48_000, samples_per_pixel=48)
    body = waveform_picture.draw(shown)
    with Image.open(BytesIO(body)) as image:
        alpha = image.convert("RGBA").getchannel("A")
    assert (1800, 280) == alpha.size
    opaque = [sum(1 for y in range(280) if alpha.getpixel((x, y))) for x in range(1800)]
    assert {140} == set(opaque[:900])
    assert {2} == set(opaque[900:1350]) | set(opaque[1352:])
    assert max(opaque[1350:1352]) > 120
    assert len(body) < 20_000


def test_a_log_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """As is a link: a decoder has had the folder."""
    (tmp_path / "link").symlink_to("/etc/hostname")
    for name in ("none", "link"):
        with pytest.raises(Rejected):
            logs.read(tmp_path / name)


def test_a_log_is_read_no_further_than_one_can_be(tmp_path: Path) -> None:
    """Whatever else a decoder wrote to it."""
    part = "lavfi.astats.Overall.Min_level=-0.5\nlavfi.astats.Overall.Max_level=0.5\n"
    (tmp_path / LOG).write_text("x" * waveform.LOG_BYTES + "\n" + part)
    assert () == logs.read(tmp_path / LOG)
