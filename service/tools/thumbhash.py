"""ThumbHash: some 25 bytes that draw a blurred placeholder (github.com/evanw/thumbhash, encoder of version 0.1.1).

Byte for byte the reference's hash, but where a wave is exactly zero and rounding errors decide there.

Of the two ports on PyPI, `thumbhash` 0.1.2 fails on any transparency and `thumbhash-python` 1.0.1 rounds halves to
even, which gives a 2:1 picture with transparency another hash than the reference does. Both take three times as long
as this one, which sums rows before columns: the cosine transform is separable. Sums are exact (`fsum`), or a wave that
is zero but for rounding errors would depend on the version of Python: `sum` of floats changed in 3.12.
"""

from collections.abc import Sequence
from math import cos, floor, fsum, pi
from operator import mul

Channel = tuple[float, list[float], float]

MAX_SIDE = 100  # the reference refuses more: slow, and no better
NOISE = 1e-9  # a scale below this is rounding error of a flat picture


def encode(width: int, height: int, rgba: bytes) -> bytes:
    """The hash of `width` x `height` pixels, four bytes each, row by row, not premultiplied."""
    if max(width, height) > MAX_SIDE or len(rgba) != width * height * 4:
        msg = f"{len(rgba)} bytes are not a picture of {width}x{height} within {MAX_SIDE}x{MAX_SIDE}"
        raise ValueError(msg)
    light, yellow, red, alpha = _channels(rgba)
    translucent = fsum(alpha) < width * height
    nx, ny = _terms(width, height, limit=5 if translucent else 7)
    lightness = _transform(light, width, height, max(3, nx), max(3, ny))
    colours = _transform(yellow, width, height, 3, 3), _transform(red, width, height, 3, 3)
    opacity = [_transform(alpha, width, height, 5, 5)] if translucent else []
    landscape = width > height
    head = _head(lightness, *colours, translucent=translucent)
    shape = _shape(*colours, short=ny if landscape else nx, landscape=landscape)
    return head + shape + b"".join(map(_opacity, opacity)) + _nibbles([lightness, *colours, *opacity])


def _channels(rgba: bytes) -> tuple[list[float], list[float], list[float], list[float]]:
    """Lightness, yellow-blue, red-green and alpha, each within 0..1, laid over the average colour."""
    alpha = [value / 255 for value in rgba[3::4]]
    total = fsum(alpha) or 1.0
    bands = []
    for band in range(3):
        lit = [a / 255 * value for a, value in zip(alpha, rgba[band::4], strict=True)]
        average = fsum(lit) / total
        bands.append([average * (1 - a) + value for a, value in zip(alpha, lit, strict=True)])
    pixels = list(zip(*bands, strict=True))
    light = [(r + g + b) / 3 for r, g, b in pixels]
    return light, [(r + g) / 2 - b for r, g, b in pixels], [r - g for r, g, _ in pixels], alpha


def _terms(width: int, height: int, *, limit: int) -> tuple[int, int]:
    longest = max(width, height)
    return max(1, _round(limit * width / longest)), max(1, _round(limit * height / longest))


def _transform(channel: Sequence[float], width: int, height: int, nx: int, ny: int) -> Channel:
    """The constant, the other terms as 0..1, and their scale: the low triangle of a cosine transform."""
    across = [_cosines(width, cx) for cx in range(nx)]
    down = [_cosines(height, cy) for cy in range(ny)]
    rows = [channel[start : start + width] for start in range(0, width * height, width)]
    sums = [[fsum(map(mul, row, wave)) for row in rows] for wave in across]
    triangle = [(cx, cy) for cy in range(ny) for cx in range(nx) if cx * ny < nx * (ny - cy)]
    constant, *terms = (fsum(map(mul, sums[cx], down[cy])) / (width * height) for cx, cy in triangle)
    scale = max(map(abs, terms))
    if scale < NOISE:
        return constant, [0.0] * len(terms), 0.0
    return constant, [0.5 + 0.5 / scale * term for term in terms], scale


def _cosines(length: int, frequency: int) -> list[float]:
    return [cos(pi / length * frequency * (at + 0.5)) for at in range(length)]


def _head(light: Channel, yellow: Channel, red: Channel, *, translucent: bool) -> bytes:
    bits = _round(63 * light[0]) | _round(31.5 + 31.5 * yellow[0]) << 6 | _round(31.5 + 31.5 * red[0]) << 12
    return (bits | _round(31 * light[2]) << 18 | translucent << 23).to_bytes(3, "little")


def _shape(yellow: Channel, red: Channel, *, short: int, landscape: bool) -> bytes:
    bits = short | _round(63 * yellow[2]) << 3 | _round(63 * red[2]) << 9 | landscape << 15
    return bits.to_bytes(2, "little")


def _opacity(alpha: Channel) -> bytes:
    return bytes([_round(15 * alpha[0]) | _round(15 * alpha[2]) << 4])


def _nibbles(channels: Sequence[Channel]) -> bytes:
    values = [_round(15 * term) for _, terms, _ in channels for term in terms]
    values += [0] * (len(values) % 2)
    return bytes(low | high << 4 for low, high in zip(values[::2], values[1::2], strict=True))


def _round(value: float) -> int:
    """Halves go up, as in JavaScript's Math.round: the reference decides."""
    return floor(value + 0.5)
