"""The composition root: the one file that names concrete classes."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError

from service import metrics
from service.aws import outcomes, s3, sqs
from service.config import Settings
from service.core import recipe
from service.core.job import Job
from service.core.outcome import MediaWorkerError, Misconfigured
from service.core.recipe import Recipe
from service.logs import log
from service.runtime.pipeline import Pipeline
from service.runtime.ports import Outcomes, Store, Uploads
from service.runtime.publish import Publisher
from service.runtime.steps import Performer
from service.runtime.worker import MAX_PAUSE, Pulse, Terms, Worker
from service.tools.ffmpeg import FFmpeg
from service.tools.folder import FolderStore, LocalUploads, NoOutcomes
from service.tools.painter import Painter
from service.tools.sandbox import Sandbox
from service.tools.scratch import Scratch
from service.web import health

CONTROL = AioConfig(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})
DATA = AioConfig(
    connect_timeout=3,
    read_timeout=60,
    retries={"mode": "standard", "max_attempts": 4},
    max_pool_connections=50,
    s3={"addressing_style": "auto"},
)

_POLL_SLACK = 10.0  # seconds that a long poll may take over what it was asked to

LOCAL_SCRATCH = ".scratch"  # below the folder that local runs write to

OnProgress = Callable[[Job, int], None]


def version_of_worker() -> str:
    """As installed."""
    return version("media-worker")


def shipped_recipe() -> str:
    """The default recipe's text."""
    return (files("service") / "recipe.toml").read_text()


def read_recipe(text: str = "") -> Recipe:
    """A recipe over the shipped one.

    :raises Misconfigured: naming the entry that is wrong.
    """
    return recipe.read(text, shipped=shipped_recipe())


def read_recipe_file(path: Path | None) -> Recipe:
    """The recipe in a file, or the shipped one.

    :raises Misconfigured: when it can't be read, or naming the entry that is wrong.
    """
    try:
        return read_recipe(path.read_text() if path else "")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"recipe: {path} can't be read: {error}") from error


def recipe_schema() -> dict[str, Any]:
    """The JSON schema of a recipe file. It may leave out any table or entry: the shipped recipe has them all."""
    rules = recipe.Rules.model_json_schema()
    tables, parts = rules["properties"], rules["$defs"]
    optional = {name: part if name == "Rung" else _without_required(part) for name, part in parts.items()}
    match = {"type": "string", "minLength": 1, "description": "what keys begin with; the longest match wins"}
    prefix = _closed({"match": match, **tables}) | {"required": ["match"]}
    ignore = {"type": "array", "items": {"type": "string"}, "description": "shell patterns of keys that are no uploads"}
    whole = _closed({"ignore": ignore, **tables, "prefix": {"type": "array", "items": prefix}})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Recipe", **whole, "$defs": optional}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _without_required(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != "required"}


class Aws:
    """Clients of one region and endpoint, closed with `stack`."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self.stack = stack
        self.session: Any = get_session()
        # botocore reads AWS_DEFAULT_REGION, not AWS_REGION: the region is always said
        self.where: dict[str, Any] = {"region_name": settings.aws_region, "endpoint_url": settings.aws_endpoint_url}

    async def client(self, service: str, config: AioConfig) -> Any:
        """A client.

        :raises Misconfigured: when botocore takes the region, the endpoint or the profile for none.
        """
        try:
            made = self.session.create_client(service, config=config, **self.where)
            return await self.stack.enter_async_context(made)
        except (ValueError, BotoCoreError) as error:
            raise Misconfigured(f"AWS_REGION, AWS_ENDPOINT_URL or AWS_PROFILE: {error}") from error


async def fetch_recipe(settings: Settings, aws: Aws) -> Recipe:
    """The configured recipe, from a file or from S3."""
    if settings.recipe is None or not settings.recipe.startswith("s3://"):
        return read_recipe_file(Path(settings.recipe) if settings.recipe else None)
    bucket, _, key = settings.recipe.removeprefix("s3://").partition("/")
    store = s3.Store(await aws.client("s3", CONTROL), bucket=bucket, owner=settings.bucket_owner)
    stored = await store.read(key)
    if stored is None:
        raise Misconfigured(f"MEDIA_RECIPE: there is no object {settings.recipe}")
    return read_recipe(stored.body.decode())


@asynccontextmanager
async def performing(*, memory_mb: int, scratch: Scratch) -> AsyncIterator[Performer]:
    """The tools of this machine, behind their sandbox."""
    async with Sandbox(on_kill=lambda cause: metrics.child_kills.labels(cause).inc()) as sandbox:
        films = FFmpeg(sandbox, memory_bytes=memory_mb << 20)
        with scratch.job() as folder:
            made_by = {"media-worker": version_of_worker(), "ffmpeg": await films.version(folder)}
        made_by["pillow"] = version("pillow")
        yield Performer(pictures=Painter(sandbox, memory_bytes=memory_mb << 20), films=films, versions=made_by)


def pipeline(
    *,
    uploads: Uploads,
    store: Store,
    told: Outcomes,
    performer: Performer,
    rules: Recipe,
    scratch: Scratch,
    public_url: str,
    several_buckets: bool = False,
    job_seconds: float = 39_600,
    on_progress: OnProgress = lambda _job, _percent: None,
) -> Pipeline:
    """The pipeline over the given places and tools."""
    worker = socket.gethostname()
    return Pipeline(
        uploads=uploads,
        store=store,
        publisher=Publisher(store=store, outcomes=told, public_url=public_url, worker=worker),
        performer=performer,
        recipe=rules,
        scratch=scratch.job,
        several_buckets=several_buckets,
        job_seconds=job_seconds,
        on_progress=on_progress,
    )


@asynccontextmanager
async def local_pipeline(
    files_by_key: dict[str, Path], out: Path, *, rules: Recipe, public_url: str, memory_mb: int, on_progress: OnProgress
) -> AsyncIterator[Pipeline]:
    """The same pipeline over folders on this machine."""
    with Scratch(out / LOCAL_SCRATCH) as scratch:
        async with performing(memory_mb=memory_mb, scratch=scratch) as performer:
            yield pipeline(
                uploads=LocalUploads(files_by_key),
                store=FolderStore(out),
                told=NoOutcomes(),
                performer=performer,
                rules=rules,
                scratch=scratch,
                public_url=public_url,
                on_progress=on_progress,
            )


async def run(settings: Settings) -> None:
    """The service: until SIGTERM or SIGINT, then drained."""
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(stopping())
        aws = Aws(settings, stack)
        with _blaming("MEDIA_SCRATCH"):
            scratch = stack.enter_context(Scratch(settings.scratch))
        rules = await fetch_recipe(settings, aws)
        performer = await stack.enter_async_context(performing(memory_mb=settings.child_memory_mb, scratch=scratch))
        worker = Worker(
            queue=await _queue(settings, aws),
            pipeline=await _s3_pipeline(settings, aws, rules, performer, scratch),
            terms=_terms(settings),
            pulse=Pulse(slots=settings.slots),
        )
        within = settings.poll_seconds + _POLL_SLACK + MAX_PAUSE
        with _blaming("MEDIA_HTTP_HOST or MEDIA_HTTP_PORT"):
            port = await stack.enter_async_context(
                health.serving(worker.pulse, host=settings.http_host, port=settings.http_port, within=within)
            )
        log.info(
            "started", version=version_of_worker(), slots=settings.slots, http_port=port, made_by=performer.versions
        )
        await _work(worker, stop)


@contextmanager
def _blaming(setting: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Misconfigured(f"{setting}: {error}") from error


async def _work(worker: Worker, stop: asyncio.Event) -> None:
    """What goes wrong from here on is no wrong setting: it ends the process with its traceback."""
    try:
        await worker.run(stop)
    except (MediaWorkerError, OSError) as error:
        raise RuntimeError("the worker ended without being told to") from error


async def _queue(settings: Settings, aws: Aws) -> sqs.Queue:
    control = await aws.client("sqs", CONTROL)
    polling = AioConfig(
        connect_timeout=3, read_timeout=settings.poll_seconds + _POLL_SLACK, retries={"max_attempts": 1}
    )
    dead_letters = settings.dead_letter_queue_url or await sqs.dead_letters_of(control, settings.queue_url)
    if dead_letters is None:
        log.warning("no_dead_letter_queue", queue=settings.queue_url)
    return sqs.Queue(
        await aws.client("sqs", polling),
        control,
        url=settings.queue_url,
        dead_letters=dead_letters,
        visibility=settings.visibility_seconds,
        poll_seconds=settings.poll_seconds,
    )


async def _s3_pipeline(settings: Settings, aws: Aws, rules: Recipe, performer: Performer, scratch: Scratch) -> Pipeline:
    client = await aws.client("s3", DATA)
    told = await outcomes.connect(aws.stack, aws.session, settings.outcome_target, config=CONTROL, **aws.where)
    return pipeline(
        uploads=s3.Uploads(client, owner=settings.bucket_owner),
        store=s3.Store(client, bucket=settings.output_bucket, owner=settings.bucket_owner),
        told=told,
        performer=performer,
        rules=rules,
        scratch=scratch,
        public_url=settings.public_url,
        several_buckets=settings.several_buckets,
        job_seconds=settings.job_seconds,
    )


def _terms(settings: Settings) -> Terms:
    return Terms(
        inputs=settings.inputs,
        output_bucket=settings.output_bucket,
        visibility=settings.visibility_seconds,
        slots=settings.slots,
        drain_seconds=settings.drain_seconds,
    )


@contextmanager
def stopping() -> Iterator[asyncio.Event]:
    """An event that the first SIGTERM or SIGINT sets; the second one kills, as ever."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def set_once() -> None:
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, set_once)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
