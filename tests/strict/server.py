"""Rekognition and Transcribe over HTTP, for real clients: `StrictAws` here, `python -m tests.strict` elsewhere.

A client comes by `endpoint_url`, a worker in another process by `AWS_ENDPOINT_URL_REKOGNITION` and
`AWS_ENDPOINT_URL_TRANSCRIBE`. `GET /_strict/state` gives `StrictAws.state()`; `POST /_strict/script` takes the fields
of `Script`, and `{"finish": {"job name": null or "FailureReason"}}`.
"""

import json
import socket
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.strict.model import SERVICES, Refused, Violation, checked, operation
from tests.strict.rekognition import look
from tests.strict.script import Script, Tally, Turnstile
from tests.strict.transcribe import Job, Transcriptions, permitted

_TYPE = "application/x-amz-json-1.1"


class StrictAws:
    """One account of both services while the block runs; `script` may be changed at any time.

    :param endpoint: an S3 and SQS where transcripts and events go; without it they are in `jobs` and `events` alone.
    :param queue: the URL of the SQS queue that EventBridge's rule has as its target.
    """

    def __init__(self, *, port: int = 0, endpoint: str | None = None, queue: str | None = None) -> None:
        self.script, self.tally = Script(), Tally()
        self.transcriptions = Transcriptions(self.script, endpoint, queue)
        self.closing = threading.Event()
        self._turnstile = Turnstile(self.script, self.tally)
        self._server = _Server(port, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.transcriptions.close()

    @property
    def calls(self) -> Counter[str]:
        """Calls by operation, however they were answered."""
        return self.tally.calls

    @property
    def rejected(self) -> list[str]:
        """What a correct client never sends; empty after every test but this fake's own."""
        return self.tally.rejected

    @property
    def throttles(self) -> int:
        """Calls that were told to come again later."""
        return self.tally.throttles

    @property
    def jobs(self) -> dict[str, Job]:
        """Transcriptions by name."""
        return self.transcriptions.jobs

    @property
    def starts(self) -> int:
        """Transcriptions that were ever begun."""
        return self.transcriptions.starts

    @property
    def events(self) -> list[dict[str, Any]]:
        """What EventBridge was told."""
        return self.transcriptions.events

    def finish(self, name: str, failure: str | None = None) -> None:
        """End a transcription now, with this FailureReason if any."""
        self.transcriptions.finish(name, failure)

    def state(self) -> dict[str, Any]:
        """Everything that was counted, as JSON has it."""
        jobs = {name: job.summary() | {"Transcript": job.transcript} for name, job in list(self.jobs.items())}
        told = {"starts": self.starts, "throttles": self.throttles, "jobs": jobs, "events": self.events}
        seconds = {name: dict(counts) for name, counts in list(self.tally.per_second.items())}
        return {name: copy(value) for name, value in vars(self.tally).items()} | {"per_second": seconds} | told

    def control(self, changes: dict[str, Any]) -> None:
        """What `POST /_strict/script` does; raises ValueError."""
        finished = changes.pop("finish", {})
        self.script.apply(changes)
        for name, failure in finished.items():
            self.finish(name, failure)

    def answer(self, headers: Message, body: bytes) -> tuple[dict[str, Any], str]:
        """The answer to a call and how it is to be sent; raises `Refused`."""
        target = headers.get("X-Amz-Target", "")
        name = target.partition(".")[2]
        try:
            behaviour = self._counted(target, headers)
            answer = self._do(name, checked(target, body), behaviour)
        except Refused as error:
            self.tally.errors[f"{name} {error.code}"] += 1
            if isinstance(error, Violation):
                self.tally.rejected.append(f"{name}: {error}")
            raise
        self.tally.answered[name] += behaviour == "ok"
        return answer, behaviour

    def _counted(self, target: str, headers: Message) -> str:
        name = operation(target).name
        service = SERVICES[target.partition(".")[0]][0]
        if f"/{service}/aws4_request" not in headers.get("Authorization", ""):
            raise Violation("MissingAuthenticationTokenException", f"not signed for {service}")
        if headers.get("Content-Type") != _TYPE:
            raise Violation("SerializationException", f"not {_TYPE}")
        return self._turnstile.behaviour(name)

    def _do(self, name: str, request: dict[str, Any], behaviour: str) -> dict[str, Any]:
        """What is wrong with a request is found however the call is to go."""
        labels, facts = look(request, self.script) if name == "DetectModerationLabels" else ({}, {})
        if name == "StartTranscriptionJob":
            permitted(request)
        if behaviour == "stall":
            return {}
        if behaviour not in {"ok", "cut"}:
            raise Refused(behaviour)
        if not facts:
            return self.transcriptions.answer(name, request)
        self.tally.looks.append(facts)
        return labels


class _Server(ThreadingHTTPServer):
    """Ends with its connections: one that is kept alive, or stalled, would hold its thread for ever."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, port: int, aws: StrictAws) -> None:
        self.aws = aws
        self._open: set[Any] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of our errors; ours are answered by `_Handler`."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65_536
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name in the base class
        """Say nothing."""

    def do_GET(self) -> None:
        known = self.path == "/_strict/state"
        self._send(200 if known else 404, self.server.aws.state() if known else {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            if self.path == "/_strict/script":
                self._control(body)
            else:
                self._serve(body)
        except OSError:
            raise  # the client went away
        except Exception as error:
            self.server.aws.rejected.append(f"the fake itself broke: {error!r}")
            self._send(500, {"__type": "FakeBrokeException", "Message": repr(error)})
            raise

    def _control(self, body: bytes) -> None:
        try:
            self.server.aws.control(json.loads(body))
        except ValueError as error:
            return self._send(400, {"Message": str(error)})
        return self._send(200, {})

    def _serve(self, body: bytes) -> None:
        try:
            answer, behaviour = self.server.aws.answer(self.headers, body)
        except Refused as error:
            status = 500 if error.code.startswith("Internal") else 400
            return self._send(status, {"__type": error.code, "Message": error.message})
        if behaviour == "stall":
            self.close_connection = True
            self.server.aws.closing.wait()
            return None
        return self._send(200, answer, cut=behaviour == "cut")

    def _send(self, status: int, answer: Mapping[str, Any], *, cut: bool = False) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", _TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection |= cut
