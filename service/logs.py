"""JSON lines on stdout: constant snake_case events, values as keys, context bound once a job."""

import logging
import sys
from contextlib import AbstractContextManager
from typing import Any

import structlog

log = structlog.get_logger()


def configure(*, level: str = "INFO", pretty: bool = False) -> None:
    """Set up logging for the process; `pretty` is for people at a terminal, and goes to stderr."""
    stream = sys.stderr if pretty else sys.stdout
    renderer: Any = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


def bound(**context: object) -> AbstractContextManager[None]:
    """Bind `context` to every line written inside the block."""
    return structlog.contextvars.bound_contextvars(**context)
