"""Transcribe through the real client, against a server that refuses what the real one would."""

import json
import re
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.loaders import Loader
from botocore.model import ServiceModel
from hypothesis import given
from hypothesis import strategies as st

from scripts.resources import REGION
from service.aws import transcribe
from service.aws.transcribe import Transcribe, language_code, spoken, words
from service.core import places
from service.core.captions import Word
from service.core.outcome import MediaWorkerError, Misconfigured, Rejected, Throttled, Unavailable
from service.runtime.tools import Declined, Heard, Pending, Scribe, Speech
from tests.fakes import FakeStore
from tests.strict.model import Refused
from tests.strict.server import StrictAws

BUCKET = "outputs"
SPEECH = Speech(name="0123456789abcdef" * 2 + "01234567", seconds=60, language="en-US", languages=())
FIRST, SECOND, THIRD, FOURTH = (places.speech_job(SPEECH.name, number) for number in range(1, 5))
MODEL = ServiceModel(Loader().load_service_model("transcribe", "service-2"))
CODES: tuple[str, ...] = tuple(MODEL.shape_for("LanguageCode").enum)  # type: ignore[attr-defined]  # a string shape
START, GET = "StartTranscriptionJob", "GetTranscriptionJob"


def client(url: str, *, read_timeout: float = 10) -> AbstractAsyncContextManager[Any]:
    """As the worker has it: one call is one try."""
    retries: Any = {"mode": "standard", "total_max_attempts": 1}
    return get_session().create_client(
        "transcribe",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=AioConfig(connect_timeout=3, read_timeout=read_timeout, retries=retries),
    )


@pytest.fixture
def aws() -> Iterator[StrictAws]:
    """An account whose jobs end when they are told to; what a correct client never sends is an error of the test."""
    with StrictAws() as account:
        account.script.gets = None
        yield account
        assert [] == account.rejected


@pytest.fixture
def store() -> FakeStore:
    """The output bucket."""
    return FakeStore()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a sound in it."""
    (tmp_path / "sound.flac").write_bytes(b"fLaC and more")
    return tmp_path


class Worker:
    """A worker that is started for one call, and gone after it."""

    def __init__(self, aws: StrictAws, store: FakeStore, folder: Path) -> None:
        self.aws, self.store, self.folder = aws, store, folder

    async def find(self, speech: Speech = SPEECH) -> Heard | Pending | Declined | None:
        """What has become of a speech."""
        async with client(self.aws.url, read_timeout=1) as opened:
            scribe: Scribe = Transcribe(opened, store=self.store, bucket=BUCKET)
            return await scribe.find(speech)

    async def listen(self, speech: Speech = SPEECH) -> Heard | Pending | Declined:
        """Have a speech heard."""
        async with client(self.aws.url, read_timeout=1) as opened:
            scribe: Scribe = Transcribe(opened, store=self.store, bucket=BUCKET)
            return await scribe.listen(speech, self.folder, "sound.flac")

    def finish(self, job: str, failure: str | None = None) -> None:
        """End a job; its transcript lies in the bucket then."""
        self.aws.finish(job, failure)
        ended = self.aws.jobs[job]
        if ended.transcript is not None:
            self.store.objects[ended.key] = ended.transcript.encode()


@pytest.fixture
def worker(aws: StrictAws, store: FakeStore, folder: Path) -> Worker:
    """A worker of that account and bucket."""
    return Worker(aws, store, folder)


async def test_nobody_asked(worker: Worker) -> None:
    """A missing job is a BadRequestException, and nothing is begun by looking."""
    assert await worker.find() is None
    assert {GET: 1} == worker.aws.calls


async def test_a_job(worker: Worker) -> None:
    """Uploaded, begun once, found as often as wanted, and read when it has ended."""
    worker.aws.script.said = {".flac": [("Hello,", 0.25, 0.5), ("world.", 0.5, 1.125)]}
    assert Pending() == await worker.listen()
    assert Pending() == await worker.find()
    worker.finish(FIRST)
    told = Heard(
        words=(Word(text="Hello,", start=0.25, end=0.5), Word(text="world.", start=0.5, end=1.125)),
        language="en-US",
        model="transcribe en-US",
    )
    assert told == await worker.find()
    assert told == await worker.listen()
    assert 1 == worker.aws.starts
    assert 1 == worker.store.wire.count("upload")


async def test_what_is_asked(worker: Worker) -> None:
    """The whole request: sound and transcript in our own bucket, both formats of captions, numbered from 1."""
    await worker.listen()
    assert worker.aws.jobs[FIRST].request == {
        "TranscriptionJobName": FIRST,
        "LanguageCode": "en-US",
        "Media": {"MediaFileUri": f"s3://{BUCKET}/{places.speech_audio(SPEECH.name)}"},
        "MediaFormat": "flac",
        "OutputBucketName": BUCKET,
        "OutputKey": places.speech_text(FIRST),
    }
    assert b"fLaC and more" == worker.store.objects[places.speech_audio(SPEECH.name)]
    assert "audio/flac" == worker.store.types[places.speech_audio(SPEECH.name)]


def test_the_key_of_a_transcript() -> None:
    """Transcribe takes fewer characters than S3, and matches all of them."""
    pattern = MODEL.shape_for("OutputKey").metadata["pattern"]
    assert re.fullmatch(pattern, places.speech_text(FIRST))


async def test_killed_after_the_start(worker: Worker) -> None:
    """Whoever comes next joins the job that runs: one start, whether by looking or by asking."""
    worker.aws.script.calls = {START: ["cut"]}
    with pytest.raises(Unavailable):
        await worker.listen()
    assert Pending() == await worker.find()
    assert Pending() == await worker.listen()
    assert 1 == worker.aws.starts


async def test_two_begin_at_once(worker: Worker) -> None:
    """The other one starts between our look and our start: Conflict, and we join."""
    rival = Worker(worker.aws, FakeStore(objects=worker.store.objects), worker.folder)

    async def first(told: str) -> None:
        if told.startswith("upload"):
            assert Pending() == await rival.listen()

    worker.store.wire.before = first
    assert Pending() == await worker.listen()
    assert 1 == worker.aws.starts
    assert 1 == worker.aws.tally.errors[f"{START} ConflictException"]


async def test_the_rival_fails_at_once(worker: Worker) -> None:
    """The job that we would have joined has failed already: the next number is ours."""
    rival = Worker(worker.aws, FakeStore(objects=worker.store.objects), worker.folder)

    async def first(told: str) -> None:
        if told.startswith("upload"):
            await rival.listen()
            rival.finish(FIRST, "Internal failure")

    worker.store.wire.before = first
    assert Pending() == await worker.listen()
    assert {FIRST: "FAILED", SECOND: "QUEUED"} == {name: job.status for name, job in worker.aws.jobs.items()}


async def test_names_that_are_taken_and_not_there(worker: Worker) -> None:
    """A conflict with a job that nobody can see ends, and is tried again later."""
    worker.aws.script.modes = {START: "ConflictException"}
    with pytest.raises(Unavailable, match="taken, and not there"):
        await worker.listen()


async def test_a_failed_job_is_begun_again_under_a_new_name(worker: Worker) -> None:
    """And the second is the one that counts."""
    await worker.listen()
    worker.finish(FIRST, "Internal failure")
    assert await worker.find() is None
    assert Pending() == await worker.listen()
    worker.finish(SECOND)
    assert isinstance(await worker.find(), Heard)
    assert {FIRST: "FAILED", SECOND: "COMPLETED"} == {name: job.status for name, job in worker.aws.jobs.items()}


async def test_three_failures_are_enough(worker: Worker) -> None:
    """The last one's reason is told, and nothing more is begun."""
    for number in range(1, 4):
        assert Pending() == await worker.listen()
        worker.finish(places.speech_job(SPEECH.name, number), f"Reason {number}")
    assert Declined(why="refused", detail="Reason 3") == await worker.find()
    assert Declined(why="refused", detail="Reason 3") == await worker.listen()
    assert 3 == worker.aws.starts


async def test_nobody_speaks(worker: Worker) -> None:
    """A job that heard nothing has ended well."""
    worker.aws.script.said = {".flac": []}
    await worker.listen()
    worker.finish(FIRST)
    assert Heard(words=(), language="en-US", model="transcribe en-US") == await worker.find()


async def test_no_language_to_identify(worker: Worker) -> None:
    """Identification fails where nobody speaks: that is silence, not a failure, and is not asked again."""
    await worker.listen()
    reason = "Your audio file must have a speech segment long enough in duration to perform automatic language id…"
    worker.finish(FIRST, reason)
    found = await worker.find()
    assert isinstance(found, Heard)
    assert () == found.words


async def test_a_transcript_that_is_gone(worker: Worker) -> None:
    """What lies below work/ expires before the job does: it is heard again, under a new name."""
    await worker.listen()
    worker.finish(FIRST)
    worker.store.objects.clear()
    assert await worker.find() is None
    assert Pending() == await worker.listen()
    assert [FIRST, SECOND] == list(worker.aws.jobs)


@pytest.mark.parametrize("uri", ["s3://others/sound.flac", "https://s3.eu-west-1.amazonaws.com/others/sound.flac"])
async def test_a_name_that_somebody_else_took(worker: Worker, uri: str) -> None:
    """A job over another file is not ours, however it ended."""
    async with client(worker.aws.url) as other:
        await other.start_transcription_job(
            TranscriptionJobName=FIRST,
            LanguageCode="en-US",
            Media={"MediaFileUri": uri},
            MediaFormat="flac",
            OutputBucketName="others",
        )
    assert await worker.find() is None
    assert Pending() == await worker.listen()
    assert [FIRST, SECOND] == list(worker.aws.jobs)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://bucket/work/~speech/a.flac", "bucket/work/~speech/a.flac"),
        ("https://s3.eu-west-1.amazonaws.com/bucket/work/%7Espeech/a.flac", "bucket/work/~speech/a.flac"),
        ("https://bucket.s3.eu-west-1.amazonaws.com/work/~speech/a.flac", "bucket/work/~speech/a.flac"),
        ("https://s3-eu-west-1.amazonaws.com/bucket/a.flac", "bucket/a.flac"),
        ("http://[", ""),
        ("", ""),
    ],
)
def test_addresses(uri: str, expected: str) -> None:
    """The same object, however it is said."""
    assert expected == transcribe._object(uri)


async def test_a_status_of_tomorrow(worker: Worker) -> None:
    """It is on the way to one that we know."""
    await worker.listen()
    worker.aws.script.status = "POSTPONED"
    assert Pending() == await worker.find()


@pytest.mark.parametrize("operation", [START, GET])
@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ("LimitExceededException", Throttled),
        ("ThrottlingException", Throttled),
        ("AccessDeniedException", Misconfigured),
        ("UnrecognizedClientException", Misconfigured),
        ("InvalidSignatureException", Misconfigured),
        ("InternalFailureException", Unavailable),
        ("CodeOfTomorrowException", Unavailable),
        ("stall", Unavailable),
        ("cut", Unavailable),
    ],
)
async def test_failures(worker: Worker, operation: str, behaviour: str, expected: type[MediaWorkerError]) -> None:
    """Each of them is one call: whoever asks asks again."""
    if operation == GET:
        await worker.listen()
    asked = worker.aws.calls[operation]
    worker.aws.script.modes = {operation: behaviour}
    with pytest.raises(MediaWorkerError) as raised:
        await worker.listen()
    assert type(raised.value) is expected
    assert asked + 1 == worker.aws.calls[operation]


async def test_a_refused_start(worker: Worker) -> None:
    """Asking again would not help, and the sound is no worse for it."""
    worker.aws.script.modes = {START: "BadRequestException"}
    assert Declined(why="refused", detail="as scripted") == await worker.listen()


@pytest.mark.parametrize(
    "message",
    [
        "The S3 URI that you provided can't be accessed. Make sure that you have read permission and try again.",
        "The specified S3 bucket can't be accessed. Make sure that you have write permission and try again.",
        "The S3 URI that you provided points to the incorrect region.",
    ],
)
async def test_a_bucket_out_of_reach(worker: Worker, monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    """The service says it with the same code as a bad request, and an operator has to act."""

    def deny(request: object) -> bytes:
        raise Refused("BadRequestException", message)

    monkeypatch.setattr(worker.aws.transcriptions, "_head", deny)
    with pytest.raises(Misconfigured, match="S3"):
        await worker.listen()


@pytest.mark.parametrize(
    ("seconds", "size", "why"),
    [
        (0.49, 100, "too_short"),
        (float("nan"), 100, "too_short"),
        (4 * 3600 + 1, 100, "too_long"),
        (60, 2_000_000_001, "too_long"),
    ],
)
async def test_what_is_never_sent(worker: Worker, seconds: float, size: int, why: str) -> None:
    """So that LimitExceededException can only mean that it was asked too often."""
    with (worker.folder / "sound.flac").open("r+b") as file:
        file.truncate(size)
    if size > 1000:  # hashing a sparse file of 2 GB takes seconds
        assert why == getattr(transcribe._unfit(seconds, size), "why", None)
        return
    found = await worker.listen(Speech(name=SPEECH.name, seconds=seconds, language="en-US", languages=()))
    assert isinstance(found, Declined)
    assert why == found.why
    assert ({}, []) == (worker.aws.calls, worker.store.wire.calls)


@pytest.mark.parametrize("seconds", [0.5, 4 * 3600])
async def test_the_shortest_and_the_longest(worker: Worker, seconds: float) -> None:
    """Both are heard."""
    assert Pending() == await worker.listen(Speech(name=SPEECH.name, seconds=seconds, language="en-US", languages=()))


async def test_a_language_that_transcribe_does_not_know(worker: Worker) -> None:
    """Nothing is uploaded for it."""
    found = await worker.listen(Speech(name=SPEECH.name, seconds=60, language="tlh", languages=()))
    assert Declined(why="language", detail="Transcribe does not know tlh") == found
    assert ({}, []) == (worker.aws.calls, worker.store.wire.calls)


async def test_an_identified_language(worker: Worker) -> None:
    """One of those to choose from, as Transcribe says it afterwards."""
    worker.aws.script.language = "de-DE"
    speech = Speech(name=SPEECH.name, seconds=60, language=None, languages=("en", "de", "fr"))
    await worker.listen(speech)
    request = worker.aws.jobs[FIRST].request
    assert (True, ["en-US", "de-DE", "fr-FR"]) == (request["IdentifyLanguage"], request["LanguageOptions"])
    worker.finish(FIRST)
    found = await worker.find(speech)
    assert isinstance(found, Heard)
    assert ("de-DE", "transcribe de-DE") == (found.language, found.model)


async def test_a_link_is_no_sound(worker: Worker) -> None:
    """A decoder that was taken over could leave one to any file of the worker's."""
    (worker.folder / "real").write_bytes(b"secret")
    (worker.folder / "sound.flac").unlink()
    (worker.folder / "sound.flac").symlink_to(worker.folder / "real")
    with pytest.raises(Rejected):
        await worker.listen()
    assert [] == worker.store.wire.calls


@pytest.mark.parametrize("document", ["", "no JSON", "[]", "{}", '{"results": []}', "[" * 100_000])
async def test_a_transcript_that_is_none(worker: Worker, document: str) -> None:
    """Asking again gives the same one."""
    worker.aws.script.said = {".flac": document}
    await worker.listen()
    worker.finish(FIRST)
    found = await worker.find()
    assert isinstance(found, Declined)
    assert "unreadable" == found.why


class Answers:
    """A client whose every job is `answer`."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.meta = type("Meta", (), {"service_model": MODEL})

    async def get_transcription_job(self, **_: Any) -> dict[str, Any]:
        """Whatever was said."""
        return self.answer


@pytest.mark.parametrize("answer", [{}, {"TranscriptionJob": None}, {"TranscriptionJob": {}}])
async def test_an_answer_without_a_job(store: FakeStore, answer: dict[str, Any]) -> None:
    """It is no missing job: starting another one would cost."""
    with pytest.raises(Unavailable):
        await Transcribe(Answers(answer), store=store, bucket=BUCKET).find(SPEECH)


async def test_a_model_of_their_own(store: FakeStore) -> None:
    """Its name is told; Transcribe's regions for Scotland and Wales are none of BCP 47's."""
    store.objects[places.speech_text(FIRST)] = b'{"results": {"items": []}}'
    job = {
        "TranscriptionJobStatus": "COMPLETED",
        "LanguageCode": "en-AB",
        "ModelSettings": {"LanguageModelName": "whisky"},
    }
    found = await Transcribe(Answers({"TranscriptionJob": job}), store=store, bucket=BUCKET).find(SPEECH)
    assert Heard(words=(), language="en-GB", model="transcribe en-AB whisky") == found


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("en-US", "en-US"),
        ("EN-gb", "en-GB"),
        ("en", "en-US"),
        ("en-Latn-AU", "en-AU"),
        ("en-FR", "en-US"),
        ("de", "de-DE"),
        ("de-CH", "de-CH"),
        ("de-AT", "de-DE"),
        ("fr", "fr-FR"),
        ("fr-CA", "fr-CA"),
        ("es", "es-ES"),
        ("es-419", "es-ES"),
        ("pt", "pt-BR"),
        ("ja", "ja-JP"),
        ("zh", "zh-CN"),
        ("zh-Hant", "zh-TW"),
        ("zh-Hans", "zh-CN"),
        ("zh-Hant-HK", "zh-HK"),
        ("nb", "no-NO"),
        ("sw", "sw-TZ"),
        ("ckb", "ckb-IQ"),
        ("tlh", None),
        ("e", None),
        ("", None),
    ],
)
def test_languages(tag: str, expected: str | None) -> None:
    """By the codes in botocore's own model."""
    assert expected == language_code(tag, CODES)


def test_every_language_of_transcribe_is_found_by_itself() -> None:
    """And each usual one is there."""
    assert list(CODES) == [language_code(code, CODES) for code in CODES]
    assert set(transcribe._USUAL.values()) <= set(CODES)


@pytest.mark.parametrize(
    ("language", "languages", "expected"),
    [
        ("en", ("de", "fr"), {"LanguageCode": "en-US"}),
        (None, (), {"IdentifyLanguage": True}),
        (None, ("en", "de"), {"IdentifyLanguage": True, "LanguageOptions": ["en-US", "de-DE"]}),
        (None, ("en", "tlh", "de"), {"IdentifyLanguage": True, "LanguageOptions": ["en-US", "de-DE"]}),
        (None, ("en", "en-US"), {"LanguageCode": "en-US"}),
        (None, ("en", "tlh"), {"LanguageCode": "en-US"}),
        (None, ("tlh", "qya"), {}),
        ("tlh", (), {}),
    ],
)
def test_how_a_language_is_said(language: str | None, languages: tuple[str, ...], expected: dict[str, Any]) -> None:
    """Declared, or identified among those that Transcribe knows: two to five, as one is no choice."""
    speech = Speech(name=SPEECH.name, seconds=60, language=language, languages=languages)
    assert expected == spoken(speech, CODES)


@pytest.mark.parametrize(("seconds", "expected"), [(0.5, 0.25), (15, 0.25), (15.1, 16 / 60), (3600, 60)])
def test_minutes(store: FakeStore, seconds: float, expected: float) -> None:
    """By the second, and fifteen at least."""
    assert expected == Transcribe(Answers({}), store=store, bucket=BUCKET).minutes(seconds)


def item(text: object, start: object = "1.0", end: object = "1.5", kind: str = "pronunciation") -> dict[str, Any]:
    """As a transcript has a word."""
    return {"type": kind, "alternatives": [{"content": text}], "start_time": start, "end_time": end}


def mark(text: object) -> dict[str, Any]:
    """As a transcript has a punctuation mark."""
    return {"type": "punctuation", "alternatives": [{"content": text}]}


def read(*items: object) -> list[tuple[str, float, float]]:
    """The words of a transcript of these items, of a sound that takes a minute."""
    document = json.dumps({"results": {"items": items}}).encode()
    return [(word.text, word.start, word.end) for word in words(document, seconds=60)]


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        "text",
        [],
        {},
        {"type": "pronunciation", "alternatives": [], "start_time": "1", "end_time": "2"},
        {"type": "pronunciation", "alternatives": {"content": "a"}, "start_time": "1", "end_time": "2"},
        {"alternatives": [{"content": "a"}], "start_time": "1", "end_time": "2"},
        item(7),
        item(""),
        item(" \0\x1b\u202e "),
        item("a", None),
        item("a", "soon"),
        item("a", "-1"),
        item("a", "2", "1"),
        item("a", "nan"),
        item("a", "0", "inf"),
        item("a", float("nan")),
        item("a", "1e9", "1e9"),
        item("a", 10**400, 10**400),
        item("a", "61.5", "62"),
        item("a", kind="music"),
    ],
)
def test_a_word_that_is_none(nonsense: object) -> None:
    """It is left out with its punctuation, and the others stay."""
    assert [("before", 0.5, 0.75), ("after", 2.0, 3.0)] == read(
        item("before", "0.5", "0.75"), nonsense, mark("!"), item("after", 2, 3.0)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don't", "don't"),
        (" two  words\n", "two words"),
        ("-->", "-->"),
        ("<script>\0alert(1)", "<script>alert(1)"),
        ("\u202egnp\u2066.exe", "gnp.exe"),
        ("\ud800lone", "lone"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("a" * 1000, "a" * 100),
    ],
)
def test_hostile_words(text: str, expected: str) -> None:
    """No control characters, nothing that turns a line round, and an end to it; markup is for the caption's writer."""
    assert [(expected, 1.0, 1.5)] == read(item(text))


def test_punctuation() -> None:
    """It belongs to the word before it; without one it is nobody's, and a thousand marks are not a long word."""
    assert [("So...", 1.0, 1.5)] == read(mark("¿"), item("So"), mark("."), mark(".."))
    assert 100 == len(read(item("So"), *[mark("!!")] * 1000)[0][0])


def test_words_are_in_order() -> None:
    """Whatever order they come in."""
    assert ["one", "two"] == [text for text, _, _ in read(item("two", "2", "3"), item("one", "1", "2"))]


def test_a_word_ends_with_the_sound() -> None:
    """One that was heard on and on does not outlast it by more than a second."""
    assert [("end", 59.0, 61.0)] == read(item("end", "59", "1000000"))


def test_too_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is left out, marks too."""
    monkeypatch.setattr(transcribe, "_MAX_WORDS", 2)
    assert ["a", "b."] == [text for text, _, _ in read(item("a"), item("b"), mark("."), item("c"), mark("!"))]


def test_too_large_a_transcript(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not even parsed."""
    monkeypatch.setattr(transcribe, "_MAX_DOCUMENT", 10)
    with pytest.raises(ValueError, match="11 bytes"):
        words(b"[0123456789", seconds=60)


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
ITEMS = st.builds(
    item,
    st.text(st.characters(codec=None)) | ANYTHING,
    st.floats().map(str) | st.floats(0, 60) | ANYTHING,
    st.floats().map(str) | st.floats(0, 60) | ANYTHING,
    st.sampled_from(["pronunciation", "punctuation", "other"]),
)


@given(items=st.lists(ITEMS | ANYTHING, max_size=8))
def test_whatever_the_transcript_says(items: list[Any]) -> None:
    """Its words are ordered, within the sound, and can be written down."""
    found = read(*items)
    assert found == sorted(found, key=lambda word: word[1])
    for text, start, end in found:
        assert 0 <= start <= end <= 61
        assert 0 < len(text.encode()) <= 400
        assert text.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f]", text)
