"""Folders on this machine in the place of buckets: what `media-worker process` reads from and writes to."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from service.core import sniff
from service.core.outcome import Conflict, Superseded
from service.runtime.ports import Head, Look, Sibling, Stored, anything

_HALF = ".~"  # what the name of a file begins with until it is written; no product, record or alias has such a name


class LocalUploads:
    """Files, by key; the bucket's name means nothing here."""

    def __init__(self, files: dict[str, Path]) -> None:
        self._files = files

    async def head(self, bucket: str, key: str) -> Head | None:
        """The file as it is now, or None where there is none."""
        try:
            found = self._files[key].stat()
        except (KeyError, FileNotFoundError):
            return None
        modified = datetime.fromtimestamp(found.st_mtime, UTC).isoformat()
        etag = f"{found.st_mtime_ns:x}-{found.st_size:x}"
        return Head(bucket=bucket, key=key, etag=etag, version_id=None, last_modified=modified, size=found.st_size)

    async def beside(self, bucket: str, key: str) -> list[Sibling]:
        """The files whose keys go on from `key` with a dot."""
        found = [await self.head(bucket, one) for one in self._files if one.startswith(f"{key}.")]
        return [Sibling(key=one.key, etag=one.etag) for one in found if one]

    async def fetch(self, head: Head, path: Path, *, look: Look = anything) -> None:
        """Copy the file, so that no decoder ever sees the original, once `look` has seen its beginning.

        :raises Superseded: when it is another file by now, or none.
        """
        with suppress(FileNotFoundError):
            look(_beginning(self._files[head.key]))
            await asyncio.to_thread(shutil.copyfile, self._files[head.key], path)
        if await self.head(head.bucket, head.key) != head:
            raise Superseded(f"{head.key} changed while it was read")


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(sniff.HEAD_BYTES)


class FolderStore:
    """Objects as files below `root`; the key is the path, which `places` makes safe."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._writing = asyncio.Lock()

    async def read(self, key: str) -> Stored | None:
        """A small object, or None."""
        try:
            body = (self._root / key).read_bytes()
        except FileNotFoundError:
            return None
        return Stored(body=body, etag=_etag(body))

    async def write(self, key: str, body: bytes, *, replaces: str | None) -> str:
        """Put a document in the place of the one with ETag `replaces`, or where none was; its ETag.

        :raises Conflict: when another one is there.
        """
        async with self._writing:
            found = await self.read(key)
            if (found.etag if found else None) != replaces:
                raise Conflict(f"{key} was written by somebody else")
            _put(self._root / key, body)
        return _etag(body)

    async def overwrite(self, key: str, body: bytes) -> None:
        """Put a document, whatever was there."""
        _put(self._root / key, body)

    async def upload(self, key: str, path: Path, *, content_type: str, sha256: str) -> None:  # noqa: ARG002 - S3 keeps both
        """Put a file; a hard link where the file system allows it, since nobody writes to it again."""
        await asyncio.to_thread(_place, path, self._root / key)

    async def download(self, key: str, path: Path) -> None:
        """Get one of our own files."""
        with _ours():
            await asyncio.to_thread(shutil.copyfile, self._root / key, path)

    async def copy(self, source: str, target: str, *, content_type: str, size: int) -> None:  # noqa: ARG002 - S3 keeps it
        """Copy one of our own files to another place."""
        with _ours():
            await asyncio.to_thread(_copy, self._root / source, self._root / target)

    async def link(self, key: str, seconds: int) -> str:  # noqa: ARG002 - a file is there until it is deleted
        """An address that shows the file on this machine."""
        return (self._root.resolve() / key).as_uri()

    async def keys(self, prefix: str) -> list[str]:
        """Every key that begins with `prefix`; what a killed write left half done is none."""
        folder, _, begin = prefix.rpartition("/")
        top = self._root / folder
        candidates = [path for path in top.iterdir() if path.name.startswith(begin)] if top.is_dir() else []
        files = [file for path in candidates for file in ([path] if path.is_file() else path.rglob("*"))]
        whole = (file for file in files if file.is_file() and not file.name.startswith(_HALF))
        return sorted(str(file.relative_to(self._root)) for file in whole)

    async def delete(self, keys: list[str]) -> None:
        """Delete, and the folders that are empty then."""
        for key in keys:
            path = self._root / key
            path.unlink(missing_ok=True)
            for parent in path.parents:
                if parent == self._root or not parent.is_dir() or any(parent.iterdir()):
                    break
                parent.rmdir()


class NoOutcomes:
    """Nobody wants to know."""

    async def publish(self, body: str, *, idempotency_key: str) -> None:
        """Do nothing."""


def _etag(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:32]


def _put(path: Path, body: bytes) -> None:
    """Write beside and rename: a reader sees the old document or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_HALF, delete=False) as file:
        file.write(body)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


@contextmanager
def _ours() -> Iterator[None]:
    """A file of our own that is not there was there.

    :raises Conflict: for that.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise Conflict(f"{error.filename} was deleted") from error


def _copy(source: Path, target: Path) -> None:
    """As `_put`, of a file that may be a film."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=_HALF, delete=False) as file, source.open("rb") as body:
        shutil.copyfileobj(body, file)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(target)


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    target.chmod(0o644)
