"""What was found, for people."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from scripts.proofs import players
from scripts.proofs.corpus import Findings, Judged
from scripts.proofs.likeness import Likeness

_LONGEST = 48  # characters of a key


def corpus(found: Findings) -> Iterator[Table | str]:
    """A line a file, then everything that is not ready, why, and what is wrong."""
    yield _films(found.files)
    yield ", ".join(f"{count} {how}" for how, count in found.ended.most_common())
    for one in found.files:
        if one.reason:
            yield f"not ready: {one.key} ({one.note}): {': '.join(one.reason)}"
    for one in found.files:
        for wrong in one.wrong:
            yield f"WRONG: {one.key}: {wrong}"
    yield "everything is right" if found.fine else f"{sum(bool(one.wrong) for one in found.files)} files are not right"


def played(found: players.Findings) -> Iterator[Table | str]:
    """A line for each clip in each player, then what is wrong."""
    made = table(
        "clip", "player", "seconds", "rungs", "shown", "down, up", "middle", "end", "captions", "thumbnails", ""
    )
    for one in found.played:
        made.add_row(f"{one.kind}: {_short(one.source)}", one.player, *_played(one), "WRONG" if one.wrong else "")
    yield made
    for one in found.played:
        for wrong in one.wrong:
            yield f"WRONG: {one.kind} in {one.player}: {wrong}"
    yield "everything is right" if found.fine else f"{sum(bool(one.wrong) for one in found.played)} are not right"


def _played(one: players.Played) -> list[str]:
    report = one.report
    if report is None:
        return [""] * 8
    switched = f"{report.switched_down:d}, {report.switched_up:d}" if report.levels > 1 else "one rung"
    captions = ", ".join(text for _, texts in report.active for text in texts)
    places = " ".join(f"{shown.x},{shown.y}" for shown in one.thumbnails)
    return [
        f"{report.duration:.2f}",
        str(report.levels),
        f"{report.width}x{report.height}",
        switched,
        f"{report.sought_middle:.1f}",
        f"{report.sought_end:.1f}",
        captions,
        places,
    ]


def table(*headings: str) -> Table:
    """The first column is words, all others are figures."""
    made = Table(box=None, pad_edge=False)
    for number, heading in enumerate(headings):
        made.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return made


def _films(files: Sequence[Judged]) -> Table:
    made = table("file", "status", "size", "seconds", "made", "upright", "SSIM", "lowest", "tint", "")
    for one in files:
        size = f"{one.size[0]}x{one.size[1]}" if one.size else ""
        lasts = ["" if value is None else f"{value:.2f}" for value in (one.seconds, one.made)]
        made.add_row(_short(one.key), one.status, size, *lasts, *_like(one.likeness), "WRONG" if one.wrong else "")
    return made


def _like(found: Likeness | None) -> list[str]:
    if found is None:
        return [""] * 4
    upright = {True: "yes", False: "NO", None: "any way"}[found.upright]
    tint = "HDR" if found.tint is None else f"{found.tint:.1f}"
    return [upright, f"{found.ssim:.3f}", f"{found.lowest:.3f}", tint]


def _short(key: str) -> str:
    return key if len(key) <= _LONGEST else f"…{key[1 - _LONGEST :]}"
