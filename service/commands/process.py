"""`process`: the same pipeline on files of this machine."""

import asyncio
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


def collect(paths: Iterable[Path]) -> dict[str, Path]:
    """Every file below `paths` by its key: the path below a folder that was named, or a named file's name.

    :raises Misconfigured: for a path that is not there, and for two files of one key.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise Misconfigured(f"{path}: there is no such file or folder")
        below = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in below:
            key = str(file.relative_to(path)) if path.is_dir() else file.name
            if key in found:
                raise Misconfigured(f"{file} and {found[key]} have the same key, {key}")
            found[key] = file
    return found


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
    """One file; the clock is its receive count, so that what a killed run left behind is known to be dead."""
    began = time.monotonic()
    job = Job(bucket=_BUCKET, key=key, type="process", cause="command line")
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
