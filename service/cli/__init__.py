"""Commands: parse, call, print; no decisions.

Exit codes: 0 all ready, 1 some not ready, 2 wrong use or settings.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from rich.text import Text

from service import app
from service.cli import catalogue, files, operate, review, uploads
from service.cli.options import err, out
from service.core.outcome import MediaWorkerError

cli = typer.Typer(
    name="media-worker",
    help="A file lands in S3; minutes later a website can show it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.command()(uploads.run)
cli.command()(files.process)
cli.command()(files.plan)
cli.command()(files.validate)
cli.command()(uploads.show)
cli.add_typer(review.commands, name="review")
cli.command()(catalogue.audit)
cli.command()(catalogue.reprocess)
cli.add_typer(catalogue.commands, name="recipe")
cli.command()(operate.redrive)
cli.command()(operate.failures)
cli.command()(operate.pause)
cli.command()(operate.resume)
cli.command()(uploads.doctor)
cli.command()(uploads.schema)


def _wrong(message: str) -> NoReturn:
    err.print(Text(f"media-worker: {message}"), soft_wrap=True)
    raise SystemExit(2)


def _version(wanted: bool) -> None:  # noqa: FBT001 - as typer calls it
    if wanted:
        out.print(app.version_of_worker())
        raise typer.Exit


@cli.callback()
def _options(
    *,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options that come before the command."""


def main(arguments: Sequence[str] | None = None, call: Callable[..., Any] = cli) -> None:
    """The console script."""
    try:
        call(args=list(arguments) if arguments is not None else None)
    except (MediaWorkerError, OSError) as error:
        _wrong(str(error))
