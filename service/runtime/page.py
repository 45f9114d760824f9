"""The page manifest as one reconciliation sees it: read once, then each write replaces the one before."""

import asyncio
from collections.abc import Callable
from typing import Self

from pydantic import ValidationError

from service.core import manifest
from service.core.manifest import Manifest, Status
from service.core.outcome import Conflict, Misconfigured
from service.core.places import Places
from service.runtime.ports import Store


class Page:
    """The manifest of one name, and the ETag that the next write is conditional on."""

    def __init__(self, store: Store, at: Places, current: Manifest | None, etag: str | None) -> None:
        self.at = at
        self.manifest = current
        self.was_held = current is not None and current.status is Status.QUARANTINED
        self._store = store
        self._etag = etag
        self._turn = asyncio.Lock()

    @classmethod
    async def read(cls, store: Store, at: Places) -> Self:
        """The manifest as it is now.

        :raises Misconfigured: when something that is no manifest lies in its place.
        """
        return cls(store, at, *await _current(store, at))

    async def write(self, following: Callable[[Manifest | None], Manifest]) -> Manifest:
        """Replace the manifest by the one that follows it.

        :raises Conflict: when somebody else wrote since.
        """
        async with self._turn:
            new = following(self.manifest)
            self._etag = await self._store.write(self.at.manifest, new.to_json(), replaces=self._etag)
            self.manifest = new
            return new

    async def refresh(self) -> None:
        """Read the manifest again: the next write is conditional on what is there now."""
        self.manifest, self._etag = await _current(self._store, self.at)

    async def check(self) -> None:
        """See that the manifest is still what was read or written here last.

        :raises Conflict: when it is not.
        """
        stored = await self._store.read(self.at.manifest)
        if stored is None or stored.etag != self._etag:
            raise Conflict(f"{self.at.manifest} was replaced")

    def is_worked_on(self, source: manifest.Source) -> bool:
        """Whether the manifest says that this version is under way."""
        found = self.manifest
        return found is not None and found.status is Status.PROCESSING and manifest.speaks_of(found, source)

    def is_held(self, source: manifest.Source) -> bool:
        """Whether the manifest says that this version waits to be looked at."""
        return self.tells_of(source) and self.manifest is not None and self.manifest.status is Status.QUARANTINED

    def tells_of(self, source: manifest.Source) -> bool:
        """Whether the manifest's state is a final one of this version."""
        found = self.manifest
        return found is not None and found.status in manifest.FINAL and manifest.speaks_of(found, source)


async def _current(store: Store, at: Places) -> tuple[Manifest | None, str | None]:
    stored = await store.read(at.manifest)
    if stored is None:
        return None, None
    try:
        return Manifest.model_validate_json(stored.body), stored.etag
    except ValidationError as error:
        raise Misconfigured(f"{at.manifest} is no page manifest: move it away") from error
