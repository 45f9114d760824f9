"""How fast the service is, beside others: always both in one run, as medians and their ratio."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from scripts.benches import ladders, queue, reports, video
from scripts.benches.film import NotAFilmError
from scripts.benches.node import NotInstalledError
from scripts.benches.queue import Queued
from scripts.benches.watched import FailedError
from scripts.localstack import NotStartedError

LEAST_RATE = 200  # messages a second that the loop has to reach where nothing is to be done

_FOR_PEOPLE = (NotInstalledError, NotStartedError, queue.LostError, NotAFilmError, FailedError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; 1 if the service is slower than it may be."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    benches = parser.add_subparsers(dest="bench", required=True, metavar="BENCH")
    _queue_arguments(benches.add_parser("queue", help="the loop alone, of messages that are acknowledged at once"))
    _video_arguments(benches.add_parser("video", help="a film's whole job, beside ffmpeg commands by hand"))
    _ladder_arguments(benches.add_parser("ladder", help="presets and ladders: what they cost, weigh and look like"))
    given = parser.parse_args(arguments)
    try:
        return _measure(given)
    except (*_FOR_PEOPLE, BotoCoreError, ClientError) as error:
        parser.exit(2, f"{error}\n")


def _measure(given: argparse.Namespace) -> int:
    match given.bench:
        case "video":
            return _video(given.file, given.runs, given.loop, as_json=given.json)
        case "ladder":
            return _ladder(given.file, given.seconds, given.preset or ladders.PRESETS, as_json=given.json)
    return _queue(given.messages, given.runs, given.endpoint, as_json=given.json)


def _queue_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=int, default=2000, help="in the queue (default: %(default)s)")
    parser.add_argument("--runs", type=_count, default=3, help="of each, in turn (default: %(default)s)")
    parser.add_argument("--endpoint", help="of an SQS that is there (default: a LocalStack of its own)")
    _json_argument(parser)


def _video_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the film")
    parser.add_argument("--runs", type=_count, default=5, help="of each, in turn (default: %(default)s)")
    parser.add_argument("--loop", type=_seconds, metavar="SECONDS", help="repeat the film up to this length first")
    _json_argument(parser)


def _ladder_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="the film")
    parser.add_argument("--seconds", type=_seconds, default=10.0, help="of it (default: %(default)s)")
    parser.add_argument("--preset", action="append", choices=ladders.PRESETS, help="only this one, or these")
    _json_argument(parser)


def _json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for machines: JSON on stdout, nothing else")


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("more than 0")
    return seconds


def _video(file: Path, runs: int, loop: float | None, *, as_json: bool) -> int:
    found = video.compared(file, runs=runs, loop=loop)
    _print(asdict(found) if as_json else reports.compared(found))
    return 0 if found.same_work and all(ratio.met for ratio in found.ratios) else 1


def _ladder(file: Path, seconds: float, presets: Sequence[str], *, as_json: bool) -> int:
    found = ladders.weighed(file, seconds=seconds, presets=presets)
    _print(asdict(found) if as_json else reports.weighed(found))
    return 0


def _print(told: dict[str, object] | Iterable[Table | str]) -> None:
    if isinstance(told, dict):
        print(json.dumps(told, indent=1))
        return
    console = Console(width=110)
    for part in told:
        console.print(part, markup=False, highlight=False, soft_wrap=isinstance(part, str))


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
