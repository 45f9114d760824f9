"""How a decoder is cut off: what it may call (`calls`), what it may open, and the one program that it may start.

The zygote prepares a `Cage` once; each child closes it behind itself, just before its task.
"""

import errno
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final, Literal

from service.core.outcome import Misconfigured
from service.tools import calls, landlock, seccomp
from service.tools.calls import PROGRAM, Kind
from service.tools.seccomp import Filter

Mode = Literal["required", "optional", "off"]

#: What programs and libraries are made of, wherever a distribution keeps it, and what they ask about the machine.
SYSTEM: Final = tuple(
    """
    /usr /bin /sbin /lib /lib32 /lib64 /opt /nix/store /gnu/store /home/linuxbrew/.linuxbrew
    /etc/ld.so.cache /etc/ld.so.preload /etc/alternatives /etc/localtime /etc/fonts /etc/gcrypt /etc/gnutls
    /etc/ssl/openssl.cnf /etc/OpenCL
    /proc/cpuinfo /proc/stat /proc/meminfo /proc/filesystems /proc/sys/vm/overcommit_memory /proc/sys/crypto
    /sys/devices/system /dev/random /dev/urandom /dev/zero
    """.split()
)
ITSELF: Final = "/proc/self"  # of the child, not of the zygote: looked up where it is used
WORKER: Final = "read the worker's environment"


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """How children are held, as one of them found when it tried: `holes` is what it could do all the same."""

    told: str
    holes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Cage:
    """All that does not depend on the job: `filters` by the kind of child, or `why` there are none; Landlock's ABI."""

    filters: Mapping[Kind, Filter]
    readable: tuple[str, ...]
    abi: int
    why: str = ""

    @classmethod
    def prepared(cls, codecs: ModuleType) -> "Cage":
        """For children that call functions of `codecs`."""
        readable, abi = (ITSELF, *landlock.outermost((*SYSTEM, *_python(codecs)))), landlock.abi()
        try:
            return cls(filters={kind: calls.compiled(kind) for kind in Kind}, readable=readable, abi=abi)
        except OSError as error:
            return cls(filters={}, readable=readable, abi=abi, why=str(error))

    def close(self, mode: Mode, kind: Kind, *, works_in: str | None, reads: tuple[str, ...]) -> None:
        """Close it from inside, for good; `works_in` is the one folder that may be written to.

        :raises OSError: when that is not possible, and required.
        """
        if mode == "off":
            return
        try:
            self._close(kind, works_in, reads)
        except OSError:
            if mode == "required":
                raise

    def _close(self, kind: Kind, works_in: str | None, reads: tuple[str, ...]) -> None:
        if self.abi:
            rights: dict[str | Path, int] = dict.fromkeys((*self.readable, *reads), landlock.READ)
            rights |= {"/dev/null": landlock.READ_FILE | landlock.WRITE_FILE}
            landlock.restrict(rights | ({works_in: landlock.WORK} if works_in else {}), self.abi)
        if kind not in self.filters:
            raise OSError(errno.ENOSYS, f"there is no seccomp filter: {self.why}")
        self.filters[kind].install()

    def tried(self) -> dict[str, object]:
        """What a child finds that is in it."""
        found = self.filters.get(Kind.FUNCTION)
        held = f"seccomp {seccomp.version()}, {found.calls} calls allowed" if found else f"no seccomp: {self.why}"
        return {
            "seccomp": held,
            "unknown": list(found.unknown) if found else [],
            "landlock": self.abi,
            "holes": list(holes(look_around=bool(self.abi))),
        }


def confinement(found: Mapping[str, object]) -> Confinement:
    """What `Cage.tried` says, in a line."""
    match found:
        case {"seccomp": str(filters), "unknown": list(unknown), "landlock": int(abi), "holes": list(open_ones)}:
            unnamed = f" (libseccomp does not know {', '.join(map(str, unknown))})" if unknown else ""
            files = f"Landlock ABI {abi}" if abi else "no Landlock in this kernel"
            dumpable = "worker dumpable" if WORKER in open_ones else "worker not dumpable"
            told = f"{filters}{unnamed}; {files}; {dumpable}"
            return Confinement(told=told, holes=tuple(map(str, open_ones)))
    raise Misconfigured(f"the sandbox's trial gave no answer: {found}")


def holes(*, look_around: bool) -> Iterator[str]:
    """What this process can do, of what no decoder may: each is tried. Looking around is what Landlock prevents."""
    worker = os.getppid()
    attempts: dict[str, Callable[[], object]] = {
        "open a socket": lambda: socket.socket(socket.AF_INET).close(),
        "start a process": _fork,
        "signal the worker": lambda: os.kill(worker, 0),
        WORKER: lambda: Path(f"/proc/{worker}/environ").read_bytes(),
    }
    if look_around:
        attempts["look around"] = lambda: os.listdir("/")  # noqa: PTH208 - one call, whatever comes of it
    for what, attempt in attempts.items():
        with suppress(OSError):
            attempt()
            yield what


def _fork() -> None:
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        os._exit(0)


def opened(program: str) -> str:
    """Open the program that this child is to become at `PROGRAM`; its path, as found on PATH.

    Exec closes it, but for a script, whose interpreter reads it there.
    :raises FileNotFoundError: when there is none.
    """
    path = shutil.which(program)
    if path is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)  # who may not read it may start it all the same
    os.dup2(descriptor, PROGRAM, inheritable=_is_script(path))
    os.close(descriptor)
    return path


def _is_script(path: str) -> bool:
    with suppress(PermissionError), Path(path).open("rb") as file:
        return file.read(2) == b"#!"
    return False


def _python(codecs: ModuleType) -> Iterator[str]:
    """Where modules are, that are imported when they are needed."""
    yield from (sys.prefix, sys.base_prefix)
    yield from (entry for entry in sys.path if Path(entry).name in {"site-packages", "dist-packages"})
    yield str(Path(__file__).parents[1])
    if codecs.__file__:
        yield str(Path(codecs.__file__).parent)
