"""One request to the scripted upstream: read from the socket, and answered there as its directive says."""

import asyncio
import base64
import contextlib
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.scripted_model import Json, chunks_of, completion_of, endless_chunk

OPENAI_ERROR: Json = {"message": "The scripted upstream failed.", "type": "server_error", "param": None, "code": None}

_SPACES = b" " * 2**16


@dataclass
class Received:
    """One request as it came in. ``disconnected`` is set when the client hung up before its answer's end."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    at: float = field(default_factory=time.monotonic)
    disconnected: threading.Event = field(default_factory=threading.Event, repr=False)

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def parsed(self) -> Json:
        """The body as JSON."""
        parsed: Json = json.loads(self.body)
        return parsed


class HungUpError(Exception):
    """The client closed its end, or the script says that ours is closed."""


@dataclass
class Exchange:
    """One request being answered."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    call: Received
    directive: Json = field(default_factory=dict)
    framing: str = "length"

    async def wait(self, seconds: float) -> None:
        """Sleep, but notice at once when the client hangs up."""
        if seconds <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.reader.read(1)
            self.call.disconnected.set()
            raise HungUpError

    async def send_json(self, status: int, document: Any) -> bool:
        """A whole JSON answer."""
        return await self._send_whole(status, json.dumps(document).encode(), "application/json", [])

    async def send_failure(self, fail: Json) -> bool:
        """The answer of the word ``fail``."""
        told: Json = {key: fail[key] for key in ("message", "type", "param", "code") if key in fail}
        body = fail.get("body", {"error": OPENAI_ERROR | told})
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        content_type = fail.get("content_type", "text/html" if isinstance(body, str) else "application/json")
        return await self._send_whole(fail["status"], raw, content_type, list(fail.get("headers", {}).items()))

    async def send_answer(self, request: Json, directive: Json) -> bool:
        """The scripted completion, as JSON or as a stream."""
        self.directive = directive
        if "raw_base64" in directive:
            await self._write(base64.b64decode(directive["raw_base64"]))
            return False
        await self._cut_at("nothing")
        streams = bool(request.get("stream")) and not directive.get("plain")
        self.framing = directive.get("framing", "chunked" if streams or directive.get("endless") else "length")
        parts = _stream_parts(request, directive) if streams else _plain_parts(request, directive)
        if directive.get("gzip"):
            parts = _compressed(parts)
        if self.framing == "length":
            parts = iter([b"".join(parts)])
        await self._send_parts(parts, streams=streams)
        return self.framing != "close"

    async def _send_parts(self, parts: Iterator[bytes], *, streams: bool) -> None:
        first = next(parts, b"")
        usual = "text/event-stream" if streams else "application/json"
        headers = [("Content-Type", self.directive.get("content_type", usual))]
        headers += [(name, value) for name, value in self.directive.get("headers", [])]
        if self.directive.get("gzip"):
            headers.append(("Content-Encoding", "gzip"))
        await self._write(response_head(200, headers, self._framing_header(len(first))))
        await self._cut_at("head")
        position = 0
        part: bytes | None = first
        while part is not None:
            if not streams:
                await self._send_up_to_cut(part, position)
            else:
                await self._cut_at(position)
                await self._send_part(part)
            position += 1 if streams else len(part)
            await self.wait(self.directive.get("piece_delay", 0) if streams or self.directive.get("endless") else 0)
            part = next(parts, None)
        await self._finish()

    async def _send_up_to_cut(self, part: bytes, position: int) -> None:
        after = (self.directive.get("cut") or {}).get("after")
        if isinstance(after, int) and after < position + len(part):
            await self._send_part(part[: after - position])
            await self._cut_at(after)
        await self._send_part(part)

    async def _send_part(self, part: bytes) -> None:
        size = self.directive.get("slice") or len(part) or 1
        for start in range(0, len(part), size):
            piece = part[start : start + size]
            await self._write(b"%x\r\n%b\r\n" % (len(piece), piece) if self.framing == "chunked" else piece)
            await self.wait(self.directive.get("slice_delay", 0))

    async def _cut_at(self, moment: str | int) -> None:
        cut = self.directive.get("cut")
        if cut is None or cut["after"] != moment:
            return
        if cut["how"] == "hang":
            await self.wait(3600)
        elif cut["how"] == "end":
            await self._finish()
        elif cut["how"] == "reset":
            linger = struct.pack("ii", 1, 0)
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.writer.transport.abort()
        raise HungUpError

    async def _finish(self) -> None:
        if self.framing == "chunked":
            await self._write(b"0\r\n\r\n")

    def _framing_header(self, length: int) -> tuple[str, str]:
        if self.framing == "chunked":
            return ("Transfer-Encoding", "chunked")
        return ("Content-Length", str(length)) if self.framing == "length" else ("Connection", "close")

    async def _send_whole(self, status: int, body: bytes, content_type: str, headers: list[tuple[str, str]]) -> bool:
        length = ("Content-Length", str(len(body)))
        await self._write(response_head(status, [("Content-Type", content_type), *headers], length) + body)
        return True

    async def _write(self, raw: bytes) -> None:
        if self.writer.is_closing():
            self.call.disconnected.set()
            raise HungUpError
        self.writer.write(raw)
        try:
            await self.writer.drain()
        except ConnectionError:
            self.call.disconnected.set()
            raise


async def read_request(reader: asyncio.StreamReader) -> Received | None:
    """The next request of a connection, or None at its end. Raises ValueError when it is not HTTP."""
    line = await reader.readline()
    if not line.strip():
        return None
    method, path, _ = line.decode("latin-1").split()
    headers: list[tuple[str, str]] = []
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name, value.strip()))
    call = Received(method, path, headers)
    if (call.header("transfer-encoding") or "").lower() == "chunked":
        while size := int(await reader.readline(), 16):
            call.body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        call.body = await reader.readexactly(int(call.header("content-length") or 0))
    return call


def response_head(status: int, headers: list[tuple[str, str]], framing: tuple[str, str]) -> bytes:
    """Status line and headers, unchecked."""
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in [*headers, framing])]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _plain_parts(request: Json, directive: Json) -> Iterator[bytes]:
    if "body_base64" in directive:
        yield base64.b64decode(directive["body_base64"])
        return
    if "body" in directive:
        yield directive["body"].encode()
        return
    completion = json.dumps(completion_of(request, directive), ensure_ascii=False).encode()
    if not directive.get("endless"):
        yield from _spaces(directive.get("size", 0) - len(completion))
        yield completion
    while directive.get("endless"):
        yield _SPACES


def _stream_parts(request: Json, directive: Json) -> Iterator[bytes]:
    if "body" in directive or "body_base64" in directive:
        yield from _plain_parts(request, directive)
        return
    end = directive.get("line_end", "\n")
    pairs: list[tuple[int, str]] = directive.get("insert", [])
    inserted = dict(pairs)
    error_at, error = directive.get("error_event", (None, None))
    if directive.get("size"):
        yield b"data: "
        yield from _spaces(directive["size"])
    while directive.get("endless"):
        yield _event(endless_chunk(request, directive), end)
    chunks = chunks_of(request, directive)
    for number, chunk in enumerate(chunks):
        before = inserted.get(number, "").encode()
        if number == error_at:
            yield before + _event({"error": error}, end)
            return
        yield before + _event(chunk, end)
    last = inserted.get(len(chunks), "").encode()
    yield last + (f"data: [DONE]{end}{end}".encode() if directive.get("done", True) else b"")


def _event(document: Json, end: str) -> bytes:
    return f"data: {json.dumps(document, ensure_ascii=False)}{end}{end}".encode()


def _spaces(count: int) -> Iterator[bytes]:
    for start in range(0, count, len(_SPACES)):
        yield _SPACES[: count - start]


def _compressed(parts: Iterator[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for part in parts:
        yield compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH)
    yield compressor.flush()
