"""What is uploaded beside a source and belongs to it.

`films/a.mp4.en.vtt` are the English captions of `films/a.mp4`, and `films/a.mp4.poster.jpg` is its poster.
"""

import re

from service.core.captions import language_tag

_POSTER = re.compile(r"(.*[^/])\.poster\.(?:jpe?g|png|webp)", re.DOTALL | re.IGNORECASE)


def above(key: str) -> str | None:
    """The key that `key` belongs to by its name; None for an upload of its own."""
    match parent(key):
        case (source, _):
            return source
        case _:
            return pictured(key)


def pictured(key: str) -> str | None:
    """The key whose poster `key` is by its name (`<key>.poster.jpg`, `.jpeg`, `.png` or `.webp`); None for any other.

    The name says no more than that: what kind of picture it is, its first bytes do.
    """
    found = _POSTER.fullmatch(key)
    return found[1] if found else None


def parent(key: str) -> tuple[str, str] | None:
    """The key whose captions `key` is by its name (`<key>.<language>.vtt`), and their language; None for any other."""
    rest, _, suffix = key.rpartition(".")
    above, _, tag = rest.rpartition(".")
    named = above and not above.endswith("/")
    spoken = language_tag(tag) if named and suffix.lower() == "vtt" and tag == tag.strip() else None
    return (above, spoken) if spoken else None


def language(key: str, source: str) -> str | None:
    """The language of `key` if it is captions of `source`, such as a listing of its neighbours finds them."""
    match parent(key):
        case (above, spoken) if above == source:
            return spoken
        case _:
            return None
