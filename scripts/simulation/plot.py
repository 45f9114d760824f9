"""The course of several runs as one PNG: waiting messages, ages, tasks, and the cost so far."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from scripts.simulation.figures import Course

_SIZE = (980, 860)
_LEFT, _RIGHT, _TOP, _GAP = 70, 20, 40, 34
_COLORS = ("#2b6cb0", "#c05621", "#2f855a")
_INK, _GRID = "#4a5568", "#e2e8f0"
_TICKS = 4
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))  # the first that fills two ticks

_Font = ImageFont.ImageFont | ImageFont.FreeTypeFont
_Panel = tuple[str, Callable[[Course], Sequence[float]]]
_PANELS: tuple[_Panel, ...] = (
    ("messages waiting", lambda one: one.waiting),
    ("age of the oldest picture, minutes", lambda one: [value / 60 for value in one.oldest_image]),
    ("age of the oldest film, minutes", lambda one: [value / 60 for value in one.oldest_video]),
    ("tasks", lambda one: one.tasks),
    ("dollars so far", lambda one: one.cost),
)


def png(path: Path, title: str, courses: Sequence[tuple[str, Course]]) -> None:
    """Write the picture; each course has its name in the legend."""
    image = Image.new("RGB", _SIZE, "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    _legend(draw, font, title, [name for name, _ in courses])
    height = (_SIZE[1] - _TOP - 30) / len(_PANELS)
    for row, (name, values_of) in enumerate(_PANELS):
        top = _TOP + row * height
        box = (_LEFT, round(top + _GAP - 12), _SIZE[0] - _RIGHT, round(top + height - 10))
        draw.text((_LEFT, box[1] - 18), name, fill=_INK, font=font)
        _panel(draw, font, box, [(one.times, values_of(one)) for _, one in courses])
    _hours(draw, font, max(one.times[-1] for _, one in courses))
    image.quantize(32).save(path, optimize=True)


def _legend(draw: ImageDraw.ImageDraw, font: _Font, title: str, names: Sequence[str]) -> None:
    draw.text((_LEFT, 10), title, fill="black", font=font)
    x = _SIZE[0] - _RIGHT - 110 * len(names)
    for color, name in zip(_COLORS, names, strict=False):
        draw.line([(x, 18), (x + 22, 18)], fill=color, width=3)
        draw.text((x + 28, 10), name, fill=_INK, font=font)
        x += 110


def _panel(
    draw: ImageDraw.ImageDraw,
    font: _Font,
    box: tuple[int, int, int, int],
    lines: Sequence[tuple[Sequence[float], Sequence[float]]],
) -> None:
    left, top, right, bottom = box
    most, end = _round_up(max(max(values) for _, values in lines)), max(times[-1] for times, _ in lines)
    for tick in range(_TICKS + 1):
        y = bottom - (bottom - top) * tick / _TICKS
        draw.line([(left, y), (right, y)], fill=_GRID)
        if tick in {0, _TICKS}:
            draw.text((left - 8, y), f"{most * tick / _TICKS:g}", fill=_INK, font=font, anchor="rm")
    for color, (times, values) in zip(_COLORS, lines, strict=False):
        across, up = (right - left) / end, (bottom - top) / most
        draw.line(
            [(left + t * across, bottom - v * up) for t, v in zip(times, values, strict=True)], fill=color, width=2
        )


def _hours(draw: ImageDraw.ImageDraw, font: _Font, end: float) -> None:
    seconds, unit = next(one for one in _UNITS if end / one[0] >= 2)
    for tick in range(_TICKS + 1):
        x = _LEFT + (_SIZE[0] - _LEFT - _RIGHT) * tick / _TICKS
        text = f"{end * tick / _TICKS / seconds:.3g} {unit}"
        draw.text((x, _SIZE[1] - 22), text, fill=_INK, font=font, anchor="ra" if tick == _TICKS else "ma")


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5 or 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 10) if step * power >= value * 0.999)
