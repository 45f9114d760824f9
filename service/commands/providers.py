"""Whether the moderation and the captions that a recipe names can be had: each is asked something tiny."""

import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from PIL import Image

from service import app
from service.aws import s3
from service.aws.rekognition import Rekognition
from service.aws.transcribe import Transcribe
from service.commands import examine
from service.config import Settings
from service.core.outcome import MediaWorkerError, Misconfigured
from service.core.recipe import Recipe
from service.core.screening import SMALLEST
from service.runtime.tools import Heard, Speech
from service.tools import open_nsfw
from service.tools import whisper as whispering

Check = Callable[[], Awaitable[str]]
Checks = list[tuple[str, Check]]

_MEMORY_MB = 512  # of a decoder: none runs
_SECOND = bytes(2 * 16_000)  # of silence, 16 bits at 16 kHz


def checks(recipe: Recipe, settings: Settings, aws: app.Aws) -> Checks:
    """One for each provider that any upload may be shown to."""
    asked = local_checks(recipe, whisper=settings.whisper_model)
    if any(rules.moderation.provider == "rekognition" for rules in recipe.all_rules):
        dollars = recipe.general.prices.rekognition_image
        asked.append(("moderation by rekognition", lambda: _rekognition(settings, aws, dollars)))
    if any(rules.captions.provider == "transcribe" for rules in recipe.all_rules):
        asked.append(("captions by transcribe", lambda: _transcribe(settings, aws)))
    return asked


def local_checks(recipe: Recipe, *, whisper: Path | None) -> Checks:
    """The same for the models of this machine."""
    asked: Checks = []
    if any(rules.moderation.provider == "local" for rules in recipe.all_rules):
        asked.append(("moderation by local", _score))
    if any(rules.captions.provider == "whisper" for rules in recipe.all_rules):
        asked.append(("captions by whisper", lambda: _hear(whisper)))
    return asked


async def _score() -> str:
    if missing := open_nsfw.available():
        raise Misconfigured(f'{missing}; or say moderation.provider = "rekognition" or "off" in the recipe')
    async with examine.local(_MEMORY_MB) as (tools, scratch):
        with scratch.job() as folder:
            _grey(folder / "picture.jpg")
            seen = await tools.judges["local"].look(folder, "picture.jpg")
    return f"answers: {seen.model}"


async def _hear(whisper: Path | None) -> str:
    if missing := whispering.available(whisper):
        raise Misconfigured(f'{missing}; or say captions.provider = "transcribe" or "off" in the recipe')
    async with examine.local(_MEMORY_MB, whisper=whisper) as (tools, scratch):
        with scratch.job() as folder:
            (folder / "sound.s16le").write_bytes(_SECOND)
            speech = Speech(name=_name(), seconds=1.0, language="en", languages=())
            heard = await tools.scribes["whisper"].listen(speech, folder, "sound.s16le")
    return f"answers: {heard.model}" if isinstance(heard, Heard) else f"answers {heard}"


async def _rekognition(settings: Settings, aws: app.Aws, dollars: float) -> str:
    """A real question, since no free one shows that this one may be asked."""
    client = await aws.client("rekognition", app.ASKED, endpoint_url=settings.aws_endpoint_url_rekognition)
    with examine.scratch() as scratch, scratch.job() as folder:
        _grey(folder / "picture.jpg")
        try:
            seen = await Rekognition(client).look(folder, "picture.jpg")
        except MediaWorkerError as error:
            raise Misconfigured(
                f"{error}: allow rekognition:DetectModerationLabels, and see that {settings.aws_region} has Rekognition"
            ) from error
    return f"answers: {seen.model}; asking cost ${dollars:g}"


async def _transcribe(settings: Settings, aws: app.Aws) -> str:
    """Asks for a job that is not there, which is free; a start is not."""
    client = await aws.client("transcribe", app.ASKED, endpoint_url=settings.aws_endpoint_url_transcribe)
    store = s3.Store(await aws.client("s3", app.CONTROL), bucket=settings.output_bucket, owner=settings.bucket_owner)
    scribe = Transcribe(client, store=store, bucket=settings.output_bucket)
    try:
        await scribe.find(Speech(name=_name(), seconds=1.0, language=None, languages=()))
    except MediaWorkerError as error:
        raise Misconfigured(
            f"{error}: allow transcribe:GetTranscriptionJob and transcribe:StartTranscriptionJob, "
            f"and see that {settings.aws_region} has Transcribe"
        ) from error
    return "answers; whether a job may be started was not tried"


def _grey(path: Path) -> None:
    Image.new("RGB", (SMALLEST, SMALLEST), "#808080").save(path)


def _name() -> str:
    """40 hex digits that no speech has."""
    return uuid.uuid4().hex + "0" * 8
