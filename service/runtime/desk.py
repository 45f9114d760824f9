"""What a try has before it: a scratch folder, and the source, fetched when it is needed and not before."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from service import metrics
from service.core import command, sniff
from service.core.outcome import Elsewhere, Superseded
from service.core.recipe import Limits
from service.runtime.ports import Head, Look, Uploads


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a worker takes onto its desks: of any size that `check` lets pass, and `streams` or pictures alone.

    `check` is given bytes and raises Crowded.
    """

    check: Callable[[int], None] = lambda _size: None
    streams: bool = True

    def look(self, beginning: bytes, size: int) -> None:
        """See whether a source that begins so may be fetched.

        :raises Elsewhere: for video and sound, where they are worked on by others.
        :raises Crowded: when the disk has no room for it now.
        """
        if not self.streams and sniff.is_stream(beginning):
            raise Elsewhere("video and sound go to the heavy queue")
        self.check(size)


@dataclass(kw_only=True)
class Desk:
    """One scratch folder and one version of one source."""

    folder: Path
    head: Head
    uploads: Uploads
    limits: Limits
    room: Room = field(default_factory=Room)
    fetched: int = field(default=0, init=False)  #: bytes

    async def source(self) -> Path:
        """The source's file, under a constant name whatever its key.

        :raises Elsewhere: when such a source is worked on by others.
        :raises Crowded: when there is no room for it.
        :raises Superseded: when the key holds another version by now.
        """
        path = self.folder / command.SOURCE
        if not self.fetched:
            await self._fetch(self.head, path, lambda beginning: self.room.look(beginning, self.head.size))
        return path

    async def beside(self, key: str, etag: str, file: str) -> None:
        """Fetch another upload into the folder, in the version with this ETag.

        :raises Superseded: when it is gone, or another one by now.
        """
        head = await self.uploads.head(self.head.bucket, key)
        if head is None or head.etag != etag:
            raise Superseded(f"{key} changed while it was read")
        await self._fetch(head, self.folder / file, lambda _beginning: self.room.check(head.size))

    async def _fetch(self, head: Head, path: Path, look: Look) -> None:
        await self.uploads.fetch(head, path, look=look)
        self.fetched += head.size
        metrics.bytes_read.inc(head.size)
