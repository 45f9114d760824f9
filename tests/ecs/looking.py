"""How rules look into templates."""

from typing import Any


def at(value: Any, *path: Any) -> Any:
    """The value at a path, None where there is no such place."""
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def listed(value: Any) -> list[Any]:
    """IAM and CloudFormation write one thing bare and several as a list."""
    return [] if value is None else value if isinstance(value, list) else [value]


def differing(properties: Any, wanted: dict[tuple[Any, ...], Any]) -> list[str]:
    """A sentence for each path that has not the value it should have."""
    return [
        f"{'.'.join(map(str, path))} is {at(properties, *path)!r}, not {value!r}"
        for path, value in wanted.items()
        if at(properties, *path) != value or type(at(properties, *path)) is not type(value)
    ]
