"""Commands about the service and what became of uploads: `run`, `show`, `doctor`, `schema`."""

import asyncio
from typing import Annotated

import typer
from rich.text import Text

from service import app, config, logs, recipes
from service.cli.options import AsJson, Bucket, WrittenTo, out, print_json
from service.commands import doctor as examining
from service.commands import process
from service.commands import show as showing
from service.core import manifest
from service.core.outcome import Misconfigured
from service.tables.cells import table
from service.tables.shown import shown_document, shown_table


def run() -> None:
    """The service: work off the queue until SIGTERM. Settings are environment variables MEDIA_…"""
    settings = config.load()
    logs.configure(level=settings.log_level)
    asyncio.run(app.run(settings))


def show(
    *,
    key: Annotated[str, typer.Argument(help="The source's key.")],
    bucket: Bucket = None,
    folder: WrittenTo = None,
    as_json: AsJson = False,
) -> None:
    """What happened to one upload: state, attempts, reason, what to do about it."""
    logs.configure(level="CRITICAL", pretty=True)
    key = process.as_key(key)
    if folder:
        shown = asyncio.run(showing.in_folder(key, folder))
    else:
        settings = config.load()
        shown = asyncio.run(showing.in_s3(key, bucket or settings.inputs[0].bucket, settings))
    if as_json:
        print_json(shown_document(shown))
    else:
        out.print(shown_table(shown))
    ready = shown.manifest is not None and shown.manifest.status == "ready" and not shown.lags
    raise typer.Exit(0 if ready else 1)


def doctor(*, as_json: AsJson = False) -> None:
    """Settings, tools, sandbox, buckets, queue: what is wrong and how to mend it."""
    logs.configure(level="CRITICAL", pretty=True)
    findings = asyncio.run(_findings())
    if as_json:
        print_json([{"check": f.name, "well": f.well, "detail": f.detail} for f in findings])
    else:
        marks = {True: Text("well", "green"), False: Text("wrong", "red")}
        out.print(table(["check", "", "detail"], [(f.name, marks[f.well], f.detail) for f in findings]))
    raise typer.Exit(0 if all(f.well for f in findings) else 2)


async def _findings() -> list[examining.Finding]:
    try:
        settings = config.load()
    except Misconfigured as error:
        here = [finding async for finding in examining.examine_here()]
        return [examining.Finding(name="settings", well=False, detail=str(error)), *here]
    return [finding async for finding in examining.examine_all(settings)]


def schema(what: Annotated[str, typer.Argument(help="recipe or manifest")]) -> None:
    """The JSON schema of a recipe file, or of the page manifest."""
    if what not in {"recipe", "manifest"}:
        raise Misconfigured(f"schema: {what!r} is neither recipe nor manifest")
    print_json(recipes.schema() if what == "recipe" else manifest.Manifest.model_json_schema())
