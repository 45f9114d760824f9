"""Reads the log that measuring the loudness of a sound left behind."""

import os
from pathlib import Path

from service.core import loudness
from service.core.loudness import Measured
from service.runtime import made


def read(path: Path) -> Measured | None:
    """What was measured, from the end of the log; None where nothing was.

    :raises Rejected: `damaged`, when there is no such file.
    """
    with made.opened(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - loudness.TAIL_BYTES))
        return loudness.parse(file.read(loudness.TAIL_BYTES).decode("ascii", errors="replace"))
