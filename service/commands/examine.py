"""`plan` and `validate`: look at files without publishing anything."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from service import app, config
from service.aws import s3
from service.commands import process
from service.config import Settings
from service.core import command, gate, plan, screening, spend
from service.core.media import Clip, Media, Picture
from service.core.outcome import MediaWorkerError, Rejected
from service.core.plan import Plan
from service.core.recipe import Prices, Recipe
from service.core.step import Screen, Step
from service.runtime import surroundings
from service.runtime.ports import Head, Uploads
from service.tools.confine import Mode
from service.tools.folder import LocalUploads
from service.tools.scratch import Scratch


@dataclass(frozen=True, kw_only=True)
class Examined:
    """What a file is: media, with the plan for it, or the reason why it would be rejected."""

    key: str
    size: int
    media: Media | None = None
    planned: Plan | None = None
    screen: Screen | None = None
    prices: Prices | None = None
    code: str | None = None
    message: str | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """All that would be done, moderation first."""
        planned = tuple(named.step for named in self.planned.steps) if self.planned else ()
        return (self.screen, *planned) if self.screen else planned

    @property
    def describes(self) -> str:
        """Kind, measures and codecs in a few words."""
        match self.media:
            case Picture() as picture:
                frames = f", {picture.frames} frames" if picture.animated else ""
                return f"{picture.formats[0]} {picture.width}x{picture.height}{frames}"
            case Clip() as clip:
                codecs = [clip.video.codec] if clip.video else []
                codecs += [track.codec for track in clip.audio[:1]]
                size = f" {clip.video.width}x{clip.video.height}" if clip.video else ""
                left = f", {clip.bitmaps} track(s) of subtitles left out: they are pictures" if clip.bitmaps else ""
                return f"{'+'.join(codecs)}{size}, {clip.seconds:.2f} s{left}"
            case None:
                return ""


@contextmanager
def scratch() -> Iterator[Scratch]:
    """A scratch directory that is gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="media-worker-"))
    try:
        with Scratch(root) as made:
            yield made
    finally:
        shutil.rmtree(root, ignore_errors=True)


@asynccontextmanager
async def local(
    memory_mb: int, *, whisper: Path | None = None, mode: Mode | None = None
) -> AsyncIterator[tuple[app.Tools, Scratch]]:
    """The tools, and such a directory; without `mode` decoders are cut off as far as this machine can do it."""
    with scratch() as made:
        async with app.tools(
            memory_mb=memory_mb, scratch=made, mode=mode or config.sandbox_here(), whisper=whisper
        ) as tools:
            yield tools, made


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Where files come from, and what looks at them."""

    uploads: Uploads
    bucket: str
    recipe: Recipe
    tools: app.Tools
    scratch: Scratch
    room: asyncio.Semaphore
    decode: bool

    async def all(self, keys: Collection[str]) -> list[Examined]:
        """Each upload; captions are part of the one that they lie beside."""
        uploads = [key for key in keys if not process.spoken_in(key, keys)]
        return list(await asyncio.gather(*(self._one(key) for key in uploads)))

    async def _one(self, key: str) -> Examined:
        async with self.room:
            head = await self.uploads.head(self.bucket, key)
            if head is None:
                return Examined(key=key, size=0, code="gone", message="It was deleted meanwhile.")
            try:
                return await self._look(head)
            except Rejected as error:
                return Examined(key=key, size=head.size, code=error.reason, message=error.message)
            except MediaWorkerError as error:
                return Examined(key=key, size=head.size, code="failed", message=str(error))

    async def _look(self, head: Head) -> Examined:
        rules = self.recipe.rules(head.key)
        gate.check_head(head.size, rules.limits, archived=head.archived)
        with self.scratch.job() as folder:
            await self.uploads.fetch(head, folder / command.SOURCE)
            media = await self.tools.examiner.examine(folder, head.size, rules.limits)
            if self.decode:
                await self.tools.examiner.decode(media, folder, rules.limits)
        beside = await surroundings.look(self.uploads, head, media)
        planned = plan.make(media, rules, version="", done={}, beside=beside)
        unit = "rekognition_image" if rules.moderation.provider == "rekognition" else None
        affordable = spend.affordable(unit, rules.spend, rules.prices, {})
        screen = screening.plan(media, rules.moderation, affordable=affordable)
        return Examined(key=head.key, size=head.size, media=media, planned=planned, screen=screen, prices=rules.prices)


async def files(found: dict[str, Path], recipe: Recipe, *, memory_mb: int, decode: bool, jobs: int) -> list[Examined]:
    """Examine files of this machine; `decode` reads them to the end as well."""
    async with local(memory_mb) as (tools, made):
        app.warn_if_open(tools)
        reader = _Reader(
            uploads=LocalUploads(found),
            bucket="local",
            recipe=recipe,
            tools=tools,
            scratch=made,
            room=asyncio.Semaphore(jobs),
            decode=decode,
        )
        return await reader.all(found)


async def objects(
    address: str, settings: Settings, *, recipe: Recipe | None, memory_mb: int | None, jobs: int
) -> list[Examined]:
    """Examine every object below `s3://bucket/prefix`, decoding each; by the settings where nothing else is given."""
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    async with AsyncExitStack() as stack:
        aws = app.Aws(settings, stack)
        recipe = recipe or await app.fetch_recipe(settings, aws)
        client = await aws.client("s3", app.DATA)
        keys = await s3.Store(client, bucket=bucket, owner=settings.bucket_owner).keys(prefix)
        tools, made = await stack.enter_async_context(
            local(memory_mb or settings.child_memory_mb, mode=settings.sandbox)
        )
        reader = _Reader(
            uploads=s3.Uploads(client, owner=settings.bucket_owner),
            bucket=bucket,
            recipe=recipe,
            tools=tools,
            scratch=made,
            room=asyncio.Semaphore(jobs),
            decode=True,
        )
        return await reader.all({key: None for key in keys if not recipe.ignores(key)})
