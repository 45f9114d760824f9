"""`process`: the same pipeline on files of this machine."""

import asyncio
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service import app
from service.core import places
from service.core.job import Job
from service.core.manifest import Manifest
from service.core.outcome import Misconfigured
from service.core.recipe import Recipe
from service.logs import log
from service.runtime.lease import Message
from service.runtime.pipeline import Pipeline

_BUCKET = "local"
_OWN = (*places.AREAS, app.LOCAL_SCRATCH)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one file ended: its manifest, or what went wrong here."""

    key: str
    manifest: Manifest | None
    error: str | None
    seconds: float

    @property
    def status(self) -> str:
        """As in the manifest; `ignored` for a file that the recipe leaves out."""
        if self.error:
            return "failed"
        return self.manifest.status if self.manifest else "ignored"

    @property
    def ready(self) -> bool:
        """Whether nothing is left to be told."""
        return self.status in {"ready", "ignored"}


def as_key(name: str) -> str:
    """The key of a file's name: the name; a byte that is no UTF-8, which neither S3 nor JSON has, as an escape."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def collect(paths: Iterable[Path], *, out: Path | None = None) -> dict[str, Path]:
    """Every file below `paths` by its key: the path below a folder that was named, or a named file's name.

    What an earlier run wrote to `out` below such a folder is left out.

    :raises Misconfigured: for a path that is not there, and for two files of one key.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise Misconfigured(f"{path}: there is no such file or folder")
        below = _files(path, out) if path.is_dir() else [path]
        for file in below:
            key = as_key(str(file.relative_to(path)) if path.is_dir() else file.name)
            if key in found:
                raise Misconfigured(f"{file} and {found[key]} have the same key, {key}")
            found[key] = file
    return found


def _files(folder: Path, out: Path | None) -> list[Path]:
    own = [folder / part for part in _written(folder.resolve(), out.resolve())] if out else []
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(file for file in files if not any(file.is_relative_to(one) for one in own))


def _written(folder: Path, out: Path) -> tuple[str, ...]:
    """Where runs write below `folder`: to the whole of `out`, or to our own areas where both are the same."""
    if out == folder:
        return _OWN
    return (str(out.relative_to(folder)),) if out.is_relative_to(folder) else ()


async def run(
    found: dict[str, Path],
    out: Path,
    *,
    rules: Recipe,
    public_url: str,
    memory_mb: int,
    jobs: int,
    on_progress: app.OnProgress,
    on_end: Any,
) -> list[Ended]:
    """Process every file, `jobs` at a time; in the order of `found`."""
    room = asyncio.Semaphore(jobs)
    async with app.local_pipeline(
        found, out, rules=rules, public_url=public_url, memory_mb=memory_mb, on_progress=on_progress
    ) as pipeline:

        async def one(key: str) -> Ended:
            async with room:
                ended = await _one(pipeline, key)
                on_end(ended)
                return ended

        return list(await asyncio.gather(*(one(key) for key in found)))


async def _one(pipeline: Pipeline, key: str) -> Ended:
    """One file; the clock is its receive count, so that what a killed run left behind is known to be dead.

    It is always looked at again: the recipe may be another one by now, and what is made already is not made twice.
    """
    began = time.monotonic()
    job = Job(bucket=_BUCKET, key=key, type="reprocess", cause="command line")
    message = Message(id=f"local {key}", receipt="", body="", receive_count=int(time.time()), queue=_BUCKET)
    error = None
    try:
        await pipeline.process(job, message)
    except Exception as failure:
        log.exception("process_failed", key=key)
        error = repr(failure)
    stored = await pipeline.store.read(places.Places(name=places.name(_BUCKET, key, several_buckets=False)).manifest)
    manifest = Manifest.model_validate_json(stored.body) if stored else None
    return Ended(key=key, manifest=manifest, error=error, seconds=round(time.monotonic() - began, 3))
