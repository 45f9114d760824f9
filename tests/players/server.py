"""A file server on 127.0.0.1 for players: HTTP/1.1, byte ranges and the content types of our products."""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

CONTENT_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mpd": "application/dash+xml",
    ".mp4": "video/mp4",
    ".m4a": "audio/mp4",
    ".vtt": "text/vtt",
    ".html": "text/html",
    ".js": "text/javascript",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".json": "application/json",
}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Server(ThreadingHTTPServer):
    """Serves each folder of `folders` under its URL prefix, the longest prefix first."""

    daemon_threads = True

    def __init__(self, folders: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.folders = {prefix: folders[prefix].resolve() for prefix in sorted(folders, key=len, reverse=True)}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing for connections that the browser dropped, which it does on every seek."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def file(self, path: str) -> Path | None:
        """The file for a URL path, or None where there is none below its folder."""
        for prefix, folder in self.folders.items():
            if path.startswith(prefix):
                found = (folder / path.removeprefix(prefix)).resolve()
                return found if found.is_relative_to(folder) and found.is_file() else None
        return None


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        file = self.server.file(unquote(urlsplit(self.path).path))
        if file is None:
            self._head(404, {"Content-Length": "0"})
            return
        size = file.stat().st_size
        wanted = byte_range(self.headers.get("Range"), size)
        if wanted is None:
            self._head(416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
            return
        self._send(file, wanted, size)

    def _send(self, file: Path, wanted: range, size: int) -> None:
        headers = {
            "Content-Type": CONTENT_TYPES.get(file.suffix, "application/octet-stream"),
            "Content-Length": str(len(wanted)),
            "Accept-Ranges": "bytes",
        }
        partial = "Range" in self.headers
        if partial:
            headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
        self._head(206 if partial else 200, headers)
        if self.command == "GET":
            with file.open("rb") as opened:
                opened.seek(wanted.start)
                self.wfile.write(opened.read(len(wanted)))

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
        """Nothing: the browser says what failed."""


def byte_range(header: str | None, size: int) -> range | None:
    """The bytes to send for a Range header (RFC 9110, 14.1.2), or None where it cannot be satisfied."""
    if header is None:
        return range(size)
    match = _RANGE.fullmatch(header)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        return range(max(0, size - int(last)), size)
    stop = min(size, int(last) + 1) if last else size
    return range(int(first), stop) if int(first) < stop else None


@contextmanager
def serving(folders: dict[str, Path]) -> Iterator[Server]:
    """A server that answers as long as the context lasts."""
    with Server(folders) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
