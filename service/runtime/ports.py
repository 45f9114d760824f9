"""What the pipeline needs of the places that uploads come from and outputs go to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

#: Is shown the first `sniff.HEAD_BYTES` of a source, or all that there are; what it raises ends the download.
Look = Callable[[bytes], None]


def anything(_beginning: bytes) -> None:
    """Take a source, whatever it is."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What S3 says an object is now; `version_id` is None in a bucket that keeps no versions."""

    bucket: str
    key: str
    etag: str
    version_id: str | None
    last_modified: str
    size: int
    archived: bool = False
    language: str | None = None  #: as the uploader declares it (`x-amz-meta-language`), untrusted


@dataclass(frozen=True, kw_only=True)
class Sibling:
    """An object that lies beside another one."""

    key: str
    etag: str


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A small object and the ETag to replace it by."""

    body: bytes
    etag: str


class Uploads(Protocol):
    """Where uploads are; never written to."""

    async def head(self, bucket: str, key: str) -> Head | None:
        """The object as it is now, or None where there is none."""

    async def beside(self, bucket: str, key: str) -> list[Sibling]:
        """The objects whose keys go on from `key` with a dot, as many as one page of a listing holds."""

    async def fetch(self, head: Head, path: Path, *, look: Look = anything) -> None:
        """Download exactly this version, checksums checked; `look` is shown its beginning before the rest is read.

        :raises Superseded: when the key holds another version by now.
        """


class Store(Protocol):
    """Where outputs go."""

    async def read(self, key: str) -> Stored | None:
        """A small object, or None."""

    async def write(self, key: str, body: bytes, *, replaces: str | None) -> str:
        """Put a JSON document in the place of the one with ETag `replaces`, or where none was; its ETag.

        :raises Conflict: when somebody else wrote first.
        """

    async def overwrite(self, key: str, body: bytes) -> None:
        """Put a JSON document, whatever was there."""

    async def upload(self, key: str, path: Path, *, content_type: str, sha256: str) -> None:
        """Put a file under a key that nobody else writes."""

    async def download(self, key: str, path: Path) -> None:
        """Get one of our own files.

        :raises Conflict: when somebody has deleted it.
        """

    async def copy(self, source: str, target: str, *, content_type: str, size: int) -> None:
        """Copy one of our own files of `size` bytes to another place.

        :raises Conflict: when somebody has deleted it.
        """

    async def keys(self, prefix: str) -> list[str]:
        """Every key that begins with `prefix`."""

    async def delete(self, keys: list[str]) -> None:
        """Delete; those that are not there do not matter."""


class Outcomes(Protocol):
    """Whoever wants to be told of final states."""

    async def publish(self, body: str, *, idempotency_key: str) -> None:
        """Send one message."""
