"""What a person sees, and is asked."""

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scripts.deployment.bill import Item
from scripts.deployment.changes import Change
from scripts.deployment.errors import Trouble

_WIDTH = 120  # where nobody says how wide a line may be

out = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
err = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH, highlight=False)

_STYLES = {"Add": "green", "Modify": "yellow", "Remove": "bold red", "Import": "green", "Dynamic": "yellow"}


def tell(line: str) -> None:
    """What happens."""
    out.print(Text(line), soft_wrap=True)


def title(line: str) -> None:
    """What comes now."""
    out.print(Text(f"\n{line}", style="bold"), soft_wrap=True)


def warn(line: str) -> None:
    """What a person should notice."""
    out.print(Text(line, style="bold yellow"), soft_wrap=True)


def bill(items: Sequence[Item], profile: str) -> None:
    """The idle month, itemised."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    for what, many, dollars in items:
        if many:
            table.add_row(what, f"{many:g}", f"{dollars:.2f}")
    table.add_row(Text("together", style="bold"), "", Text(f"{sum(one[2] for one in items):.2f}", style="bold"))
    title(f"What a month costs in which nobody uploads anything, profile {profile}, in dollars of us-east-1:")
    out.print(table)
    tell("Free tiers are left out; what is stored, and what is done, comes on top (ecs/README.md).")


def changes(stack: str, found: Sequence[Change], *, new: bool) -> None:
    """A change set; what is lost is loud."""
    title(f"{stack}{' (new)' if new else ''}")
    table = Table(box=None, pad_edge=False)
    for heading in ("action", "resource", "type", "replacement"):
        table.add_column(heading, overflow="fold")
    for one in found:
        replaces = {"True": "REPLACED", "Conditional": "perhaps replaced"}.get(one.replaces, "")
        style = "bold red" if one.loses else _STYLES.get(one.action, "")
        table.add_row(Text(one.action, style=style), one.resource, one.type, Text(replaces, style="bold red"))
    if not found:
        tell("only outputs, parameters or tags change, or nothing that is listed")
    else:
        out.print(table)
    _lost(found)


def _lost(found: Iterable[Change]) -> None:
    for one in found:
        if one.loses:
            fate = "is DELETED" if one.action == "Remove" else "is REPLACED by a new one"
            fate = "may be REPLACED by a new one" if one.replaces == "Conditional" else fate
            warn(f"!! {one.resource} ({one.type}) {fate}")


class Asker:
    """Asks before each thing, until somebody says `all`."""

    def __init__(self, *, yes: bool) -> None:
        self._yes = yes

    def agree(self, question: str) -> None:
        """:raises Trouble: unless the answer is yes."""
        if self._yes:
            return
        answer = _answer(f"{question} [yes, all, no] ").lower()
        if answer == "all":
            self._yes = True
        elif answer not in {"y", "yes"}:
            raise Trouble("Nothing more was done.", "Run the same command again to go on.")

    def name(self, stage: str) -> None:
        """:raises Trouble: unless the stage's name is typed."""
        if not self._yes and _answer(f"Type the name of the stage to delete it ({stage}): ") != stage:
            raise Trouble("Nothing was deleted.")


def _answer(question: str) -> str:
    try:
        return input(question).strip()
    except EOFError:
        raise Trouble("Nobody is here to answer.", "Give --yes to go on without questions.") from None
