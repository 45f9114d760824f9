"""Commands: parse, call, print; no decisions.

Exit codes: 0 all ready, 1 some not ready, 2 wrong use or settings.
"""

import asyncio
import csv
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from service import app, config, logs
from service.commands import doctor, examine, process, show
from service.core import explain, manifest
from service.core.outcome import MediaWorkerError, Misconfigured, Reason
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
    rules, found = app.read_recipe_file(recipe), process.collect(paths, out=folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _Bars(total=len(found), quiet=as_json) as bars:
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
        _print_json([_ended(one) for one in ended])
    else:
        out.print(_ended_table(ended))
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
    examined = _examine(paths, app.read_recipe_file(recipe), child_memory_mb, jobs, decode=False)
    if as_json:
        _print_json([_planned(one) for one in examined])
    for one in () if as_json else examined:
        out.print(_plan_table(one))
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
        examined = _examine(files, app.read_recipe_file(recipe), child_memory_mb or _MEMORY_MB, jobs, decode=True)
    if as_json:
        _print_json([_examined(one) for one in examined])
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, fieldnames=["key", "bytes", "media", "code", "message"])
        writer.writeheader()
        writer.writerows(_examined(one) for one in examined)
    else:
        out.print(
            _table(
                ["file", "media", "verdict"], [(_printable(one.key), one.describes, _verdict(one)) for one in examined]
            )
        )
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
        _print_json(_shown(shown))
    else:
        _print_shown(shown)
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
        out.print(_table(["check", "", "detail"], [(f.name, marks[f.well], f.detail) for f in findings]))
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
    _print_json(app.recipe_schema() if what == "recipe" else manifest.Manifest.model_json_schema())


def _examine(
    paths: Sequence[Path], recipe: Recipe, memory_mb: int, jobs: int, *, decode: bool
) -> list[examine.Examined]:
    found = {key: path for key, path in process.collect(paths).items() if not recipe.ignores(key)}
    return asyncio.run(examine.files(found, recipe, memory_mb=memory_mb, decode=decode, jobs=jobs))


def _examine_s3(paths: Sequence[str], recipe: Path | None, memory_mb: int | None, jobs: int) -> list[examine.Examined]:
    if len(paths) > 1:
        raise Misconfigured("validate: give it either files and folders, or one s3://bucket/prefix alone")
    rules = app.read_recipe_file(recipe) if recipe else None
    return asyncio.run(examine.objects(paths[0], config.load(), recipe=rules, memory_mb=memory_mb, jobs=jobs))


class _Bars:
    """A bar a file that is being worked on, and one for them all."""

    def __init__(self, *, total: int, quiet: bool) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=err, disable=quiet, transient=True)
        self._all = self._progress.add_task("all files", total=total)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def at(self, key: str, percent: int) -> None:
        """A file has come so far."""
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(_short(key), total=100)
        self._progress.update(self._tasks[key], completed=percent)

    def ended(self, key: str, status: str) -> None:
        """A file is done."""
        if key in self._tasks:
            self._progress.remove_task(self._tasks.pop(key))
        self._progress.advance(self._all)
        if status not in {"ready", "ignored"} and not self._progress.disable:
            self._progress.console.print(Text(f"{_short(key)}: {status}"))


def _short(key: str, length: int = 44) -> str:
    text = _printable(key)
    return text if len(text) <= length else "…" + text[-length + 1 :]


def _printable(text: str) -> str:
    """`text` without what a terminal would obey; spaces of any width stay."""
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else "?" for c in text)


def _cell(value: str | Text) -> Text:
    """Never markup: names and messages come from uploads."""
    return value if isinstance(value, Text) else Text("\n".join(_printable(line) for line in value.splitlines()))


def _table(heads: Sequence[str], rows: Sequence[tuple[str | Text, ...]], title: str | None = None) -> Table:
    table = Table(title=None if title is None else _cell(title), title_justify="left", box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    return table


_COLOURS = {"ready": "green", "rejected": "yellow", "failed": "red", "quarantined": "yellow"}


def _ended_table(ended: Sequence[process.Ended]) -> Table:
    rows = []
    for one in ended:
        colour = _COLOURS.get(one.status, "dim")
        rows.append((_short(one.key, 70), Text(one.status, colour), _made(one), f"{one.seconds:.1f} s"))
    return _table(["file", "status", "", "time"], rows)


def _made(one: process.Ended) -> str:
    if one.error:
        return one.error
    if one.manifest and one.manifest.reason:
        return f"{one.manifest.reason.code}: {one.manifest.reason.message}"
    if one.manifest and one.manifest.serving:
        return f"{one.manifest.serving.kind}, {len(one.manifest.serving.products)} products"
    return ""


def _ended(one: process.Ended) -> dict[str, object]:
    document = one.manifest.model_dump(mode="json") if one.manifest else None
    return {"key": one.key, "status": one.status, "seconds": one.seconds, "error": one.error, "manifest": document}


def _examined(one: examine.Examined) -> dict[str, object]:
    return {"key": one.key, "bytes": one.size, "media": one.describes, "code": one.code, "message": one.message}


def _verdict(one: examine.Examined) -> Text:
    if one.media:
        return Text("ok", "green")
    return Text.assemble((str(one.code), "yellow"), ": ", _cell(str(one.message)))


def _planned(one: examine.Examined) -> dict[str, object]:
    if one.planned is None or one.media is None:
        return _examined(one) | {"steps": []}
    media = one.media
    steps = [{"step": _label(named.step), "why": explain.why(named.step, media)} for named in one.planned.steps]
    seconds, dollars = explain.cost(one.planned, media)
    return _examined(one) | {"steps": steps, "cpu_seconds": round(seconds, 2), "dollars": round(dollars, 6)}


def _plan_table(one: examine.Examined) -> Table:
    if one.planned is None or one.media is None:
        return _table(["would be", "because"], [("rejected", f"{one.code}: {one.message}")], title=_short(one.key, 90))
    rows = [(_label(named.step), explain.why(named.step, one.media)) for named in one.planned.steps]
    seconds, dollars = explain.cost(one.planned, one.media)
    rows.append(("about", f"{seconds:.1f} CPU seconds, ${dollars:.6f} on Fargate"))
    return _table(["step", "why"], rows, title=f"{_short(one.key, 90)}: {one.describes}")


def _label(step: object) -> str:
    return f"{type(step).__name__.lower()} {getattr(step, 'name', '')}".strip()


def _shown(shown: show.Shown) -> dict[str, object]:
    found = shown.manifest.model_dump(mode="json") if shown.manifest else None
    outcome = shown.outcome.model_dump(mode="json") if shown.outcome else None
    return {
        "key": shown.key,
        "manifest_key": shown.manifest_key,
        "manifest": found,
        "outcome": outcome,
        "lags": shown.lags,
    }


def _print_shown(shown: show.Shown) -> None:
    rows = [("key", _printable(shown.key)), ("manifest", shown.manifest_key)]
    if shown.head:
        rows.append(("source", f"{shown.head.size:,} bytes, ETag {shown.head.etag}, of {shown.head.last_modified}"))
    if found := shown.manifest:
        percent = f", {found.percent} %" if found.percent is not None else ""
        rows.append(
            ("status", f"{found.status}{percent}, revision {found.revision}, of {found.updated_at:%Y-%m-%d %H:%M:%S}")
        )
        rows += [("reason", f"{found.reason.code}: {found.reason.message}")] if found.reason else []
        rows += [("product", f"{p.role}: {p.url}") for p in (found.serving.products if found.serving else ())]
    if outcome := shown.outcome:
        rows.append(("worker", f"{outcome.worker}, recipe {outcome.recipe}, cause {outcome.cause}"))
        rows += [("failure", f"{failure.at:%Y-%m-%d %H:%M:%S} {failure.error}") for failure in outcome.failures]
    rows.append(("what to do", _advice(shown)))
    out.print(_table(["", ""], rows))


def _advice(shown: show.Shown) -> str:
    if shown.manifest is None:
        return "Nothing is known of this key: is it spelled as in S3, and does its bucket notify the queue?"
    if shown.lags and shown.gone:
        return "The object is gone, but not what was made of it: its delete event is still under way, or was lost."
    if shown.lags:
        return "The object is newer than its manifest: its event is still under way, or was lost."
    if shown.manifest.reason:
        return explain.REMEDIES[Reason(shown.manifest.reason.code)]
    return "Nothing." if shown.manifest.status in manifest.FINAL else "Wait: it is being worked on."


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
