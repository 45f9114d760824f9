"""What a run has done and found, as a table for people or JSON for machines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

_SHOWN = 20  # lines of each kind


@dataclass(frozen=True, kw_only=True)
class Report:
    """`figures` are what was done; each list of `wrong` has to be empty."""

    figures: Mapping[str, int | float | str]
    wrong: Mapping[str, Sequence[str]]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.wrong.values())

    def json(self) -> str:
        """For machines."""
        document = {"fine": self.fine, "figures": self.figures, "wrong": self.wrong, "details": self.details}
        return json.dumps(document, indent=1, ensure_ascii=False)


def show(report: Report, title: str) -> None:
    """For people: what was done, what is wrong, and the first of it in words."""
    console = Console(width=120, highlight=False)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in report.figures.items():
        table.add_row(name, str(value))
    for name, found in report.wrong.items():
        table.add_row(name, str(len(found)), style="red" if found else "green")
    console.print(table)
    for name, found in report.wrong.items():
        for line in found[:_SHOWN]:
            console.print(f"{name}: {line}", style="red", markup=False)
        if len(found) > _SHOWN:
            console.print(f"{name}: and {len(found) - _SHOWN} more", style="red")
