"""Dead letters by reason."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from service.commands.redrive import DIED, WITHHELD, Group, Seen, Settled
from service.tables import words
from service.tables.cells import printable, short, table

_LONGEST = 160  # characters of an example's detail
_DIED = "SQS moved it: workers died of it, or none settled it in time"


def letters_table(groups: Sequence[Group], *, now: datetime) -> Table:
    """One row for each queue and reason."""
    rows = [
        (
            group.queue,
            group.reason,
            f"{len(group.ids):,}",
            words.age((now - group.oldest).total_seconds()),
            *_said(group),
        )
        for group in groups
    ]
    return table(["queue", "reason", "letters", "oldest", "such as", "because"], rows)


def _said(group: Group) -> tuple[str, str]:
    detail = _DIED if group.reason == DIED and not group.detail else " ".join(printable(group.detail).split())
    return short(group.about), detail if len(detail) <= _LONGEST else detail[: _LONGEST - 1] + "…"


def letters_notes(seen: Sequence[Seen], groups: Sequence[Group], without: Sequence[str]) -> Iterator[Text]:
    """What else there is to know."""
    for one in seen:
        if one.unseen:
            queues = " and ".join(one.queues)
            yield Text(f"{queues}: about {one.unseen:,} more, which somebody else looks at, or which are gone by now.")
    yield from (Text(f"{queue}: has no dead-letter queue") for queue in without)
    if any(group.reason in WITHHELD for group in groups):
        yield Text("Poison and forged letters stay, unless --reason names them; with --drop they are deleted.")


def settled_line(settled: Settled, *, drop: bool) -> Text:
    """What was done."""
    verb = "deleted" if drop else "sent back"
    told = f"{settled.done:,} letter(s) {verb}"
    if settled.left:
        told += (
            f", {settled.left:,} not: SQS refused them, or somebody else looks at them; run it again in some minutes"
        )
    return Text(told)


def letters_document(
    seen: Sequence[Seen], groups: Sequence[Group], settled: Settled | None, *, now: datetime
) -> dict[str, object]:
    """The same, for machines."""
    told = [
        {
            "queue": group.queue,
            "reason": group.reason,
            "letters": len(group.ids),
            "oldest": group.oldest.isoformat(),
            "seconds": round((now - group.oldest).total_seconds()),
            "about": group.about,
            "detail": group.detail,
        }
        for group in groups
    ]
    done = {"done": settled.done, "left": settled.left} if settled else {}
    return {"groups": told, "unseen": sum(one.unseen for one in seen), **done}
