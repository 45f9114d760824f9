"""What the container may use, as the kernel tells it."""

from pathlib import Path

import pytest

from service.tools.machine import memory_limit


@pytest.mark.parametrize(
    ("name", "said", "expected"),
    [
        ("memory.max", "4294967296\n", 4 << 30),
        ("memory.max", "max\n", None),
        ("memory/memory.limit_in_bytes", "2147483648\n", 2 << 30),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", None),
        ("something.else", "1\n", None),
    ],
    ids=["v2", "v2 without", "v1", "v1 without", "no cgroup"],
)
def test_the_limit_of_the_container(name: str, said: str, expected: int | None, tmp_path: Path) -> None:
    """Both versions of cgroups; where there is none, there is no limit."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(said)
    assert expected == memory_limit(tmp_path)
