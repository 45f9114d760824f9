"""Sizes of small moving pictures: within a side, and even, since 4:2:0 keeps one colour for 2 x 2 pixels."""


def within(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height with neither above `side`, never enlarged, each rounded to an even number but at least 2."""
    scale = min(1.0, side / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
