"""ThumbHash against what the reference encoder, npm's `thumbhash` 0.1.1, gives for the same pixels."""

from base64 import b64encode

import pytest

from service.tools import thumbhash


def pattern(width: int, height: int, *, translucent: bool) -> bytes:
    """Pixels without symmetry: where a wave is exactly zero, rounding errors would decide."""
    data = bytearray()
    for y in range(height):
        for x in range(width):
            data += bytes((x * 37 + y * 101 + x * y * 13 + band * 59) % 256 for band in range(3))
            data.append((x * 29 + y * 17) % 256 if translucent else 255)
    return bytes(data)


@pytest.mark.parametrize(
    ("width", "height", "translucent", "expected"),
    [
        (32, 18, False, "IAgCFIR5a1g/JGdkpoU/VHYE2Q=="),
        (18, 32, False, "IPgBDAJ6lHW5cGZYV3ZZfAAzHA=="),
        (32, 16, True, "IOiBC4AIXGkOVYd7qGA/jXd3VkaBYHg="),
        (16, 32, True, "IPiBAwIHH0xaMnu5jwUsbme2WQlmlkM="),
        (28, 28, True, "IPiBBQAHuwlPdDmSdKmfFAEbWUtVRJMEww=="),
        (100, 75, False, "4PcBBYB1h2d6f5meZ7ZKjM3PwXoI"),
    ],
)
def test_reference(width, height, translucent, expected):
    """The hash is the reference's, for wide, tall, square and translucent pictures."""
    found = thumbhash.encode(width, height, pattern(width, height, translucent=translucent))
    assert expected == b64encode(found).decode()


@pytest.mark.parametrize(("pixel", "average"), [((0, 0, 0, 255), b"\0\x08\x02"), ((0, 0, 0, 0), b"\0\x08\x82")])
def test_flat(pixel, average):
    """A flat picture, even one that nobody can see, has its average and no waves."""
    found = thumbhash.encode(8, 8, bytes(pixel) * 64)
    assert (average, {0}) == (found[:3], set(found[6:]))


@pytest.mark.parametrize(("width", "height", "size"), [(101, 1, 404), (1, 101, 404), (2, 2, 15)])
def test_bounds(width, height, size):
    """More than 100 pixels a side, or another number of bytes, is a mistake of the caller."""
    with pytest.raises(ValueError, match=f"{width}x{height}"):
        thumbhash.encode(width, height, bytes(size))
