"""Progress, for people."""

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from service.tables.cells import short

_PERIOD = 60.0  # seconds, by whose pace the time that is left is estimated
_PLAIN = {"ready", "ignored", "captions", "poster"}  # what needs no line of its own


class Bars:
    """A bar a file that is being worked on, and one for them all."""

    def __init__(self, *, total: int, quiet: bool, console: Console) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        times = (TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())
        self._progress = Progress(
            *columns, *times, console=console, disable=quiet, transient=True, speed_estimate_period=_PERIOD
        )
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
            self._tasks[key] = self._progress.add_task(short(key), total=100)
        self._progress.update(self._tasks[key], completed=percent)

    def ended(self, key: str, status: str) -> None:
        """A file is done."""
        if key in self._tasks:
            self._progress.remove_task(self._tasks.pop(key))
        self._progress.advance(self._all)
        if status not in _PLAIN and not self._progress.disable:
            self._progress.console.print(Text(f"{short(key)}: {status}"))
