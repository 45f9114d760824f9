"""Scratch directories: one of its own for each job, and none left when a worker is gone."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Self

_PREFIX = "worker-"
_LOCK = ".lock"


class Scratch:
    """The scratch directory of one worker, removed with it; what a killed worker left is removed by the next.

    A worker holds a lock on its directory for as long as it lives, which the kernel drops whatever it dies of.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock: IO[bytes] | None = None
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        self._root.mkdir(parents=True, exist_ok=True)
        for left in self._root.glob(f"{_PREFIX}*"):
            _remove_if_dead(left)
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._root))
        self._lock = (self._folder / _LOCK).open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock:
            self._lock.close()

    def free(self) -> int:
        """Bytes that are free on its disk."""
        return shutil.disk_usage(self._root).free

    @contextmanager
    def job(self) -> Iterator[Path]:
        """A fresh directory that only this user can read."""
        assert self._folder, "entered"
        folder = Path(tempfile.mkdtemp(prefix="job-", dir=self._folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_dead(folder: Path) -> None:
    with suppress(OSError), (folder / _LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
