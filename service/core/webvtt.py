"""WebVTT and SRT: cues to files, and an uploaded WebVTT file to cues (W3C WebVTT, 4 April 2019)."""

import html
import re
from collections.abc import Iterator, Sequence

from service.core.captions import Cue, clean
from service.core.outcome import Reason, Rejected

MAX_INPUT = 4 * 1024 * 1024  #: bytes of an uploaded file; three hours of speech are a twentieth of that
MAX_OUTPUT = 8 * 1024 * 1024  #: bytes of a file of ours
MAX_CUES = 50_000
MAX_LINES = 20  #: of a cue
MAX_LINE = 500  #: characters
_LIMIT = 100 * 3600 * 1000  # milliseconds: hours have two digits in SRT

_TIME = r"(?:([0-9]{1,4}):)?([0-5][0-9]):([0-5][0-9])[.,]([0-9]{3})"
_TIMES = re.compile(rf"[ \t\f]*{_TIME}[ \t\f]*-->[ \t\f]*{_TIME}(?![0-9])")
_SIGNATURE = re.compile(r"WEBVTT(?![^ \t\n])")
_SRT = re.compile(rf"\s*(?:[0-9]+[ \t]*\n)?[ \t]*{_TIME}[ \t]*-->[ \t]*{_TIME}")
#: Everything that 6.4 takes for a tag, but not what only a hasty hand leaves unescaped: `a < b`, `<3`, `<=`.
_TAG = re.compile(r"<(?:>|[0-9]+:[0-9:.]*>|([^>\s0-9=][^>]*)(?:>|\Z))")
_VOICE = re.compile(r"v(?:\.\S*)?\s(.*)", re.DOTALL)
_ENTITY = re.compile(r"&(?:#[0-9]+|#[xX][0-9A-Fa-f]+|[A-Za-z][A-Za-z0-9]{1,31});?")
_LONGEST_ENTITY = 40  # characters: above that it is no character's number, and perhaps beyond what Python reads
#: SRT has no way to escape. What players take for markup (`<i>`, `{\an8}`, `{y:i}`) becomes what looks like it.
_SRT_TEXT = str.maketrans("<>{}", "‹›()")


def webvtt(cues: Sequence[Cue], *, language: str | None = None, note: str | None = None) -> str:
    """A WebVTT file; `language` and `note` are said in a NOTE block, since the format has no other place for them.

    :raises Rejected: when it would be larger than MAX_OUTPUT.
    """
    said = [f"Language: {language}" if language else "", *(note or "").splitlines()]
    notes = [text.replace("-->", "-- >") for line in said if (text := clean(line))]
    blocks = ["WEBVTT", *(["\n".join(["NOTE", *notes])] if notes else [])]
    for cue in cues:
        if lines := _shown(cue):
            text = "\n".join(html.escape(line, quote=False) for line in lines)
            blocks.append(f"{clock(cue.start)} --> {clock(cue.end)}\n{text}")
    return _bounded("\n\n".join(blocks) + "\n")


def srt(cues: Sequence[Cue]) -> str:
    """An SRT file, its lines ended by CRLF as SubRip does; `<`, `>`, `{` and `}` are replaced by ‹, ›, ( and ).

    :raises Rejected: when it would be larger than MAX_OUTPUT.
    """
    shown = [(cue, lines) for cue in cues if (lines := _shown(cue))]
    blocks = []
    for number, (cue, lines) in enumerate(shown, 1):
        times = f"{clock(cue.start, ',')} --> {clock(cue.end, ',')}"
        blocks.append("\n".join([str(number), times, *(line.translate(_SRT_TEXT) for line in lines), ""]))
    return _bounded("\n".join(blocks).replace("\n", "\r\n"))


def parse(data: bytes) -> tuple[Cue, ...]:
    """The cues of an uploaded WebVTT file, by their start, as they were written; () where it has none.

    Only text is kept, and who speaks it (`<v Ann>` becomes `Ann: `). An SRT file is read too. What goes beyond
    MAX_CUES, MAX_LINES and MAX_LINE is cut, and a cue that never ends, or ends before it starts, is dropped.

    :raises Rejected: for what is neither (`damaged`), or larger than MAX_INPUT (`too_large`).
    """
    if len(data) > MAX_INPUT:
        raise Rejected(Reason.TOO_LARGE, f"The captions are larger than {MAX_INPUT // 1024 // 1024} MB.")
    text = data.decode("utf-8", "replace").removeprefix("\ufeff").replace("\0", "\ufffd")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not _SIGNATURE.match(text) and not _SRT.match(text):
        raise Rejected(
            Reason.DAMAGED, "The captions are no WebVTT file: it has to begin with the word WEBVTT, in UTF-8."
        )
    cues = []
    for start, end, written in _blocks(text.split("\n")):
        lines = tuple(_plain("\n".join(written)))
        if lines and start < end < _LIMIT:
            cues.append(Cue(start=start / 1000, end=end / 1000, lines=lines))
        if len(cues) == MAX_CUES:
            break
    return tuple(sorted(cues, key=lambda cue: cue.start))


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, int, list[str]]]:
    """Start and end (milliseconds) and text of each cue: the lines from one with an arrow to an empty one (6.1)."""
    times: tuple[int, int] | None = None
    text: list[str] = []
    for line in [*lines, ""]:
        if times and ("-->" in line or not line):
            yield *times, text
            times = None
        if "-->" in line:
            times, text = _times(line), []
        elif times:
            text.append(line)


def _times(line: str) -> tuple[int, int] | None:
    found = _TIMES.match(line)
    if not found:
        return None
    start, end = ([int(digits or 0) for digits in half] for half in (found.groups()[:4], found.groups()[4:]))
    return _milliseconds(*start), _milliseconds(*end)


def _milliseconds(hours: int, minutes: int, seconds: int, rest: int) -> int:
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest


def _plain(text: str) -> Iterator[str]:
    """The lines that are left without tags and entities, at most MAX_LINES."""
    lines = (_line(_decoded(line)) for line in _TAG.sub(_untagged, text).split("\n"))
    yield from [line for line in lines if line][:MAX_LINES]


def _untagged(tag: re.Match[str]) -> str:
    voice = _VOICE.fullmatch(tag[1] or "")
    name = " ".join(voice[1].replace("<", " ").split()) if voice else ""
    return f"{name}: " if name else ""


def _decoded(text: str) -> str:
    return _ENTITY.sub(lambda each: html.unescape(each[0]) if len(each[0]) < _LONGEST_ENTITY else "\ufffd", text)


def _line(text: str) -> str:
    """Cut before it is normalised too: sorting a long run of combining marks takes the square of its length."""
    return clean(clean(text[: 4 * MAX_LINE])[:MAX_LINE])


def _shown(cue: Cue) -> list[str]:
    return [line for line in map(clean, cue.lines) if line]


def clock(seconds: float, point: str = ".") -> str:
    """A time as cues have it, with hours, which some players' parsers insist on."""
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _bounded(text: str) -> str:
    if len(text.encode()) > MAX_OUTPUT:
        raise Rejected(Reason.TOO_LARGE, f"The captions would be larger than {MAX_OUTPUT // 1024 // 1024} MB.")
    return text
