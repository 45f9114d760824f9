"""What CloudWatch demands of a line in its embedded metric format, and what the lines of a run add up to.

The rules are those of "Specification: Embedded metric format" in the CloudWatch user guide, of the reference of
`MetricDatum` (units, names), and of its own exporters for the histograms, which the specification does not speak of.
"""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from jsonschema import Draft202012Validator

MAX_BYTES = 1 << 20
_NAME = {"type": "string", "pattern": "^[\x21-\x7e][\x20-\x7e]*$", "maxLength": 255}
_UNITS = ["Seconds", "Bytes", "Count", "None"]  # those that are used here, of 27
_DEFINITION = {
    "type": "object",
    "required": ["Name"],
    "properties": {"Name": _NAME, "Unit": {"enum": _UNITS}},
    "additionalProperties": False,
}
_DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "properties": {
        "Namespace": _NAME | {"pattern": "^[^:][^:]*$"},
        "Dimensions": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "maxItems": 30, "uniqueItems": True, "items": _NAME},
        },
        "Metrics": {"type": "array", "minItems": 1, "maxItems": 100, "items": _DEFINITION},
    },
    "additionalProperties": False,
}
_ROOT = Draft202012Validator(
    {
        "type": "object",
        "required": ["_aws"],
        "properties": {
            "_aws": {
                "type": "object",
                "required": ["Timestamp", "CloudWatchMetrics"],
                "properties": {
                    "Timestamp": {"type": "integer", "minimum": 10**12, "maximum": 10**13},  # ms, not s or µs
                    "CloudWatchMetrics": {"type": "array", "minItems": 1, "items": _DIRECTIVE},
                },
                "additionalProperties": False,
            }
        },
    }
)
_DIMENSION = Draft202012Validator(_NAME | {"maxLength": 1024})
_COUNTED = {"type": "array", "minItems": 1, "maxItems": 100}
_TARGET = Draft202012Validator(
    {
        "oneOf": [
            {"type": "number"},
            {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "number"}},
            {
                "type": "object",
                "required": ["Values", "Counts", "Min", "Max", "Count", "Sum"],
                "properties": {
                    "Values": _COUNTED | {"uniqueItems": True, "items": {"type": "number"}},
                    "Counts": _COUNTED | {"items": {"type": "number", "exclusiveMinimum": 0}},
                }
                | {key: {"type": "number"} for key in ("Min", "Max", "Count", "Sum")},
                "additionalProperties": False,
            },
        ]
    }
)

#: Name, then the name and the value of the label, both empty where there is none.
Key = tuple[str, str, str]


def checked(line: str) -> dict[str, Any]:
    """The document of a line. Raises what is wrong with it."""
    assert len(line.encode()) <= MAX_BYTES
    assert "\n" not in line
    document: dict[str, Any] = json.loads(line, parse_constant=_refused)
    _ROOT.validate(document)
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for dimension in (name for names in directive["Dimensions"] for name in names):
            _DIMENSION.validate(document[dimension])
        names = [one["Name"] for one in directive["Metrics"]]
        assert len(names) == len(set(names))
        for name in names:
            _TARGET.validate(document[name])
            if isinstance(told := document[name], dict):
                assert len(told["Values"]) == len(told["Counts"])
                assert (told["Min"], told["Max"]) == (min(told["Values"]), max(told["Values"]))
                assert told["Count"] == sum(told["Counts"])
    return document


def _refused(constant: str) -> None:
    raise AssertionError(f"JSON has no {constant}")


def series(documents: Iterable[dict[str, Any]]) -> set[Key]:
    """What CloudWatch would make metrics of, beside stage and lane."""
    return {key for document in documents for key, _ in _values(document)}


def sums(documents: Iterable[dict[str, Any]]) -> Counter[Key]:
    """What CloudWatch would add up as `Sum`."""
    total: Counter[Key] = Counter()
    for document in documents:
        for key, value in _values(document):
            total[key] += value["Sum"] if isinstance(value, dict) else value
    return total


def counts(documents: Iterable[dict[str, Any]]) -> Counter[Key]:
    """The observations of histograms: `SampleCount`."""
    total: Counter[Key] = Counter()
    for document in documents:
        total.update({key: value["Count"] for key, value in _values(document) if isinstance(value, dict)})
    return total


def _values(document: dict[str, Any]) -> Iterable[tuple[Key, Any]]:
    for directive in document["_aws"]["CloudWatchMetrics"]:
        assert directive["Namespace"] == "MediaWorker"
        (names,) = directive["Dimensions"]
        assert names[:2] == ["Stage", "Lane"]
        label = names[2] if len(names) > 2 else ""
        for one in directive["Metrics"]:
            yield (one["Name"], label, document[label] if label else ""), document[one["Name"]]
