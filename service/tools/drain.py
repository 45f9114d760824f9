"""Pipes that are always read to their end, whatever is done with the bytes, in bounded memory."""

import asyncio
import os
from collections.abc import Callable

CHUNK = 64 * 1024  # what a pipe holds (pipe(7)): one turn of the event loop empties it


class Drain:
    """Hands each piece of a pipe to `sink` as it comes; `ended` is set at its end or when it is closed."""

    def __init__(self, fd: int, sink: Callable[[bytes], None]) -> None:
        self._fd = fd
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)

    def close(self) -> None:
        """Read no more; the descriptor stays open, for who opened it."""
        if not self.ended.done():
            self._loop.remove_reader(self._fd)
            self.ended.set_result(None)

    def _read(self) -> None:
        try:
            piece = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return
        if piece:
            self._sink(piece)
        else:
            self.close()


class Tail:
    """The last `limit` bytes and the number of lines of all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._newlines = 0

    def feed(self, piece: bytes) -> None:
        """Take the next piece, forgetting what is too old."""
        self._newlines += piece.count(b"\n")
        self._kept += piece
        if len(self._kept) > 2 * self._limit:
            del self._kept[: -self._limit]

    @property
    def text(self) -> str:
        """The end of what was written."""
        return self._kept[-self._limit :].decode(errors="replace")

    @property
    def lines(self) -> int:
        """Lines so far; a last one without a newline counts."""
        return self._newlines + bool(self._kept and not self._kept.endswith(b"\n"))


class Kept:
    """Everything, until there is more than `limit` bytes: `overflow` is called then, and no more is kept."""

    def __init__(self, limit: int, overflow: Callable[[], None]) -> None:
        self._limit = limit
        self._overflow = overflow
        self._pieces: list[bytes] = []
        self._room = limit

    def feed(self, piece: bytes) -> None:
        """Keep a piece, or declare the overflow."""
        if len(piece) > self._room:
            self._room = -1
            self._overflow()
        else:
            self._room -= len(piece)
            self._pieces.append(piece)

    @property
    def content(self) -> bytes:
        """What was kept."""
        return b"".join(self._pieces)


class Lines:
    """Calls `on_line` with each line; `overflow` when one is longer than `limit` bytes."""

    def __init__(self, limit: int, on_line: Callable[[str], None], overflow: Callable[[], None]) -> None:
        self._limit = limit
        self._on_line = on_line
        self._overflow = overflow
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        """Call for each line that this piece completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._on_line(line.decode(errors="replace"))
        if len(self._rest) > self._limit:
            self._rest = b""
            self._overflow()

    def end(self) -> None:
        """Call for a last line that has no newline."""
        if self._rest:
            self._on_line(self._rest.decode(errors="replace"))
