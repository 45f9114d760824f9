"""Requests against botocore's own service models: what the real service would refuse by its published shapes."""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape

#: What the target header names a service by, and what it calls a bad request.
SERVICES = {
    "RekognitionService": ("rekognition", "InvalidParameterException"),
    "Transcribe": ("transcribe", "BadRequestException"),
}

OPERATIONS = {
    "RekognitionService.DetectModerationLabels",
    "Transcribe.StartTranscriptionJob",
    "Transcribe.GetTranscriptionJob",
    "Transcribe.ListTranscriptionJobs",
    "Transcribe.DeleteTranscriptionJob",
}


class Refused(Exception):
    """An error answer: its code by the service's names, and its message."""

    def __init__(self, code: str, message: str = "as scripted") -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class Violation(Refused):
    """An answer to what a correct client never sends; these are recorded."""


@cache
def operation(target: str) -> OperationModel:
    """The model of `X-Amz-Target`, such as `Transcribe.GetTranscriptionJob`; raises `Violation`."""
    prefix, _, name = target.partition(".")
    if target not in OPERATIONS:
        raise Violation("UnknownOperationException", f"nobody here does {target!r}")
    return _service(prefix).operation_model(name)


@cache
def _service(prefix: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(SERVICES[prefix][0], "service-2"))


def checked(target: str, body: bytes) -> dict[str, Any]:
    """The request with its blobs decoded; raises `Violation` with everything that is wrong with it."""
    shape = operation(target).input_shape
    wrong: list[str] = []
    assert shape is not None
    try:
        request: dict[str, Any] = _check(shape, json.loads(body), "$", wrong)
    except ValueError as error:
        raise Violation("SerializationException", f"not JSON: {error}") from error
    if wrong:
        raise Violation(SERVICES[target.partition(".")[0]][1], "; ".join(wrong))
    return request


def _check(shape: Shape, value: Any, at: str, wrong: list[str]) -> Any:
    types, check = _KINDS[shape.type_name]
    if not isinstance(value, types) or isinstance(value, bool) != (shape.type_name == "boolean"):
        wrong.append(f"{at}: {type(value).__name__} in the place of {shape.type_name}")
        return value
    return check(shape, value, at, wrong)


def _structure(shape: Any, value: dict[str, Any], at: str, wrong: list[str]) -> dict[str, Any]:
    wrong += [f"{at}.{name}: unknown" for name in value.keys() - shape.members.keys()]
    wrong += [f"{at}.{name}: missing" for name in shape.required_members if name not in value]
    known = [name for name in value if name in shape.members]
    return {name: _check(shape.members[name], value[name], f"{at}.{name}", wrong) for name in known}


def _list(shape: Any, value: list[Any], at: str, wrong: list[str]) -> list[Any]:
    _bounds(shape, len(value), f"{at} has members:", wrong)
    return [_check(shape.member, member, f"{at}[{index}]", wrong) for index, member in enumerate(value)]


def _map(shape: Any, value: dict[str, Any], at: str, wrong: list[str]) -> dict[str, Any]:
    _bounds(shape, len(value), f"{at} has entries:", wrong)
    for key in value:
        _check(shape.key, key, f"{at} key {key!r}", wrong)
    return {key: _check(shape.value, member, f"{at}[{key!r}]", wrong) for key, member in value.items()}


def _string(shape: Any, value: str, at: str, wrong: list[str]) -> str:
    _bounds(shape, len(value), f"{at} has characters:", wrong)
    if shape.enum and value not in shape.enum:
        wrong.append(f"{at}: {value[:80]!r} is none of the enum")
    # The services match a whole value, as Java's matches() does: few of the patterns carry anchors.
    if (pattern := shape.metadata.get("pattern")) and not re.fullmatch(pattern, value):
        wrong.append(f"{at}: {value[:80]!r} does not match {pattern}")
    return value


def _blob(shape: Any, value: str, at: str, wrong: list[str]) -> bytes:
    try:
        blob = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        wrong.append(f"{at}: not base64")
        return b""
    _bounds(shape, len(blob), f"{at} has bytes:", wrong)
    return blob


def _number(shape: Any, value: float, at: str, wrong: list[str]) -> float:
    if math.isfinite(value):
        _bounds(shape, value, f"{at}:", wrong)
    else:
        wrong.append(f"{at}: not finite")
    return value


def _boolean(shape: Any, value: bool, at: str, wrong: list[str]) -> bool:  # noqa: FBT001  # one signature for all
    return value


def _bounds(shape: Any, size: float, what: str, wrong: list[str]) -> None:
    low, high = shape.metadata.get("min", -math.inf), shape.metadata.get("max", math.inf)
    if not low <= size <= high:
        wrong.append(f"{what} {size}, allowed {low} to {high}")


_KINDS: dict[str, tuple[Any, Callable[[Any, Any, str, list[str]], Any]]] = {
    "structure": (dict, _structure),
    "list": (list, _list),
    "map": (dict, _map),
    "string": (str, _string),
    "blob": (str, _blob),
    "boolean": (bool, _boolean),
    "integer": (int, _number),
    "long": (int, _number),
    "float": ((int, float), _number),
    "double": ((int, float), _number),
    "timestamp": ((int, float), _number),
}
