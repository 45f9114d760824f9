"""Files in the scratch folder that become part of a step's record."""

import asyncio
from pathlib import Path

from service.core.outcome import Unavailable
from service.core.products import Expected
from service.core.record import File
from service.runtime import made


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
