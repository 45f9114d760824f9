"""`process`: the same pipeline on files of this machine."""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from service import app
from service.core import places, sidecar
from service.core.job import Job
from service.core.manifest import Manifest, Source
from service.core.outcome import Misconfigured, Unscreened
from service.core.recipe import Recipe
from service.core.record import Outcome
from service.logs import log
from service.runtime import ledger
from service.runtime.lease import Message
from service.runtime.page import Page
from service.runtime.pipeline import Pipeline
from service.runtime.ports import Store

BUCKET = "local"  #: what records of local runs name
_OWN = (*places.AREAS, app.LOCAL_SCRATCH)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one file ended: its manifest and outcome record, or what went wrong here.

    `of` is the file that it has the captions of, or is the poster of, where it is no upload of its own.
    """

    key: str
    manifest: Manifest | None = None
    outcome: Outcome | None = None
    error: str | None = None
    seconds: float = 0.0
    of: str | None = None

    @property
    def status(self) -> str:
        """As in the manifest; `ignored` for a file that the recipe leaves out, `captions` or `poster` for another's."""
        if self.error:
            return "failed"
        if self.of:
            return "poster" if sidecar.pictured(self.key) else "captions"
        return self.manifest.status if self.manifest else "ignored"

    @property
    def ready(self) -> bool:
        """Whether nothing is left to be told."""
        return self.status in {"ready", "ignored", "captions", "poster"}


@dataclass(frozen=True, kw_only=True)
class Terms:
    """By what local files are worked on; `whisper` is the folder of a model, None for the one that is installed."""

    rules: Recipe
    public_url: str
    memory_mb: int
    whisper: Path | None

    def pipeline(
        self, found: dict[str, Path], out: Path, *, on_progress: app.OnProgress = lambda _job, _percent: None
    ) -> AbstractAsyncContextManager[Pipeline]:
        """The pipeline over these files and that folder.

        :raises Misconfigured: when the recipe asks for a model that is not here, or for a service of AWS.
        """
        return app.local_pipeline(
            found,
            out,
            rules=self.rules,
            public_url=self.public_url,
            memory_mb=self.memory_mb,
            whisper=self.whisper,
            on_progress=on_progress,
        )


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


def spoken_in(key: str, keys: Collection[str]) -> str | None:
    """The one of `keys` that `key` belongs to, by its name, as captions or poster; None for an upload of its own."""
    above = sidecar.above(key)
    return above if above in keys else None


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
    terms: Terms,
    jobs: int,
    on_progress: app.OnProgress,
    on_end: Callable[[Ended], None],
) -> list[Ended]:
    """Process every file, `jobs` at a time; in the order of `found`."""
    room = asyncio.Semaphore(jobs)
    async with terms.pipeline(found, out, on_progress=on_progress) as pipeline:

        async def one(key: str) -> Ended:
            async with room:
                of = spoken_in(key, found)
                ended = Ended(key=key, of=of) if of else await once(pipeline, _again(key))
                on_end(ended)
                return ended

        return list(await asyncio.gather(*(one(key) for key in found)))


def _again(key: str) -> Job:
    """It is always looked at again: the recipe may be another one by now, and what is made is not made twice."""
    return Job(bucket=BUCKET, key=key, type="reprocess", cause="command line")


async def once(pipeline: Pipeline, job: Job) -> Ended:
    """One job; the clock is its receive count, so that what a killed run left behind is known to be dead."""
    began = time.monotonic()
    message = Message(id=f"local {job.key}", receipt="", body="", receive_count=int(time.time()), queue=BUCKET)
    error = None
    try:
        for later in await pipeline.process(job, message):
            assert later.job.type == "sweep", "on this machine nothing is listened to elsewhere"
            await pipeline.process(later.job, message)  # and nobody looks at what was replaced
    except Unscreened as held:
        log.warning("held", key=job.key, because=str(held))
    except Exception as failure:
        log.exception("process_failed", key=job.key)
        error = repr(failure)
    manifest, outcome = await _told(pipeline.store, job.key)
    seconds = round(time.monotonic() - began, 3)
    return Ended(key=job.key, manifest=manifest, outcome=outcome, error=error, seconds=seconds)


async def _told(store: Store, key: str) -> tuple[Manifest | None, Outcome | None]:
    """The page manifest, and the outcome record of the version that it speaks of."""
    at = places.Places(name=places.name(BUCKET, key, several_buckets=False))
    found = (await Page.read(store, at)).manifest
    source = found.source if found else Source()
    if not source.etag or not source.last_modified:
        return found, None
    version = places.version(BUCKET, key, source.version_id, source.etag, source.last_modified)
    return found, await ledger.read_outcome(store, at, version)
