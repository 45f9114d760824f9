"""Commands to be copied from a terminal, whatever the keys in them are called."""

import shlex
from collections.abc import Iterable


def command(words: Iterable[str]) -> str:
    """A line for a POSIX shell; what a terminal would obey is written as bash's escapes (`$'…'`)."""
    return " ".join(shlex.quote(word) if word.isprintable() else f"$'{_escaped(word)}'" for word in words)


def _escaped(word: str) -> str:
    return "".join(f"\\{c}" if c in "\\'" else c if c.isprintable() else _bytes(c) for c in word)


def _bytes(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
