"""How fast the service is, beside others: always both in one run, as medians and their ratio."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from scripts.benches import queue
from scripts.benches.node import NotInstalledError
from scripts.benches.queue import Queued
from scripts.localstack import NotStartedError

LEAST_RATE = 200  # messages a second that the loop has to reach where nothing is to be done


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; 1 if the service is slower than it may be."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    benches = parser.add_subparsers(dest="bench", required=True, metavar="BENCH")
    _queue_arguments(benches.add_parser("queue", help="the loop alone, of messages that are acknowledged at once"))
    given = parser.parse_args(arguments)
    try:
        return _queue(given.messages, given.runs, given.endpoint, as_json=given.json)
    except (NotInstalledError, NotStartedError, queue.LostError, BotoCoreError, ClientError) as error:
        parser.exit(2, f"{error}\n")


def _queue_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=2000, help="in the queue (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each, in turn (default: %(default)s)")
    parser.add_argument("--endpoint", help="of an SQS that is there (default: a LocalStack of its own)")
    parser.add_argument("--json", action="store_true", help="for machines: JSON on stdout, nothing else")


def _queue(messages: int, runs: int, endpoint: str | None, *, as_json: bool) -> int:
    found = queue.measured(messages=messages, runs=runs, endpoint=endpoint)
    if as_json:
        print(json.dumps(asdict(found), indent=1))
    else:
        Console(width=110).print(_table(found))
    slowest = min(one.rate for one in found.contenders if one.ours)
    if not as_json:
        print(f"{slowest:.0f} messages a second (at least {LEAST_RATE}): {_verdict(slowest)}")
    return 0 if slowest >= LEAST_RATE else 1


def _verdict(rate: float) -> str:
    return "fine" if rate >= LEAST_RATE else "TOO SLOW"


def _table(found: Queued) -> Table:
    title = f"{found.messages:,} messages, {found.cores} cores, medians of {found.runs} runs"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for heading in ("messages/s", "all runs", "CPU ms a message", f"times {found.baseline}"):
        table.add_column(heading, justify="right")
    for one in found.contenders:
        runs = " ".join(f"{rate:.0f}" for rate in one.rates)
        table.add_row(one.name, f"{one.rate:.0f}", runs, f"{one.cpu_ms:.2f}", f"{one.ratio:.2f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
