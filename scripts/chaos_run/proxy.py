"""A proxy on the loopback that lies: HTTP/1.1 between a worker and LocalStack, with a fault now and then.

Each request has a connection of its own to the service; the worker's connections are kept alive, as AWS's are.
Requests are forwarded as they came, with their Host; LocalStack checks no signature.
"""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from scripts.chaos_run.faults import (
    Answer,
    Call,
    Fault,
    Flipped,
    Judge,
    Latency,
    Refused,
    ResetAnswering,
    ResetAsking,
    Stalled,
    Truncated,
)

_MOST = 1 << 26  # bytes of a head or a line
_HOPS = {"connection", "keep-alive", "expect", "transfer-encoding", "content-length"}
_BODILESS = {204, 304}


class _ResetError(Exception):
    """The client's connection is to be reset."""


class _ClosedError(Exception):
    """The client's connection is to be closed."""


@contextmanager
def proxying(endpoint: str, judge: Judge) -> Iterator[str]:
    """The address of a proxy before `endpoint`, in a thread of its own, as long as the block runs."""
    loop = asyncio.new_event_loop()
    proxy = _Proxy(upstream=urlsplit(endpoint).netloc, judge=judge)
    started: list[int] = []
    ready = threading.Event()

    async def serve() -> None:
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=_MOST)
        started.append(server.sockets[0].getsockname()[1])
        ready.set()
        await proxy.over.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield f"http://127.0.0.1:{started[0]}"
    finally:
        loop.call_soon_threadsafe(proxy.over.set)
        thread.join(10)
        with suppress(RuntimeError):  # the thread hangs: the process ends soon
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()


@dataclass(kw_only=True)
class _Proxy:
    upstream: str
    judge: Judge
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the worker's, request after request."""
        try:
            while await self._serve_one(reader, writer):
                pass
        except _ResetError:
            _reset(writer)
        except (_ClosedError, OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await _head(reader)
        if head is None:
            return False
        call = Call(method=head[0].split(" ")[0], path=head[0].split(" ")[1], headers=head[1])
        if call.method == "POST":  # what it is about stands in its body
            call = replace(call, body=await _request_body(call, reader, writer))
        fault = self.judge.before(call)
        if isinstance(fault, ResetAsking):
            await _swallow(call, fault.at, reader, writer)
            raise _ResetError
        if call.method != "POST" and (body := await _request_body(call, reader, writer)):
            call = replace(call, body=body)
        if isinstance(fault, Refused) and not fault.had_effect:
            answer = _refusal(call, fault)
        else:
            answer = await self._forwarded(call)
            fault = fault or self.judge.after(call, answer)
        await self._answer(call, answer, fault, writer)
        return True

    async def _forwarded(self, call: Call) -> Answer:
        host, _, port = self.upstream.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=_MOST)
        try:
            kept = {name: value for name, value in call.headers.items() if name not in _HOPS}
            sent = kept | {"connection": "close"}
            if call.body or call.method in {"PUT", "POST"}:
                sent["content-length"] = str(len(call.body))
            writer.write(_written(f"{call.method} {call.path} HTTP/1.1", sent) + call.body)
            await writer.drain()
            return await _response(call, reader)
        finally:
            writer.close()

    async def _answer(self, call: Call, answer: Answer, fault: Fault | None, writer: asyncio.StreamWriter) -> None:
        match fault:
            case Latency(seconds=seconds):
                await asyncio.sleep(seconds)
            case Stalled():
                await asyncio.sleep(3600)
            case Refused():
                answer = _refusal(call, fault)
            case Flipped() if answer.body:
                body = bytearray(answer.body)
                body[len(body) // 2] ^= 1
                answer = replace(answer, body=bytes(body))
        said = _told(call, answer)
        match fault:
            case ResetAnswering(at=at):
                await _say(writer, said[: int(len(said) * at)])
                raise _ResetError
            case Truncated():
                await _say(writer, said[: len(said) - max(1, len(answer.body) // 2)])
                raise _ClosedError
        await _say(writer, said)


async def _say(writer: asyncio.StreamWriter, said: bytes) -> None:
    writer.write(said)
    await writer.drain()


async def _head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
    try:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = text.rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _request_body(call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    await _invite(call, writer)
    if "chunked" in call.headers.get("transfer-encoding", ""):
        return await _unchunked(reader)
    return await reader.readexactly(int(call.headers.get("content-length", "0")))


async def _invite(call: Call, writer: asyncio.StreamWriter) -> None:
    if call.headers.get("expect", "").lower() == "100-continue":
        await _say(writer, b"HTTP/1.1 100 Continue\r\n\r\n")


async def _swallow(call: Call, share: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a share of the body, unless it was read already."""
    if not share or call.method == "POST":
        return
    await _invite(call, writer)
    await reader.readexactly(int(int(call.headers.get("content-length", "2")) * share))


async def _unchunked(reader: asyncio.StreamReader) -> bytes:
    """RFC 9112, section 7.1; trailers of the message are dropped, those of `aws-chunked` are part of the body."""
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return body


async def _response(call: Call, reader: asyncio.StreamReader) -> Answer:
    head = await _head(reader)
    if head is None:
        raise EOFError("no answer")
    first, headers = head
    status = int(first.split(" ")[1])
    if status == 100:
        return await _response(call, reader)
    if call.method == "HEAD" or status in _BODILESS:
        return Answer(status=status, headers=headers, body=b"")
    if "chunked" in headers.get("transfer-encoding", ""):
        body = await _unchunked(reader)
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read()
    return Answer(status=status, headers=headers, body=body)


def _told(call: Call, answer: Answer) -> bytes:
    headers = {name: value for name, value in answer.headers.items() if name not in _HOPS}
    if call.method == "HEAD":
        headers["content-length"] = answer.headers.get("content-length", "0")
    elif answer.status not in _BODILESS:
        headers["content-length"] = str(len(answer.body))
    return _written(f"HTTP/1.1 {answer.status} Said", headers) + answer.body


def _refusal(call: Call, fault: Refused) -> Answer:
    if "x-amz-target" in call.headers:
        body = json.dumps({"__type": f"com.amazonaws.sqs#{fault.code}", "message": "a fault"}).encode()
        return Answer(status=fault.status, headers={"content-type": "application/x-amz-json-1.0"}, body=body)
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{fault.code}</Code><Message>a fault</Message></Error>'
    body = b"" if call.method == "HEAD" else text.encode()
    return Answer(status=fault.status, headers={"content-type": "application/xml"}, body=body)


def _written(first: str, headers: Mapping[str, str]) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN (socket(7), SO_LINGER with no time)."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
