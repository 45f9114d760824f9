"""Filter graphs of one command kept apart, so that none waits for another.

FFmpeg 7 empties a graph's outputs only when the one that lags most has a frame (`read_frames` in its ffmpeg_filter.c):
all that the others have made meanwhile stays in memory, and a sheet of a storyboard may lag by half an hour. Graphs of
their own are filled by the same decoder, and each holds no more than a few frames.
"""

import re
from collections.abc import Sequence

_GRAPH = "-filter_complex"
_LABEL = re.compile(r"\[([^\[\]]+)\]")
_FILE = re.compile(r"[0-9]+(:.*)?")  # a stream of an input file, which many graphs may read


def apart(argv: Sequence[str]) -> list[str]:
    """An ffmpeg command as compiled by ffmpeg-python, with a graph for each group of chains that are connected."""
    if _GRAPH not in argv:
        return list(argv)
    at = argv.index(_GRAPH)
    groups: list[tuple[set[str], list[str]]] = []
    for chain in argv[at + 1].split(";"):
        labels = {label for label in _LABEL.findall(chain) if not _FILE.fullmatch(label)}
        met = [group for group in groups if group[0] & labels]
        groups = [group for group in groups if not group[0] & labels]
        chains = [one for _, each in met for one in each]
        groups.append((labels.union(*(known for known, _ in met)), [*chains, chain]))
    graphs = [part for _, chains in groups for part in (_GRAPH, ";".join(chains))]
    return [*argv[:at], *graphs, *argv[at + 2 :]]
