"""Real renditions, made by ffmpeg the way the service makes them, and their playlists on disk."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from service.core import boxes, playlists, tracks

needs_ffmpeg = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="ffmpeg and ffprobe are not installed"
)

LATE_SOUND = ("-movflags", "+cmaf+global_sidx")  # the encoder's priming is heard: 21 ms
EXACT_SOUND = ("-movflags", "+cmaf+global_sidx+delay_moov", "-use_editlist", "1")


def video(file: Path, *, seconds: str = "10", rate: str = "30", size: str = "320x180", bit_rate: str = "300k") -> Path:
    """One picture rendition with a keyframe every two seconds."""
    _ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}", "-vf", "setsar=1"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-pix_fmt", "yuv420p", "-b:v", bit_rate),
        *("-force_key_frames", "expr:gte(t,n_forced*2)", "-sc_threshold", "0", "-f", "mp4"),
        *("-movflags", "+cmaf+frag_keyframe+global_sidx", str(file)),
    )
    return file


def sound(
    file: Path, *, seconds: str = "10", tone: int = 440, rate: int = 48_000, flags: tuple[str, ...] = EXACT_SOUND
) -> Path:
    """One sound rendition in fragments of two seconds."""
    _ffmpeg(
        *("-f", "lavfi", "-i", f"sine=frequency={tone}:sample_rate={rate}:duration={seconds}"),
        *("-c:a", "aac", "-b:a", "96k", "-frag_duration", "2000000", "-f", "mp4", *flags, str(file)),
    )
    return file


def index_of(file: Path) -> boxes.Index:
    """The index of a file on disk, read piecewise."""
    with file.open("rb") as opened:

        def read(offset: int, length: int) -> bytes:
            opened.seek(offset)
            return opened.read(length)

        return boxes.read_index(read, file.stat().st_size)


def packets(file: Path, entries: str) -> list[list[str]]:
    """What ffprobe says of each packet of the one stream, as text."""
    command = ["ffprobe", "-v", "error", "-show_entries", f"packet={entries}", "-of", "csv=print_section=0", str(file)]
    return [line.rstrip(",").split(",") for line in _output(command).splitlines() if line]


def probed(file: Path, entries: str) -> str:
    """What ffprobe says of a file or playlist; fails the test for anything on its standard error."""
    return _output(["ffprobe", "-v", "error", "-show_entries", entries, "-of", "csv=print_section=0", str(file)])


def decoded(file: Path, *options: str) -> list[str]:
    """A hash of each picture that ffmpeg decodes of a file, whatever it has to say about the rest."""
    command = ["ffmpeg", "-nostdin", "-v", "quiet", *options, "-i", str(file), "-f", "framemd5", "-"]
    lines = _output(command).splitlines()
    return [line.rpartition(",")[2].strip() for line in lines if not line.startswith("#")]


def picture_folder(folder: Path, *, seconds: str, rate: str, size: str, bit_rate: str) -> tracks.VideoTrack:
    """A folder with one picture rendition and its playlists."""
    folder.mkdir()
    index = index_of(video(folder / "video.mp4", seconds=seconds, rate=rate, size=size, bit_rate=bit_rate))
    (folder / "video.m3u8").write_text(playlists.media(index, file="video.mp4"))
    (folder / "i-frames.m3u8").write_text(playlists.i_frames(index, file="video.mp4"))
    width, height = map(int, size.split("x"))
    names = {"file": "video.mp4", "playlist": "video.m3u8", "i_frames": "i-frames.m3u8"}
    track = tracks.video_track(index, **names, width=width, height=height, frame_rate=rate)
    return replace(track, folder=f"../{folder.name}/")


def sound_folder(
    folder: Path, *, seconds: str, language: str | None, stream: int = 0, flags: tuple[str, ...] = EXACT_SOUND
) -> tracks.AudioTrack:
    """A folder with one sound rendition and its playlist."""
    folder.mkdir()
    index = index_of(sound(folder / "sound.mp4", seconds=seconds, tone=440 + 220 * stream, flags=flags))
    (folder / "sound.m3u8").write_text(playlists.media(index, file="sound.mp4"))
    names = {"file": "sound.mp4", "playlist": "sound.m3u8"}
    track = tracks.audio_track(index, **names, channels=1, sample_rate=48_000, stream=stream, language=language)
    return replace(track, folder=f"../{folder.name}/")


def _ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-y", "-v", "fatal", *arguments], check=True)


def _output(command: list[str]) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout
