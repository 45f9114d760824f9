"""Tests of the runtime say what they expect; log lines would only slow them down."""

from collections.abc import Iterator

import pytest
import structlog

from service import logs


@pytest.fixture(autouse=True, scope="session")
def _quiet() -> Iterator[None]:
    logs.configure(level="CRITICAL")
    yield
    structlog.reset_defaults()
