"""What two recipes say otherwise, entry by entry."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.core.recipe import Recipe, Rules


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One entry, by its dotted name, with JSON values; `prefix` is whose rules it is of, None for the general ones."""

    prefix: str | None
    entry: str
    old: Any
    new: Any

    def __str__(self) -> str:
        where = "" if self.prefix is None else f'prefix "{self.prefix}": '
        return f"{where}{self.entry}: {_text(self.old)} → {_text(self.new)}"


def between(old: Recipe, new: Recipe) -> tuple[Difference, ...]:
    """Every entry that differs; of a prefix those alone that do not differ in the same way in general."""
    general = tuple(_rules(old.general, new.general, prefix=None))
    said = {(one.entry, _text(one.old), _text(one.new)) for one in general}
    prefixes = sorted({match for recipe in (old, new) for match, _ in recipe.prefixes})
    below = (one for match in prefixes for one in _rules(old.rules(match), new.rules(match), prefix=match))
    special = tuple(one for one in below if (one.entry, _text(one.old), _text(one.new)) not in said)
    ignored = (Difference(prefix=None, entry="ignore", old=list(old.ignore), new=list(new.ignore)),)
    return (*(ignored if old.ignore != new.ignore else ()), *general, *special)


def _rules(old: Rules, new: Rules, *, prefix: str | None) -> Iterator[Difference]:
    before, after = (dict(_flat(rules.model_dump(mode="json", by_alias=True))) for rules in (old, new))
    for entry in {**before, **after}:
        if before.get(entry) != after.get(entry):
            yield Difference(prefix=prefix, entry=entry, old=before.get(entry), new=after.get(entry))


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value


def _text(value: object) -> str:
    """As JSON; what a list's tables leave unsaid is left out."""
    return json.dumps(_said(value), ensure_ascii=False)


def _said(value: Any) -> Any:
    if isinstance(value, list):
        return [_said(one) for one in value]
    return {name: one for name, one in value.items() if one is not None} if isinstance(value, dict) else value
