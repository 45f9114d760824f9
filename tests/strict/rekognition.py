"""DetectModerationLabels: the limits that no service model holds, and scripted labels."""

import io
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageStat

from tests.strict.model import Violation
from tests.strict.script import Label, Script

SHORTEST, LONGEST = 80, 10_000  # pixels of a side: docs.aws.amazon.com/rekognition/latest/dg/limits.html


def look(request: Mapping[str, Any], script: Script) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer, and what the picture was; raises `Violation`."""
    for name in ("HumanLoopConfig", "ProjectVersion"):
        if name in request:
            raise Violation("ResourceNotFoundException", f"there is no {name} here")
    picture, facts = _picture(request["Image"])
    return _answer(picture, facts, request.get("MinConfidence", 50), script), facts


def colour(picture: Image.Image) -> str:
    """Which of red, green, blue has a mean of at least 100 of 255, twice that of each other; else "none"."""
    means = ImageStat.Stat(picture.convert("RGB")).mean
    for index, name in enumerate(("red", "green", "blue")):
        others = max(mean for place, mean in enumerate(means) if place != index)
        if means[index] >= max(100, 2 * others):
            return name
    return "none"


def _picture(image: Mapping[str, Any]) -> tuple[Image.Image, dict[str, Any]]:
    if image.keys() != {"Bytes"}:
        raise Violation("InvalidParameterException", f"this fake takes Image.Bytes alone, not {sorted(image)}")
    try:
        picture = Image.open(io.BytesIO(image["Bytes"]), formats=("PNG", "JPEG"))
        _measured(picture.size)
        picture.load()
    except (OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Violation("InvalidImageFormatException", f"neither PNG nor JPEG: {error}") from error
    width, height = picture.size
    facts = {"width": width, "height": height, "format": picture.format, "bytes": len(image["Bytes"])}
    return picture, facts | {"colour": colour(picture)}


def _measured(size: tuple[int, int]) -> None:
    if max(size) > LONGEST:
        raise Violation("ImageTooLargeException", f"{size} has a side above {LONGEST} pixels")
    if min(size) < SHORTEST:
        raise Violation("InvalidParameterException", f"{size} has a side below {SHORTEST} pixels")


def _answer(picture: Image.Image, facts: Mapping[str, Any], least: float, script: Script) -> dict[str, Any]:
    any_other = script.labels.get("any", [])
    labels = script.labels_for(picture) if script.labels_for else script.labels.get(facts["colour"], any_other)
    answer = {
        "ModerationLabels": [_label(label, script.model) for label in labels if label["Confidence"] >= least],
        "ModerationModelVersion": script.model,
    }
    return answer if _old(script.model) else answer | {"ContentTypes": script.content_types}


def _label(label: Label, model: str) -> dict[str, Any]:
    parent = label.get("ParentName", "")
    whole = {"ParentName": parent, **label}
    return whole if _old(model) else {"TaxonomyLevel": 2 if parent else 1, **whole}


def _old(model: str) -> bool:
    """Levels and content types came with 7.0: awsapichanges.com, Rekognition, 2024-01-16."""
    return model.partition(".")[0] in {"4", "5", "6"}
