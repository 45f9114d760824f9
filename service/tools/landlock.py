"""Landlock: what a process may open, for good. Linux has it since 5.13, some kernels without it switched on.

Which rights there are depends on the kernel's ABI version: what it does not know stays as it was.
https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

# linux/landlock.h; the numbers are the same on all architectures
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION: Final = 1
PATH_BENEATH: Final = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = (1 << bit for bit in range(4))
REMOVE_FILE, MAKE_REG = 1 << 5, 1 << 8
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

READ: Final = EXECUTE | READ_FILE | READ_DIR
WORK: Final = READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE  # no links, folders, devices, pipes

# By the ABI that brought them: rights about files, TCP (bind, connect), what stays inside (abstract sockets, signals).
HANDLED: Final = ((1, (1 << 13) - 1), (2, 1 << 13), (3, TRUNCATE), (5, IOCTL_DEV))
TCP_SINCE, TCP = 4, 0b11
SCOPES_SINCE, SCOPES = 6, 0b11

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def abi() -> int:
    """The kernel's version of it; 0 where it is not there, or not switched on, or hidden by a container's filter."""
    try:
        return _call(CREATE_RULESET, None, 0, VERSION)
    except OSError:
        return 0


def restrict(rights: Mapping[str | Path, int], version: int) -> None:
    """From now on this process, and all that it starts, can open what is at or below these paths alone, as they say.

    `version` is what `abi` says. A path that is not there is left out. It needs no_new_privs.
    :raises OSError: when the kernel refuses.
    """
    files = sum(right for since, right in HANDLED if since <= version)
    ruleset = _ruleset(version, files)
    try:
        for path, right in rights.items():
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                _permit(ruleset, path, right & files)
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def outermost(paths: Iterable[str]) -> list[str]:
    """Those that are there, without what lies below another: each costs a child some 10 µs."""
    there = {Path(path).resolve() for path in paths if Path(path).exists()}
    return sorted(str(path) for path in there if there.isdisjoint(path.parents))


def with_targets(folders: Collection[Path]) -> list[str]:
    """Folders, and what lies in them and is elsewhere: models are kept as symbolic links into a cache."""
    found = [path for folder in folders for path in (folder, *(folder.iterdir() if folder.is_dir() else ()))]
    return list(dict.fromkeys(str(path.resolve()) for path in found if path in folders or path.is_symlink()))


def _ruleset(version: int, files: int) -> int:
    words = [files]
    if version >= TCP_SINCE:
        words.append(TCP)
    if version >= SCOPES_SINCE:
        words.append(SCOPES)
    attribute = struct.pack(f"={len(words)}Q", *words)
    return _call(CREATE_RULESET, attribute, len(attribute), 0)


def _permit(ruleset: int, path: str | Path, right: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            right &= OF_FILES
        _call(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", right, descriptor), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: bytes | int | None) -> int:
    words = [one if isinstance(one, bytes) else ctypes.c_void_p(one) for one in arguments]
    result = int(_libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        found = ctypes.get_errno() or errno.EIO
        raise OSError(found, f"Landlock: {os.strerror(found)}")
    return result
