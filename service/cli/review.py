"""`review`: what waits in quarantine, and what a person says of it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from service import config, logs
from service.cli.options import (
    AsJson,
    WrittenTo,
    out,
    print_json,
)
from service.commands import waiting
from service.core.manifest import Status
from service.tables.waiting import waiting_document, waiting_lines

commands = typer.Typer(help="What waits for a person to look at it, and what they say of it.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The source's key.")]
Revision = Annotated[int, typer.Option(min=1, help="Of the page manifest, as `review list` shows it.")]
By = Annotated[str | None, typer.Option(help="Who says so; default: who is logged in.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for a worker to have done it; 0: do not.")]
Sources = Annotated[
    list[Path] | None, typer.Argument(metavar="[PATH]...", help="With --out: the files and folders that `process` had.")
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
    if folder:
        found, options = asyncio.run(waiting.in_folder(folder, limit=limit)), ["--out", str(folder), "PATH..."]
    else:
        found, options = asyncio.run(waiting.in_s3(config.load(), limit=limit)), []
    now = datetime.now(UTC)
    if as_json:
        print_json([waiting_document(one, now=now) for one in found.waiting])
        return
    for line in waiting_lines(found, now=now, options=options):
        out.print(line, soft_wrap=True)
