"""`media-worker` with faults of its own: a bug that one file brings to light, and a file that never comes to an end."""

import asyncio
from pathlib import Path
from typing import Any

from service import app, cli
from service.core import command
from service.core.media import Media
from service.core.recipe import Limits
from service.runtime.examine import Examiner

JOB_SECONDS = 4  # the setting's least is a minute, which no test waits for


class Faulty(Examiner):
    """Examines as ever, but for files that begin like these."""

    async def examine(self, folder: Path, size: int, limits: Limits) -> Media:
        """What the upload is, unless it is one of those."""
        match (folder / command.SOURCE).read_bytes()[3:7]:
            case b" bug":
                raise RuntimeError("a bug of ours")
            case b"slow":
                await asyncio.sleep(3600)
        return await super().examine(folder, size, limits)


def _pipeline(**given: Any) -> object:
    return _as_shipped(**given | {"job_seconds": JOB_SECONDS})


_as_shipped = app.pipeline

if __name__ == "__main__":
    vars(app)["Examiner"] = Faulty
    vars(app)["pipeline"] = _pipeline
    cli.main()
