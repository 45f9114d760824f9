"""The recipe, from where it is kept: shipped with the package, or a file."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from service.core import recipe
from service.core.outcome import Misconfigured
from service.core.recipe import Recipe

_LISTED = {"Rung", "Rule"}  # what lists are made of: lists are replaced whole, so nothing of theirs may be left out


def shipped() -> str:
    """The default recipe's text."""
    return (files("service") / "recipe.toml").read_text()


def read(text: str = "") -> Recipe:
    """A recipe over the shipped one.

    :raises Misconfigured: naming the entry that is wrong.
    """
    return recipe.read(text, shipped=shipped())


def read_file(path: Path | None) -> Recipe:
    """The recipe in a file, or the shipped one.

    :raises Misconfigured: when it can't be read, or naming the entry that is wrong.
    """
    try:
        return read(path.read_text() if path else "")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"recipe: {path} can't be read: {error}") from error


def schema() -> dict[str, Any]:
    """The JSON schema of a recipe file. It may leave out any table or entry: the shipped recipe has them all."""
    rules = recipe.Rules.model_json_schema()
    tables, parts = rules["properties"], rules["$defs"]
    optional = {name: part if name in _LISTED else _without_required(part) for name, part in parts.items()}
    match = {"type": "string", "minLength": 1, "description": "what keys begin with; the longest match wins"}
    prefix = _closed({"match": match, **tables}) | {"required": ["match"]}
    ignore = {"type": "array", "items": {"type": "string"}, "description": "shell patterns of keys that are no uploads"}
    whole = _closed({"ignore": ignore, **tables, "prefix": {"type": "array", "items": prefix}})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Recipe", **whole, "$defs": optional}


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _without_required(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != "required"}
