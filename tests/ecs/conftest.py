"""The tools that look at templates, in a virtual environment of their own."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.ecs import moto_server
from tests.ecs.templates import ROOT


@pytest.fixture(scope="session")
def ecs_tools() -> None:
    """cfn-lint, checkov and moto; skips only where they cannot be installed."""
    setup = subprocess.run([ROOT / "scripts" / "setup", "ecs"], capture_output=True, text=True, check=False)
    if setup.returncode:
        pytest.skip(f"cfn-lint, checkov and moto cannot be installed here: {setup.stderr.strip()}")


@pytest.fixture(scope="module")
def moto(ecs_tools, tmp_path_factory) -> Iterator[moto_server.Server]:
    """A moto of one's own."""
    with moto_server.running(tmp_path_factory.mktemp("moto")) as server:
        yield server
