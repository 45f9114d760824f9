"""What a try has before it: a scratch folder, and the source, fetched when it is needed and not before."""

from dataclasses import dataclass, field
from pathlib import Path

from service import metrics
from service.core import command
from service.core.outcome import Crowded, Reason, Rejected, Superseded
from service.core.recipe import Limits
from service.runtime import made
from service.runtime.ports import Head, Uploads
from service.runtime.room import Room


@dataclass(kw_only=True)
class Desk:
    """One scratch folder and one version of one source."""

    folder: Path
    head: Head
    uploads: Uploads
    limits: Limits
    room: Room = field(default_factory=Room)
    fetched: int = field(default=0, init=False)  #: bytes
    _there: bool = field(default=False, init=False)  #: the source, not what lies beside it
    held: int = field(default=0, init=False)  #: bytes of sources that it has room for

    async def source(self) -> Path:
        """The source's file, under a constant name whatever its key; waits for room on the disk.

        :raises Elsewhere: when such a source is worked on by others.
        :raises Superseded: when the key holds another version by now.
        """
        path = self.folder / command.SOURCE
        if self._there:
            return path
        try:
            await self.uploads.fetch(self.head, path, look=self._look)
        except Crowded:  # waiting would let the download time out: it is begun again
            await self.room.wait(self.head.size)
            self.held += self.head.size
            await self.uploads.fetch(self.head, path)
        self._there = True
        self._count(self.head)
        return path

    def _look(self, beginning: bytes) -> None:
        self.room.admit(beginning)
        if not self.room.take(self.head.size):
            raise Crowded("other jobs have the room")
        self.held += self.head.size

    def clear(self) -> None:
        """Its folder is gone, and the room is somebody else's."""
        self.room.give(self.held)
        self.held = 0

    async def beside(self, key: str, etag: str, path: Path, *, most: int) -> None:
        """Fetch another upload of at most `most` bytes, in the version with this ETag.

        :raises Superseded: when it is gone, or another one by now.
        :raises Rejected: `too_large`.
        """
        head = await self.uploads.head(self.head.bucket, key)
        if head is None or head.etag != etag:
            raise Superseded(f"{key} changed while it was read")
        if head.size > most:
            raise Rejected(Reason.TOO_LARGE, f"{key} has {head.size:,} bytes; at most {most:,} are accepted.")
        made.remove(path)  # a link, perhaps, that a decoder has left there
        await self.uploads.fetch(head, path)
        self._count(head)

    def _count(self, head: Head) -> None:
        self.fetched += head.size
        metrics.bytes_read.inc(head.size)
