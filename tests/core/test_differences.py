"""What two recipes say otherwise."""

import pytest

from service.core import differences, recipe
from tests.core.samples import SHIPPED


def told(old: str, new: str) -> list[str]:
    """A line for each entry."""
    before, after = (recipe.read(text, shipped=SHIPPED) for text in (old, new))
    return [str(one) for one in differences.between(before, after)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", []),
        ("", "video.crf = 20", ["video.crf: 23 → 20"]),
        ("images.widths = [320]", "images.widths = [320, 640]", ["images.widths: [320] → [320, 640]"]),
        ("captions.language = 'de'", "", ['captions.language: "de" → null']),
        (
            "",
            "video.ladder = [{ height = 240, max_bit_rate = 400_000 }]\nimages.quality.webp = 70",
            [
                "images.quality.webp: 80 → 70",
                (
                    'video.ladder: [{"height": 1080, "max_bit_rate": 5000000}, '
                    '{"height": 720, "max_bit_rate": 2800000}, {"height": 480, "max_bit_rate": 1400000}, '
                    '{"height": 360, "max_bit_rate": 800000}, '
                    '{"height": 240, "max_bit_rate": 400000}] → [{"height": 240, "max_bit_rate": 400000}]'
                ),
            ],
        ),
        ("ignore = []", "ignore = ['*.tmp']", ['ignore: [] → ["*.tmp"]']),
        (
            "moderation.local.rules = [{ label = 'Explicit', review = 20 }]",
            "moderation.local.rules = [{ label = 'Explicit', block = 20 }]",
            [
                (
                    'moderation.local.rules: [{"review": 20.0, "label": "Explicit"}] → '
                    '[{"block": 20.0, "label": "Explicit"}]'
                )
            ],
        ),
    ],
)
def test_entries(old: str, new: str, expected: list[str]):
    """By name, with both values; what tables in lists leave unsaid is left out."""
    assert expected == told(old, new)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "[[prefix]]\nmatch = 'a/'\nvideo.crf = 20", ['prefix "a/": video.crf: 23 → 20']),
        ("[[prefix]]\nmatch = 'a/'\nvideo.crf = 20", "", ['prefix "a/": video.crf: 20 → 23']),
        (
            "[[prefix]]\nmatch = 'a/'\nvideo.gop_seconds = 1.0",
            "video.crf = 20\n[[prefix]]\nmatch = 'a/'\nvideo.gop_seconds = 1.0",
            ["video.crf: 23 → 20"],
        ),
        (
            "[[prefix]]\nmatch = 'a/'\nvideo.crf = 30",
            "video.crf = 20\n[[prefix]]\nmatch = 'a/'\nvideo.crf = 31",
            ["video.crf: 23 → 20", 'prefix "a/": video.crf: 30 → 31'],
        ),
        (
            "[[prefix]]\nmatch = 'a/'\nvideo.crf = 30",
            "[[prefix]]\nmatch = 'a/'\nvideo.crf = 30\n[[prefix]]\nmatch = 'a/b/'\nvideo.crf = 31",
            ['prefix "a/b/": video.crf: 30 → 31'],
        ),
    ],
)
def test_prefixes(old: str, new: str, expected: list[str]):
    """What is other for their keys, and not the same for all keys alike."""
    assert expected == told(old, new)
