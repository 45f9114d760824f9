"""Commands on files of this machine: `process`, `plan`, `validate`."""

import asyncio
import csv
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from service import config, logs, recipes
from service.cli.options import (
    JOBS,
    MEMORY_MB,
    AsJson,
    Jobs,
    MemoryMb,
    Paths,
    PublicUrl,
    RecipeFile,
    WhisperModel,
    err,
    out,
    print_json,
)
from service.commands import examine
from service.commands import process as processing
from service.core.outcome import Misconfigured
from service.core.recipe import Recipe
from service.tables import results
from service.tables.bars import Bars


def process(
    *,
    paths: Paths,
    folder: Annotated[Path, typer.Option("--out", help="Where media/, records/ and the rest are written.")],
    recipe: RecipeFile = None,
    public_url: PublicUrl = "",
    whisper_model: WhisperModel = None,
    jobs: Jobs = JOBS,
    child_memory_mb: MemoryMb = MEMORY_MB,
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log lines on stderr.")] = False,
) -> None:
    """The same pipeline on local files, with no AWS: manifests and products in a folder."""
    logs.configure(level="DEBUG" if verbose else "CRITICAL", pretty=True)
    rules, found = recipes.read_file(recipe), processing.collect(paths, out=folder)
    terms = processing.Terms(rules=rules, public_url=public_url, memory_mb=child_memory_mb, whisper=whisper_model)
    folder.mkdir(parents=True, exist_ok=True)
    with Bars(total=len(found), quiet=as_json, console=err) as bars:
        ended = asyncio.run(
            processing.run(
                found,
                folder.resolve(),
                terms=terms,
                jobs=jobs,
                on_progress=lambda job, percent: bars.at(job.key, percent),
                on_end=lambda one: bars.ended(one.key, one.status),
            )
        )
    if as_json:
        print_json([results.ended_document(one) for one in ended])
    else:
        out.print(results.ended_table(ended))
        if any(one.status == "quarantined" for one in ended):
            hint = f"What is quarantined waits for a person: media-worker review list --out {shlex.quote(str(folder))}"
            out.print(Text(hint), soft_wrap=True)
    raise typer.Exit(0 if all(one.ready for one in ended) else 1)


def plan(
    *,
    paths: Paths,
    recipe: RecipeFile = None,
    jobs: Jobs = JOBS,
    child_memory_mb: MemoryMb = MEMORY_MB,
    as_json: AsJson = False,
) -> None:
    """What would be made of files, why, and what it would cost; nothing is made."""
    logs.configure(level="CRITICAL", pretty=True)
    examined = _examine(paths, recipes.read_file(recipe), child_memory_mb, jobs, decode=False)
    if as_json:
        print_json([results.plan_document(one) for one in examined])
    for one in () if as_json else examined:
        out.print(results.plan_table(one))
    raise typer.Exit(0 if all(one.planned for one in examined) else 1)


def validate(
    *,
    paths: Annotated[list[str], typer.Argument(help="Files, folders, or one s3://bucket/prefix.")],
    recipe: RecipeFile = None,
    jobs: Jobs = JOBS,
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
        examined = _examine(files, recipes.read_file(recipe), child_memory_mb or MEMORY_MB, jobs, decode=True)
    if as_json:
        print_json([results.examined_document(one) for one in examined])
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, fieldnames=["key", "bytes", "media", "code", "message"])
        writer.writeheader()
        writer.writerows(results.examined_document(one) for one in examined)
    else:
        out.print(results.examined_table(examined))
    raise typer.Exit(0 if all(one.media for one in examined) else 1)


def _examine(
    paths: Sequence[Path], recipe: Recipe, memory_mb: int, jobs: int, *, decode: bool
) -> list[examine.Examined]:
    found = {key: path for key, path in processing.collect(paths).items() if not recipe.ignores(key)}
    return asyncio.run(examine.files(found, recipe, memory_mb=memory_mb, decode=decode, jobs=jobs))


def _examine_s3(paths: Sequence[str], recipe: Path | None, memory_mb: int | None, jobs: int) -> list[examine.Examined]:
    if len(paths) > 1:
        raise Misconfigured("validate: give it either files and folders, or one s3://bucket/prefix alone")
    rules = recipes.read_file(recipe) if recipe else None
    return asyncio.run(examine.objects(paths[0], config.load(), recipe=rules, memory_mb=memory_mb, jobs=jobs))
