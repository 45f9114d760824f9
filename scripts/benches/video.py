"""A film's whole job, probe to published manifest, beside ffmpeg commands by hand that make the same ladder alone."""

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile, rmtree
from statistics import median
from typing import Any

from scripts.benches import by_hand, film, quality, watched
from scripts.benches.by_hand import Task
from scripts.benches.film import Planned
from scripts.benches.quality import Rendition
from scripts.benches.watched import FailedError, Spent

OURS, ONE, EACH = "media-worker", "one command", "a command a rendition"
TARGETS = {ONE: 1.10, EACH: 0.75}  #: the most of their time that our job may take

_NEAR = 0.005  # in SSIM: what the same encoder gives twice differs by far less
_AS_LARGE = 0.1  # of the bytes

_RECIPE = "recipe.toml"
_OUT = "out"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a contender did, by medians.

    Of ours, `seconds` are the job's, as `process --json` says them, and `command_seconds` those of the whole command,
    with the start of Python and of the sandbox; CPU time and memory are the whole command's. Of the others both are
    the time of their commands.
    """

    name: str
    seconds: float
    runs: tuple[float, ...]
    command_seconds: float
    command_runs: tuple[float, ...]
    cpu_seconds: float
    peak_memory_bytes: int
    bytes: int  #: of all renditions together
    renditions: tuple[Rendition, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Our median to another one's: the job's, which counts, and the whole command's."""

    to: str
    job: float
    command: float
    at_most: float
    met: bool


@dataclass(frozen=True, kw_only=True)
class Compared:
    """All of it, on this machine; `load` is what else ran on it when it began (one minute's average).

    `same_work` is whether all made renditions of as many frames, about as large and as good: else ratios mean nothing.
    """

    film: str
    described: str
    seconds: float
    moderation: str
    captions: str
    runs: int
    cores: int
    load: float
    ffmpeg: str
    vmaf: bool
    contenders: tuple[Measured, ...]
    ratios: tuple[Ratio, ...]
    same_work: bool
    also_made: tuple[str, ...]  #: the products of our job, by their roles; beside these all its playlists and records


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a contender, and where its renditions lie: `made` by their file names."""

    seconds: float
    spent: Spent
    made: Mapping[str, Path]
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Whoever makes the ladder; `commands` is what `run` runs, for people to read."""

    name: str
    run: Callable[[Task, Path], Run]
    commands: Callable[[Task], Sequence[Sequence[str]]]


def compared(file: Path, *, runs: int, loop: float | None) -> Compared:
    """Every contender `runs` times, in turn, so that a machine that becomes busy slows all of them.

    :raises NotAFilmError: for what the service would not make a ladder of.
    :raises FailedError: when a contender fails.
    """
    with film.looped(file, loop) as source, tempfile.TemporaryDirectory() as scratch:
        planned = film.planned(source)
        return _compared(planned, runs=runs, folder=Path(scratch), vmaf=quality.has_vmaf())


def _compared(planned: Planned, *, runs: int, folder: Path, vmaf: bool) -> Compared:
    load, task = os.getloadavg()[0], _task(planned)
    found = [{one.name: _fresh(one, task, folder) for one in CONTENDERS} for _ in range(runs)]
    contenders = tuple(summary(one, task, [turn[one.name] for turn in found], folder, vmaf=vmaf) for one in CONTENDERS)
    return Compared(
        film=planned.file.name,
        described=planned.described,
        seconds=round(planned.clip.seconds, 3),
        moderation="off",
        captions="off",
        runs=runs,
        cores=len(os.sched_getaffinity(0)),
        load=round(load, 2),
        ffmpeg=film.ffmpeg_version(),
        vmaf=vmaf,
        contenders=contenders,
        ratios=ratios({one.name: one for one in contenders}),
        same_work=same_work(contenders),
        also_made=found[-1][OURS].roles,
    )


def _task(planned: Planned) -> Task:
    rungs = tuple(by_hand.rung(step) for step in planned.rungs)
    return Task(source=planned.file, clip=planned.clip, rungs=rungs, sound=planned.sound)


def _fresh(contender: Contender, task: Task, folder: Path) -> Run:
    """In a folder of its own, without what its last run left there."""
    mine = folder / contender.name
    rmtree(mine, ignore_errors=True)
    mine.mkdir()
    return contender.run(task, mine)


def summary(contender: Contender, task: Task, runs: Sequence[Run], folder: Path, *, vmaf: bool) -> Measured:
    """The medians of a contender's runs, and how good what its last one made is."""
    renditions = _qualities(task, runs[-1], folder / contender.name, vmaf=vmaf)
    return Measured(
        name=contender.name,
        seconds=round(median(run.seconds for run in runs), 3),
        runs=tuple(round(run.seconds, 3) for run in runs),
        command_seconds=round(median(run.spent.seconds for run in runs), 3),
        command_runs=tuple(round(run.spent.seconds, 3) for run in runs),
        cpu_seconds=round(median(run.spent.cpu_seconds for run in runs), 3),
        peak_memory_bytes=round(median(run.spent.peak_memory_bytes for run in runs)),
        bytes=sum(one.bytes for one in renditions),
        renditions=renditions,
        commands=tuple(shlex.join(argv) for argv in contender.commands(task)),
    )


def _qualities(task: Task, run: Run, folder: Path, *, vmaf: bool) -> tuple[Rendition, ...]:
    """Of the last run: where the buffer binds, x264's threads make runs differ by some thousandths, else not at all."""
    for rung in task.rungs:
        if run.made[rung.file].parent != folder:
            copyfile(run.made[rung.file], folder / rung.file)
    return quality.measured(task, folder, vmaf=vmaf)


def ratios(found: Mapping[str, Measured]) -> tuple[Ratio, ...]:
    """Ours to each other one that there is a target for, from their medians."""
    return tuple(_ratio(found[OURS], found[name], at_most) for name, at_most in TARGETS.items())


def _ratio(ours: Measured, other: Measured, at_most: float) -> Ratio:
    job = ours.seconds / other.seconds
    command = ours.command_seconds / other.command_seconds
    return Ratio(to=other.name, job=round(job, 3), command=round(command, 3), at_most=at_most, met=job <= at_most)


def same_work(contenders: Sequence[Measured]) -> bool:
    """Whether the renditions are alike: they would not be if the service copied a picture, say, or mapped its tones."""
    ladders = zip(*(one.renditions for one in contenders), strict=True)
    return all(_alike(same[0], other) for same in ladders for other in same[1:])


def _alike(one: Rendition, other: Rendition) -> bool:
    near = abs(one.ssim - other.ssim) <= _NEAR and abs(one.bytes - other.bytes) <= _AS_LARGE * one.bytes
    return near and one.frames == other.frames


def _our_command(task: Task) -> list[list[str]]:
    worker = str(Path(sys.executable).with_name("media-worker"))
    return [[worker, "process", str(task.source), "--out", _OUT, "--recipe", _RECIPE, "--jobs", "1", "--json"]]


def _ours(task: Task, folder: Path) -> Run:
    """The real command; the job is the first of its process, so nothing is warm that a running worker has warm."""
    (folder / _RECIPE).write_text(film.RECIPE)
    (argv,) = _our_command(task)
    try:
        spent, said = watched.run(argv, folder=folder)
    except FailedError as error:
        raise _why(error) from error
    (ended,) = json.loads(said)
    made = {rung.file: _found(folder / _OUT, rung.file) for rung in task.rungs}
    return Run(seconds=ended["seconds"], spent=spent, made=made, roles=_roles(ended))


def _why(error: FailedError) -> FailedError:
    """What `process` says of a job that did not become ready, where it came so far."""
    if not error.said:
        return error
    (ended,) = json.loads(error.said)
    reason = ended["error"] or (ended["manifest"] or {}).get("reason")
    return FailedError(f"{OURS}: the job is {ended['status']}: {reason}")


def _found(out: Path, name: str) -> Path:
    paths = sorted((out / "media").rglob(name))
    if len(paths) != 1:
        raise FailedError(f"{OURS} published {len(paths)} files {name}, not one")
    return paths[0]


def _roles(ended: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(product["role"] for product in ended["manifest"]["serving"]["products"])


def _theirs(name: str, commands: Callable[[Task], Sequence[Sequence[str]]]) -> Contender:
    def run(task: Task, folder: Path) -> Run:
        spent = watched.in_turn(commands(task), folder=folder)
        made = {rung.file: folder / rung.file for rung in task.rungs}
        return Run(seconds=spent.seconds, spent=spent, made=made)

    return Contender(name=name, run=run, commands=commands)


CONTENDERS = (
    Contender(name=OURS, run=_ours, commands=_our_command),
    _theirs(ONE, lambda task: [by_hand.one_command(task)]),
    _theirs(EACH, by_hand.a_command_each),
)
