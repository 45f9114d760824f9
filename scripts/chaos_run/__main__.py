"""The service under fire, on LocalStack: what it promised has to hold whatever befalls it.

Exits with 1 if anything is lost, double, partial or left over.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.chaos_run import crew, every_fault, long_film, report, sigterm, storm
from scripts.chaos_run.report import Report
from scripts.chaos_run.storm import Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=100, help="uploads, replacements, deletions (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of every choice but the machine's (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--versioned", action="store_true", help="the bucket of the uploads keeps every version")
    parser.add_argument(
        "--faults", type=int, nargs="?", const=50, default=0, metavar="N", help="one call of N (50) fails"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--every-fault",
        type=int,
        nargs="?",
        const=0,
        metavar="N",
        help="each call times each fault; N of them by chance",
    )
    what.add_argument("--sigterm", type=int, metavar="N", help="one worker is stopped N times")
    what.add_argument("--long", type=int, nargs="?", const=30, metavar="MINUTES", help="a film of 30, killed late")
    parser.add_argument("--json", action="store_true", help="for machines: JSON on stdout, nothing else")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where logs are kept; must not exist")
    given = parser.parse_args(arguments)
    crew.adopt_orphans()
    if given.keep:
        given.keep.mkdir(parents=True)
        return _told(given, _run(given, given.keep.absolute()))
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        return _told(given, _run(given, Path(folder)))


def _run(given: argparse.Namespace, folder: Path) -> Report:
    if given.every_fault is not None:
        return every_fault.run(folder, seed=given.seed, most=given.every_fault or None)
    if given.sigterm:
        return sigterm.run(folder, seed=given.seed, stops=given.sigterm)
    if given.long:
        return long_film.run(folder, minutes=given.long)
    plan = Plan(jobs=given.jobs, seed=given.seed, workers=given.workers, one_in=given.faults, versioned=given.versioned)
    return storm.run(plan, folder)


def _told(given: argparse.Namespace, found: Report) -> int:
    if given.json:
        print(found.json())
    else:
        report.show(found, f"seed {given.seed}")
    return 0 if found.fine else 1


if __name__ == "__main__":
    sys.exit(main())
