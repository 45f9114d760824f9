"""Commands: parse, call, print; no decisions.

Exit codes: 0 all ready, 1 some not ready, 2 wrong use or settings.
"""

import asyncio
import csv
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from service import app, config, logs, recipes, tables
from service.commands import doctor, examine, process, show
from service.core import manifest
from service.core.outcome import MediaWorkerError, Misconfigured
from service.core.recipe import Recipe

cli = typer.Typer(
    name="media-worker",
    help="A file lands in S3; minutes later a website can show it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
err = Console(stderr=True)
out = Console()

Paths = Annotated[list[Path], typer.Argument(help="Files, or folders of files.")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines: JSON on stdout, nothing else.")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="A recipe; default: the shipped one.")]
Jobs = Annotated[int, typer.Option(help="Files at once.", min=1)]
MemoryMb = Annotated[int, typer.Option(help="Most memory of one decoder, in MB.", min=256)]

_JOBS = os.cpu_count() or 1
_MEMORY_MB = 3072


@cli.command()
def run() -> None:
    """The service: work off the queue until SIGTERM. Settings are environment variables MEDIA_…"""
    settings = config.load()
    logs.configure(level=settings.log_level)
    asyncio.run(app.run(settings))


@cli.command(name="process")
def process_(
    paths: Paths,
    folder: Annotated[Path, typer.Option("--out", help="Where media/, records/ and the rest are written.")],
    recipe: RecipeFile = None,
    public_url: Annotated[str, typer.Option(help="What addresses in manifests begin with.")] = "",
    jobs: Jobs = _JOBS,
    child_memory_mb: MemoryMb = _MEMORY_MB,
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log lines on stderr.")] = False,
) -> None:
    """The same pipeline on local files, with no AWS: manifests and products in a folder."""
    logs.configure(level="DEBUG" if verbose else "CRITICAL", pretty=True)
    rules, found = recipes.read_file(recipe), process.collect(paths, out=folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tables.Bars(total=len(found), quiet=as_json, console=err) as bars:
        ended = asyncio.run(
            process.run(
                found,
                folder.resolve(),
                rules=rules,
                public_url=public_url,
                memory_mb=child_memory_mb,
                jobs=jobs,
                on_progress=lambda job, percent: bars.at(job.key, percent),
                on_end=lambda one: bars.ended(one.key, one.status),
            )
        )
    if as_json:
        _print_json([tables.ended_document(one) for one in ended])
    else:
        out.print(tables.ended_table(ended))
    raise typer.Exit(0 if all(one.ready for one in ended) else 1)


@cli.command()
def plan(
    paths: Paths,
    recipe: RecipeFile = None,
    jobs: Jobs = _JOBS,
    child_memory_mb: MemoryMb = _MEMORY_MB,
    as_json: AsJson = False,
) -> None:
    """What would be made of files, why, and what it would cost; nothing is made."""
    logs.configure(level="CRITICAL", pretty=True)
    examined = _examine(paths, recipes.read_file(recipe), child_memory_mb, jobs, decode=False)
    if as_json:
        _print_json([tables.plan_document(one) for one in examined])
    for one in () if as_json else examined:
        out.print(tables.plan_table(one))
    raise typer.Exit(0 if all(one.planned for one in examined) else 1)


@cli.command()
def validate(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, or one s3://bucket/prefix.")],
    recipe: RecipeFile = None,
    jobs: Jobs = _JOBS,
    child_memory_mb: Annotated[
        int | None, typer.Option(help="Most memory of one decoder, in MB; default: 3072, for S3 as set.", min=256)
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on stdout.")] = False,
    as_json: AsJson = False,
) -> None:
    """Probe and decode, and say what is wrong; publishes nothing."""
    logs.configure(level="CRITICAL", pretty=True)
    if any(path.startswith("s3://") for path in paths):
        examined = _examine_s3(paths, recipe, child_memory_mb, jobs)
    else:
        files = [Path(path) for path in paths]
        examined = _examine(files, recipes.read_file(recipe), child_memory_mb or _MEMORY_MB, jobs, decode=True)
    if as_json:
        _print_json([tables.examined_document(one) for one in examined])
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, fieldnames=["key", "bytes", "media", "code", "message"])
        writer.writeheader()
        writer.writerows(tables.examined_document(one) for one in examined)
    else:
        out.print(tables.examined_table(examined))
    raise typer.Exit(0 if all(one.media for one in examined) else 1)


@cli.command(name="show")
def show_(
    key: Annotated[str, typer.Argument(help="The source's key.")],
    bucket: Annotated[str | None, typer.Option(help="Its bucket; default: the first input bucket.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="A folder that `process` wrote to, in place of S3.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What happened to one upload: state, attempts, reason, what to do about it."""
    logs.configure(level="CRITICAL", pretty=True)
    key = process.as_key(key)
    if folder:
        shown = asyncio.run(show.in_folder(key, folder))
    else:
        settings = config.load()
        shown = asyncio.run(show.in_s3(key, bucket or settings.inputs[0].bucket, settings))
    if as_json:
        _print_json(tables.shown_document(shown))
    else:
        out.print(tables.shown_table(shown))
    ready = shown.manifest is not None and shown.manifest.status == "ready" and not shown.lags
    raise typer.Exit(0 if ready else 1)


@cli.command(name="doctor")
def doctor_(as_json: AsJson = False) -> None:
    """Settings, tools, sandbox, buckets, queue: what is wrong and how to mend it."""
    logs.configure(level="CRITICAL", pretty=True)
    findings = asyncio.run(_findings())
    if as_json:
        _print_json([{"check": f.name, "well": f.well, "detail": f.detail} for f in findings])
    else:
        marks = {True: Text("well", "green"), False: Text("wrong", "red")}
        out.print(tables.table(["check", "", "detail"], [(f.name, marks[f.well], f.detail) for f in findings]))
    raise typer.Exit(0 if all(f.well for f in findings) else 2)


async def _findings() -> list[doctor.Finding]:
    try:
        settings = config.load()
    except Misconfigured as error:
        here = [finding async for finding in doctor.examine_here()]
        return [doctor.Finding(name="settings", well=False, detail=str(error)), *here]
    return [finding async for finding in doctor.examine_all(settings)]


@cli.command()
def schema(what: Annotated[str, typer.Argument(help="recipe or manifest")]) -> None:
    """The JSON schema of a recipe file, or of the page manifest."""
    if what not in {"recipe", "manifest"}:
        raise Misconfigured(f"schema: {what!r} is neither recipe nor manifest")
    _print_json(recipes.schema() if what == "recipe" else manifest.Manifest.model_json_schema())


def _examine(
    paths: Sequence[Path], recipe: Recipe, memory_mb: int, jobs: int, *, decode: bool
) -> list[examine.Examined]:
    found = {key: path for key, path in process.collect(paths).items() if not recipe.ignores(key)}
    return asyncio.run(examine.files(found, recipe, memory_mb=memory_mb, decode=decode, jobs=jobs))


def _examine_s3(paths: Sequence[str], recipe: Path | None, memory_mb: int | None, jobs: int) -> list[examine.Examined]:
    if len(paths) > 1:
        raise Misconfigured("validate: give it either files and folders, or one s3://bucket/prefix alone")
    rules = recipes.read_file(recipe) if recipe else None
    return asyncio.run(examine.objects(paths[0], config.load(), recipe=rules, memory_mb=memory_mb, jobs=jobs))


def _print_json(document: object) -> None:
    sys.stdout.write(json.dumps(document, indent=1, default=str, ensure_ascii=False) + "\n")


def _wrong(message: str) -> NoReturn:
    err.print(Text(f"media-worker: {message}"), soft_wrap=True)
    raise SystemExit(2)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(app.version_of_worker())
        raise typer.Exit


@cli.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options that come before the command."""


def main(arguments: Sequence[str] | None = None, call: Callable[..., Any] = cli) -> None:
    """The console script."""
    try:
        call(args=list(arguments) if arguments is not None else None)
    except (MediaWorkerError, OSError) as error:
        _wrong(str(error))
