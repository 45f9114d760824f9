"""The waveform of a sound: its lowest and highest sample in each of some two thousand parts.

FFmpeg finds them on every sample of every channel and writes one pair for a part: a click of one sample is as high as
it is, and two channels in opposite phase are not silence. Samples at a low rate would show neither.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import ffmpeg

from service.core.loudness import SAMPLE_FORMAT

PIXELS = 2000  #: about as many parts as a screen has columns
MOST_PIXELS = 2 * PIXELS  #: for a sound that goes on longer than its packets say; what comes then is not drawn
LOG_BYTES = MOST_PIXELS * 1024  #: of a log: a part takes 130, or 750 with the largest numbers there are

_LEAST = 32  # samples in a part: a sound of less than a second and a half has fewer parts
_LOWEST, _HIGHEST = "lavfi.astats.Overall.Min_level=", "lavfi.astats.Overall.Max_level="
_BITS = 8
_FULL = 1 << (_BITS - 1)  # full scale

Pair = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Waveform:
    """Lowest and highest sample of each part, -128 to 127, where 128 is full scale; `rate` in hertz."""

    rate: int
    samples_per_pixel: int
    pairs: tuple[tuple[int, int], ...]


def samples_per_pixel(seconds: float, rate: int) -> int:
    """How many samples make a part, so that about `PIXELS` of them make `seconds`."""
    return max(_LEAST, math.ceil(seconds * rate / PIXELS))


def sampled(samples: Any, file: str, *, samples_per_pixel: int) -> Any:
    """An output, to be merged with others, that writes the extremes of each part to `file` in the working directory.

    The log has at most `MOST_PIXELS` parts, 240 kB or so, however long the sound is.
    """
    logged = (
        samples.filter("aformat", sample_fmts=SAMPLE_FORMAT)
        .filter("ametadata", mode="delete")
        .filter("atrim", end_sample=MOST_PIXELS * samples_per_pixel)
        .filter("asetnsamples", n=samples_per_pixel, p=0)
        .filter("astats", metadata=1, reset=1, measure_perchannel="none", measure_overall="Min_level+Max_level")
        .filter("ametadata", mode="print", file=file)
    )
    return ffmpeg.output(logged, "-", f="null")


def parse(log: str) -> tuple[Pair, ...]:
    """Lowest and highest sample of each part, 1 being full scale; silence where samples are no numbers."""
    pairs = zip(_levels(log, _LOWEST), _levels(log, _HIGHEST), strict=False)
    return tuple((low, high) if low <= high else (0.0, 0.0) for low, high in islice(pairs, MOST_PIXELS))


def _levels(log: str, name: str) -> Iterator[float]:
    for line in log.splitlines():
        if line.startswith(name):
            yield _number(line.removeprefix(name))


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0


def make(pairs: tuple[Pair, ...], *, rate: int, samples_per_pixel: int, gain: float = 0.0) -> Waveform:
    """The waveform of the sound after a gain in dB: what is heard is what is shown."""
    factor = _FULL * 10 ** (gain / 20)
    levels = tuple((_level(low * factor), _level(high * factor)) for low, high in pairs)
    return Waveform(rate=rate, samples_per_pixel=samples_per_pixel, pairs=levels)


def _level(value: float) -> int:
    return round(min(_FULL - 1, max(-_FULL, value)))


def document(waveform: Waveform) -> str:
    """JSON as peaks.js and wavesurfer.js read it: version 2 of audiowaveform's data format (doc/DataFormat.md there).

    One channel, of the extremes of all.
    """
    return json.dumps(
        {
            "version": 2,
            "channels": 1,
            "sample_rate": waveform.rate,
            "samples_per_pixel": waveform.samples_per_pixel,
            "bits": _BITS,
            "length": len(waveform.pairs),
            "data": list(chain.from_iterable(waveform.pairs)),
        },
        separators=(",", ":"),
    )
