"""Captions: words to readable cues.

All text is untrusted, whoever wrote it: `clean` is what every line goes through. Lengths are columns, in which a wide
character (East Asian Width W or F, Unicode Annex 11) counts twice.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite

LINE = 42  #: columns; this and the durations as in Netflix' and the BBC's guides to timed text
LONGEST = 7000  # milliseconds
_SHORTEST = 1000
_PACE = 20  # columns a second
_GAP = 80  # milliseconds: two frames at 25 a second, so that a change of text is seen as one
_FLOOR = 100  # milliseconds, for words that leave no room at all: something that a player will still show
_END = 100 * 3600  # seconds: hours have two digits in SRT
_PAUSE = 0.7  # seconds without a word: somebody has stopped speaking

_UNWANTED = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_SPACES = re.compile(r"[^\S\u00a0\u202f]+")  # a no-break space is meant
_INVISIBLE = " \u00a0\u202f\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060"
#: Scripts that put no space between words: Thai and Lao, Burmese, Khmer, Chinese, Japanese, and full-width forms.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uff9f"
    r"\U00020000-\U0003ffff]"
)
_SENTENCE = re.compile(r"[.!?…。！？｡؟।॥]['\"’”»)\]」』]*$")
_CLAUSE = re.compile(r"[,;:–—、，；：،؛]['\"’”»)\]」』]*$")
_CLOSING = re.compile(r"[.,;:!?…%)\]»’”。、，！？：；」』）]+$")
_ABBREVIATION = re.compile(r"(?:[^\W\d_]|mr|mrs|ms|dr|st|prof|vs|no|nr)\.$", re.IGNORECASE)
#: Words that lean on the next one (conjunctions, prepositions, articles): a line had better begin than end with one.
_LEANING = frozenset(
    "a about after an and as at because before but by for from if in into of on or over so than that the through to "
    "under when where which while who with without "  # English
    "aber als am auf aus bei das dass dem den der des die ein eine einen im in mit nach oder ob um und von vor weil "
    "wenn wie zu zum zur für "  # German
    "au aux avec car dans de des du en et la le les mais ou par pour quand que qui sans si sur un une à "  # French
    "con cuando del el la las los o para pero por que se sin un una y "  # Spanish
    "com da das do dos e em na no nos os per di il che non una gli sono".split()  # Portuguese and Italian
)
#: RFC 5646, section 2.1: language, script, region and variant, without extensions and private use.
_TAG = re.compile(
    r"[A-Za-z]{2,3}(-[A-Za-z]{3})?(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))?"
)
_NO_LANGUAGE = {"und", "zxx", "mis", "mul"}  # undetermined, not linguistic, uncoded, several (ISO 639-2)


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word as it is written, its punctuation with it and no space around it; times in seconds."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Cue:
    """At most two lines that are shown together; times in seconds."""

    start: float
    end: float
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """What no line break may part; times in seconds, `width` in columns, `space` the columns before it on a line."""

    text: str
    start: float
    end: float
    width: int
    space: int = 0


def clean(text: str) -> str:
    """One line of visible text: NFC, without control and bidi override characters; "" for nothing to see."""
    line = unicodedata.normalize("NFC", _UNWANTED.sub("", text))
    line = _SPACES.sub(" ", line).strip()
    return line if line.strip(_INVISIBLE) else ""


def language_tag(text: str) -> str | None:
    """A declared language as a BCP 47 tag in its usual case (RFC 5646, 2.1.1), or None where it declares none.

    `en_US` is taken for `en-US`, as upload forms and operating systems write it.
    """
    tag = text.strip().replace("_", "-")
    if not _TAG.fullmatch(tag) or tag[:3].lower() in _NO_LANGUAGE:
        return None
    first, *subtags = tag.split("-")
    return "-".join([first.lower(), *map(_cased, subtags)])


def cues(words: Sequence[Word], *, until: float) -> tuple[Cue, ...]:
    """Readable cues, in order and apart from one another, none of them after `until` (seconds).

    At most two lines of 42 columns, parted at pauses, sentence ends and punctuation first; 1 to 7 s on screen and at
    most 20 columns a second, both as far as the next cue and `until` leave room. What begins after `until` is dropped.
    """
    last = int(min(until, _END) * 1000) if until > 0 else 0
    pieces = list(_pieces(_ordered(words, last / 1000)))
    parts = list(_parted(pieces))
    shown: list[Cue] = []
    free = 0
    for part, after in zip(parts, [*parts, None][1:], strict=True):
        start = max(free, round(part[0].start * 1000))
        following = round(after[0].start * 1000) - _GAP if after else last
        end = min(last, max(start + _FLOOR, min(following, start + _wanted(part, start))))
        if start < end:
            shown.append(Cue(start=start / 1000, end=end / 1000, lines=_lines(part)))
            free = end + _GAP
    return tuple(shown)


def _cased(subtag: str) -> str:
    cased = {2: subtag.upper(), 4: subtag.title()} if subtag.isalpha() else {}
    return cased.get(len(subtag), subtag.lower())


def _wanted(part: Sequence[_Piece], start: int) -> int:
    """For how many milliseconds from `start` these would be shown if there were nothing else."""
    spoken = round(part[-1].end * 1000) - start
    return min(LONGEST, max(spoken, _SHORTEST, -(-_width(part) * 1000 // _PACE)))


def _ordered(words: Sequence[Word], until: float) -> Iterator[Word]:
    """The words that begin before `until`, each after the one before it has ended; a time that is none is guessed."""
    timed: list[Word] = []
    now = 0.0
    for word in words:
        now = max(0.0, word.start) if isfinite(word.start) else now
        end = max(now, word.end) if isfinite(word.end) else now
        if (text := clean(word.text)) and now < until:
            timed.append(Word(text=text, start=now, end=end))
    timed.sort(key=lambda word: word.start)
    for word, following in zip(timed, [*timed, None][1:], strict=True):
        yield Word(text=word.text, start=word.start, end=min(word.end, following.start if following else until))


def _pieces(words: Iterator[Word]) -> Iterator[_Piece]:
    before = ""
    for word in words:
        chunks = [(chunk, number) for each in word.text.split(" ") for number, chunk in enumerate(_chunks(each))]
        step = (word.end - word.start) / len(chunks)
        for place, (text, number) in enumerate(chunks):
            joined = number > 0 or (_UNSPACED.match(before) and _UNSPACED.match(text))
            start = word.start + place * step
            yield _Piece(text=text, start=start, end=start + step, width=columns(text), space=0 if joined else 1)
            before = text[-1]


def _chunks(text: str) -> list[str]:
    """`text` in pieces that fit a line: one, unless it is longer than anybody's word."""
    if columns(text) <= LINE:
        return [text]
    chunks = [""]
    for letter in text:
        if columns(chunks[-1]) + columns(letter) > LINE:
            chunks.append("")
        chunks[-1] += letter
    return chunks


def _parted(pieces: Sequence[_Piece]) -> Iterator[Sequence[_Piece]]:
    """The pieces of each cue: the cheapest way to part them all, found from the end."""
    partings = [_parting(*pair) for pair in zip(pieces, [*pieces, None][1:], strict=True)]
    best = [(0.0, len(pieces))] * (len(pieces) + 1)  # what it costs to part the rest, and where its first cue ends
    for first in reversed(range(len(pieces))):
        best[first] = min((cost + partings[end - 1] + best[end][0], end) for end, cost in _ends(pieces, first))
    first = 0
    while first < len(pieces):
        end = best[first][1]
        yield pieces[first:end]
        first = end


def _ends(pieces: Sequence[_Piece], first: int) -> Iterator[tuple[int, float]]:
    """Where a cue that begins with `pieces[first]` can end (exclusive), and what is not good about it in itself."""
    begin, line, filled, crossed = pieces[first].start, 1, -pieces[first].space, 0.0
    for index in range(first, len(pieces)):
        piece = pieces[index]
        if index > first and (_pause(pieces[index - 1], piece) or piece.end - begin > LONGEST / 1000):
            return
        filled += piece.space + piece.width
        if filled > LINE:
            line, filled = line + 1, piece.width
        if line > 2:
            return
        following = pieces[index + 1].start if index + 1 < len(pieces) else inf
        hurried = 6.0 if (following - begin) * 1000 < _SHORTEST else 0.0
        orphan = 2.0 - 2.0 * filled / LINE if line == 1 else 0.0
        yield index + 1, 2.0 + crossed + hurried + orphan
        crossed += 5.0 if _ends_sentence(piece.text) else 0.0


def _parting(before: _Piece, after: _Piece | None) -> float:
    """How much a break between the two hurts a reader: 0 after a sentence or a pause."""
    if after is None or _pause(before, after):
        return 0.0
    if _CLOSING.fullmatch(after.text):
        return 10.0
    if _ends_sentence(before.text):
        return 0.0
    cost = 1.5 if _CLAUSE.search(before.text) else 2.5 if after.start - before.end > _PAUSE / 2 else 4.0
    return cost + 3.0 * (before.text.lower() in _LEANING) - 2.0 * (after.text.lower() in _LEANING)


def _pause(before: _Piece, after: _Piece) -> bool:
    return after.start - before.end > _PAUSE


def _ends_sentence(text: str) -> bool:
    return bool(_SENTENCE.search(text)) and not _ABBREVIATION.fullmatch(text)


def _lines(part: Sequence[_Piece]) -> tuple[str, ...]:
    """One line if it fits, else two, even or the lower one longer, parted where it hurts least."""
    if _width(part) <= LINE:
        return (_joined(part),)
    _, at = min((_unevenness(part[:at], part[at:]), at) for at in range(1, len(part)))
    return (_joined(part[:at]), _joined(part[at:]))


def _unevenness(upper: Sequence[_Piece], lower: Sequence[_Piece]) -> float:
    widths = _width(upper), _width(lower)
    return (
        (inf if max(widths) > LINE else abs(widths[0] - widths[1]) / 8)
        + (1.0 if widths[0] > widths[1] else 0.0)
        + _parting(upper[-1], lower[0])
    )


def _joined(pieces: Sequence[_Piece]) -> str:
    return clean("".join(" " * piece.space + piece.text for piece in pieces))


def _width(pieces: Sequence[_Piece]) -> int:
    return sum(piece.space + piece.width for piece in pieces) - pieces[0].space


def columns(text: str) -> int:
    """How wide `text` is."""
    return len(text) if text.isascii() else sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
