"""Commands on everything that was ever uploaded: `audit`, `reprocess`, `recipe diff`."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from service import app, config, logs, recipes
from service.cli.options import AsJson, err, out, print_json
from service.commands import catalogue, process
from service.commands import reprocess as reprocessing
from service.commands.audit import Auditor
from service.commands.catalogue import Backfill
from service.commands.reprocess import Sent
from service.commands.survey import SAMPLE, surveyed
from service.core import differences
from service.core.audit import Audit
from service.core.outcome import MediaWorkerError, Misconfigured
from service.core.recipe import Recipe
from service.core.survey import Surveyed
from service.tables import audited, shell
from service.tables import surveyed as surveys
from service.tables.cells import printable

commands = typer.Typer(help="What a change of the recipe would mean.", no_args_is_help=True)

AnyBucket = Annotated[str | None, typer.Option("--bucket", help="One input bucket; default: each of them.")]
Sample = Annotated[
    int, typer.Option(min=0, help="Of more objects look at so many, the rest is taken to be like them; 0: at each.")
]

_AGE = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TOLD_EACH = 10_000  # objects that are looked at
_SENT_EACH = 1000


def audit(
    *,
    prefix: Annotated[str, typer.Argument(help="What the keys begin with; default: every key.")] = "",
    bucket: AnyBucket = None,
    enqueue: Annotated[bool, typer.Option("--enqueue", help="Send what was found to the workers.")] = False,
    gone: Annotated[
        bool, typer.Option("--gone", help="Look at each manifest, too: is its source still there?")
    ] = False,
    older_than: Annotated[str, typer.Option(help="Younger objects are not judged: 90s, 15m, 2h, 1d.")] = "15m",
    as_json: AsJson = False,
) -> None:
    """Sources that have no manifest of their newest version: lost events, and what was there before the first day."""
    logs.configure(level="CRITICAL", pretty=True)
    settings, age = config.load(), _age(older_than)
    result, backfill = asyncio.run(_audit(settings, bucket, process.as_key(prefix), age, enqueue=enqueue, gone=gone))
    if as_json:
        print_json(audited.audited_document(result, queue=backfill.url if enqueue else None))
    else:
        if result.wrong or result.young.objects or result.nameless.objects:
            out.print(audited.audited_table(result))
        _say(audited.audited_line(result))
        if result.enqueued:
            _say(f"{result.enqueued:,} sent to {_queue(backfill)}")
        elif result.objects:
            _say("--enqueue sends them to the workers")
    raise typer.Exit(0 if result.settled else 1)


async def _audit(
    settings: config.Settings, bucket: str | None, prefix: str, age: timedelta, *, enqueue: bool, gone: bool
) -> tuple[Audit, Backfill]:
    async with catalogue.opened(settings, bucket=bucket, prefix=prefix) as site:
        auditor = Auditor(
            catalogue=site.catalogue,
            older_than=age,
            now=datetime.now(UTC),
            backfill=site.backfill if enqueue else None,
        )
        return await auditor.audit(gone=gone, on_progress=_looking), site.backfill


def _age(text: str) -> timedelta:
    found = _AGE.fullmatch(text)
    if found is None:
        raise Misconfigured(f"--older-than: {text!r} is no time such as 90s, 15m, 2h or 1d")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def _queue(backfill: Backfill) -> str:
    return f"the queue of {backfill.setting}, {backfill.url}"


def _say(line: str, *, to_err: bool = False) -> None:
    (err if to_err else out).print(Text(line), soft_wrap=True)


def _looking(looked: int) -> None:
    if looked % _TOLD_EACH == 0:
        _say(f"{looked:,} looked at", to_err=True)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """Which objects are meant."""

    prefix: str
    bucket: str
    after: str
    limit: int | None

    def rest(self, sent: Sent) -> str:
        """The command that goes on where this one has stopped."""
        after = sent.last or self.after
        words = ["media-worker", "reprocess", "--bucket", self.bucket]
        words += [f"--after={after}"] if after else []
        words += [f"--limit={self.limit - sent.objects}"] if self.limit and self.limit > sent.objects else []
        return shell.command([*words, "--yes", "--", self.prefix])


def reprocess(
    *,
    prefix: Annotated[str, typer.Argument(help='What the keys begin with; "" for every key.')],
    bucket: Annotated[str | None, typer.Option(help="Its bucket, where there are several input buckets.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="With --dry-run: by this recipe; default: the deployed one.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do and cost; send nothing.")] = False,
    after: Annotated[str, typer.Option(help="Go on after this key: what a stopped run prints.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="So many objects at the most.")] = None,
    sample: Sample = SAMPLE,
    as_json: AsJson = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send, and neither count nor ask before.")] = False,
) -> None:
    """Send existing objects to the workers again; what is made already is not made twice."""
    logs.configure(level="CRITICAL", pretty=True)
    if recipe and not dry_run:
        raise Misconfigured(
            "reprocess: --recipe is for --dry-run: workers go by their own recipe, which MEDIA_RECIPE names"
        )
    settings, rules = config.load(), recipes.read_file(recipe) if recipe else None
    one = catalogue.only_bucket(settings, bucket)
    wanted = _Wanted(prefix=process.as_key(prefix), bucket=one, after=process.as_key(after), limit=limit)
    if dry_run or not yes:
        found = asyncio.run(_survey(settings, wanted, rules, sample))
        if dry_run and as_json:
            print_json(surveys.surveyed_document(found))
        else:
            _show(found, to_err=as_json)
        if dry_run:
            return
        if not found.objects or not typer.confirm(f"Send {found.objects:,} object(s) to the workers?", err=True):
            _say("Nothing was sent.", to_err=True)
            raise typer.Exit(0 if not found.objects else 1)
    _send_all(settings, wanted, as_json=as_json)


async def _survey(settings: config.Settings, wanted: _Wanted, rules: Recipe | None, sample: int) -> Surveyed:
    async with catalogue.opened(settings, bucket=wanted.bucket, prefix=wanted.prefix, recipe=rules) as site:
        return await surveyed(
            site.catalogue, after=wanted.after, limit=wanted.limit, sample=sample, on_progress=_looking
        )


def _show(found: Surveyed, *, to_err: bool = False) -> None:
    console = err if to_err else out
    if found.estimated.whole.steps:
        console.print(surveys.media_table(found))
        console.print()
        console.print(surveys.steps_table(found))
        console.print()
    for line in surveys.surveyed_lines(found):
        _say(line, to_err=to_err)


def _send_all(settings: config.Settings, wanted: _Wanted, *, as_json: bool) -> None:
    sent = Sent()
    with _telling_the_rest(wanted, sent):
        backfill, stopped = asyncio.run(_send(settings, wanted, sent))
    if as_json:
        print_json({"objects": sent.objects, "bytes": sent.bytes, "last": sent.last, "queue": backfill.url})
    else:
        _say(f"{sent.objects:,} object(s) sent to {_queue(backfill)}")
    if stopped or sent.objects == wanted.limit:
        _say(f"To go on:\n  {wanted.rest(sent)}", to_err=True)
    raise typer.Exit(130 if stopped else 0)


@contextmanager
def _telling_the_rest(wanted: _Wanted, sent: Sent) -> Iterator[None]:
    """However sending ends before its end: say how far it came, and how to go on, if it has begun."""
    try:
        yield
    except (MediaWorkerError, OSError, KeyboardInterrupt) as error:
        if not sent.objects and not isinstance(error, KeyboardInterrupt):
            raise
        why = "interrupted" if isinstance(error, KeyboardInterrupt) else printable(str(error))
        _say(f"media-worker: {why}", to_err=True)
        _say(f"{sent.objects:,} object(s) were sent. To go on:\n  {wanted.rest(sent)}", to_err=True)
        raise typer.Exit(130 if isinstance(error, KeyboardInterrupt) else 1) from error


async def _send(settings: config.Settings, wanted: _Wanted, sent: Sent) -> tuple[Backfill, bool]:
    """Until all is sent or somebody stops it; whether somebody did."""
    with app.stopping() as stop:
        async with catalogue.opened(settings, bucket=wanted.bucket, prefix=wanted.prefix) as site:
            _say(f"Sending to {_queue(site.backfill)}", to_err=True)
            if not settings.backfill_queue_url:
                _say("There is no MEDIA_BACKFILL_QUEUE_URL: new uploads have to wait behind them.", to_err=True)
            await reprocessing.send(
                site.catalogue,
                site.backfill,
                sent,
                now=datetime.now(UTC),
                after=wanted.after,
                limit=wanted.limit,
                stopped=stop.is_set,
                on_progress=_sending,
            )
            return site.backfill, stop.is_set()


def _sending(sent: Sent) -> None:
    if sent.objects % _SENT_EACH == 0:
        _say(f"{sent.objects:,} sent, up to {shell.command([str(sent.last)])}", to_err=True)


@commands.command(name="diff")
def diff(
    *,
    new: Annotated[Path, typer.Argument(help="The recipe that is thought of.")],
    prefix: Annotated[str, typer.Argument(help="What the keys begin with; default: every key.")] = "",
    bucket: AnyBucket = None,
    old: Annotated[Path | None, typer.Option(help="The recipe of before; default: the deployed one.")] = None,
    entries: Annotated[bool, typer.Option("--entries", help="Compare the recipes alone; no bucket is asked.")] = False,
    sample: Sample = SAMPLE,
    as_json: AsJson = False,
) -> None:
    """Which entries differ, which steps `reprocess` would do again, and for how much."""
    logs.configure(level="CRITICAL", pretty=True)
    after = recipes.read_file(new)
    settings = None if entries and old else config.load()
    before = recipes.read_file(old) if old else asyncio.run(_deployed(settings or config.load()))
    differing = differences.between(before, after)
    if not as_json:
        for line in surveys.differences_lines(differing):
            _say(line)
    found = None
    if differing and settings and not entries:
        found = asyncio.run(_compare(settings, bucket, process.as_key(prefix), (before, after), sample))
    if as_json:
        document = surveys.surveyed_document(found) if found else None
        print_json({"entries": surveys.differences_document(differing), "survey": document})
    elif found:
        out.print()
        _show(found)


async def _deployed(settings: config.Settings) -> Recipe:
    async with catalogue.aws(settings) as aws:
        return await app.fetch_recipe(settings, aws)


async def _compare(
    settings: config.Settings, bucket: str | None, prefix: str, both: tuple[Recipe, Recipe], sample: int
) -> Surveyed:
    old, new = both
    async with catalogue.opened(settings, bucket=bucket, prefix=prefix, recipe=new) as site:
        return await surveyed(site.catalogue, old=old, sample=sample, on_progress=_looking)
