"""Captions that are uploaded beside a source: `films/a.mp4.en.vtt` are the English ones of `films/a.mp4`."""

from service.core.captions import language_tag


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
