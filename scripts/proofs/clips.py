"""What a media file is, and how long it plays, by ffprobe and ffmpeg alone: nothing of the service has a say in it."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

_OUT_TIME = re.compile(r"^out_time_us=([0-9]+)$", re.MULTILINE)
_HDR = frozenset({"smpte2084", "arib-std-b67"})
_HD_LINES = 720  # from there on players take BT.709 where nothing is declared, below it BT.601


class UnreadableError(Exception):
    """ffmpeg can't read it; the message says what it said."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A file's first picture that is no cover, or its first sound; width and height as displayed, in square pixels.

    `starts` is when the picture begins, in seconds after the file.
    """

    path: Path
    video: int | None
    sound: int | None
    width: int = 0
    height: int = 0
    rate: Fraction = Fraction(25)
    starts: float = 0.0
    hdr: str | None = None
    matrix: str = "bt709"


def read(path: Path) -> Clip:
    """What ffprobe says of it.

    :raises UnreadableError: when it says nothing.
    """
    argv = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)]
    said = json.loads(run(argv) or "{}")
    streams = said.get("streams", [])
    moving = [one for one in streams if one.get("codec_type") == "video" and not one["disposition"]["attached_pic"]]
    sounds = [one["index"] for one in streams if one.get("codec_type") == "audio" and one.get("channels")]
    sound = sounds[0] if sounds else None
    if not moving:
        return Clip(path=path, video=None, sound=sound)
    video = moving[0]
    width, height = _displayed(video)
    transfer, begins = video.get("color_transfer"), float(said["format"].get("start_time", 0))
    return Clip(
        path=path,
        video=video["index"],
        sound=sound,
        width=width,
        height=height,
        rate=_fraction(video.get("avg_frame_rate")) or _fraction(video.get("r_frame_rate")) or Fraction(25),
        starts=max(0.0, float(video.get("start_time", begins)) - begins),
        hdr=transfer if transfer in _HDR else None,
        matrix=_matrix(video),
    )


def seconds(path: Path, stream: int | None) -> float:
    """How long one stream plays, by decoding all of it, from where the file begins.

    :raises UnreadableError: when nothing of it can be decoded.
    """
    wanted = ["-map", f"0:{stream or 0}", "-fps_mode", "passthrough", "-f", "null", "-"]
    said = run(["ffmpeg", "-nostdin", "-v", "fatal", "-progress", "pipe:1", "-i", str(path), *wanted])
    times = _OUT_TIME.findall(said)
    if not times:
        raise UnreadableError(f"{path.name}: nothing of stream {stream} can be decoded")
    return int(times[-1]) / 1_000_000


def declared(path: Path) -> float:
    """How long a file says that it plays, in seconds; 0 where it does not say it."""
    said = run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)]).strip()
    return float(said) if said.replace(".", "", 1).isdigit() else 0.0


def plays(path: Path, stream: int | None = None) -> bool:
    """Whether anything of a stream can be decoded, of the main one where none is named: some are empty."""
    try:
        if stream is None:
            clip = read(path)
            stream = clip.sound if clip.video is None else clip.video
        return seconds(path, stream) > 0
    except UnreadableError:
        return False


def run(argv: Sequence[str], *, folder: Path | None = None) -> str:
    """What a command writes to stdout.

    :raises UnreadableError: when it fails.
    """
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise UnreadableError(f"{argv[0]}: {' '.join(done.stderr.split())[-300:]}")
    return done.stdout


def _displayed(video: Mapping[str, Any]) -> tuple[int, int]:
    aspect = _fraction(str(video.get("sample_aspect_ratio", "")).replace(":", "/")) or Fraction(1)
    width, height = round(video["width"] * aspect), int(video["height"])
    turned = next((int(side["rotation"]) for side in video.get("side_data_list", ()) if "rotation" in side), 0)
    return (height, width) if turned % 180 else (width, height)


def _matrix(video: Mapping[str, Any]) -> str:
    declared = video.get("color_space", "unknown")
    if declared not in {"unknown", "reserved"}:
        return str(declared)
    return "bt709" if video["height"] >= _HD_LINES else "smpte170m"


def _fraction(text: str | None) -> Fraction | None:
    over, _, under = (text or "").partition("/")
    return Fraction(int(over), int(under)) if over.isdigit() and under.isdigit() and int(over) * int(under) else None
