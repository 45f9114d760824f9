"""Commands for whoever runs the service: `redrive`, `failures`, `pause`, `resume`."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.text import Text

from service import config, logs
from service.cli.options import AsJson, WrittenTo, out, print_json, who
from service.cli.review import By
from service.commands import failures as failing
from service.commands import pause as pausing
from service.commands import redrive as redriving
from service.commands.pause import Changed, Queue
from service.commands.redrive import Group, Seen, Settled
from service.core.outcome import Misconfigured
from service.core.record import Pause
from service.tables import failures as failures_tables
from service.tables import letters as letters_tables
from service.tables import pauses as pauses_tables

Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Of these reasons alone; repeat it for several.")]
Queues = Annotated[
    list[Queue] | None, typer.Argument(metavar="QUEUE", help="intake, heavy, backfill; default: all of them.")
]
Stage = Annotated[
    str | None, typer.Option(help="Whose tasks on ECS to stop and start as well; default: MEDIA_STAGE; local: none.")
]


def redrive(
    *,
    queue: Annotated[Queue | None, typer.Option(help="The dead letters of this queue alone.")] = None,
    reason: Reasons = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many letters at most.")] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Delete them instead; --reason says which.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Dead letters by reason, then back to their queues. Mend the cause first: else they come back.

    Poison and forged letters are sent back only where --reason names them. With --json nothing is sent without --yes.
    """
    logs.configure(level="CRITICAL", pretty=True)
    if drop and not reason:
        raise Misconfigured("redrive: --drop deletes for good: say --reason, such as --reason poison")
    settings = config.load()
    seen, without = asyncio.run(_look(settings, queue))
    groups = [group for one in seen for group in one.groups if queue in {None, group.queue}]
    some = redriving.chosen(groups, reasons=reason or ())
    if not as_json:
        _show(seen, groups, without)
    settled = None
    if some and (yes or (not as_json and _asked(some, limit, drop=drop))):
        settled = asyncio.run(_settle(settings, queue, some, limit, drop=drop))
    if as_json:
        print_json(letters_tables.letters_document(seen, groups, settled, now=datetime.now(UTC)))
    elif settled:
        out.print(letters_tables.settled_line(settled, drop=drop))
    raise typer.Exit(1 if settled and settled.left else 0)


async def _look(settings: config.Settings, queue: Queue | None) -> tuple[list[Seen], Sequence[str]]:
    async with redriving.desk(settings, queue=queue) as desk:
        return await desk.look(), desk.without


async def _settle(
    settings: config.Settings, queue: Queue | None, groups: Sequence[Group], limit: int | None, *, drop: bool
) -> Settled:
    async with redriving.desk(settings, queue=queue) as desk:
        return await desk.settle(groups, delete=drop, limit=limit)


def _show(seen: Sequence[Seen], groups: Sequence[Group], without: Sequence[str]) -> None:
    if groups:
        out.print(letters_tables.letters_table(groups, now=datetime.now(UTC)))
    else:
        out.print("There are no dead letters.")
    _print(letters_tables.letters_notes(seen, groups, without))


def _asked(groups: Sequence[Group], limit: int | None, *, drop: bool) -> bool:
    """Whether a person agrees; nobody to ask is no."""
    found = sum(len(group.ids) for group in groups)
    count = found if limit is None else min(limit, found)
    reasons = ", ".join(dict.fromkeys(group.reason for group in groups))
    verb = "Delete for good" if drop else "Send back to where they came from"
    return typer.confirm(f"{verb}: {count:,} letter(s) ({reasons})?", err=True)


def failures(
    *,
    since: Annotated[str, typer.Option(help="How far back: 30m, 12h, 1d, 2w.")] = "1d",
    reason: Reasons = None,
    every: Annotated[bool, typer.Option("--all", help="Those as well that were mended or deleted since.")] = False,
    folder: WrittenTo = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """What was rejected or failed, the newest first, and what to do about it. Kept for 90 days."""
    logs.configure(level="CRITICAL", pretty=True)
    now = datetime.now(UTC)
    wanted = failing.Wanted(since=now - _ago(since), reasons=frozenset(reason or ()), every=every, limit=limit)
    if folder:
        found = asyncio.run(failing.in_folder(folder, wanted, now=now))
    else:
        found = asyncio.run(failing.in_s3(config.load(), wanted, now=now))
    if as_json:
        print_json(failures_tables.failures_document(found))
    elif found.failures:
        out.print(failures_tables.failures_table(found))
        _print(failures_tables.failures_notes(found))
    else:
        out.print(Text(f"Nothing was rejected or failed within {since} that is not mended or gone by now."))
    raise typer.Exit(1 if any(not one.over for one in found.failures) else 0)


_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST_AGO = timedelta(days=366)


def _ago(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdecimal() and len(number) < 7 and unit in _UNITS):
        raise Misconfigured(f"failures: --since {text!r} is no time such as 30m, 12h, 1d or 2w")
    ago = timedelta(**{_UNITS[unit]: int(number)})
    if ago > _LONGEST_AGO:
        raise Misconfigured(f"failures: --since {text!r} is longer ago than a year; entries are kept for 90 days")
    return ago


def pause(
    *,
    queues: Queues = None,
    why: Annotated[str | None, typer.Option(help="What others are told.")] = None,
    by: By = None,
    stage: Stage = None,
    as_json: AsJson = False,
) -> None:
    """Have workers receive nothing from these queues, and stop their tasks on ECS; what runs goes on, or goes back."""
    logs.configure(level="CRITICAL", pretty=True)
    settings = config.load()
    asyncio.run(_pause(settings, queues or tuple(Queue), stage or settings.stage, by or who(), why, as_json=as_json))


async def _pause(
    settings: config.Settings, queues: Sequence[Queue], stage: str, by: str, why: str | None, *, as_json: bool
) -> None:
    async with pausing.switch(settings, stage=stage) as switch:
        pause = await switch.pause(queues, by=by, why=why, now=datetime.now(UTC))
        if not as_json:
            _print(pauses_tables.paused_lines(pause, queues))
        changed = await switch.stop(queues)
        if as_json:
            print_json(pauses_tables.pause_document(pause, changed))
        else:
            _print(pauses_tables.stopped_lines(changed))


def resume(*, queues: Queues = None, stage: Stage = None, as_json: AsJson = False) -> None:
    """Undo a pause: tasks on ECS as they were before, and workers receive again."""
    logs.configure(level="CRITICAL", pretty=True)
    settings = config.load()
    wanted = queues or tuple(Queue)
    pause, changed = asyncio.run(_resume(settings, wanted, stage or settings.stage))
    if as_json:
        print_json(pauses_tables.pause_document(pause, changed))
    else:
        _print(pauses_tables.resumed_lines(pause, wanted, changed))


async def _resume(settings: config.Settings, queues: Sequence[Queue], stage: str) -> tuple[Pause, list[Changed]]:
    async with pausing.switch(settings, stage=stage) as switch:
        changed = await switch.start(queues)
        return await switch.resume(queues, changed), changed


def _print(lines: Iterable[Text]) -> None:
    for line in lines:
        out.print(line, soft_wrap=True)
