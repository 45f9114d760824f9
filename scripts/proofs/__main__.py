"""What was promised of video and sound, on real files.

Exits with 1 if a promise is broken, and with 2 if it could not be looked at.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts.proofs import corpus, players, tables
from scripts.proofs.clips import UnreadableError
from scripts.proofs.looped import NoSuchClipError

_WIDTH = 170  # characters


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove what was asked for; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="scripts/prove", description=__doc__.split("\n")[0])
    proofs = parser.add_subparsers(dest="proof", required=True, metavar="PROOF")
    films = proofs.add_parser("corpus", help="every `ok` video and sound: ready, upright, as long and like its source")
    films.add_argument("--only", default="", metavar="TEXT", help="of the files, those whose path has this in it")
    _arguments(films)
    _arguments(proofs.add_parser("players", help="five clips, looped, in hls.js and in shaka-player"))
    given = parser.parse_args(arguments)
    try:
        if given.keep:
            given.keep.mkdir(parents=True)
            return _prove(given, given.keep.resolve())
        with tempfile.TemporaryDirectory(prefix="prove-") as scratch:
            return _prove(given, Path(scratch))
    except (OSError, NoSuchClipError, UnreadableError) as error:
        parser.exit(2, f"{error}\n")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="of media files, with an INDEX.tsv")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where products and pictures stay; must not exist")
    parser.add_argument("--json", action="store_true", help="for machines: JSON on stdout, nothing else")


def _prove(given: argparse.Namespace, scratch: Path) -> int:
    if given.proof == "players":
        seen = players.prove(given.folder, scratch)
        _tell(seen, tables.played(seen), as_json=given.json)
        return 0 if seen.fine else 1
    found = corpus.prove(given.folder, scratch, only=given.only)
    corpus.sheet(found.files, scratch / "sheet.png")
    _tell(found, tables.corpus(found), as_json=given.json)
    return 0 if found.fine else 1


def _tell(found: corpus.Findings | players.Findings, told: Iterable[Table | str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"fine": found.fine, **asdict(found)}, indent=1, default=str, ensure_ascii=False))
        return
    console = Console(width=_WIDTH, highlight=False)
    for part in told:
        console.print(part, markup=False, soft_wrap=isinstance(part, str))


if __name__ == "__main__":
    sys.exit(main())
