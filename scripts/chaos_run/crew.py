"""Workers as child processes: started, killed, started again; and whoever they leave behind."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scripts import children
from scripts.resources import Resources

PUBLIC_URL = "http://media.example"
HURRIED = "scripts.chaos_run.hurried"
ORPHAN_SECONDS = 5  # that a process may live on after its worker
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of whoever loses theirs, so that none can hide (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


@dataclass(frozen=True, kw_only=True)
class Left:
    """How a worker went."""

    code: int
    seconds: float
    started: bool


@dataclass(kw_only=True)
class Worker:
    """One worker, over all its lives; all lives write to one log."""

    name: str
    folder: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    lives: int = 0

    @property
    def log(self) -> Path:
        """Where the present life, or the last one, writes to."""
        return self.folder / f"{self.name}-{self.lives}.log"

    def start(self) -> None:
        """A new life; it ends when this process does."""
        self.lives += 1
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", sys.executable, "-P", "-m", HURRIED, "run"],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def started(self) -> bool:
        """Whether it has begun to poll."""
        return '"event": "started"' in self.log.read_text()

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event, of all lives."""
        texts = [path.read_text() for path in sorted(self.folder.glob(f"{self.name}-*.log"))]
        found = [json.loads(line) for text in texts for line in text.splitlines() if line.startswith("{")]
        return [line for line in found if line.get("event") == event]

    def released(self) -> list[dict[str, Any]]:
        """The attempts that its present life gave back since it was stopped."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [one for one in lines if one.get("verdict") == "retry" and "Interrupted" in (one.get("error") or "")]

    @contextmanager
    def ended(self) -> Iterator[None]:
        """It does not outlive the block."""
        try:
            yield
        finally:
            if self.alive:
                self.kill()

    def kill(self) -> None:
        """As the kernel does."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def terminate(self, *, within: float) -> Left:
        """As ECS does; it is killed when it takes longer than `within` seconds."""
        assert self.process
        started, began = self.started, time.monotonic()
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(within)
        left = Left(
            code=self.process.returncode if self.process.returncode is not None else -signal.SIGALRM,
            seconds=time.monotonic() - began,
            started=started,
        )
        self.kill()
        return left


def environment(
    resources: Resources, folder: Path, recipe: str, *, endpoint: str | None = None, **settings: object
) -> dict[str, str]:
    """A worker's settings; at `endpoint`, everything it says to AWS goes there."""
    path = folder / "recipe.toml"
    path.write_text(recipe)
    found = resources.environment(PUBLIC_URL) | {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "MEDIA_SCRATCH": str(folder / "scratch"),
        "MEDIA_RECIPE": str(path),
        "MEDIA_POLL_SECONDS": "1",
        "MEDIA_HTTP_PORT": "0",
        "MEDIA_VISIBILITY_SECONDS": "15",
        "MEDIA_DRAIN_SECONDS": "2",
    }
    if endpoint:
        queue = urlsplit(found["MEDIA_QUEUE_URL"])._replace(netloc=urlsplit(endpoint).netloc).geturl()
        found |= {"AWS_ENDPOINT_URL": endpoint, "MEDIA_QUEUE_URL": queue}
    return found | {key: str(value) for key, value in settings.items()}


@dataclass(kw_only=True)
class Watch:
    """Looks for processes that belong to nobody; what was there before the first worker is not looked at."""

    known: set[int] = field(default_factory=lambda: children.left(os.getpid()))
    found: list[str] = field(default_factory=list)
    _since: dict[int, float] = field(default_factory=dict)

    def look(self, workers: list[Worker]) -> int:
        """How many there are that lost their worker; those that have had their time are written down and ended."""
        family = set(self.known)
        for worker in workers:
            if worker.process and worker.alive:
                family |= {worker.process.pid} | children.left(worker.process.pid)
        mine = {worker.process.pid for worker in workers if worker.process}
        lonely = [pid for pid in children.left(os.getpid()) - family - mine if not _reaped(pid)]
        self._since = {pid: self._since.get(pid, time.monotonic()) for pid in lonely}
        for pid, since in self._since.items():
            if time.monotonic() - since > ORPHAN_SECONDS:
                self._end(pid)
        return len(lonely)

    def settle(self, workers: list[Worker]) -> None:
        """Look until nobody is left."""
        while self.look(workers):
            time.sleep(0.05)

    def _end(self, pid: int) -> None:
        with suppress(OSError):
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            self.found.append(f"process {pid}: {argv[:200]}")
            os.kill(pid, signal.SIGKILL)


def _reaped(pid: int) -> bool:
    """Whether it has ended, and only waits for us to notice."""
    with suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return not Path(f"/proc/{pid}").exists()


def scratch_left(folder: Path) -> list[str]:
    """What lies in the workers' scratch folder."""
    root = folder / "scratch"
    return [str(path.relative_to(root)) for path in root.rglob("*")] if root.is_dir() else []
