"""A flash and a beep: how far apart they are in what is published, and in what was uploaded."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.proofs import published
from scripts.proofs.published import RECIPE, Published
from service.core.record import Role
from tests.core.renditions import needs_ffmpeg

pytestmark = needs_ffmpeg

_NEAR = 0.040  # seconds: what ITU-R BT.1359 says that nobody notices is more
_THE_SAME = 0.005  # seconds: what is joined without decoding has no reason to be off by more
_SECONDS = 2
_FLASH, _BEEP = 0.8, 0.9  # seconds of each track: they are not at once, so that a swapped sign shows
_LASTS = 0.3
_SMALL = f"""{RECIPE}
[video]
ladder = [{{ height = 90, max_bit_rate = 200_000 }}]
storyboard = false
preview = false
"""

_H264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p".split()
_AAC = [*_H264, "-c:a", "aac"]
_VPX = "-c:v libvpx -b:v 200k -deadline realtime -c:a libopus".split()
_CODECS = {"mp4": _AAC, "mkv": _AAC, "ts": _AAC, "webm": _VPX}
_SHIFTS = {"together": (0.0, 0.0), "sound-late": (0.0, 0.7), "picture-late": (0.5, 0.0)}
_EVERY_TWO_OF_FIVE = "select='lt(mod(n,5),2)+between(t,0.7,1.2)'"  # frames that come and go, as phones record


@dataclass(frozen=True, kw_only=True)
class Source:
    """An upload: when its tracks begin, in seconds, and what is special about it."""

    suffix: str
    picture: float = 0.0
    sound: float = 0.0
    rate: str = "30"
    hertz: int = 48_000
    frames: str = "null"
    more: tuple[str, ...] = ()

    def write(self, path: Path) -> None:
        """Encode it."""
        flash = f"color=black:size=160x90:rate={self.rate}:duration={_SECONDS}"
        white = f"drawbox=color=white:t=fill:enable='between(t,{_FLASH - 0.001},{_FLASH + _LASTS})',{self.frames}"
        beep = f"sine=frequency=1000:sample_rate={self.hertz}:duration={_SECONDS}"
        heard = f"volume=0:enable='not(between(t,{_BEEP},{_BEEP + _LASTS}))'"
        argv = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
        argv += ["-itsoffset", str(self.picture), "-f", "lavfi", "-i", f"{flash},{white}"]
        argv += ["-itsoffset", str(self.sound), "-f", "lavfi", "-i", f"{beep},asetnsamples=64,{heard}"]
        argv += ["-fps_mode", "passthrough", *_CODECS.get(self.suffix, _AAC), *self.more, str(path)]
        subprocess.run(argv, check=True)


SOURCES = {
    **{
        f"{name}.{suffix}": Source(suffix=suffix, picture=picture, sound=sound)
        for suffix in _CODECS
        for name, (picture, sound) in _SHIFTS.items()
    },
    "clock-at-five.ts": Source(suffix="ts", sound=0.7, more=("-output_ts_offset", "5")),
    "variable.mkv": Source(suffix="mkv", frames=_EVERY_TWO_OF_FIVE),
    "variable-late.mp4": Source(suffix="mp4", sound=0.7, frames=_EVERY_TWO_OF_FIVE),
    "44100-late.mkv": Source(suffix="mkv", hertz=44_100, sound=0.7),
    "ntsc-b-frames.mp4": Source(suffix="mp4", rate="30000/1001", more=("-preset", "medium", "-bf", "3")),
    "pcm-late.mov": Source(suffix="mov", sound=0.7, more=("-c:a", "pcm_s16le")),
}


@pytest.fixture(name="uploads", scope="module")
def _uploads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("uploads")
    for name, source in SOURCES.items():
        source.write(folder / name)
    return {name: folder / name for name in SOURCES}


@pytest.fixture(name="made", scope="module")
def _made(uploads: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Published]:
    """What the real command publishes of all of them."""
    return published.process(uploads, tmp_path_factory.mktemp("made"), recipe=_SMALL)


@pytest.mark.parametrize("name", SOURCES)
def test_sound_stays_with_the_picture(uploads: Mapping[str, Path], made: Mapping[str, Published], name: str) -> None:
    """Track by track as players align them, by presentation times, and in the one file for plain src."""
    ((_, picture),), ((_, sound),) = made[name].renditions(), made[name].sounds()
    whole = made[name].product(Role.PROGRESSIVE)
    assert whole
    expected, tracks, joined = _apart(uploads[name], uploads[name]), _apart(picture, sound), _apart(whole, whole)

    assert expected == pytest.approx(tracks, abs=_NEAR)
    assert expected == pytest.approx(joined, abs=_NEAR)
    assert tracks == pytest.approx(joined, abs=_THE_SAME)


@pytest.mark.parametrize("name", ["together.mp4", "sound-late.mkv", "picture-late.ts"])
def test_the_flash_is_where_it_was(uploads: Mapping[str, Path], name: str) -> None:
    """The measure itself is right: these sources are made so that it is known how far apart the two are."""
    source = SOURCES[name]

    assert _apart(uploads[name], uploads[name]) == pytest.approx(
        source.sound + _BEEP - source.picture - _FLASH, abs=0.03
    )


def _apart(picture: Path, sound: Path) -> float:
    """Seconds from the flash to the beep, by the presentation times of what is decoded; negative if it comes later.

    A rendition begins at zero, as players see it: ffmpeg, which takes composition offsets below zero for a delay, says
    that it begins some frames later, and is not believed.
    """
    levels, loudness = "lavfi.signalstats.YAVG", "lavfi.astats.Overall.RMS_level"
    light = f"scale=32:18,signalstats,metadata=print:key={levels}:file=-"
    meter = f"asetnsamples=n=48:p=0,astats=metadata=1:reset=1,ametadata=print:key={loudness}:file=-"
    kept = ["-copyts"]
    flash = _first(_told(picture, kept if picture == sound else [], ["-map", "0:v:0", "-vf", light]))
    return _first(_told(sound, kept, ["-map", "0:a:0", "-af", meter]), decibels=True) - flash


def _told(path: Path, clock: list[str], what: list[str]) -> list[tuple[float, float]]:
    """Time and level of each frame or millisecond."""
    argv = ["ffmpeg", "-v", "error", "-nostdin", *clock, "-i", str(path), *what, "-f", "null", "-"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    times = re.findall(r"pts_time:([-0-9.]+)", said)
    levels = re.findall(r"^lavfi[^=]+=(\S+)", said, re.MULTILINE)
    return [(float(time), float(level)) for time, level in zip(times, levels, strict=True)]


def _first(told: list[tuple[float, float]], *, decibels: bool = False) -> float:
    """When it first is half as bright, or within 12 dB as loud, as it ever is: encoders' ringing is below that."""
    most = max(level for _, level in told)
    enough = most - 12 if decibels else (most + min(level for _, level in told)) / 2
    return next(time for time, level in told if level >= enough)
