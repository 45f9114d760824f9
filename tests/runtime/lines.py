"""What is logged, in tests whose log lines are turned off otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.testing import capture_logs


@contextmanager
def captured() -> Iterator[list[Any]]:
    """The lines that are logged in the block, as they come."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.BoundLogger)
    try:
        with capture_logs() as lines:
            yield lines
    finally:
        structlog.configure(**before)


@contextmanager
def logged() -> Iterator[list[str]]:
    """The events that are logged in the block, in order; there when it has ended."""
    events = list[str]()
    with captured() as lines:
        yield events
    events += [line["event"] for line in lines]
