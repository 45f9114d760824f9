"""A moto that scripts/deploy can deploy on."""

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator

import pytest

from scripts import children
from tests.ecs.moto_server import Server
from tests.ecs.templates import ROOT

_START_SECONDS = 60


@pytest.fixture(scope="module")
def cloud(tmp_path_factory) -> Iterator[Server]:
    """A repaired moto with nothing in it; skips only where moto cannot be installed."""
    setup = subprocess.run([ROOT / "scripts" / "setup", "ecs"], capture_output=True, text=True, check=False)
    if setup.returncode:
        pytest.skip(f"moto cannot be installed here: {setup.stderr.strip()}")
    folder = tmp_path_factory.mktemp("moto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = [ROOT / ".venvs" / "ecs" / "bin" / "python", ROOT / "tests" / "scripts" / "moto_repaired.py"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default"}
    server = Server(endpoint=f"http://127.0.0.1:{port}", log=folder / "moto.log")
    argv = [*program, "-H", "127.0.0.1", "-p", str(port)]
    with children.running(argv, env=environment, cwd=folder, log=server.log, grace=0):
        _wait(server)
        yield server


def _wait(server: Server) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{server.endpoint}/moto-api/data.json", timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"moto does not answer:\n{children.tail(server.log)}")
