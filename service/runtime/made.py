"""Files that a decoder left behind. It has seen hostile bytes: what it left may be a link to somewhere else."""

import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from service.core.outcome import Reason, Rejected


def opened(path: Path) -> BufferedReader:
    """The file itself, to be read: no link, no pipe, no device.

    :raises Rejected: `damaged`, for anything else.
    """
    try:
        # without O_NONBLOCK, opening a pipe waits for whoever writes to it
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise _not_made() from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _not_made()
    return file


def measured(path: Path) -> tuple[int, str]:
    """Bytes and SHA-256 of a file that nobody else has a name for.

    :raises Rejected: `damaged`, for anything else.
    """
    with opened(path) as file:
        found = os.fstat(file.fileno())
        if found.st_nlink != 1:
            raise _not_made()
        return found.st_size, hashlib.file_digest(file, "sha256").hexdigest()


def is_file(path: Path) -> bool:
    """Whether a file is there, not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def remove(path: Path) -> None:
    """Make room for a file of this name.

    :raises Rejected: `damaged`, when a directory stands there.
    """
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError) as error:
        raise _not_made() from error


def write(path: Path, content: str | bytes) -> None:
    """Write a new file, text as UTF-8, in the place of whatever has its name.

    :raises Rejected: `damaged`, when that can't be removed.
    """
    remove(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except FileExistsError as error:
        raise _not_made() from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _not_made() -> Rejected:
    return Rejected(Reason.DAMAGED, "Decoding it left something else than the files that were to be made.")
