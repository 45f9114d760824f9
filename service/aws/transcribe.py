"""Transcribe: what is said in a sound file, heard by jobs with names that say which speech they are of.

A job's name is taken for ever, also by one that failed: the next try has the next number. So a worker that was killed
right after a start finds that job again, and two workers never begin the same one twice.
"""

import asyncio
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from botocore.exceptions import ClientError

from service.aws import errors
from service.aws.errors import answered
from service.core import places, spend
from service.core.captions import Word
from service.core.outcome import Misconfigured, Unavailable
from service.core.recipe import LANGUAGE
from service.runtime import made
from service.runtime.ports import Store
from service.runtime.tools import Declined, Heard, Pending, Speech

SHORTEST, LONGEST = 0.5, 4 * 3600.0  #: seconds of one file (Transcribe's guidelines and quotas)
MAX_BYTES = 2_000_000_000  #: of one file: the same page says 2 GB
MAX_FAILED = 3  #: jobs of one speech; that many do not fail by chance

_NAMES = 10  # of one speech that are tried, those that somebody else took counted
_MAX_DOCUMENT = 64 << 20  # bytes: four hours of fast talk are a quarter of it
_MAX_WORDS = 200_000
_MAX_WORD = 100  # characters
_MAX_DETAIL = 500  # characters: a line for the operator
_MISSING = "couldn't be found"  # a missing job is a BadRequestException with these words, whatever the model says
_SILENT = "must have a speech segment long enough"  # identifying the language of nobody fails
_LATE = 1.0  # seconds that a word may begin after the end of the sound, by another measure of its length
_LOCKED = re.compile(r"\b(S3|bucket|permission|access|KMS)", re.IGNORECASE)  # all that tells them from other refusals
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)  # bidi overrides turn a line round
#: Transcribe's code for a language without a region, where the first that it lists is not the one most people mean.
_USUAL = {
    "ar": "ar-SA",
    "cmn": "zh-CN",
    "de": "de-DE",
    "en": "en-US",
    "fa": "fa-IR",
    "fil": "tl-PH",
    "fr": "fr-FR",
    "in": "id-ID",
    "iw": "he-IL",
    "nb": "no-NO",
    "nn": "no-NO",
    "sw": "sw-TZ",
    "yue": "zh-HK",
    "zh-hant": "zh-TW",
}
_NO_REGIONS = {"AB": "GB", "WL": "GB"}  # Transcribe's own, for Scotland and Wales: no such regions are in ISO 3166

Outcome = Heard | Pending | Declined


@dataclass(frozen=True, kw_only=True)
class _Lost:
    """A job that gave nothing, so that another one may be begun."""

    why: str


class Transcribe:
    """StartTranscriptionJob and GetTranscriptionJob; sound and transcripts lie in the output bucket, below `work/`.

    One call is one try, because whoever asks asks again: the client wants
    `AioConfig(connect_timeout=3, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 1})`.
    The service reads the sound and writes the transcript with the permissions of whoever starts the job.
    """

    name = "transcribe"
    unit: str | None = "transcribe_minute"
    sound: Literal["flac", "s16le"] = "flac"

    def __init__(self, client: Any, *, store: Store, bucket: str) -> None:
        self._client = client
        self._store = store
        self._bucket = bucket
        self._codes: tuple[str, ...] = tuple(client.meta.service_model.shape_for("LanguageCode").enum)

    def minutes(self, seconds: float) -> float:
        """What a sound is billed as."""
        return spend.minutes(seconds)

    async def find(self, speech: Speech) -> Outcome | None:
        """What has become of `speech`; None when no job of it is there, or only failed ones.

        :raises Throttled: when asked too often.
        :raises Unavailable: when it gave no answer.
        :raises Misconfigured: when it may not be asked.
        """
        found = await self._follow(speech)
        return None if isinstance(found, int) else found

    async def listen(self, speech: Speech, folder: Path, file: str) -> Outcome:
        """Have a FLAC file of ours in `folder` heard, unless a job of the same speech is there already.

        :raises Rejected: `damaged`, when a decoder left something else than a file there.
        :raises Throttled: when asked too often.
        :raises Unavailable: when it gave no answer.
        :raises Misconfigured: when it may not be asked, or may not read or write in the bucket.
        """
        size, sha256 = await asyncio.to_thread(made.measured, folder / file)
        if declined := _unfit(speech.seconds, size):
            return declined
        if not (tongue := spoken(speech, self._codes)):
            wanted = speech.language or ", ".join(speech.languages)
            return Declined(why="language", detail=f"Transcribe does not know {wanted}")
        found = await self._follow(speech)
        if isinstance(found, int):
            key = places.speech_audio(speech.name)
            await self._store.upload(key, folder / file, content_type="audio/flac", sha256=sha256)
        return await self._begin(speech, found, tongue)

    async def _begin(self, speech: Speech, found: Outcome | int, tongue: Mapping[str, Any]) -> Outcome:
        """Start the job with the number that was found to be free, or join whoever was faster."""
        for _ in range(_NAMES):
            if not isinstance(found, int):
                return found
            if started := await self._start(speech, found, tongue):
                return started
            found = await self._follow(speech)
        raise Unavailable(f"StartTranscriptionJob: the names of {speech.name} are taken, and not there")

    async def _start(self, speech: Speech, number: int, tongue: Mapping[str, Any]) -> Pending | Declined | None:
        """Start a job; None when its name is taken by now."""
        job = places.speech_job(speech.name, number)
        with answered("StartTranscriptionJob"):
            try:
                await self._client.start_transcription_job(
                    TranscriptionJobName=job,
                    Media={"MediaFileUri": f"s3://{self._bucket}/{places.speech_audio(speech.name)}"},
                    MediaFormat="flac",
                    OutputBucketName=self._bucket,
                    OutputKey=places.speech_text(job),
                    **tongue,
                )
            except ClientError as error:
                return _refusal(error)
        return Pending()

    async def _follow(self, speech: Speech) -> Outcome | int:
        """What has become of the latest job of `speech`; the next one's number where none stands."""
        lost: list[str] = []
        for number in range(1, _NAMES + 1):
            job = await self._job(places.speech_job(speech.name, number))
            if job is None:
                return number
            if not self._is_of(job, speech):
                continue
            came = await self._came(job, places.speech_job(speech.name, number), speech)
            if not isinstance(came, _Lost):
                return came
            lost.append(came.why)
            if len(lost) == MAX_FAILED:
                break
        return Declined(why="refused", detail=lost[-1] if lost else "its job names are all taken by others")

    async def _job(self, name: str) -> Mapping[str, Any] | None:
        with answered("GetTranscriptionJob"):
            try:
                answer = await self._client.get_transcription_job(TranscriptionJobName=name)
            except ClientError as error:
                if errors.code(error) == "NotFoundException" or _MISSING in str(error):
                    return None
                raise
        job = answer.get("TranscriptionJob")
        if not isinstance(job, dict) or not job.get("TranscriptionJobStatus"):
            raise Unavailable("GetTranscriptionJob: an answer without a job")
        return job

    def _is_of(self, job: Mapping[str, Any], speech: Speech) -> bool:
        """Whether `job` listens to our file: another installation in this account may hear the same upload."""
        uri = (job.get("Media") or {}).get("MediaFileUri")
        return uri is None or _object(uri) == f"{self._bucket}/{places.speech_audio(speech.name)}"

    async def _came(self, job: Mapping[str, Any], name: str, speech: Speech) -> Outcome | _Lost:
        """What has become of one job; a state that nobody knows yet is taken for one on the way to another."""
        match job["TranscriptionJobStatus"]:
            case "COMPLETED":
                return await self._heard(job, name, speech)
            case "FAILED":
                why = str(job.get("FailureReason") or "no reason given")[:_MAX_DETAIL]
                return Heard(words=(), language=None, model=_model(job)) if _SILENT in why else _Lost(why=why)
            case _:
                return Pending()

    async def _heard(self, job: Mapping[str, Any], name: str, speech: Speech) -> Heard | Declined | _Lost:
        stored = await self._store.read(places.speech_text(name))
        if stored is None:
            return _Lost(why=f"{name} has ended, and its transcript is gone")
        try:
            said = await asyncio.to_thread(words, stored.body, seconds=speech.seconds)
        except (ValueError, RecursionError) as error:
            return Declined(why="unreadable", detail=f"the transcript of {name}: {error}"[:_MAX_DETAIL])
        return Heard(words=said, language=_language(job.get("LanguageCode")), model=_model(job))


def spoken(speech: Speech, codes: tuple[str, ...]) -> dict[str, Any]:
    """How a request says the language, by those of Transcribe's `codes`; nothing where it knows none of them."""
    wanted = (speech.language,) if speech.language else speech.languages
    if not wanted:
        return {"IdentifyLanguage": True}
    known = list(dict.fromkeys(code for tag in wanted if (code := language_code(tag, codes))))
    if len(known) > 1:
        return {"IdentifyLanguage": True, "LanguageOptions": known[:5]}
    return {"LanguageCode": known[0]} if known else {}


def language_code(tag: str, codes: tuple[str, ...]) -> str | None:
    """Transcribe's code for a BCP 47 tag: the same, else language and region, else the language's usual one."""
    known = {code.lower(): code for code in codes}
    language, *rest = tag.lower().split("-")
    regions = [f"{language}-{part}" for part in rest if len(part) == 2]
    usual = [_USUAL.get(f"{language}-{rest[0]}", "") if rest else "", _USUAL.get(language, "")]
    first = [code for code in known if code.startswith(f"{language}-")][:1]
    return next((known[one] for one in (tag.lower(), *regions, *map(str.lower, usual), *first) if one in known), None)


def words(document: bytes, *, seconds: float) -> tuple[Word, ...]:
    """The words of a transcript in order, as far as they make sense: none begins after the sound, `seconds` long.

    :raises ValueError: when it is no JSON object with results, or too large.
    """
    if len(document) > _MAX_DOCUMENT:
        raise ValueError(f"{len(document)} bytes")
    parsed = json.loads(document)
    try:
        items = parsed["results"].get("items")
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError("no results") from error
    return tuple(sorted(_joined(items if isinstance(items, list) else [], seconds), key=lambda word: word.start))


def _joined(items: Iterable[Any], seconds: float) -> list[Word]:
    """A word for each that was pronounced, its punctuation with it; what follows nonsense is nobody's."""
    found: list[Word] = []
    stands = False
    for item in items:
        text = _content(item)
        if text and item.get("type") == "punctuation":
            if stands:
                found.append(_ended(found.pop(), text))
            continue
        times = _times(item, seconds) if text else None
        stands = times is not None and len(found) < _MAX_WORDS
        if times and stands:
            found.append(Word(text=text, start=times[0], end=times[1]))
    return found


def _ended(word: Word, punctuation: str) -> Word:
    return replace(word, text=(word.text + punctuation)[:_MAX_WORD])


def _content(item: Any) -> str:
    """The likeliest reading of an item, without what only a hostile one has; "" where there is none."""
    try:
        content = item["alternatives"][0]["content"]
    except (LookupError, TypeError):
        return ""
    return _CONTROL.sub("", " ".join(content.split()))[:_MAX_WORD].strip() if isinstance(content, str) else ""


def _times(item: Mapping[str, Any], seconds: float) -> tuple[float, float] | None:
    try:
        if item["type"] != "pronunciation":
            return None
        start, end = float(item["start_time"]), float(item["end_time"])
    except (LookupError, TypeError, ValueError, OverflowError):
        return None
    return (start, min(end, seconds + _LATE)) if 0 <= start <= end < math.inf and start < seconds + _LATE else None


def _unfit(seconds: float, size: int) -> Declined | None:
    """Asked before Transcribe is, as its LimitExceededException says both: too much at once, and too long."""
    if not seconds >= SHORTEST:
        return Declined(why="too_short", detail=f"{seconds:.2f} seconds of at least {SHORTEST}")
    if seconds > LONGEST or size > MAX_BYTES:
        return Declined(why="too_long", detail=f"{seconds:.0f} s and {size} bytes of {LONGEST:.0f} and {MAX_BYTES}")
    return None


def _refusal(error: ClientError) -> Declined | None:
    """What a start that was refused means; None when the name is taken.

    :raises Misconfigured: when Transcribe can't get at the bucket.
    """
    match errors.code(error):
        case "ConflictException":
            return None
        case "BadRequestException" if _LOCKED.search(_message(error)):
            raise Misconfigured(f"StartTranscriptionJob: {error}") from error
        case "BadRequestException":
            return Declined(why="refused", detail=_message(error)[:_MAX_DETAIL])
        case _:
            raise error


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


def _object(uri: str) -> str:
    """`bucket/key` of an object's address, as S3 URI or in one of the two ways over HTTPS."""
    try:
        scheme, host, path, *_ = urlsplit(uri)
    except ValueError:
        return ""
    bucket, virtual, _ = host.partition(".s3")
    if scheme == "s3" or virtual:
        return (host if scheme == "s3" else bucket) + unquote(path)
    return unquote(path).lstrip("/")


def _language(code: object) -> str | None:
    """BCP 47 for one of Transcribe's codes."""
    if not isinstance(code, str) or not re.fullmatch(LANGUAGE, code):
        return None
    language, dash, region = code.partition("-")
    return language + dash + _NO_REGIONS.get(region, region)


def _model(job: Mapping[str, Any]) -> str:
    settings = job.get("ModelSettings") or {}
    parts = ("transcribe", job.get("LanguageCode"), settings.get("LanguageModelName"))
    return " ".join(str(part)[:_MAX_WORD] for part in parts if part)
