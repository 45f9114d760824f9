"""The real service as a child process."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from scripts.resources import Resources

T = TypeVar("T")

PUBLIC_URL = "http://media.example"


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running worker; its log lines are in `log`."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event so far."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait()


def environment(resources: Resources, folder: Path, *, recipe: str = "", aws: str | None = None) -> dict[str, str]:
    """The settings of a worker that keeps its files in `folder`; `aws` is the address of the strict fake."""
    found = resources.environment(PUBLIC_URL) | {
        "PATH": os.environ["PATH"],
        "MEDIA_SCRATCH": str(folder / "scratch"),
        "MEDIA_POLL_SECONDS": "1",
        "MEDIA_HTTP_PORT": "0",
        "MEDIA_DRAIN_SECONDS": "5",
    }
    if recipe:
        path = folder / f"recipe-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}.toml"
        path.write_text(recipe)
        found["MEDIA_RECIPE"] = str(path)
    if aws:
        found |= {"AWS_ENDPOINT_URL_REKOGNITION": aws, "AWS_ENDPOINT_URL_TRANSCRIBE": aws}
    return found


@contextmanager
def running(
    resources: Resources,
    folder: Path,
    *,
    program: str = "service",
    recipe: str = "",
    aws: str | None = None,
    **settings: object,
) -> Iterator[Service]:
    """`media-worker run` on these resources; stopped by SIGTERM at the end, if it still runs.

    :param program: the module that is run: the service, or one that puts a double into it first.
    :param recipe: what it says otherwise than the shipped one.
    :param aws: the address of the strict fake, in the place of Rekognition and Transcribe.
    """
    log = folder / f"worker-{time.monotonic_ns()}.log"
    variables = environment(resources, folder, recipe=recipe, aws=aws)
    variables |= {key: str(value) for key, value in settings.items()}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", program, "run"], env=variables, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        started = wait_for(lambda: _started(process, log), seconds=30, what="the worker to start")
        yield Service(process=process, log=log, port=int(started["http_port"]))
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def _started(process: subprocess.Popen[bytes], log: Path) -> dict[str, Any] | None:
    text = log.read_text()
    if process.poll() is not None:
        raise AssertionError(f"the worker ended with {process.returncode}:\n{text}")
    return next((json.loads(line) for line in text.splitlines() if '"event": "started"' in line), None)


def wait_for(look: Callable[[], T | None], *, seconds: float, what: str) -> T:
    """What `look` gives as soon as it is not None."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.1)
    return found
