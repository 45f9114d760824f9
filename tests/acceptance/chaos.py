"""`scripts/chaos` as a child process: it adopts orphans, which no test process should."""

import json
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def chaos(*arguments: str) -> dict[str, Any]:
    """What a run has done (`figures`) and found (`wrong`, without the lists that are empty)."""
    argv = [ROOT / "scripts" / "chaos", "--json", *arguments]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert ran.returncode in {0, 1}, ran.stderr
    assert ran.stdout, ran.stderr
    found = json.loads(ran.stdout)
    assert found["fine"] == (ran.returncode == 0)
    return {"figures": found["figures"], "wrong": {name: lines for name, lines in found["wrong"].items() if lines}}
