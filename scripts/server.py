"""The demo's web server: the page, and the published objects with byte ranges, as a CDN before the bucket would."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from scripts.resources import Client

_CHUNK = 1 << 18  # bytes
_HEADERS = {
    "ContentType": "Content-Type",
    "ContentLength": "Content-Length",
    "ContentRange": "Content-Range",
    "CacheControl": "Cache-Control",
    "ETag": "ETag",
    "AcceptRanges": "Accept-Ranges",
}
_STATUSES = {"304": 304, "404": 404, "NoSuchKey": 404, "416": 416, "InvalidRange": 416}


@contextmanager
def serving(page: Callable[[], str], s3: Client, bucket: str, *, host: str, port: int) -> Iterator[int]:
    """Answers on `port`, or the next free one, while the block runs; the value is the port."""
    handler = partial(_Answer, page=page, s3=s3, bucket=bucket)
    server = _listen(handler, host, port)
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.1), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a player may hold a connection open for as long as it likes

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: a browser that hangs up in the middle of a video is no news."""


def _listen(handler: Any, host: str, port: int) -> _Server:
    for candidate in range(port, port + 100):
        with suppress(OSError):
            return _Server((host, candidate), handler)
    raise OSError(f"no free port between {port} and {port + 99} of {host}")


class _Answer(BaseHTTPRequestHandler):
    """One request: `/` is the page, `/media/…` an object of the same key, everything else is not there."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, page: Callable[[], str], s3: Client, bucket: str) -> None:
        self._page, self._s3, self._bucket = page, s3, bucket
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """The page or an object."""
        key = unquote(urlsplit(self.path).path).lstrip("/")
        if not key:
            self._say(HTTPStatus.OK, self._page(), "text/html; charset=utf-8")
        elif key.startswith("media/"):
            self._send_object(key)
        else:
            self._say(HTTPStatus.NOT_FOUND, "not here\n")

    do_HEAD = do_GET  # noqa: N815 - the base class calls it

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - as the base class has it
        """Says nothing: the terminal belongs to the demo."""

    def _send_object(self, key: str) -> None:
        wanted = {"Range": self.headers["Range"], "IfNoneMatch": self.headers["If-None-Match"]}
        given = {name: value for name, value in wanted.items() if value}
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=key, **given)
        except ClientError as error:
            status = _STATUSES.get(error.response["Error"]["Code"], HTTPStatus.BAD_GATEWAY)
            self._say(HTTPStatus(status), "" if status == HTTPStatus.NOT_MODIFIED else f"{error}\n")
            return
        except BotoCoreError as error:
            self._say(HTTPStatus.BAD_GATEWAY, f"{error}\n")
            return
        with closing(found["Body"]) as body:
            self.send_response(HTTPStatus.PARTIAL_CONTENT if "ContentRange" in found else HTTPStatus.OK)
            for name, header in _HEADERS.items():
                if name in found:
                    self.send_header(header, str(found[name]))
            self.end_headers()
            if self.command == "GET":
                for chunk in body.iter_chunks(_CHUNK):
                    self.wfile.write(chunk)

    def _say(self, status: HTTPStatus, text: str, content_type: str = "text/plain; charset=utf-8") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
