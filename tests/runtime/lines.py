"""What is logged, in tests whose log lines are turned off otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from structlog.testing import capture_logs


@contextmanager
def logged() -> Iterator[list[str]]:
    """The events that are logged in the block, in order."""
    before, events = structlog.get_config(), list[str]()
    structlog.configure(wrapper_class=structlog.BoundLogger)
    try:
        with capture_logs() as lines:
            yield events
        events += [line["event"] for line in lines]
    finally:
        structlog.configure(**before)
