"""What a try has before it: a scratch folder, and the source, fetched when it is needed and not before."""

from dataclasses import dataclass, field
from pathlib import Path

from service import metrics
from service.core import command
from service.core.outcome import Superseded
from service.core.recipe import Limits
from service.runtime.ports import Head, Uploads


@dataclass(kw_only=True)
class Desk:
    """One scratch folder and one version of one source."""

    folder: Path
    head: Head
    uploads: Uploads
    limits: Limits
    fetched: int = field(default=0, init=False)  #: bytes

    async def source(self) -> Path:
        """The source's file, under a constant name whatever its key.

        :raises Superseded: when the key holds another version by now.
        """
        path = self.folder / command.SOURCE
        if not self.fetched:
            await self._fetch(self.head, path)
        return path

    async def beside(self, key: str, etag: str, file: str) -> None:
        """Fetch another upload into the folder, in the version with this ETag.

        :raises Superseded: when it is gone, or another one by now.
        """
        head = await self.uploads.head(self.head.bucket, key)
        if head is None or head.etag != etag:
            raise Superseded(f"{key} changed while it was read")
        await self._fetch(head, self.folder / file)

    async def _fetch(self, head: Head, path: Path) -> None:
        await self.uploads.fetch(head, path)
        self.fetched += head.size
        metrics.bytes_read.inc(head.size)
