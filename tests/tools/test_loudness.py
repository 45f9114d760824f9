"""Loudness as the real ffmpeg measures it, in the real sandbox, and as it is after encoding."""

import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ffmpeg
import pytest

from service.core import command, loudness
from service.core.loudness import Measured
from service.core.outcome import Rejected
from service.tools import loudness as logs
from service.tools.ffmpeg import FFmpeg
from service.tools.sandbox import Sandbox

TARGET, CEILING = -16.0, -1.5
LOG = "loudness.txt"

SPEECH = "0.1*sin(2*PI*150*t)*abs(sin(2*PI*3*t))*(0.6+0.4*sin(2*PI*1200*t))"  # syllables, quiet ones
NOISE = "anoisesrc=d=3:r=48000:c=pink:a=1:seed=1,aformat=channel_layouts=stereo"
SQUARES = "0.9*(2*gt(sin(2*PI*443*t),0)-1)|0.9*(2*gt(sin(2*PI*557*t),0)-1)"


def sine(level: float, seconds: float = 20, *, channels: int = 2) -> str:
    """1 kHz whose peaks are at `level` dBFS, as EBU Tech 3341 has it, for aevalsrc."""
    return f"aevalsrc='{'|'.join([f'pow(10,{level}/20)*sin(2*PI*1000*t)'] * channels)}':s=48000:d={seconds}"


def played(expression: str, seconds: float = 3) -> str:
    """An expression of `t` and `n` for each channel, for aevalsrc."""
    return f"aevalsrc='{expression}':s=48000:d={seconds}"


@dataclass(frozen=True, kw_only=True)
class Studio:
    """ffmpeg, and the scratch folder of a job."""

    films: FFmpeg
    folder: Path

    def record(self, source: str, name: str = "in", codec: str = "pcm_f32le") -> None:
        """Make a WAV of a source of lavfi."""
        argv = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", source, "-c:a", codec, "-f", "wav"]
        subprocess.run([*argv, self.folder / name], check=True)

    async def run(self, output: Any) -> None:
        """Run one ffmpeg command as a job does."""
        await self.films.run(self.folder, command.compiled(output), seconds=1, on_share=lambda _: None)

    async def measure(
        self, name: str = "in", layout: str = "stereo", *, before: Callable[[Any], Any] = lambda samples: samples
    ) -> Measured | None:
        """Measure a file as it would be encoded."""
        await self.run(loudness.measured(before(mixed(name, layout)), LOG))
        return logs.read(self.folder / LOG)

    async def measured(self, name: str = "in", layout: str = "stereo") -> Measured:
        """Measure a file that can be measured."""
        found = await self.measure(name, layout)
        assert found
        return found

    async def encode(self, gain: float, layout: str = "stereo", bit_rate: int = 128_000) -> None:
        """Encode `in` to `out` with a gain."""
        samples = loudness.applied(mixed("in", layout), gain)
        await self.run(ffmpeg.output(samples, "out", f="mp4", **{"c:a": "aac", "b:a": bit_rate}))


def mixed(name: str, layout: str) -> Any:
    """Samples as they are encoded."""
    samples = ffmpeg.input(f"file:{name}")["0"].filter("aresample", 48_000, **{"async": 1, "first_pts": 0})
    return samples.filter("aformat", channel_layouts=layout, sample_fmts=loudness.SAMPLE_FORMAT)


@pytest.fixture(name="studio")
async def _studio(tmp_path: Path) -> AsyncIterator[Studio]:
    (tmp_path / "job").mkdir()
    async with Sandbox() as sandbox:
        yield Studio(films=FFmpeg(sandbox, memory_bytes=1 << 30), folder=tmp_path / "job")


LUFS = partial(pytest.approx, abs=0.1)  # Tech 3341's tolerance


@pytest.mark.parametrize("level", [-23.0, -33.0])
async def test_a_tone_is_as_loud_as_the_standard_says(studio: Studio, level: float) -> None:
    """EBU Tech 3341, minimum requirements test signals 1 and 2: -23.0 and -33.0 LUFS, within 0.1."""
    studio.record(sine(level))
    found = await studio.measured()
    assert LUFS(level) == found.integrated
    assert level <= found.true_peak < level + 0.4  # rounded up by what three digits leave open


async def test_what_is_quiet_beside_the_rest_does_not_count(studio: Studio) -> None:
    """Tech 3341's signal 3, shortened: -36, -23 and -36 dBFS one after another are -23.0 LUFS by the relative gate."""
    level = "if(between(t,5,45),pow(10,-23/20),pow(10,-36/20))*sin(2*PI*1000*t)"
    studio.record(played(f"{level}|{level}", 50))
    assert LUFS(-23.0) == (await studio.measured()).integrated


async def test_a_mono_sound_is_played_from_two_loudspeakers(studio: Studio) -> None:
    """It is as loud as a stereo one with the same in both channels."""
    studio.record(sine(-23, channels=1))
    assert LUFS(-23.0) == (await studio.measured(layout="mono")).integrated


async def test_peaks_between_samples_count(studio: Studio) -> None:
    """Tech 3341's signal 15: a quarter of the sampling rate, 45 degrees off, at -6 dBFS true peak: within +0.2/-0.4."""
    tone = "0.5*min(1,min(t,3-t)*20)*sin(PI/2*n+PI/4)"
    studio.record(played(f"{tone}|{tone}"))
    assert -6.4 <= (await studio.measured()).true_peak <= -5.8


async def test_silence_is_left_alone(studio: Studio) -> None:
    """It has no loudness, so no gain."""
    studio.record(played("0|0"))
    found = await studio.measured()
    assert found.integrated is None
    assert 0.0 == loudness.gain(found, target=TARGET, ceiling=CEILING)


@pytest.mark.parametrize(("peak", "gain"), [(0.05, 0.0), (2.0, -7.53)])
async def test_a_sound_of_a_tenth_of_a_second(studio: Studio, peak: float, gain: float) -> None:
    """Too short for a block of 400 ms: left alone, but for a peak that would clip."""
    studio.record(played(f"{peak}*sin(2*PI*1000*t)|{peak}*sin(2*PI*1000*t)", 0.1))
    found = await studio.measured()
    assert found.integrated is None
    assert pytest.approx(gain, abs=0.05) == loudness.gain(found, target=TARGET, ceiling=CEILING)


@pytest.mark.parametrize("samples", [48_000, 48_001, 50_399, 52_799])
async def test_the_last_sample_counts(studio: Studio, samples: int) -> None:
    """Wherever in a tenth of a second a sound ends."""
    studio.record(played(f"0.5*eq(n,{samples - 1})|0", samples / 48_000))
    assert -6.1 < (await studio.measured()).true_peak < -5.0


async def test_a_film_with_six_channels_is_measured_as_it_is_encoded(studio: Studio) -> None:
    """Mixed down to two in floating point, whatever the source: the gain is that of what was measured."""
    tone = "0.25*sin(2*PI*{}*t)"
    channels = "|".join(tone.format(hertz) for hertz in (500, 700, 900, 60, 1100, 1300))
    for codec in ("pcm_s16le", "pcm_f32le"):
        studio.record(f"aevalsrc='{channels}':c=5.1:s=44100:d=3", codec=codec)
        found = await studio.measured()
        gain = loudness.gain(found, target=TARGET, ceiling=CEILING)
        await studio.encode(gain)
        assert found.integrated is not None
        assert pytest.approx(found.integrated + gain, abs=0.2) == (await studio.measured("out")).integrated


async def test_integers_and_floats_are_mixed_down_alike(studio: Studio) -> None:
    """FFmpeg takes 7.6 dB off integers, lest they be clipped, wherever another branch would have it mix them down."""
    found = []
    for codec in ("pcm_s16le", "pcm_s24le", "pcm_f32le"):
        studio.record(f"aevalsrc='{'|'.join(['0.3*sin(2*PI*500*t)'] * 6)}':c=5.1:s=48000:d=1", codec=codec)
        found.append((await studio.measured()).integrated)
    assert [pytest.approx(found[0], abs=0.02)] * 3 == found


async def test_metadata_of_the_source_is_none_of_ours(studio: Studio) -> None:
    """What a file says on its samples, even in our own words, is not in the log."""
    studio.record(sine(-23, 2))

    def forged(samples: Any) -> Any:
        said = samples.filter("ametadata", mode="add", key="comment", value="x\nlavfi.r128.true_peak=0.001\n" * 9)
        return said.filter("ametadata", mode="add", key="lavfi.r128.I", value="-1.000")

    found = await studio.measure(before=forged)
    assert found
    assert (LUFS(-23.0), pytest.approx(-23, abs=0.4)) == (found.integrated, found.true_peak)
    assert "comment" not in (studio.folder / LOG).read_text()


@pytest.mark.parametrize(
    ("source", "layout", "bit_rate"),
    [
        pytest.param(played(f"{SPEECH}|{SPEECH}"), "stereo", 128_000, id="quiet speech"),
        pytest.param(played(SPEECH), "mono", 64_000, id="quiet speech in mono"),
        pytest.param(sine(0, 3), "stereo", 128_000, id="loud tone"),
        pytest.param(f"{NOISE},lowpass=f=4000", "stereo", 128_000, id="loud noise"),
        pytest.param(played(SQUARES), "stereo", 128_000, id="loud square waves"),
    ],
)
async def test_what_is_encoded_has_the_loudness_that_is_wanted(
    studio: Studio, source: str, layout: str, bit_rate: int
) -> None:
    """Decoded again it is within half a LU of the target, and its peaks are below the ceiling."""
    studio.record(source)
    gain = loudness.gain(await studio.measured(layout=layout), target=TARGET, ceiling=CEILING)
    await studio.encode(gain, layout, bit_rate)
    found = await studio.measured("out", layout)
    assert pytest.approx(TARGET, abs=0.5) == found.integrated
    assert found.true_peak <= CEILING


@pytest.mark.parametrize(
    ("source", "over"),
    [
        pytest.param(played(f"{SPEECH}|{SPEECH}"), 0.5, id="speech"),
        pytest.param(played("0.02*sin(3000*t)+0.4*lt(mod(n,9601),2)|0"), 0.5, id="clicks"),
        pytest.param(sine(-12, 3), 1.2, id="tone"),
        pytest.param(NOISE, 1.2, id="noise"),
        pytest.param(played(SQUARES), 6.0, id="square waves"),
    ],
)
async def test_the_ceiling_comes_first(studio: Studio, source: str, over: float) -> None:
    """What goes into the encoder has no peak above it, whatever the target; what comes out, what `gain` says."""
    studio.record(source)
    gain = loudness.gain(await studio.measured(), target=0.0, ceiling=CEILING)
    await studio.run(loudness.measured(loudness.applied(mixed("in", "stereo"), gain), LOG))
    amplified = logs.read(studio.folder / LOG)
    await studio.encode(gain)
    assert amplified
    assert pytest.approx(CEILING, abs=0.05) == amplified.true_peak
    assert (await studio.measured("out")).true_peak <= CEILING + over


async def test_a_very_quiet_sound_is_raised_by_no_more_than_its_hiss_allows(studio: Studio) -> None:
    """By 20 dB."""
    studio.record(sine(-60, 3))
    await studio.encode(loudness.gain(await studio.measured(), target=TARGET, ceiling=CEILING))
    assert pytest.approx(-40.0, abs=0.2) == (await studio.measured("out")).integrated


async def test_a_peak_above_full_scale_is_turned_down_whole(studio: Studio) -> None:
    """Floating point knows no ceiling, so nothing is clipped before the gain: a sine stays one."""
    studio.record(sine(9.0, 3))
    found = await studio.measured()
    await studio.encode(loudness.gain(found, target=-10.0, ceiling=CEILING))
    product = await studio.measured("out")
    assert pytest.approx(-10.0, abs=0.2) == product.integrated
    assert found.true_peak > 8.9


def test_a_log_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """As is a link: a decoder has had the folder."""
    (tmp_path / "link").symlink_to("/etc/hostname")
    for name in ("none", "link"):
        with pytest.raises(Rejected):
            logs.read(tmp_path / name)


def test_only_the_end_of_a_log_is_read(tmp_path: Path) -> None:
    """Hours of it lie before."""
    moment = "lavfi.r128.I=-{}.000\nlavfi.r128.true_peak=0.500\n"
    (tmp_path / LOG).write_text("".join(moment.format(n % 30 + 10) for n in range(20_000)) + moment.format(16))
    found = logs.read(tmp_path / LOG)
    assert found
    assert -16.0 == found.integrated
