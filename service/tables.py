"""How results are shown: to people as tables and progress bars, to machines as documents."""

import unicodedata
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from service.commands import examine, process, show
from service.core import explain, manifest
from service.core.outcome import Reason


class Bars:
    """A bar a file that is being worked on, and one for them all."""

    def __init__(self, *, total: int, quiet: bool, console: Console) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console, disable=quiet, transient=True)
        self._all = self._progress.add_task("all files", total=total)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def at(self, key: str, percent: int) -> None:
        """A file has come so far."""
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(_short(key), total=100)
        self._progress.update(self._tasks[key], completed=percent)

    def ended(self, key: str, status: str) -> None:
        """A file is done."""
        if key in self._tasks:
            self._progress.remove_task(self._tasks.pop(key))
        self._progress.advance(self._all)
        if status not in {"ready", "ignored"} and not self._progress.disable:
            self._progress.console.print(Text(f"{_short(key)}: {status}"))


def _short(key: str, length: int = 44) -> str:
    text = _printable(key)
    return text if len(text) <= length else "…" + text[-length + 1 :]


def _printable(text: str) -> str:
    """`text` without what a terminal would obey; spaces of any width stay."""
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else "?" for c in text)


def _cell(value: str | Text) -> Text:
    """Never markup: names and messages come from uploads."""
    return value if isinstance(value, Text) else Text("\n".join(_printable(line) for line in value.splitlines()))


def table(heads: Sequence[str], rows: Sequence[tuple[str | Text, ...]], title: str | None = None) -> Table:
    """A table without lines; cells are never markup."""
    built = Table(title=None if title is None else _cell(title), title_justify="left", box=None, pad_edge=False)
    for head in heads:
        built.add_column(head, overflow="fold")
    for row in rows:
        built.add_row(*map(_cell, row))
    return built


_COLOURS = {"ready": "green", "rejected": "yellow", "failed": "red", "quarantined": "yellow"}


def ended_table(ended: Sequence[process.Ended]) -> Table:
    """How files ended, one a row."""
    rows = []
    for one in ended:
        colour = _COLOURS.get(one.status, "dim")
        rows.append((_short(one.key, 70), Text(one.status, colour), _made(one), f"{one.seconds:.1f} s"))
    return table(["file", "status", "", "time"], rows)


def _made(one: process.Ended) -> str:
    if one.error:
        return one.error
    if one.manifest and one.manifest.reason:
        return f"{one.manifest.reason.code}: {one.manifest.reason.message}"
    if one.manifest and one.manifest.serving:
        return f"{one.manifest.serving.kind}, {len(one.manifest.serving.products)} products"
    return ""


def ended_document(one: process.Ended) -> dict[str, object]:
    """How a file ended, for machines."""
    document = one.manifest.model_dump(mode="json") if one.manifest else None
    return {"key": one.key, "status": one.status, "seconds": one.seconds, "error": one.error, "manifest": document}


def examined_document(one: examine.Examined) -> dict[str, object]:
    """What a file is, for machines."""
    return {"key": one.key, "bytes": one.size, "media": one.describes, "code": one.code, "message": one.message}


def verdict(one: examine.Examined) -> Text:
    """Whether a file would be taken, and why not."""
    if one.media:
        return Text("ok", "green")
    return Text.assemble((str(one.code), "yellow"), ": ", _cell(str(one.message)))


def examined_table(examined: Sequence[examine.Examined]) -> Table:
    """What files are, one a row."""
    rows = [(_printable(one.key), one.describes, verdict(one)) for one in examined]
    return table(["file", "media", "verdict"], rows)


def plan_document(one: examine.Examined) -> dict[str, object]:
    """What would be made of a file, for machines."""
    if one.planned is None or one.media is None or one.prices is None:
        return examined_document(one) | {"steps": []}
    media = one.media
    steps = [{"step": _label(step), "why": explain.why(step, media)} for step in one.steps]
    estimate = explain.cost(one.planned, media, one.prices, screen=one.screen)
    costs = {"cpu_seconds": round(estimate.cpu_seconds, 2), "units": estimate.units, "dollars": estimate.dollars}
    return examined_document(one) | {"steps": steps} | costs


def plan_table(one: examine.Examined) -> Table:
    """What would be made of a file, why, and what it would cost."""
    if one.planned is None or one.media is None or one.prices is None:
        return table(["would be", "because"], [("rejected", f"{one.code}: {one.message}")], title=_short(one.key, 90))
    rows = [(_label(step), explain.why(step, one.media)) for step in one.steps]
    estimate = explain.cost(one.planned, one.media, one.prices, screen=one.screen)
    units = "".join(f"{count:.4g} {unit}, " for unit, count in estimate.units.items())
    rows.append(("about", f"{estimate.cpu_seconds:.1f} CPU seconds, {units}${estimate.dollars:.6f} in all"))
    return table(["step", "why"], rows, title=f"{_short(one.key, 90)}: {one.describes}")


def _label(step: object) -> str:
    return f"{type(step).__name__.lower()} {getattr(step, 'name', '')}".strip()


def shown_document(shown: show.Shown) -> dict[str, object]:
    """All that is known of one upload, for machines."""
    found = shown.manifest.model_dump(mode="json") if shown.manifest else None
    outcome = shown.outcome.model_dump(mode="json") if shown.outcome else None
    return {
        "key": shown.key,
        "manifest_key": shown.manifest_key,
        "manifest": found,
        "outcome": outcome,
        "lags": shown.lags,
    }


def shown_table(shown: show.Shown) -> Table:
    """All that is known of one upload, and what to do about it."""
    rows = [("key", _printable(shown.key)), ("manifest", shown.manifest_key)]
    if shown.head:
        rows.append(("source", f"{shown.head.size:,} bytes, ETag {shown.head.etag}, of {shown.head.last_modified}"))
    if found := shown.manifest:
        percent = f", {found.percent} %" if found.percent is not None else ""
        rows.append(
            ("status", f"{found.status}{percent}, revision {found.revision}, of {found.updated_at:%Y-%m-%d %H:%M:%S}")
        )
        rows += [("reason", f"{found.reason.code}: {found.reason.message}")] if found.reason else []
        rows += [("product", f"{p.role}: {p.url}") for p in (found.serving.products if found.serving else ())]
    if outcome := shown.outcome:
        rows.append(("worker", f"{outcome.worker}, recipe {outcome.recipe}, cause {outcome.cause}"))
        rows += [("failure", f"{failure.at:%Y-%m-%d %H:%M:%S} {failure.error}") for failure in outcome.failures]
    rows.append(("what to do", _advice(shown)))
    return table(["", ""], rows)


def _advice(shown: show.Shown) -> str:
    if shown.manifest is None:
        return "Nothing is known of this key: is it spelled as in S3, and does its bucket notify the queue?"
    if shown.lags and shown.gone:
        return "The object is gone, but not what was made of it: its delete event is still under way, or was lost."
    if shown.lags:
        return "The object is newer than its manifest: its event is still under way, or was lost."
    if shown.manifest.reason:
        return explain.REMEDIES[Reason(shown.manifest.reason.code)]
    return "Nothing." if shown.manifest.status in manifest.FINAL else "Wait: it is being worked on."
