"""A LocalStack of one's own: `with running() as endpoint`, or by hand `python -m scripts.localstack [PORT]`.

It runs without Docker from a virtual environment (`scripts/setup localstack`), and is gone with all that was in it
when the block ends. S3, SQS, SNS, EventBridge and STS work; the other services would need more packages.
"""

import argparse
import signal
import socket
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts import children

_VENV = Path(__file__).resolve().parent.parent / ".venvs" / "localstack"
_PYTHON = _VENV / "bin" / "python"

_START_SECONDS = 90  # it takes one to five; a machine that is busy with other tests is slower

# Two things that no setting of 4.9.2 changes. Its server ignores the address in GATEWAY_LISTEN and listens on all
# (runtime/server/twisted.py: "TODO: interface = host?"); this one is for this machine alone. And S3 keeps its objects
# in a folder of /tmp that all LocalStacks of the machine share, and that stays behind.
_SERVER = """
import functools, tempfile
from twisted.internet import endpoints
endpoints.TCP4ServerEndpoint = functools.partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")
from localstack.services.s3 import provider
provider.DEFAULT_S3_TMP_DIR = tempfile.mkdtemp(prefix="s3-")
from localstack.runtime.main import main
main()
"""


class NotStartedError(Exception):
    """LocalStack is not installed, its port is taken, or it ended at once; the message holds its last words."""


@contextmanager
def running(port: int | None = None, log: Path | None = None) -> Iterator[str]:
    """The endpoint of a LocalStack that answers; raises `NotStartedError`."""
    port = _free(port)
    if not _PYTHON.exists():
        raise NotStartedError(f"{_PYTHON} is missing: run scripts/setup localstack")
    with tempfile.TemporaryDirectory(prefix="localstack-", ignore_cleanup_errors=True) as folder:
        state = Path(folder)
        log = log or state / "log"
        (state / "usr" / "lib").mkdir(parents=True)
        (state / "usr" / "lib" / "localstack").symlink_to(_VENV / "filesystem" / "usr" / "lib" / "localstack")
        # Nothing in it is worth a goodbye, which takes it four seconds: it is killed.
        with children.running(
            [_PYTHON, "-c", _SERVER], env=_environment(port, state), cwd=state, log=log, grace=0
        ) as process:
            endpoint = f"http://127.0.0.1:{port}"
            _wait(endpoint, process, log)
            yield endpoint


def _environment(port: int, state: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(state),  # no settings of the user's
        "TMPDIR": str(state),
        "FILESYSTEM_ROOT": str(state),
        "OVERRIDE_IN_DOCKER": "0",  # in a container it would write to /var/lib/localstack and listen on 0.0.0.0
        "DNS_ADDRESS": "0",  # no DNS server on port 53
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "LOCALSTACK_HOST": f"127.0.0.1:{port}",  # queue URLs that resolve without a network
        "SQS_ENDPOINT_STRATEGY": "path",
        "SERVICES": "s3,sqs,sns,events,sts",  # any other would be installed from npm at its first call
        "DISABLE_EVENTS": "1",  # no telemetry
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "LS_LOG": "warning",
    }


def _free(port: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port or 0))
        except OSError as error:
            raise NotStartedError(f"port {port} of 127.0.0.1 is taken") from error
        return int(probe.getsockname()[1])


def _wait(endpoint: str, process: children.Child, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _healthy(endpoint):
        if process.poll() is not None:
            raise NotStartedError(f"LocalStack ended with {process.returncode}:\n{children.tail(log)}")
        if time.monotonic() > deadline:
            raise NotStartedError(f"LocalStack does not answer after {_START_SECONDS} s:\n{children.tail(log)}")
        time.sleep(0.1)


def _healthy(endpoint: str) -> bool:
    try:
        with urllib.request.urlopen(f"{endpoint}/_localstack/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def main() -> None:
    """Runs one until Ctrl-C, for work by hand."""
    parser = argparse.ArgumentParser(prog="python -m scripts.localstack", description="LocalStack until Ctrl-C.")
    parser.add_argument("port", type=int, nargs="?", default=4566)
    port = parser.parse_args().port
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        with running(port) as endpoint:
            print(f"LocalStack answers at {endpoint}; Ctrl-C ends it", flush=True)
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
    except NotStartedError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
