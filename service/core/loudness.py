"""Loudness by EBU R 128: how it is measured in the one decode, and the gain that brings a sound to a target.

The measure is ITU-R BS.1770-4's, as EBU Tech 3341 has meters read it: integrated over blocks of 400 ms, gated at
-70 LUFS and at 10 LU below the mean of what remains; true peak on four times the samples. Gain is linear: one number
for the whole sound, so that dynamics stay what they were.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

import ffmpeg

SAMPLE_FORMAT = "fltp"  #: of what is measured and of what is encoded: integers would be mixed down to another level
TAIL_BYTES = 4096  #: of a log, at its end, in which `parse` finds what it needs: a moment takes 270
MOST_GAIN = 20.0  #: in dB: more lifts the hiss of a quiet recording, at -60 dBFS, to where it is heard

_GATE = -70.0  # LUFS: BS.1770's absolute gate, and what the filter says where nothing came through it
_HALF_STEP = 0.0005  # of full scale: the filter tells peaks to three digits
#: Samples of silence: the filter speaks every 100 ms, and its oversampling lags by 16, so the end would not count.
_PADDING = 4800 - 1 + 64

_SAID = re.compile(r"^lavfi\.r128\.(I|true_peak)=(-?[0-9]{1,40}\.[0-9]{3})$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """`integrated` in LUFS, None for what is silent or shorter than 400 ms; `true_peak` in dBTP.

    The peak is rounded up, and never below -66: digital silence has none.
    """

    integrated: float | None
    true_peak: float


def measured(samples: Any, file: str) -> Any:
    """An output, to be merged with others, that writes a log about `samples` to `file` in the working directory.

    They have to be at 48 kHz and as they will be encoded. A mono sound counts as played from two loudspeakers, which
    is how web players play it. The log grows by 10 MB an hour; its end says it all. What metadata the source has put
    on its samples is dropped first, lest it be read as ours.
    """
    logged = (
        samples.filter("aformat", sample_fmts=SAMPLE_FORMAT)
        .filter("ametadata", mode="delete")
        .filter("apad", pad_len=_PADDING)
        .filter("ebur128", peak="true", metadata=1, dualmono=1)
        .filter("ametadata", mode="print", file=file)
    )
    return ffmpeg.output(logged, "-", f="null")


def parse(log: str) -> Measured | None:
    """What the end of a log says; None where it says nothing that makes sense: no sound, or samples that are none."""
    last = {name: float(value) for name, value in _SAID.findall(log)}
    if len(last) < 2:
        return None
    return Measured(
        integrated=last["I"] if last["I"] > _GATE else None,
        true_peak=math.ceil(_decibels(abs(last["true_peak"]) + _HALF_STEP) * 100) / 100,
    )


def _decibels(level: float) -> float:
    return 20 * math.log10(level)


def gain(measured: Measured | None, *, target: float, ceiling: float) -> float:
    """In dB, to two digits: from what was measured to `target` LUFS, but with no true peak above `ceiling` dBTP.

    What has no loudness is left as it is, unless its peak is too high. The ceiling is that of the encoder's input, as
    AES TD1008 means it: AAC puts its noise on top. FFmpeg's encoder at 96 to 128 kb/s was seen to add up to 0.1 dB to
    speech, 0.6 to pink noise, 1 to a tone and 1.3 to white noise; but 3 to 6 to square waves, as old games have them.
    """
    if measured is None:
        return 0.0
    wanted = 0.0 if measured.integrated is None else target - measured.integrated
    least = min(wanted, ceiling - measured.true_peak, MOST_GAIN)
    return math.floor(round(least * 100, 6)) / 100


def applied(samples: Any, gain: float) -> Any:
    """`samples` with a gain in dB, in floating point: neither clipped nor rounded on the way to the encoder."""
    return samples.filter("volume", f"{gain:.2f}dB", precision="float") if gain else samples
