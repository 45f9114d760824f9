"""Text that comes from uploads, shown as it is and never obeyed; tables without lines."""

import unicodedata
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text


def short(key: str, length: int = 44) -> str:
    """The end of a key, so that a row has room for it."""
    text = printable(key)
    return text if len(text) <= length else "…" + text[-length + 1 :]


def printable(text: str) -> str:
    """`text` without what a terminal would obey; spaces of any width stay."""
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else "?" for c in text)


def cell(value: str | Text) -> Text:
    """Never markup: names and messages come from uploads."""
    return value if isinstance(value, Text) else Text("\n".join(printable(line) for line in value.splitlines()))


def table(heads: Sequence[str], rows: Sequence[tuple[str | Text, ...]], title: str | None = None) -> Table:
    """A table without lines; cells are never markup."""
    named = None if title is None else cell(title)
    built = Table(title=named, title_justify="left", box=None, pad_edge=False, show_header=any(heads))
    for head in heads:
        built.add_column(head, overflow="fold")
    for row in rows:
        built.add_row(*map(cell, row))
    return built
