"""Folders in the place of buckets: what is particular to files. The rest is in tests/aws/test_store_contract.py."""

import asyncio
import os
from pathlib import Path

import pytest

from service.core.outcome import Conflict, Superseded
from service.tools.folder import FolderStore, LocalUploads


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "out")


def left(folder: Path) -> list[str]:
    """Every file and folder below `folder`."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def test_a_document_is_there_whole_or_not_at_all(store: FolderStore, tmp_path: Path) -> None:
    """It is written beside and renamed, readable for a web server, and nothing else stays."""
    await store.overwrite("media/a/manifest.json", b"first")
    os.link(tmp_path / "out/media/a/manifest.json", tmp_path / "seen by a reader")
    await store.overwrite("media/a/manifest.json", b"second")
    assert (b"first", b"second") == (
        (tmp_path / "seen by a reader").read_bytes(),
        (tmp_path / "out/media/a/manifest.json").read_bytes(),
    )
    assert ["media", "media/a", "media/a/manifest.json"] == left(tmp_path / "out")
    assert 0o644 == (tmp_path / "out/media/a/manifest.json").stat().st_mode & 0o777


async def test_what_a_killed_write_left_is_no_object(store: FolderStore, tmp_path: Path) -> None:
    """A temporary file in a folder of records would be read as a record."""
    await store.overwrite("records/a/~v/r.json", b"{}")
    (tmp_path / "out/records/a/~v/.~abcdef").write_bytes(b'{"half')
    assert ["records/a/~v/r.json"] == await store.keys("records/a/~v/")


async def test_a_file_is_linked_where_the_file_system_can(store: FolderStore, tmp_path: Path) -> None:
    """A film is not copied on its way from scratch; both are readable."""
    (tmp_path / "film.mp4").write_bytes(b"a film")
    await store.upload("media/a/~1/film.mp4", tmp_path / "film.mp4", content_type="video/mp4", sha256="")
    stored = tmp_path / "out/media/a/~1/film.mp4"
    assert (2, 0o644) == (stored.stat().st_nlink, stored.stat().st_mode & 0o777)


async def test_a_file_is_copied_where_no_link_can_be_made(
    store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As between two file systems."""

    def refuse(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "film.mp4").write_bytes(b"a film")
    await store.upload("media/a/~1/film.mp4", tmp_path / "film.mp4", content_type="video/mp4", sha256="")
    assert b"a film" == (tmp_path / "out/media/a/~1/film.mp4").read_bytes()


async def test_empty_folders_go_with_their_last_file(store: FolderStore, tmp_path: Path) -> None:
    """Up to the root, which stays; folders that hold something else stay too."""
    for key in ("media/a/~1/x.webp", "media/a/~1/y.webp", "media/a/b/~1/x.webp"):
        await store.overwrite(key, b"")
    await store.delete(["media/a/~1/x.webp", "media/a/~1/y.webp"])
    assert ["media", "media/a", "media/a/b", "media/a/b/~1", "media/a/b/~1/x.webp"] == left(tmp_path / "out")
    await store.delete(["media/a/b/~1/x.webp"])
    assert [] == left(tmp_path / "out")
    assert (tmp_path / "out").is_dir()


async def test_of_writers_at_the_same_time_one_wins(store: FolderStore) -> None:
    """All expect nothing to be there; the others are told of a conflict."""
    writes = (store.write("media/a/manifest.json", str(n).encode(), replaces=None) for n in range(20))
    ended = await asyncio.gather(*writes, return_exceptions=True)
    assert 19 == sum(isinstance(one, Conflict) for one in ended)


async def test_files_are_looked_at_by_key(tmp_path: Path) -> None:
    """Size and time of what is there now; None for what is gone or was never named."""
    path = tmp_path / "a picture.jpg"
    path.write_bytes(b"12345")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    uploads = LocalUploads({"a.jpg": path, "gone.jpg": tmp_path / "gone.jpg"})
    head = await uploads.head("local", "a.jpg")
    assert head
    assert ("local", "a.jpg", 5, None, "2001-09-09T01:46:40+00:00") == (
        head.bucket,
        head.key,
        head.size,
        head.version_id,
        head.last_modified,
    )
    assert [None, None] == [await uploads.head("local", key) for key in ("gone.jpg", "never.jpg")]


async def test_what_is_fetched_is_a_copy(tmp_path: Path) -> None:
    """No decoder ever sees the original."""
    (tmp_path / "a.jpg").write_bytes(b"12345")
    uploads = LocalUploads({"a.jpg": tmp_path / "a.jpg"})
    head = await uploads.head("local", "a.jpg")
    assert head
    await uploads.fetch(head, tmp_path / "in")
    assert (b"12345", 1) == ((tmp_path / "in").read_bytes(), (tmp_path / "a.jpg").stat().st_nlink)


@pytest.mark.parametrize("then", ["replaced", "deleted"])
async def test_what_changed_since_is_not_fetched(then: str, tmp_path: Path) -> None:
    """The job starts over."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"12345")
    uploads = LocalUploads({"a.jpg": path})
    head = await uploads.head("local", "a.jpg")
    assert head
    path.unlink()
    if then == "replaced":
        path.write_bytes(b"123456")
    with pytest.raises(Superseded):
        await uploads.fetch(head, tmp_path / "in")
