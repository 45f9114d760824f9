"""The composition root: the one file that names concrete classes."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError

from service import config, metrics, recipes
from service.aws import outcomes, s3, sqs
from service.aws.rekognition import Rekognition
from service.aws.task_protection import TaskProtection
from service.aws.transcribe import Transcribe
from service.config import Settings
from service.core.job import Job
from service.core.outcome import MediaWorkerError, Misconfigured
from service.core.recipe import Recipe
from service.logs import log
from service.runtime.allowance import Allowance
from service.runtime.captioner import Captioner
from service.runtime.examine import Examiner
from service.runtime.moderation import Moderator
from service.runtime.pauses import Pausable, Pauses
from service.runtime.pipeline import Pipeline
from service.runtime.ports import Outcomes, Store, Uploads
from service.runtime.publish import Publisher
from service.runtime.reviews import Reviews
from service.runtime.room import Room
from service.runtime.screener import Screener
from service.runtime.shield import Guard, Nobody, Shield
from service.runtime.steps import Performer
from service.runtime.tools import Judge, Scribe
from service.runtime.trial import Trials
from service.runtime.turns import InTurn
from service.runtime.worker import MAX_PAUSE, Pulse, Queue, Terms, Worker
from service.tools import models, open_nsfw
from service.tools import whisper as whispering
from service.tools.caption_files import CaptionFiles
from service.tools.ffmpeg import FFmpeg
from service.tools.folder import FolderStore, LocalUploads, NoOutcomes
from service.tools.open_nsfw import OpenNsfw
from service.tools.painter import Painter
from service.tools.sandbox import REMEDY, Confinement, Mode, Sandbox
from service.tools.scratch import Scratch
from service.tools.whisper import Whisper
from service.web import emf, health

CONTROL = AioConfig(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})
DATA = AioConfig(
    connect_timeout=3,
    read_timeout=60,
    retries={"mode": "standard", "max_attempts": 4},
    max_pool_connections=50,
    s3={"addressing_style": "auto"},
)

#: One try a call: the code that asks knows how often it may, and how long it has patience.
ASKED = AioConfig(connect_timeout=3, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 1})

_POLL_SLACK = 10.0  # seconds that a long poll may take over what it was asked to

LOCAL_SCRATCH = ".scratch"  # below the folder that local runs write to

OnProgress = Callable[[Job, int], None]


def version_of_worker() -> str:
    """As installed."""
    return version("media-worker")


class Aws:
    """Clients of one region and endpoint, closed with `stack`."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self.stack = stack
        self.session: Any = get_session()
        # botocore reads AWS_DEFAULT_REGION, not AWS_REGION: the region is always said
        self.where: dict[str, Any] = {"region_name": settings.aws_region, "endpoint_url": settings.aws_endpoint_url}

    async def client(self, service: str, config: AioConfig, *, endpoint_url: str | None = None) -> Any:
        """A client; at `endpoint_url`, where a service has one of its own.

        :raises Misconfigured: when botocore takes the region, the endpoint or the profile for none.
        """
        try:
            where = self.where | ({"endpoint_url": endpoint_url} if endpoint_url else {})
            made = self.session.create_client(service, config=config, **where)
            return await self.stack.enter_async_context(made)
        except (ValueError, BotoCoreError) as error:
            raise Misconfigured(f"AWS_REGION, AWS_ENDPOINT_URL or AWS_PROFILE: {error}") from error


async def fetch_recipe(settings: Settings, aws: Aws) -> Recipe:
    """The configured recipe, from a file or from S3."""
    if settings.recipe is None or not settings.recipe.startswith("s3://"):
        return recipes.read_file(Path(settings.recipe) if settings.recipe else None)
    bucket, _, key = settings.recipe.removeprefix("s3://").partition("/")
    store = s3.Store(await aws.client("s3", CONTROL), bucket=bucket, owner=settings.bucket_owner)
    stored = await store.read(key)
    if stored is None:
        raise Misconfigured(f"MEDIA_RECIPE: there is no object {settings.recipe}")
    try:
        return recipes.read(stored.body.decode())
    except UnicodeDecodeError as error:
        raise Misconfigured(f"MEDIA_RECIPE: {settings.recipe} is no UTF-8: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The programs and models of this machine, behind their sandboxes; `versions` of them go into every record.

    `confinement` is how their processes are held.
    """

    pictures: Painter
    films: FFmpeg
    reader: CaptionFiles
    judges: Mapping[str, Judge]
    scribes: Mapping[str, Scribe]
    versions: dict[str, str]
    confinement: Confinement

    @property
    def examiner(self) -> Examiner:
        """What looks at uploads."""
        return Examiner(pictures=self.pictures, films=self.films)


@asynccontextmanager
async def tools(
    *, memory_mb: int, scratch: Scratch, mode: Mode, slots: int = 1, whisper: Path | None = None
) -> AsyncIterator[Tools]:
    """The tools of this machine. Models are loaded when they are first asked, in a family of processes of their own.

    :raises Misconfigured: when `mode` is "required", and decoders can't be cut off.
    """
    memory, models_in = memory_mb << 20, [whisper] if whisper else []

    def killed(cause: str) -> None:
        metrics.child_kills.labels(cause).inc()

    async with (
        Sandbox(mode=mode, on_kill=killed) as sandbox,
        Sandbox(models.__name__, mode=mode, readable=models_in, on_kill=killed, eager=False) as thinking,
    ):
        films = FFmpeg(sandbox, memory_bytes=memory)
        with scratch.job() as folder:
            made_by = {"media-worker": version_of_worker(), "ffmpeg": await films.version(folder)}
        made_by["pillow"] = version("pillow")
        threads = max(1, (os.cpu_count() or 1) // slots)
        judges = [] if open_nsfw.available() else [OpenNsfw(thinking)]
        scribes = [] if whispering.available(whisper) else [Whisper(thinking, whisper, threads=threads)]
        yield Tools(
            pictures=Painter(sandbox, memory_bytes=memory),
            films=films,
            reader=CaptionFiles(sandbox, memory_bytes=memory),
            judges={judge.name: judge for judge in judges},
            scribes={scribe.name: scribe for scribe in scribes},
            versions=made_by,
            confinement=sandbox.confinement,
        )


def warn_if_open(here: Tools) -> None:
    """Tell a person at a terminal, in a line, that decoders are not cut off."""
    if here.confinement.holes:
        sys.stderr.write(f"media-worker: decoders are not cut off ({here.confinement.told}): {REMEDY}\n")


def check_models(rules: Recipe, *, whisper: Path | None) -> None:
    """See that the models which the recipe names are here.

    :raises Misconfigured: saying what to install, or what else the recipe can say.
    """
    all_rules = rules.all_rules
    if any(one.moderation.provider == "local" for one in all_rules) and (missing := open_nsfw.available()):
        raise Misconfigured(f'recipe: moderation.provider is "local": {missing}; or say "rekognition", or "off"')
    if any(one.captions.provider == "whisper" for one in all_rules) and (missing := whispering.available(whisper)):
        raise Misconfigured(f'recipe: captions.provider is "whisper": {missing}; or say "transcribe", or "off"')


def pipeline(
    *,
    uploads: Uploads,
    store: Store,
    told: Outcomes,
    tools: Tools,
    rules: Recipe,
    scratch: Scratch,
    public_url: str,
    rates: Mapping[str, float] = MappingProxyType({}),
    several_buckets: bool = False,
    room: Room | None = None,
    job_seconds: float = 39_600,
    alone_from: int = 3,
    grace_seconds: int = 900,
    on_progress: OnProgress = lambda _job, _percent: None,
) -> Pipeline:
    """The pipeline over the given places and tools; `room` is what its jobs share, of the scratch disk by default."""
    captioner = Captioner(films=tools.films, reader=tools.reader, scribes=tools.scribes, store=store)
    trials = Trials(
        uploads=uploads,
        store=store,
        examiner=tools.examiner,
        performer=Performer(pictures=tools.pictures, films=tools.films, captioner=captioner, versions=tools.versions),
        moderator=Moderator(
            screeners={
                name: Screener(judge=judge, pictures=tools.pictures, films=tools.films)
                for name, judge in tools.judges.items()
            }
        ),
        allowance=Allowance(store=store, rates=rates),
        room=room or Room(free=scratch.free),
        scratch=scratch.job,
        public_url=public_url,
    )
    return Pipeline(
        uploads=uploads,
        store=store,
        publisher=Publisher(store=store, outcomes=told, public_url=public_url, worker=socket.gethostname()),
        trials=trials,
        reviews=Reviews(store=store),
        recipe=rules,
        several_buckets=several_buckets,
        job_seconds=job_seconds,
        alone_from=alone_from,
        grace_seconds=grace_seconds,
        on_progress=on_progress,
    )


@asynccontextmanager
async def local_pipeline(
    files_by_key: dict[str, Path],
    out: Path,
    *,
    rules: Recipe,
    public_url: str,
    memory_mb: int,
    whisper: Path | None = None,
    on_progress: OnProgress = lambda _job, _percent: None,
) -> AsyncIterator[Pipeline]:
    """The same pipeline over folders on this machine, with the models of this machine and nobody else's.

    :raises Misconfigured: when the recipe asks for a service of AWS.
    """
    for one in rules.all_rules:
        if one.moderation.provider == "rekognition" or one.captions.provider == "transcribe":
            raise Misconfigured("recipe: rekognition and transcribe need AWS: local files want local, whisper or off")
    check_models(rules, whisper=whisper)
    with Scratch(out / LOCAL_SCRATCH) as scratch:
        async with tools(memory_mb=memory_mb, scratch=scratch, mode=config.sandbox_here(), whisper=whisper) as here:
            warn_if_open(here)
            yield pipeline(
                uploads=LocalUploads(files_by_key),
                store=FolderStore(out),
                told=NoOutcomes(),
                tools=here,
                rules=rules,
                scratch=scratch,
                public_url=public_url,
                alone_from=sys.maxsize,
                grace_seconds=0,
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
        check_models(rules, whisper=settings.whisper_model)
        if settings.metrics == "emf":  # before the tools: what their last children take is counted as well
            emitter = emf.Emitter(stage=settings.stage, lane=settings.lane)
            await stack.enter_async_context(emf.emitting(emitter))
        here = await stack.enter_async_context(
            tools(
                memory_mb=settings.child_memory_mb,
                scratch=scratch,
                mode=settings.sandbox,
                slots=settings.slots,
                whisper=settings.whisper_model,
            )
        )
        if here.confinement.holes:
            log.warning("decoders_not_cut_off", sandbox=here.confinement.told, they_could=here.confinement.holes)
        room = Room(free=scratch.free, streams=settings.heavy_queue_url is None)
        pipeline = await _s3_pipeline(settings, aws, rules, here, scratch=scratch, room=room)
        worker = Worker(
            queue=await _queues(settings, aws),
            heavy=await _heavy(settings, aws),
            pipeline=pipeline,
            room=room,
            company=pipeline.company,
            terms=_terms(settings),
            pulse=Pulse(slots=settings.slots),
            shield=Shield(guard=await _guard(settings, stack)),
        )
        within = settings.poll_seconds + _POLL_SLACK + MAX_PAUSE
        with _blaming("MEDIA_HTTP_HOST or MEDIA_HTTP_PORT"):
            port = await stack.enter_async_context(
                health.serving(worker.pulse, host=settings.http_host, port=settings.http_port, within=within)
            )
        log.info("started", version=version_of_worker(), slots=settings.slots, http_port=port, made_by=here.versions)
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


async def _queues(settings: Settings, aws: Aws) -> Queue:
    """What the worker polls, unless it is paused: its queue, and the backfill queue while that one is empty."""
    client = await aws.client("s3", CONTROL)
    pauses = Pauses(store=s3.Store(client, bucket=settings.output_bucket, owner=settings.bucket_owner))
    queue = await _queue(settings, aws, settings.queue_url, dead_letters=settings.dead_letter_queue_url)
    first = Pausable(queue=queue, name="heavy" if settings.lane == "heavy" else "intake", pauses=pauses)
    if settings.backfill_queue_url is None:
        return first
    queue = await _queue(settings, aws, settings.backfill_queue_url)
    return InTurn(first=first, then=Pausable(queue=queue, name="backfill", pauses=pauses))


async def _queue(settings: Settings, aws: Aws, url: str, *, dead_letters: str | None = None) -> sqs.Queue:
    control = await aws.client("sqs", CONTROL)
    polling = AioConfig(
        connect_timeout=3, read_timeout=settings.poll_seconds + _POLL_SLACK, retries={"max_attempts": 1}
    )
    dead_letters = dead_letters or await sqs.dead_letters_of(control, url)
    if dead_letters is None:
        log.warning("no_dead_letter_queue", queue=url)
    return sqs.Queue(
        await aws.client("sqs", polling),
        control,
        url=url,
        dead_letters=dead_letters,
        visibility=settings.visibility_seconds,
        poll_seconds=settings.poll_seconds,
    )


async def _guard(settings: Settings, stack: AsyncExitStack) -> Guard:
    """Who has to be asked to spare this worker: ECS, in a task of its."""
    if settings.ecs_agent_uri is None:
        return Nobody()
    return TaskProtection(await stack.enter_async_context(aiohttp.ClientSession()), uri=settings.ecs_agent_uri)


async def _heavy(settings: Settings, aws: Aws) -> sqs.Queue | None:
    """Where video and sound are sent on to, if anywhere."""
    return await sender(settings, aws, settings.heavy_queue_url) if settings.heavy_queue_url else None


async def sender(settings: Settings, aws: Aws, url: str) -> sqs.Queue:
    """A queue that is sent to alone."""
    control = await aws.client("sqs", CONTROL)
    return sqs.Queue(
        control,
        control,
        url=url,
        dead_letters=None,
        visibility=settings.visibility_seconds,
        poll_seconds=settings.poll_seconds,
    )


async def _s3_pipeline(
    settings: Settings, aws: Aws, rules: Recipe, here: Tools, *, scratch: Scratch, room: Room
) -> Pipeline:
    client = await aws.client("s3", DATA)
    store = s3.Store(client, bucket=settings.output_bucket, owner=settings.bucket_owner)
    told = await outcomes.connect(aws.stack, aws.session, settings.outcome_target, config=CONTROL, **aws.where)
    return pipeline(
        uploads=s3.Uploads(client, owner=settings.bucket_owner),
        store=store,
        told=told,
        tools=await _with_services(here, rules, settings, aws, store),
        rules=rules,
        rates={"rekognition_image": settings.rekognition_rate, "transcribe_minute": settings.transcribe_rate},
        scratch=scratch,
        room=room,
        public_url=settings.public_url,
        several_buckets=settings.several_buckets,
        job_seconds=settings.job_seconds,
    )


async def _with_services(here: Tools, rules: Recipe, settings: Settings, aws: Aws, store: Store) -> Tools:
    """The tools, and the services of AWS that the recipe names."""
    judges, scribes = dict(here.judges), dict(here.scribes)
    if any(one.moderation.provider == "rekognition" for one in rules.all_rules):
        client = await aws.client("rekognition", ASKED, endpoint_url=settings.aws_endpoint_url_rekognition)
        judge = Rekognition(client)
        judges[judge.name] = judge
    if any(one.captions.provider == "transcribe" for one in rules.all_rules):
        client = await aws.client("transcribe", ASKED, endpoint_url=settings.aws_endpoint_url_transcribe)
        scribe = Transcribe(client, store=store, bucket=settings.output_bucket)
        scribes[scribe.name] = scribe
    return replace(here, judges=judges, scribes=scribes)


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
