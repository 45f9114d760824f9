"""`media-worker` whose ffmpeg and ffprobe are those of the folder HOSTILE, and are given less time."""

import os
from functools import partial

from service import app, cli
from service.tools import ffmpeg
from service.tools.sandbox import PATH, Sandbox

PROBE_SECONDS = 4  # a minute, as shipped: no test waits for that

if __name__ == "__main__":
    vars(app)["Sandbox"] = partial(Sandbox, path=f"{os.environ['HOSTILE']}:{PATH}")
    vars(ffmpeg)["_PROBE_SECONDS"] = PROBE_SECONDS
    cli.main()
