"""How files ended, what they are, and what would be made of them."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from service.commands import examine, process
from service.core import explain
from service.core.manifest import Serving
from service.core.outcome import Reason
from service.core.record import Outcome
from service.core.step import Embedded, Screen, Step, Subtitles, Transcript
from service.tables import words
from service.tables.cells import cell, printable, short, table

_COLOURS = {"ready": "green", "rejected": "yellow", "failed": "red", "quarantined": "yellow"}
_CAPTIONS = {"machine": ", captions by a machine", "uploaded": ", captions", "unavailable": ", no captions: see show"}


def ended_table(ended: Sequence[process.Ended]) -> Table:
    """How files ended, one a row."""
    rows = []
    for one in ended:
        colour = _COLOURS.get(one.status, "dim")
        rows.append((short(one.key, 70), Text(one.status, colour), _made(one), f"{one.seconds:.1f} s"))
    return table(["file", "status", "", "time"], rows)


def _made(one: process.Ended) -> str:
    found = one.manifest
    if one.error or one.of:
        return one.error or f"of {one.of}"
    if found and found.reason:
        return f"{found.reason.code}: {_why(found.reason.code, one.outcome) or found.reason.message}"
    return _served(found.serving) if found and found.serving else ""


def _why(code: Reason, outcome: Outcome | None) -> str | None:
    """What the operator is told of a version that moderation holds or blocks, and the public is not."""
    if outcome is None:
        return None
    if code is Reason.MODERATION_UNAVAILABLE:
        return outcome.message
    found = outcome.moderation
    return ", ".join(words.because(one, outcome.media) for one in found.because) if found else None


def _served(serving: Serving) -> str:
    return f"{serving.kind}, {len(serving.products)} products{_CAPTIONS.get(serving.captions, '')}"


def ended_document(one: process.Ended) -> dict[str, object]:
    """How a file ended, for machines."""
    document = one.manifest.model_dump(mode="json") if one.manifest else None
    outcome = one.outcome.model_dump(mode="json") if one.outcome else None
    told = {"key": one.key, "status": one.status, "seconds": one.seconds, "error": one.error}
    return told | {"manifest": document, "outcome": outcome}


def examined_document(one: examine.Examined) -> dict[str, object]:
    """What a file is, for machines."""
    return {"key": one.key, "bytes": one.size, "media": one.describes, "code": one.code, "message": one.message}


def verdict(one: examine.Examined) -> Text:
    """Whether a file would be taken, and why not."""
    if one.media:
        return Text("ok", "green")
    return Text.assemble((str(one.code), "yellow"), ": ", cell(str(one.message)))


def examined_table(examined: Sequence[examine.Examined]) -> Table:
    """What files are, one a row."""
    rows = [(printable(one.key), one.describes, verdict(one)) for one in examined]
    return table(["file", "media", "verdict"], rows)


def plan_document(one: examine.Examined) -> dict[str, object]:
    """What would be made of a file, for machines."""
    if one.planned is None or one.media is None or one.prices is None:
        return examined_document(one) | {"steps": []}
    media = one.media
    steps = [{"step": _label(step), "why": why} for step, why in explain.reasons(one.planned, media, screen=one.screen)]
    estimate = explain.cost(one.planned, media, one.prices, screen=one.screen)
    costs = {"cpu_seconds": round(estimate.cpu_seconds, 2), "units": estimate.units, "dollars": estimate.dollars}
    return examined_document(one) | {"steps": steps} | costs


def plan_table(one: examine.Examined) -> Table:
    """What would be made of a file, why, and what it would cost."""
    if one.planned is None or one.media is None or one.prices is None:
        return table(["would be", "because"], [("rejected", f"{one.code}: {one.message}")], title=short(one.key, 90))
    rows = [(_label(step), why) for step, why in explain.reasons(one.planned, one.media, screen=one.screen)]
    estimate = explain.cost(one.planned, one.media, one.prices, screen=one.screen)
    bought = f"{words.units(estimate.units)}, " if estimate.units else ""
    rows.append(("about", f"{bought}{estimate.cpu_seconds:.1f} CPU seconds, ${estimate.dollars:.6f} in all"))
    return table(["step", "why"], rows, title=f"{short(one.key, 90)}: {one.describes}")


def _label(step: Step) -> str:
    """What is made, in a word or two."""
    match step:
        case Screen():
            return "moderation"
        case Transcript():
            return "captions"
        case Subtitles() | Embedded():
            return f"captions {step.language or ''}".strip()
    return f"{type(step).__name__.lower()} {getattr(step, 'name', '')}".strip()
