"""GIF's frames counted by their blocks (GIF89a, appendix A): `seek` would draw each, `n_frames` reads on for ever."""

from typing import BinaryIO


def count_frames(file: BinaryIO, *, enough: int) -> int:
    """The frames of the GIF in `file`, up to `enough`; EOFError if a block is cut off.

    The trailer may be missing. What is no block at all ends the file, as in browsers.
    """
    _skip_table(file, _exactly(file, 13)[10])
    frames = 0
    while frames < enough:
        match file.read(1):
            case b"!":
                _exactly(file, 1)
                _skip_blocks(file)
            case b",":
                _skip_table(file, _exactly(file, 9)[8])
                _exactly(file, 1)
                _skip_blocks(file)
                frames += 1
            case _:
                break
    return frames


def _skip_table(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        _exactly(file, 3 << ((flags & 7) + 1))


def _skip_blocks(file: BinaryIO) -> None:
    while size := _exactly(file, 1)[0]:
        _exactly(file, size)


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data
