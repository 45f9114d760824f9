"""What Transcribe writes when a job ends: its file, and its event."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from scripts.resources import REGION
from tests.strict.script import Word

ACCOUNT = "000000000000"
_STEP = 0.4  # seconds between the starts of words that carry no times


def document(request: Mapping[str, Any], words: Sequence[Word], identified: str | None) -> dict[str, Any]:
    """The transcript of a job; `identified` is the language when Transcribe was asked for it.

    By docs.aws.amazon.com/transcribe/latest/dg/how-input.html.
    """
    items = [{"id": index, **item} for index, item in enumerate(_items(words))]
    spoken = " ".join(str(text) for text, _, _ in _timed(words))
    results: dict[str, Any] = {"transcripts": [{"transcript": spoken}], "items": items}
    if identified:
        results["language_code"] = identified
        results["language_identification"] = [{"score": "0.9876", "code": identified}]
    name = request["TranscriptionJobName"]
    return {"jobName": name, "accountId": ACCOUNT, "status": "COMPLETED", "results": results}


def event(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What EventBridge delivers, by docs.aws.amazon.com/transcribe/latest/dg/monitoring-events.html."""
    told = ("TranscriptionJobName", "TranscriptionJobStatus", "FailureReason")
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": "Transcribe Job State Change",
        "source": "aws.transcribe",
        "account": ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [],
        "detail": {name: summary[name] for name in told if name in summary},
    }


def _timed(words: Sequence[Word]) -> Iterator[tuple[str, float, float]]:
    for index, word in enumerate(words):
        whole: Any = (word, index * _STEP, index * _STEP + 0.35) if isinstance(word, str) else word
        yield whole[0], whole[1], whole[2]


def _items(words: Sequence[Word]) -> Iterator[dict[str, Any]]:
    """A word's last mark is an item of its own and has no time."""
    for text, start, end in _timed(words):
        spoken = re.sub(r"[.,?!]\Z", "", text)
        mark = text[len(spoken) :]
        times = {"start_time": str(round(start, 3)), "end_time": str(round(end, 3))}
        if spoken:
            yield {"type": "pronunciation", "alternatives": [{"confidence": "0.998", "content": spoken}], **times}
        if mark:
            yield {"type": "punctuation", "alternatives": [{"confidence": "0.0", "content": mark}]}
