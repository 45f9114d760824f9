"""`media-worker` whose waits are short, so that a run is over in minutes; all else of it is as shipped.

CHAOS_READ_SECONDS in the environment is how long it waits for an answer of AWS, where that is to be short as well.
"""

import os
from typing import Any

from aiobotocore.config import AioConfig

from service import app, cli
from service.core import outcome

GRACE = 6  # seconds that what was replaced is kept: a quarter of an hour, as shipped
BACKOFF = 2  # seconds, of the first
CROWDED = 4  # seconds


def _pipeline(**given: Any) -> object:
    return _as_shipped(**given | {"grace_seconds": GRACE})


_as_shipped = app.pipeline

if __name__ == "__main__":
    vars(app)["pipeline"] = _pipeline
    vars(outcome)["FIRST_BACKOFF"] = BACKOFF
    vars(outcome)["CROWDED_DELAY"] = CROWDED
    if seconds := os.environ.get("CHAOS_READ_SECONDS"):
        short = AioConfig(read_timeout=float(seconds))
        vars(app)["CONTROL"] = app.CONTROL.merge(short)
        vars(app)["DATA"] = app.DATA.merge(short)
        vars(app)["_POLL_SLACK"] = float(seconds)
    cli.main()
