"""Programs of node that the service is measured against, with the packages of package-lock.json."""

import fcntl
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
_INSTALLED = HERE / "node_modules" / ".package-lock.json"
_LOCKED = HERE / "package-lock.json"
_INSTALL_SECONDS = 100


class NotInstalledError(Exception):
    """Node or its packages are not there; the message says what to do."""


def program(name: str) -> list[str]:
    """The argv of a script beside this module; installs the packages where they are missing or others.

    :raises NotInstalledError: when that can't be done.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NotInstalledError("node and npm are not installed: run scripts/setup browser")
    with (HERE / "package.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _current():
            _install()
    return ["node", str(HERE / name)]


def _current() -> bool:
    return _INSTALLED.exists() and _INSTALLED.stat().st_mtime >= _LOCKED.stat().st_mtime


def _install() -> None:
    try:
        argv = ["npm", "ci", "--ignore-scripts"]
        subprocess.run(argv, cwd=HERE, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        raise NotInstalledError(f"npm ci did not work in {HERE}: {error}") from error
