"""What reprocessing would do: objects, minutes and money, by kind of media and by step; and how two recipes differ."""

from collections.abc import Iterator, Sequence

from rich.filesize import decimal
from rich.table import Table

from service.core.differences import Difference
from service.core.survey import REFUSED, UNKNOWN, Surveyed, Tally
from service.tables import words
from service.tables.cells import printable, table

_ROWS = ("image", "video", "audio", REFUSED)
_MEDIA = ["media", "objects", "touched", "bytes", "minutes", "steps again", "done", "one core", "dollars"]


def media_table(found: Surveyed) -> Table:
    """A row for each kind of media; those that nobody has opened yet are none."""
    media = found.estimated.media
    return table(_MEDIA, [_of_media(kind, media[kind]) for kind in _ROWS if kind in media])


def _of_media(kind: str, tally: Tally) -> tuple[str, ...]:
    minutes = f"{tally.seconds / 60:,.1f}" if tally.seconds else ""
    counts = (tally.objects, tally.touched)
    steps = (tally.steps, tally.reused)
    return (
        kind,
        *(f"{count:,.0f}" for count in counts),
        decimal(round(tally.bytes)),
        minutes,
        *(f"{count:,.0f}" for count in steps),
        words.age(tally.cpu_seconds),
        money(tally.dollars),
    )


def steps_table(found: Surveyed) -> Table:
    """A row for each kind of step that would run again, the dearest first."""
    steps = sorted(found.estimated.steps.items(), key=lambda one: (-one[1].dollars, one[0]))
    rows = [(kind, f"{one.steps:,.0f}", words.age(one.cpu_seconds), money(one.dollars)) for kind, one in steps]
    return table(["step", "again", "one core", "dollars"], rows)


def surveyed_lines(found: Surveyed) -> Iterator[str]:
    """All of it in words: how sure it is, what it comes to, and what nobody can know."""
    whole, units = found.estimated.whole, found.estimated.units
    yield f"{found.objects:,} object(s), {decimal(found.bytes)}"
    if not found.exact:
        yield (
            f"Estimated from {found.looked:,} of them, spread over all; --sample 0 looks at each, "
            "by some four requests to S3"
        )
    margin = f", give or take {money(found.margin)}" if found.margin else ""
    bought = f"{words.units(units)}, " if units else ""
    yield (
        f"{whole.steps:,.0f} step(s) would run again on {whole.touched:,.0f} object(s), {whole.reused:,.0f} are done: "
        f"{bought}about {words.age(whole.cpu_seconds)} of one core, {money(whole.dollars)}{margin}"
    )
    if whole.owed:
        yield f"{whole.owed:,.0f} of these steps would run by the old recipe as well"
    media = found.estimated.media
    if unknown := media.get(UNKNOWN):
        yield (
            f"Unknown until they are opened, and not in it: {unknown.objects:,.0f} object(s), "
            f"{decimal(round(unknown.bytes))}, never processed or rejected"
        )
    if refused := media.get(REFUSED):
        yield f"Would be rejected by the recipe's limits, or lie in an archive: {refused.objects:,.0f} object(s)"


def money(dollars: float) -> str:
    """Dollars and cents; of less than ten cents, what there is."""
    return f"${dollars:,.2f}" if dollars >= 0.1 or not dollars else f"${dollars:.3g}"


def surveyed_document(found: Surveyed) -> dict[str, object]:
    """The same for machines; times in seconds, money in dollars."""
    estimated = found.estimated
    return {
        "objects": found.objects,
        "bytes": found.bytes,
        "looked": found.looked,
        "exact": found.exact,
        "total": _document(estimated.whole) | {"margin_dollars": found.margin, "units": dict(estimated.units)},
        "media": {kind: _document(tally) for kind, tally in sorted(estimated.media.items())},
        "steps": {kind: _of_step(tally) for kind, tally in sorted(estimated.steps.items())},
    }


def _document(tally: Tally) -> dict[str, float]:
    return {
        "objects": round(tally.objects),
        "touched": round(tally.touched),
        "bytes": round(tally.bytes),
        "seconds": round(tally.seconds, 3),
        "reused": round(tally.reused),
    } | _of_step(tally)


def _of_step(tally: Tally) -> dict[str, float]:
    return {
        "steps": round(tally.steps),
        "owed": round(tally.owed),
        "cpu_seconds": round(tally.cpu_seconds, 3),
        "dollars": round(tally.dollars, 6),
    }


def differences_lines(found: Sequence[Difference]) -> Iterator[str]:
    """A line for each entry."""
    yield from (printable(str(one)) for one in found)
    if not found:
        yield "Both recipes say the same."


def differences_document(found: Sequence[Difference]) -> list[dict[str, object]]:
    """The same for machines."""
    return [{"prefix": one.prefix, "entry": one.entry, "old": one.old, "new": one.new} for one in found]
