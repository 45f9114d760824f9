"""Reads the log from which the waveform of a sound is made."""

from pathlib import Path

from service.core import waveform
from service.core.waveform import Pair
from service.runtime import made


def read(path: Path) -> tuple[Pair, ...]:
    """Lowest and highest sample of each part, 1 being full scale.

    :raises Rejected: `damaged`, when there is no such file.
    """
    with made.opened(path) as file:
        return waveform.parse(file.read(waveform.LOG_BYTES).decode("ascii", errors="replace"))
