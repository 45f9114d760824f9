"""What was rejected or failed, and what to do about it."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from service.commands.failures import Failed, Listed, reasons
from service.core import explain
from service.core.manifest import Status
from service.core.outcome import Reason
from service.tables.cells import printable, table

_LONGEST = 200  # characters of a message
_COLOURS = {"rejected": "yellow", "failed": "red"}
_OVER = {Status.READY: "ready by now", Status.DELETED: "gone by now"}


def failures_table(listed: Listed) -> Table:
    """One a row."""
    rows = [
        (
            f"{one.entry.at:%Y-%m-%d %H:%M}",
            printable(one.entry.key),
            Text(one.entry.status, _COLOURS.get(one.entry.status, "")),
            _because(one),
        )
        for one in listed.failures
    ]
    return table(["when (UTC)", "key", "status", "because"], rows)


def _because(one: Failed) -> str:
    message = " ".join(printable(one.entry.message).split())
    since = f" ({_OVER[one.now]})" if one.now in _OVER else ""
    return f"{one.entry.reason}: {message[:_LONGEST]}{since}"


def failures_notes(listed: Listed) -> Iterator[Text]:
    """What to do about each reason, and whether that is all."""
    for reason in reasons(listed.failures):
        if remedy := _remedy(reason):
            yield Text.assemble((printable(reason), "bold"), f": {remedy}")
    if listed.more:
        yield Text(f"There are more: --limit {2 * len(listed.failures)}")


def _remedy(reason: str) -> str | None:
    """None for a reason that a newer worker gave."""
    return explain.REMEDIES[Reason(reason)] if reason in set(Reason) else None


def failures_document(listed: Listed) -> dict[str, object]:
    """The same, for machines."""
    found = [
        one.entry.model_dump(mode="json") | {"remedy": _remedy(one.entry.reason), "now": one.now}
        for one in listed.failures
    ]
    return {"failures": found, "more": listed.more}
