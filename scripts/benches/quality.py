"""How near renditions are to their source, at their own size: SSIM, and VMAF where ffmpeg has it."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import fmean

from scripts.benches import by_hand, watched
from scripts.benches.by_hand import Rung, Task

_ALL = re.compile(r"All:([0-9.]+)")  # of a frame: all three planes


@dataclass(frozen=True, kw_only=True)
class Rendition:
    """One that was made: bytes of the file, bits a second of the whole, and means over all its frames."""

    name: str
    width: int
    height: int
    max_bit_rate: int
    bytes: int
    bit_rate: int
    frames: int
    ssim: float
    vmaf: float | None


def has_vmaf() -> bool:
    """Whether the ffmpeg at hand was built with libvmaf."""
    argv = ["ffmpeg", "-hide_banner", "-v", "error", "-filters"]
    return b"libvmaf" in subprocess.run(argv, capture_output=True, check=True).stdout.split()


def measured(task: Task, folder: Path, *, vmaf: bool) -> tuple[Rendition, ...]:
    """The renditions of `task` that lie in `folder`, compared with its source frame by frame.

    The source is read, brought to the rung's rate and scaled to its size as for encoding.

    :raises FailedError: when they can't be decoded.
    """
    return tuple(_measured(replace(task, rungs=(rung,)), folder / rung.file, vmaf=vmaf) for rung in task.rungs)


def _measured(task: Task, file: Path, *, vmaf: bool) -> Rendition:
    (rung,) = task.rungs
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        watched.run(_argv(task, file, vmaf=vmaf), folder=folder)
        frames = [float(one) for one in _ALL.findall((folder / "ssim.txt").read_text())]
        score = _vmaf(folder) if vmaf else None
    if not frames:
        raise watched.FailedError(f"{file.name}: no frame of it could be compared")
    size = file.stat().st_size
    return Rendition(
        name=rung.name,
        width=rung.width,
        height=rung.height,
        max_bit_rate=rung.max_bit_rate,
        bytes=size,
        bit_rate=round(size * 8 * Fraction(rung.frame_rate) / len(frames)),
        frames=len(frames),
        ssim=round(fmean(frames), 5),
        vmaf=score,
    )


def _argv(task: Task, file: Path, *, vmaf: bool) -> list[str]:
    graph = ";".join(_graph(task, task.rungs[0], vmaf=vmaf))
    argv = ["ffmpeg", "-nostdin", "-hide_banner", "-v", "error", *by_hand.opened(task), "-i", str(file)]
    ends = ["-map", "[q0]", *(["-map", "[q1]"] if vmaf else [])]
    return [*argv, "-filter_complex", graph, *ends, "-fps_mode", "passthrough", "-f", "null", "-"]


def _graph(task: Task, rung: Rung, *, vmaf: bool) -> Iterator[str]:
    """Frames are compared by their number: containers count time in units of their own."""
    rate = Fraction(rung.frame_rate)
    numbered = f"settb={rate.denominator}/{rate.numerator},setpts=N"
    times = 2 if vmaf else 1
    yield f"[1:v]{numbered},split={times}{'[m0][m1]' if vmaf else '[m0]'}"
    shown = f"{by_hand.read(task)},{by_hand.scaled(task, rung)},{numbered}"
    yield f"{shown},split={times}{'[r0][r1]' if vmaf else '[r0]'}"
    yield "[m0][r0]ssim=stats_file=ssim.txt:shortest=1[q0]"
    if vmaf:
        yield "[m1][r1]libvmaf=log_fmt=json:log_path=vmaf.json:n_threads=2:shortest=1[q1]"


def _vmaf(folder: Path) -> float:
    """The mean, of libvmaf's log in JSON (since 2.0)."""
    return round(float(json.loads((folder / "vmaf.json").read_text())["pooled_metrics"]["vmaf"]["mean"]), 2)
