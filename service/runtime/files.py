"""Files in the scratch folder that become part of a step's record."""

import asyncio
from pathlib import Path

from service.core import products
from service.core.outcome import Unavailable
from service.core.plan import Named
from service.core.products import Expected
from service.core.record import Damaged, File, Hint, StepRecord
from service.core.step import Placeholder, Poster, UploadedPoster
from service.core.tracks import AudioTrack, VideoTrack
from service.runtime import made
from service.runtime.ledger import Ledger


async def filed(expected: Expected, folder: Path) -> File:
    """The file as its record lists it.

    :raises Unavailable: when it was made empty.
    """
    size, sha256 = await asyncio.to_thread(made.measured, folder / expected.name)
    if size == 0:
        raise Unavailable(f"{expected.name} was made empty")
    return File(
        name=expected.name, content_type=expected.content_type, bytes=size, sha256=sha256, product=expected.entry
    )


async def recorded(
    named: Named,
    folder: Path,
    *,
    hint: Hint | None = None,
    video: VideoTrack | None = None,
    audio: AudioTrack | None = None,
    damaged: Damaged | None = None,
) -> StepRecord:
    """A step whose files lie in `folder`, as its record lists it."""
    shows_hint = isinstance(named.step, Placeholder | Poster | UploadedPoster)
    return StepRecord(
        digest=named.digest,
        kind=type(named.step).__name__,
        files=tuple([await filed(one, folder) for one in products.expected(named.step)]),
        placeholder=hint if shows_hint else None,
        video=video,
        audio=audio,
        damaged=damaged,
    )


async def fetched(digest: str, name: str, folder: Path, ledger: Ledger) -> None:
    """A file of a step that is done: still here, or fetched from where an earlier attempt put it."""
    record, _ = ledger.done[digest]
    path = folder / name
    if not made.is_file(path):
        made.remove(path)
        await ledger.store.download(record.folder + name, path)
