"""What uploaded captions say. Runs in a child whose working directory is the job's scratch."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from service.core import webvtt

ANSWER: Final = "cues.json"


def read_captions(request: Mapping[str, Any]) -> dict[str, Any]:
    """Write the cues of the WebVTT file `file` as JSON to `ANSWER`; how many there are."""
    cues = webvtt.parse(Path(request["file"]).read_bytes())
    Path(ANSWER).write_text(json.dumps([asdict(cue) for cue in cues]), encoding="utf-8")
    return {"cues": len(cues)}
