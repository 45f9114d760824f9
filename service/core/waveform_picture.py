"""Draws a waveform as a PNG with transparency, which a page may show or use as a mask.

Nothing of the upload is decoded here, only some thousand small integers of our own, so no sandbox is needed, nor a
library: a PNG is three numbers, a palette and zlib (PNG, third edition, sections 5 and 11).
"""

import struct
import zlib
from collections.abc import Sequence

from service.core.waveform import Waveform

WIDTH, HEIGHT = 1800, 280  #: in pixels, as it is drawn if nobody asks for another size

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3  # colour type
_SHADES = 15  # besides none at all: how much of a pixel is covered
_LINE = 2.0  # pixels: what silence is drawn as
_FULL = 128


def draw(waveform: Waveform, *, width: int = WIDTH, height: int = HEIGHT, colour: str = "#7a7f87") -> bytes:
    """A PNG, full scale from top to bottom; a column shows the extremes of all parts that it stands for.

    The default colour stands out from white and from black alike (4:1 and 5:1, WCAG 2.2's contrast).
    """
    extremes = _columns(waveform.pairs, width)
    shaded = {pair: _column(*pair, height) for pair in set(extremes)}
    columns = b"".join(shaded[pair] for pair in extremes)
    rows = b"".join(b"\0" + columns[row::height] for row in range(height))  # unfiltered, each
    shades = range(_SHADES + 1)
    return _SIGNATURE + b"".join(
        [
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, _PALETTE, 0, 0, 0)),
            _chunk(b"PLTE", bytes.fromhex(colour.removeprefix("#")) * len(shades)),
            _chunk(b"tRNS", bytes(255 * shade // _SHADES for shade in shades)),
            _chunk(b"IDAT", zlib.compress(rows, 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _columns(pairs: Sequence[tuple[int, int]], width: int) -> list[tuple[int, int]]:
    parts = pairs or [(0, 0)]
    spans = [(at * len(parts) // width, -(-(at + 1) * len(parts) // width)) for at in range(width)]
    return [(min(low for low, _ in parts[a:b]), max(high for _, high in parts[a:b])) for a, b in spans]


def _column(low: int, high: int, height: int) -> bytes:
    """The shades of a column's pixels from top to bottom."""
    top, bottom = (height / 2 * (1 - level / _FULL) for level in (max(high, 0), min(low, 0)))
    if bottom - top < _LINE:
        top, bottom = (top + bottom - _LINE) / 2, (top + bottom + _LINE) / 2
    return bytes(round(_SHADES * max(0.0, min(bottom, y + 1) - max(top, y))) for y in range(height))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
