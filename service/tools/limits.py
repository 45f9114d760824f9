"""What a child may use, what it used, and how exceeding each limit is told to the person who uploaded the file."""

import signal
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from service.core.outcome import Reason, Rejected


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Ceilings of one child: `stall_seconds` is the longest time without a line of progress on its standard output.

    `memory_bytes` is resident memory, descendants included; `file_bytes` the length of any one file it writes.
    """

    wall_seconds: float
    cpu_seconds: int
    memory_bytes: int
    file_bytes: int
    stall_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one child took; `max_rss_bytes` is never below what a child has of the zygote, some 15 to 30 MB."""

    cpu_seconds: float
    max_rss_bytes: int
    wall_seconds: float


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A child that ended by itself: `returncode` is negative for a signal, `errors` the end of its standard error."""

    returncode: int
    stdout: bytes
    errors: str
    error_lines: int
    usage: Usage


class Excess(StrEnum):
    """The limit that was exceeded: values of a metric's label."""

    WALL_CLOCK = "wall_clock"
    STALL = "stall"
    MEMORY = "memory"
    CPU = "cpu"
    FILE_SIZE = "file_size"
    OUTPUT = "output"


def rejection(excess: Excess, limits: Limits) -> Rejected:
    """What to tell about it."""
    match excess:
        case Excess.WALL_CLOCK:
            return Rejected(Reason.TIME_LIMIT, f"working on this file took longer than {limits.wall_seconds:g} s")
        case Excess.STALL:
            return Rejected(Reason.TIME_LIMIT, f"this file made no progress for {limits.stall_seconds:g} s")
        case Excess.CPU:
            return Rejected(Reason.TIME_LIMIT, f"this file takes more than {limits.cpu_seconds} s of processor time")
        case Excess.MEMORY:
            return Rejected(Reason.MEMORY_LIMIT, f"this file takes more than {_mb(limits.memory_bytes)} of memory")
        case Excess.FILE_SIZE:
            return Rejected(Reason.TOO_LARGE, f"this file becomes one of more than {_mb(limits.file_bytes)}")
        case Excess.OUTPUT:
            return Rejected(Reason.DAMAGED, "this file describes itself at a length that makes no sense")
    assert_never(excess)


def kernel_cpu_seconds(limits: Limits) -> int:
    """RLIMIT_CPU, should the worker be too busy to look.

    The kernel counts it in timer ticks: on a loaded machine a process was killed after 0.75 s of a limit of 1 s, by the
    precise clock. So the limit proper is checked by that clock, twenty times a second, and this is half as much again.
    """
    return limits.cpu_seconds + limits.cpu_seconds // 2 + 1


def cause_of_death(returncode: int, usage: Usage, limits: Limits) -> Excess | None:
    """The limit that the kernel enforced: both limits of RLIMIT_CPU are equal, so that its signal is SIGKILL."""
    if returncode == -signal.SIGXFSZ:
        return Excess.FILE_SIZE
    if returncode in {-signal.SIGKILL, -signal.SIGXCPU} and usage.cpu_seconds >= limits.cpu_seconds:
        return Excess.CPU
    return None


def _mb(size: int) -> str:
    return f"{size / 1_000_000:g} MB"
