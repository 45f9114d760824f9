"""What this container may use of the machine."""

from pathlib import Path

_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # cgroup v2, v1
_UNLIMITED = 1 << 50  # v1 says "no limit" by a number that no machine has


def memory_limit(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes of memory above which the kernel kills something in this container; None where there is no limit."""
    for name in _LIMITS:
        try:
            said = (root / name).read_text().strip()
        except OSError:
            continue
        if said.isdecimal() and int(said) < _UNLIMITED:
            return int(said)
    return None
