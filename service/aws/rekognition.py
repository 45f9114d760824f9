"""Rekognition: what is to be seen in a picture.

An answer is checked before it is believed: what is no answer must never pass for a picture without labels.
"""

import asyncio
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from service.aws import errors
from service.aws.errors import answered
from service.core.outcome import Unavailable
from service.core.recipe import LOWEST_CONFIDENCE
from service.core.record import Label
from service.runtime import made
from service.runtime.tools import Seen

MAX_BYTES = 5_242_880  #: of a picture that is sent with the request (Rekognition's guidelines and quotas)

_CALL = "DetectModerationLabels"
_MAX_LABELS = 1000  # the taxonomy has about a hundred; more of them is no answer
_MAX_NAME = 200  # characters
_CERTAIN = 100.0  # percent
#: What Rekognition says of a picture that it will never look at: it was not judged, so it is not clean.
_REFUSALS = frozenset(
    "ImageTooLargeException InvalidImageFormatException InvalidParameterException InvalidS3ObjectException "
    "ValidationException".split()
)


class Rekognition:
    """DetectModerationLabels.

    One call is one try, because whoever asks keeps below the account's rate and asks again: the client wants
    `AioConfig(connect_timeout=3, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 1})`.
    """

    name = "rekognition"
    unit: str | None = "rekognition_image"

    def __init__(self, client: Any) -> None:
        self._client = client
        client.meta.events.register(f"before-send.rekognition.{_CALL}", _in_pieces, unique_id="in-pieces")

    async def look(self, folder: Path, file: str) -> Seen:
        """The labels of a JPEG of ours in `folder`, all from the lowest confidence on that a rule may speak of.

        :raises Rejected: `damaged`, when a decoder left something else than a file there.
        :raises Throttled: when asked too often.
        :raises Unavailable: when it gave no answer, or one that makes no sense, or refused the picture.
        :raises Misconfigured: when it may not be asked.
        """
        picture = await asyncio.to_thread(_picture, folder / file)
        with answered(_CALL):
            try:
                answer = await self._client.detect_moderation_labels(
                    Image={"Bytes": picture}, MinConfidence=LOWEST_CONFIDENCE
                )
            except ClientError as error:
                if errors.code(error) in _REFUSALS:
                    raise Unavailable(f"{_CALL}: Rekognition refuses {file}, so it is not judged: {error}") from error
                raise
        return _seen(answer)


def _in_pieces(request: Any, **_: Any) -> None:
    """Have the body sent piece by piece: aiohttp warns of one in memory that is above a megabyte."""
    if isinstance(request.body, bytes):
        request.body = io.BytesIO(request.body)


def _picture(path: Path) -> bytes:
    with made.opened(path) as file:
        body = file.read(MAX_BYTES + 1)
    if not 0 < len(body) <= MAX_BYTES:
        raise Unavailable(f"{_CALL}: {path.name} is empty, or larger than {MAX_BYTES} bytes: it was not sent")
    return body


def _seen(answer: Mapping[str, Any]) -> Seen:
    """What was answered; a body that names neither labels nor a model, as a proxy's page, is not a clean picture."""
    labels, version = answer.get("ModerationLabels"), answer.get("ModerationModelVersion")
    if not isinstance(labels, list) or len(labels) > _MAX_LABELS or not (labels or version):
        raise Unavailable(f"{_CALL}: an answer without a list of labels, or without labels and a model")
    model = f"rekognition {_text(version or 'of an unknown version')}"
    return Seen(labels=tuple(_label(label) for label in labels), model=model)


def _label(label: Any) -> Label:
    """One label in Rekognition's own words; v6 and older have no levels."""
    if not isinstance(label, dict):
        raise Unavailable(f"{_CALL}: a label that is none")
    level = label.get("TaxonomyLevel")
    return Label(
        name=_text(label.get("Name") or "unnamed"),
        parent=_text(label.get("ParentName") or ""),
        confidence=_confidence(label.get("Confidence")),
        level=level if isinstance(level, int) else None,
    )


def _confidence(value: Any) -> float:
    """In percent. What is not said counts as certain, and what is no number would slip below every threshold."""
    if value is None:
        return _CERTAIN
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise Unavailable(f"{_CALL}: a confidence of {value!r}")
    return min(float(value), _CERTAIN)  # single precision: 100.00000762939453 has been seen


def _text(value: Any) -> str:
    """What every JSON document can hold: no lone surrogates, and no more than a line."""
    return str(value)[:_MAX_NAME].encode(errors="replace").decode()
