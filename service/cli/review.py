"""`review`: what waits in quarantine, and what a person says of it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from service import config, logs, recipes
from service.cli.options import (
    MEMORY_MB,
    AsJson,
    Bucket,
    MemoryMb,
    PublicUrl,
    RecipeFile,
    WhisperModel,
    WrittenTo,
    err,
    out,
    print_json,
    who,
)
from service.commands import process, waiting
from service.commands import review as reviewing
from service.core.manifest import Status
from service.core.outcome import Misconfigured
from service.tables.cells import printable
from service.tables.waiting import waiting_document, waiting_lines

commands = typer.Typer(help="What waits for a person to look at it, and what they say of it.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The source's key.")]
Revision = Annotated[int, typer.Option(min=1, help="Of the page manifest, as `review list` shows it.")]
By = Annotated[str | None, typer.Option(help="Who says so; default: who is logged in.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for a worker to have done it; 0: do not.")]
Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="PATH",
        help="With --out: the files and folders that `process` had; say --recipe and --public-url as there, too.",
    ),
]

_WANTED = {"approve": Status.READY, "reject": Status.REJECTED}


@commands.command(name="list")
def list_(
    *,
    folder: WrittenTo = None,
    limit: Annotated[int, typer.Option(min=1, help="The oldest so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """What waits, since when, why, and links to its flagged frames that are good for an hour."""
    logs.configure(level="CRITICAL", pretty=True)
    settings = None if folder else config.load()
    if folder:
        found = asyncio.run(waiting.in_folder(folder, limit=limit))
    else:
        assert settings
        found = asyncio.run(waiting.in_s3(settings, limit=limit))
    now = datetime.now(UTC)
    if as_json:
        print_json({"waiting": [waiting_document(one, now=now) for one in found.waiting], "more": found.more})
        return
    for line in waiting_lines(found, now=now, options=partial(_options, folder, settings)):
        out.print(line, soft_wrap=True)


def _options(folder: Path | None, settings: config.Settings | None, one: waiting.Waiting) -> list[str]:
    """What a command about it needs besides."""
    if folder or settings is None:
        return ["--out", str(folder), "PATH..."]
    return [] if one.bucket == settings.inputs[0].bucket else ["--bucket", one.bucket]


def _saying(verb: reviewing.Verb) -> Callable[..., None]:
    """The command that says `verb`."""

    def say(
        *,
        key: Key,
        sources: Sources = None,
        revision: Revision,
        by: By = None,
        bucket: Bucket = None,
        wait: Wait = 60,
        folder: WrittenTo = None,
        recipe: RecipeFile = None,
        public_url: PublicUrl = "",
        whisper_model: WhisperModel = None,
        child_memory_mb: MemoryMb = MEMORY_MB,
    ) -> None:
        logs.configure(level="CRITICAL", pretty=True)
        if bool(folder) != bool(sources):
            raise Misconfigured("review: --out and the paths that `process` was given go together, for a folder")
        settings = None if folder else config.load()
        where = bucket or (settings.inputs[0].bucket if settings else process.BUCKET)
        said = reviewing.Said(verb=verb, key=process.as_key(key), bucket=where, revision=revision, by=by or who())
        if settings:
            came = asyncio.run(reviewing.in_s3(said, settings, wait=wait))
        else:
            assert folder
            found, rules = process.collect(sources or (), out=folder), recipes.read_file(recipe)
            terms = process.Terms(rules=rules, public_url=public_url, memory_mb=child_memory_mb, whisper=whisper_model)
            came = asyncio.run(reviewing.in_folder(said, found, folder.resolve(), terms))
        _end(said, came, wait=wait)

    return say


def _end(said: reviewing.Said, came: reviewing.Came, *, wait: float) -> NoReturn:
    """Say what came of it, and how well."""
    if came.refused:
        err.print(Text(f"media-worker: {printable(came.refused)}"), soft_wrap=True)
        raise typer.Exit(1)
    if found := came.manifest:
        why = f" ({found.reason.code}: {found.reason.message})" if found.reason else ""
        out.print(Text(f"{printable(said.key)}: {found.status}{why}, revision {found.revision}"), soft_wrap=True)
        raise typer.Exit(0 if found.status is _WANTED[said.verb] else 1)
    if not wait:
        out.print(Text(f"{printable(said.key)}: {said.verb} is in the queue"), soft_wrap=True)
        raise typer.Exit(0)
    still = f"{printable(said.key)}: {said.verb} is in the queue, and no worker has done it within {wait:g} s"
    err.print(Text(f"media-worker: {still}: see whether one runs, then `media-worker show`"), soft_wrap=True)
    raise typer.Exit(1)


commands.command(name="approve", help="It may be shown: publish what was made, or make it now.")(_saying("approve"))
commands.command(name="reject", help="It may not be shown: delete what was made of it.")(_saying("reject"))
