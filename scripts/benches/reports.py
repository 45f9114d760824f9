"""What the benches of films found, as tables."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from scripts.benches.ladders import Made, Weighed
from scripts.benches.quality import Rendition
from scripts.benches.video import Compared, Measured, Ratio

_MB = 1_000_000
_NO_VMAF = "no VMAF: this ffmpeg has no libvmaf"


def compared(found: Compared) -> Iterator[Table | str]:
    """Times of all contenders, then their renditions, then whether our promises hold, and the commands."""
    yield f"{found.film}: {found.described}; moderation {found.moderation}, captions {found.captions}"
    yield f"ffmpeg {found.ffmpeg}, {found.cores} cores, load {found.load:.1f} when it began{_vmaf(found.vmaf)}\n"
    yield _times(found)
    yield ""
    yield _renditions(found.contenders)
    yield f"\nbesides the ladder our job made: {', '.join(found.also_made)}"
    yield from (_verdict(one) for one in found.ratios)
    if not found.same_work:
        yield "NOT THE SAME WORK: the renditions are not alike, and the ratios mean nothing"
    for one in found.contenders:
        yield from ("", f"{one.name}:", *one.commands)


def _vmaf(there: bool) -> str:  # noqa: FBT001 - the only thing that it is told
    return "" if there else f"; {_NO_VMAF}"


def _times(found: Compared) -> Table:
    table = _table(f"medians of {found.runs} runs", "", "job s", "all runs", "command s", "CPU s", "peak MB", "MB made")
    for one in found.contenders:
        runs = " ".join(f"{seconds:.1f}" for seconds in one.runs)
        measures = (f"{one.command_seconds:.2f}", f"{one.cpu_seconds:.1f}", f"{one.peak_memory_bytes / _MB:.0f}")
        table.add_row(one.name, f"{one.seconds:.2f}", runs, *measures, f"{one.bytes / _MB:.2f}")
    return table


def _renditions(contenders: Sequence[Measured]) -> Table:
    table = _table("kb/s and SSIM (and VMAF) of each rendition", "", *(one.name for one in contenders))
    for same in zip(*(one.renditions for one in contenders), strict=True):
        table.add_row(same[0].name, *map(_cell, same))
    return table


def _verdict(ratio: Ratio) -> str:
    said = "fine" if ratio.met else "TOO SLOW"
    whole = f"the whole command, with its start, {ratio.command:.2f} times"
    return f"{ratio.job:.2f} times {ratio.to} (at most {ratio.at_most:.2f}): {said}; {whole}"


def weighed(found: Weighed) -> Iterator[Table | str]:
    """A table a ladder: a column a preset, a row a rung."""
    yield f"{found.film}: {found.described}; its first {found.seconds:g} s, CRF {found.crf}, no sound"
    yield f"ffmpeg {found.ffmpeg}, {found.cores} cores, load {found.load:.1f} when it began{_vmaf(found.vmaf)}"
    for ladder in dict.fromkeys(one.ladder for one in found.made):
        yield ""
        yield _ladder(ladder, [one for one in found.made if one.ladder == ladder])
    if any(one.shipped for one in found.made):
        yield "\n* what the service makes"


def _ladder(name: str, made: Sequence[Made]) -> Table:
    table = _table(name, "", *(f"{one.preset}{'*' if one.shipped else ''}" for one in made))
    table.add_row("CPU s", *(f"{one.cpu_seconds:.1f}" for one in made))
    table.add_row("MB", *(f"{one.bytes / _MB:.2f}" for one in made))
    for same in zip(*(one.renditions for one in made), strict=True):
        table.add_row(same[0].name, *map(_cell, same))
    return table


def _cell(one: Rendition) -> str:
    score = "" if one.vmaf is None else f" {one.vmaf:5.1f}"
    return f"{one.bit_rate / 1000:.0f} {one.ssim:.4f}{score}"


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for at, heading in enumerate(headings):
        table.add_column(heading, justify="right" if at else "left")
    return table
