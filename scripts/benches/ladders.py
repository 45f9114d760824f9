"""Which preset and which ladder: what each costs to make, what it weighs, and how near it is to the source."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from scripts.benches import by_hand, film, quality, watched
from scripts.benches.by_hand import Rung, Task
from scripts.benches.film import Planned
from scripts.benches.quality import Rendition

PRESETS = ("veryfast", "faster", "fast", "medium")
OURS, PEERTUBE, AWS = "ours", "PeerTube", "AWS Video on Demand"

#: PeerTube's resolutions, each with the bits that it allows a pixel (packages/core-utils/src/videos/bitrate.ts).
_PEERTUBE = ((1080, 0.10), (720, 0.11), (480, 0.12), (360, 0.15), (240, 0.17), (144, 0.19))
_PEERTUBE_LEAST = 0.02
_PEERTUBE_MARGIN = 1.3  # of the source's own bit rate (packages/ffmpeg/src/ffmpeg-default-transcoding-profile.ts)

#: Heights, most bits a second and HRD buffers of the HLS group of AWS's solution Video on Demand
#: (templates/1080p_avc_aac_16x9_qvbr_no_preset.json).
_AWS = (
    (1080, 8_500_000, 21_250_000),
    (720, 6_000_000, 15_000_000),
    (540, 3_500_000, 8_750_000),
    (360, 1_500_000, 3_750_000),
    (270, 400_000, 1_000_000),
)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A ladder in a preset; one command made it, without sound. `bytes` are those of all renditions together."""

    ladder: str
    preset: str
    shipped: bool  #: whether this is what the service would make
    seconds: float
    cpu_seconds: float
    bytes: int
    renditions: tuple[Rendition, ...]


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """All of them, for one film on this machine; `seconds` is how much of it was encoded."""

    film: str
    described: str
    seconds: float
    crf: int
    cores: int
    load: float
    ffmpeg: str
    vmaf: bool
    made: tuple[Made, ...]


def weighed(file: Path, *, seconds: float, presets: Sequence[str] = PRESETS) -> Weighed:
    """Make every ladder in every preset, from the first `seconds` of the film.

    :raises NotAFilmError: for what the service would not make a ladder of.
    :raises FailedError: when ffmpeg fails.
    """
    load, vmaf = os.getloadavg()[0], quality.has_vmaf()
    planned = film.planned(file.resolve())
    made = [
        _made(planned, name, rungs, preset, seconds, vmaf=vmaf)
        for name, rungs in ladders(planned)
        for preset in presets
    ]
    return Weighed(
        film=file.name,
        described=planned.described,
        seconds=min(seconds, round(planned.clip.seconds, 3)),
        crf=planned.rungs[0].crf,
        cores=len(os.sched_getaffinity(0)),
        load=round(load, 2),
        ffmpeg=film.ffmpeg_version(),
        vmaf=vmaf,
        made=tuple(made),
    )


def _made(planned: Planned, name: str, rungs: Sequence[Rung], preset: str, seconds: float, *, vmaf: bool) -> Made:
    legs = tuple(replace(rung, preset=preset) for rung in rungs)
    task = Task(source=planned.file, clip=planned.clip, rungs=legs, seconds=seconds)
    with tempfile.TemporaryDirectory() as scratch:
        spent, _ = watched.run(by_hand.one_command(task), folder=Path(scratch))
        renditions = quality.measured(task, Path(scratch), vmaf=vmaf)
    return Made(
        ladder=name,
        preset=preset,
        shipped=name == OURS and preset == planned.rungs[0].preset,
        seconds=round(spent.seconds, 3),
        cpu_seconds=round(spent.cpu_seconds, 3),
        bytes=sum(one.bytes for one in renditions),
        renditions=renditions,
    )


def ladders(planned: Planned) -> list[tuple[str, tuple[Rung, ...]]]:
    """Each ladder's name and its rungs for this film, from the largest down."""
    return [
        (OURS, tuple(by_hand.rung(step) for step in planned.rungs)),
        (PEERTUBE, _peertube(planned)),
        (AWS, _aws(planned)),
    ]


def _peertube(planned: Planned) -> tuple[Rung, ...]:
    """Every resolution up to the source's; its own command gives x264 no CRF either, which makes it 23."""
    bare = [(_rung(planned, height, most=0, buffer=0), bits) for height, bits in _PEERTUBE]
    rates = [(rung, _bit_rate(planned, rung, bits)) for rung, bits in bare]
    return _fitting(planned, [replace(rung, max_bit_rate=most, buffer=2 * most) for rung, most in rates])


def _bit_rate(planned: Planned, rung: Rung, bits: float) -> int:
    """So many bits a pixel, but not much more than the source has itself, where that is known."""
    pixels = rung.width * rung.height * float(Fraction(rung.frame_rate))
    own = planned.clip.video.bit_rate if planned.clip.video else None
    most = min(pixels * bits, own * _PEERTUBE_MARGIN) if own else pixels * bits
    return int(max(pixels * _PEERTUBE_LEAST, most))


def _aws(planned: Planned) -> tuple[Rung, ...]:
    """Its sizes, ceilings and buffers; the quality is ours, for its QVBR levels mean nothing to x264."""
    return _fitting(planned, [_rung(planned, height, most=most, buffer=buffer) for height, most, buffer in _AWS])


def _fitting(planned: Planned, rungs: Sequence[Rung]) -> tuple[Rung, ...]:
    """None that is larger than the source: what upscaling costs is no question of ladders."""
    assert planned.clip.video
    short = min(planned.clip.video.width, planned.clip.video.height)
    return tuple(rung for rung in rungs if min(rung.width, rung.height) <= short) or tuple(rungs[-1:])


def _rung(planned: Planned, height: int, *, most: int, buffer: int) -> Rung:
    """Of this height on its short side; the rest as the service would have it."""
    first, video = by_hand.rung(planned.rungs[0]), planned.clip.video
    assert video
    scale = Fraction(height, min(video.width, video.height))
    width, tall = (max(2, round(side * scale / 2) * 2) for side in (video.width, video.height))
    return replace(first, name=f"{height}p", width=width, height=tall, max_bit_rate=most, buffer=buffer)
