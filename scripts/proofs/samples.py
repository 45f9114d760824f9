"""Media files that somebody has looked at before: a folder with an INDEX.tsv of path, bytes, kind, expected and note.

`expected` is `ok` for what plays everywhere, `reject` for what nothing can be made of, and `either`. A note begins with
what the file is, and holds tags such as `[hdr-pq,no-audio]`.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

INDEX = "INDEX.tsv"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One file; `key` is its path below the folder."""

    key: str
    path: Path
    size: int
    kind: str
    expected: str
    note: str

    @property
    def tags(self) -> frozenset[str]:
        """What the note says in brackets."""
        return frozenset(self.note.partition("[")[2].partition("]")[0].split(","))


def read(folder: Path) -> tuple[Sample, ...]:
    """Every video and sound of a folder's index that is `ok`.

    :raises OSError: when there is no index.
    """
    return tuple(one for one in _all(folder) if one.expected == "ok" and one.kind in {"video", "audio"})


def _all(folder: Path) -> Iterator[Sample]:
    with (folder / INDEX).open(newline="") as opened:
        for row in csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield Sample(
                key=row["path"],
                path=(folder / row["path"]).resolve(),
                size=int(row["bytes"]),
                kind=row["kind"],
                expected=row["expected"],
                note=row["note"],
            )
