"""Which children of this process somebody waits for: one list, however many sandboxes there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Family:
    """`awaited` are pids; while `births` are under way an unknown child may be a new one."""

    awaited: set[int] = field(default_factory=set)
    births: int = 0

    @contextmanager
    def birth(self) -> Iterator[None]:
        """Entered from before a child exists until it is on the list."""
        self.births += 1
        try:
            yield
        finally:
            self.births -= 1


FAMILY = Family()
