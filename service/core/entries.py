"""What a playlist names, read back from its text: HLS of any kind, or DASH, as this service writes them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

_ATTRIBUTE = re.compile(r'(URI|BYTERANGE)="([^"]*)"')
_BYTE_RANGE = re.compile(r"([0-9]{1,18})@([0-9]{1,18})")
_LENGTH = re.compile(r"#EXTINF:([0-9.]{1,30}),.*")
_FROM_TO = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file that a playlist names, and bytes of it from `begin` up to `end`; the whole file where there are none."""

    uri: str
    begin: int = 0
    end: int | None = None


def read(text: str) -> tuple[Entry, ...]:
    """Every entry, in order.

    Raises ValueError for what is no such playlist, has an entry that takes no time, or does not end.
    """
    try:
        return tuple(_hls(text) if text.startswith("#EXTM3U") else _dash(text))
    except ET.ParseError as error:
        raise ValueError(f"no playlist: {error}") from error


def _hls(text: str) -> Iterator[Entry]:
    """Each line without a tag, by the byte range before it, and each URI of a tag."""
    lines, span = text.splitlines(), ""
    timed = [line for line in lines if line.startswith("#EXTINF:")]
    if timed and lines[-1] != "#EXT-X-ENDLIST":
        raise ValueError("it does not end in EXT-X-ENDLIST")
    if not all((length := _LENGTH.fullmatch(line)) and float(length[1]) > 0 for line in timed):
        raise ValueError("it has an entry that takes no time")
    for line in lines:
        if line.startswith("#EXT-X-BYTERANGE:"):
            span = line.partition(":")[2]
        elif line.startswith("#"):
            named = dict(_ATTRIBUTE.findall(line))
            if "URI" in named:
                yield _ranged(named["URI"], named.get("BYTERANGE", ""))
        elif line:
            yield _ranged(line, span)
            span = ""


def _ranged(uri: str, span: str) -> Entry:
    if not span:
        return Entry(uri=uri)
    length, begin = _numbers(_BYTE_RANGE, span)
    return Entry(uri=uri, begin=begin, end=begin + length)


def _dash(text: str) -> Iterator[Entry]:
    """The file of each representation, its initialization and its index; text that this service wrote."""
    for representation in ET.fromstring(text).findall(".//{*}Representation"):  # noqa: S314
        uri = representation.findtext("{*}BaseURL", default="")
        yield Entry(uri=uri)
        for path, attribute in (("{*}SegmentBase", "indexRange"), ("{*}SegmentBase/{*}Initialization", "range")):
            for found in representation.findall(path):
                first, last = _numbers(_FROM_TO, found.get(attribute, ""))
                yield Entry(uri=uri, begin=first, end=last + 1)


def _numbers(form: re.Pattern[str], text: str) -> tuple[int, int]:
    found = form.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no byte range")
    return int(found[1]), int(found[2])
