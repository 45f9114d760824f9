"""Uploaded captions in the sandbox: the worker's side of `cues`, which runs in a child."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from service.core.captions import Cue
from service.core.outcome import Reason, Rejected
from service.runtime import made
from service.tools.cues import ANSWER
from service.tools.limits import Limits
from service.tools.sandbox import Sandbox

_SECONDS = 20  # the worst four megabytes that were tried take two
_MAX_BYTES = 64 << 20  # of cues as JSON, all of whose characters may be escaped
_CUES = TypeAdapter(tuple[Cue, ...])


class CaptionFiles:
    """Reads WebVTT files that somebody uploaded."""

    def __init__(self, sandbox: Sandbox, *, memory_bytes: int) -> None:
        self._sandbox = sandbox
        self._limits = Limits(
            wall_seconds=_SECONDS, cpu_seconds=_SECONDS, memory_bytes=memory_bytes, file_bytes=_MAX_BYTES
        )

    async def read(self, folder: Path, file: str) -> tuple[Cue, ...]:
        """The cues of a WebVTT file in `folder`.

        :raises Rejected: `damaged` or `too_large`, for what is none, or beyond reason.
        """
        made.remove(folder / ANSWER)
        await self._sandbox.call("read_captions", {"file": file}, cwd=folder, limits=self._limits)
        with made.opened(folder / ANSWER) as answer:
            body = answer.read(_MAX_BYTES + 1)
        try:
            cues = _CUES.validate_json(body)
        except ValidationError as error:  # the child has seen the upload: what it answers is not trusted
            raise Rejected(Reason.DAMAGED, "Reading its captions gave nonsense.") from error
        return cues
