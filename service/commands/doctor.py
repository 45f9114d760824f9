"""`doctor`: what is wrong with this installation, and how to mend it."""

import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

from service import app, config, recipes
from service.aws import s3, sqs
from service.commands import examine, providers
from service.commands.providers import Check, Checks
from service.config import Settings
from service.core.outcome import Conflict, MediaWorkerError, Misconfigured
from service.core.recipe import Recipe
from service.runtime import pauses
from service.tools import machine
from service.tools.ffmpeg import FFmpeg
from service.tools.sandbox import OTHERWISE, REMEDY, Mode, Sandbox

_OWN_MEMORY_MB = 512  # of the worker, its zygotes and its models
_LEAST_DISK = 10 << 30  # bytes: a film, its ladder, and as much again


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    well: bool
    detail: str


async def examine_all(settings: Settings) -> AsyncIterator[Finding]:
    """Every check in turn; a later one runs although an earlier one failed."""
    yield await _finding("tools and sandbox", _tools)
    yield await _finding("sandbox", lambda: _sandbox(settings.sandbox))
    yield await _finding("scratch disk", lambda: _disk(settings))
    yield await _finding("memory", lambda: _memory(settings))
    async with AsyncExitStack() as stack:
        aws = app.Aws(settings, stack)
        found: list[Recipe] = []
        yield await _finding("recipe", lambda: _recipe(settings, aws, found))
        asked = [check for recipe in found for check in providers.checks(recipe, settings, aws)]
        for name, check in [*asked, *_aws_checks(settings, aws)]:
            yield await _finding(name, check)


async def examine_here() -> AsyncIterator[Finding]:
    """The checks that need no settings; of providers, those that the shipped recipe names."""
    yield await _finding("tools and sandbox", _tools)
    yield await _finding("sandbox", lambda: _sandbox(config.sandbox_here()))
    for name, check in providers.local_checks(recipes.read(), whisper=None):
        yield await _finding(name, check)


def _aws_checks(settings: Settings, aws: app.Aws) -> Checks:
    return [
        ("queue", lambda: _queue(settings, aws)),
        *((f"input bucket {name}", lambda name=name: _input(name, settings, aws)) for name in settings.input_buckets),
        (f"output bucket {settings.output_bucket}", lambda: _output(settings, aws)),
        ("pauses", lambda: _pauses(settings, aws)),
    ]


async def _finding(name: str, check: Check) -> Finding:
    try:
        return Finding(name=name, well=True, detail=await check())
    except (MediaWorkerError, OSError) as error:
        return Finding(name=name, well=False, detail=str(error))


async def _tools() -> str:
    async with examine.local(memory_mb=512) as (tools, scratch):
        if isinstance(tools.films, FFmpeg):
            with scratch.job() as folder:
                await tools.films.check_encoders(folder)
        return ", ".join(f"{name} {version}" for name, version in tools.versions.items())


async def _sandbox(mode: Mode) -> str:
    """How decoders are cut off, as one of them finds when it tries."""
    async with Sandbox(mode="off" if mode == "off" else "optional") as sandbox:
        held = sandbox.confinement
    if not held.holes:
        return held.told
    told = f"decoders are not cut off ({held.told}), they could {', '.join(held.holes)}"
    if mode == "required":
        raise Misconfigured(f"{told}: {REMEDY}; {OTHERWISE}")
    return f"{told}: MEDIA_SANDBOX is {mode}"


async def _disk(settings: Settings) -> str:
    settings.scratch.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.scratch).free
    if free < _LEAST_DISK:
        raise OSError(f"{settings.scratch} has {free >> 20} MB free: give it {_LEAST_DISK >> 30} GB (MEDIA_SCRATCH)")
    return f"{settings.scratch}, {free >> 30} GB free"


async def _memory(settings: Settings) -> str:
    """Whether the worker's own processes and a decoder in each slot fit into what the container has."""
    needed, limit = settings.slots * settings.child_memory_mb + _OWN_MEMORY_MB, machine.memory_limit()
    told = f"{settings.slots} slot(s) of {settings.child_memory_mb} MB and {_OWN_MEMORY_MB} MB"
    if limit is None:
        return f"{told}; the container has no limit"
    if needed > limit >> 20:
        raise OSError(
            f"{told} are more than the container's {limit >> 20} MB: lower MEDIA_SLOTS or MEDIA_CHILD_MEMORY_MB"
        )
    return f"{told}, of {limit >> 20} MB"


async def _recipe(settings: Settings, aws: app.Aws, found: list[Recipe]) -> str:
    """What is `found` is looked at further."""
    recipe = await app.fetch_recipe(settings, aws)
    found.append(recipe)
    return f"{settings.recipe or 'shipped'}, {len(recipe.prefixes)} prefix table(s)"


async def _queue(settings: Settings, aws: app.Aws) -> str:
    client = await aws.client("sqs", app.CONTROL)
    dead_letters = settings.dead_letter_queue_url or await sqs.dead_letters_of(client, settings.queue_url)
    if dead_letters is None:
        raise OSError("it has no dead-letter queue: give it a redrive policy, or set MEDIA_DEAD_LETTER_QUEUE_URL")
    return f"answers; dead letters go to {dead_letters}"


async def _input(name: str, settings: Settings, aws: app.Aws) -> str:
    bucket, _, prefix = name.partition("/")
    client = await aws.client("s3", app.CONTROL)
    await s3.Uploads(client, owner=settings.bucket_owner).head(bucket, f"{prefix}media-worker-doctor-{uuid.uuid4()}")
    return "can be read; a key that is not there is told as such"


async def _output(settings: Settings, aws: app.Aws) -> str:
    """Writes and deletes one small object, and sees that the second conditional write is refused."""
    store = s3.Store(await aws.client("s3", app.CONTROL), bucket=settings.output_bucket, owner=settings.bucket_owner)
    key = f"work/doctor-{uuid.uuid4()}.json"
    await store.write(key, b"{}", replaces=None)
    try:
        await store.write(key, b"{}", replaces=None)
    except Conflict:
        return "can be written, conditional writes hold"
    finally:
        await store.delete([key])
    raise OSError("it ignores If-None-Match: two workers would overwrite each other")


async def _pauses(settings: Settings, aws: app.Aws) -> str:
    store = s3.Store(await aws.client("s3", app.CONTROL), bucket=settings.output_bucket, owner=settings.bucket_owner)
    pause, _ = await pauses.read(store)
    if pause.queues:
        told = (
            f"{queue}: paused since {one.since:%Y-%m-%d %H:%M} UTC by {one.by}"
            f"{f' ({one.why})' if one.why else ''}: media-worker resume {queue}"
            for queue, one in pause.queues.items()
        )
        raise Misconfigured("; ".join(told))
    return "no queue is paused"
