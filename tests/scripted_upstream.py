"""A scripted OpenAI-compatible server on loopback, for tests: it does exactly what the request tells it to.

In a test: ``with ScriptedUpstream() as upstream: … upstream.url …``. On its own:
``python -m tests.scripted_upstream --port 9901`` prints its base URL. It serves ``POST /v1/chat/completions``,
``GET /v1/models`` and ``GET /_log`` (what was received, newest last). If the text of the last user message
starts with ``@@``, the rest is a JSON object of the words below; otherwise the answer is "You said: <text>".
All times are in seconds. Nothing is random but an ``id`` that is not given.

====================  ==========================================================================================
what is said
====================  ==========================================================================================
content, pieces       the text, cut into pieces of four characters; or the pieces themselves, one a chunk
reasoning_content     streamed before the text
refusal               streamed in threes
tool_calls            ``[{id, name, arguments}]``, arguments streamed in fives
audio                 ``{id, data, transcript, expires_at}``
logprobs              true: logprobs also where the request does not ask for them
finish_reason         instead of ``stop`` or ``tool_calls``; null is possible
id, created, model    fixed ones
usage                 any JSON instead of the counted one; null leaves it out
usage_always          true: the stream's usage chunk also when nobody asked for it
message_extra         vendor fields of the message (of the first delta)
choice_extra          vendor fields of the choice (with its finish reason)
top_extra             vendor fields of the root (of the last chunk)
echo_keys             true: the content is the JSON list of the root keys received
nonce                 any string: names this call for ``flaky`` and ``calls_for``
====================  ==========================================================================================

====================  ==========================================================================================
how it is sent
====================  ==========================================================================================
delay                 wait before the status line
piece_delay           wait after each event of a stream
slice, slice_delay    send the body in slices of that many bytes (cuts UTF-8 characters), wait after each
framing               ``chunked`` (a stream's default), ``length`` (otherwise) or ``close`` (until the end)
line_end              of a stream, ``"\\n"`` by default
gzip                  true: Content-Encoding gzip
headers               ``[[name, value]]`` besides the usual ones, never checked
content_type          instead of the usual one
plain                 true: answer with JSON although a stream was asked for
insert                ``[[k, text]]``: raw text in the stream before event k (comments, broken lines, other fields)
error_event           ``[k, error]``: instead of event k, ``data: {"error": error}``, then the end
done                  false: no ``[DONE]``
body, body_base64     this body instead of any other
size                  a body of that many bytes: spaces in JSON, or one huge event in a stream
endless               true: spaces, or chunks, for ever (with ``piece_delay``)
raw_base64            exactly these bytes instead of a whole HTTP answer, then a clean end
====================  ==========================================================================================

====================  ==========================================================================================
how it fails
====================  ==========================================================================================
fail                  ``{status, message, type, param, code, headers, body}``: that answer at once (``headers`` an
                      object; ``body`` any JSON, or a string sent as it is with ``content_type``)
flaky                 N: fail the first N calls with this nonce (``fail``, or 503), answer the next
cut                   ``{after, how}``: after "nothing", "head" or so many events (of a stream) or bytes (of a
                      body); how: "fin" (close), "reset" (RST), "end" (a well-formed end) or "hang" (silence)
====================  ==========================================================================================
"""

import argparse
import asyncio
import base64
import contextlib
import json
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.scripted_model import DEFAULT_MODEL, Json, chunks_of, completion_of, endless_chunk, read_directive

_SPACES = b" " * 2**16
_OPENAI_ERROR: Json = {"message": "The scripted upstream failed.", "type": "server_error", "param": None, "code": None}


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


class ScriptedUpstream:
    """The server in a thread of its own, as a context manager.

    ``url`` is the base URL (``http://127.0.0.1:PORT/v1``), ``received`` every request so far. With an
    ``api_key``, any other is refused with 401.
    """

    def __init__(self, port: int = 0, *, api_key: str | None = None) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self._port = port
        self._api_key = api_key
        self._failed: dict[str, int] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted-upstream", daemon=True)

    @property
    def url(self) -> str:
        """The base URL, as it stands in ``UPSTREAM_BASE_URL``."""
        return f"http://127.0.0.1:{self._port}/v1"

    def calls_for(self, nonce: str) -> list[Received]:
        """The completion requests whose body contains ``nonce``."""
        return [call for call in self.received if call.method == "POST" and nonce.encode() in call.body]

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", self._port), self._loop
        ).result(timeout=10)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while (call := await _read_request(reader)) is not None:
                self.received.append(call)
                exchange = _Exchange(reader, writer, call)
                with contextlib.suppress(_HungUpError, ConnectionError):
                    if await self._respond(exchange, call):
                        continue
                break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except ValueError:
            writer.write(_head(400, [], ("Content-Length", "0")))
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _respond(self, exchange: "_Exchange", call: Received) -> bool:
        """Answer one request; True when the connection can take another one."""
        if call.path == "/_log":
            return await exchange.send_json(200, [_logged(received) for received in self.received])
        if self._api_key is not None and call.header("authorization") != f"Bearer {self._api_key}":
            error = {**_OPENAI_ERROR, "message": f"Incorrect API key: {call.header('authorization')}"}
            return await exchange.send_json(401, {"error": {**error, "code": "invalid_api_key"}})
        if (call.method, call.path.partition("?")[0]) == ("GET", "/v1/models"):
            model = {"id": DEFAULT_MODEL, "object": "model", "created": 0, "owned_by": "tests"}
            return await exchange.send_json(200, {"object": "list", "data": [model]})
        if (call.method, call.path.partition("?")[0]) != ("POST", "/v1/chat/completions"):
            return await exchange.send_json(404, {"error": {**_OPENAI_ERROR, "message": f"No route {call.path}"}})
        try:
            request = call.parsed()
        except ValueError:
            return await exchange.send_json(400, {"error": {**_OPENAI_ERROR, "message": "The body is not JSON."}})
        directive = read_directive(request)
        await exchange.wait(directive.get("delay", 0))
        if self._fails_now(directive):
            return await exchange.send_failure(directive.get("fail") or {"status": 503})
        return await exchange.send_answer(request, directive)

    def _fails_now(self, directive: Json) -> bool:
        if "flaky" not in directive:
            return "fail" in directive
        nonce = directive.get("nonce", "")
        self._failed[nonce] = self._failed.get(nonce, 0) + 1
        return self._failed[nonce] <= int(directive["flaky"])


class _HungUpError(Exception):
    """The client closed its end, or the script says that ours is closed."""


@dataclass
class _Exchange:
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
            raise _HungUpError

    async def send_json(self, status: int, document: Any) -> bool:
        """A whole JSON answer."""
        return await self._send_whole(status, json.dumps(document).encode(), "application/json", [])

    async def send_failure(self, fail: Json) -> bool:
        """The answer of the word ``fail``."""
        told = {key: fail[key] for key in ("message", "type", "param", "code") if key in fail}
        body = fail.get("body", {"error": {**_OPENAI_ERROR, **told}})
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
        await self._write(_head(200, headers, self._framing_header(len(first))))
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
        after = self.directive.get("cut", {}).get("after")
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
        raise _HungUpError

    async def _finish(self) -> None:
        if self.framing == "chunked":
            await self._write(b"0\r\n\r\n")

    def _framing_header(self, length: int) -> tuple[str, str]:
        if self.framing == "chunked":
            return ("Transfer-Encoding", "chunked")
        return ("Content-Length", str(length)) if self.framing == "length" else ("Connection", "close")

    async def _send_whole(self, status: int, body: bytes, content_type: str, headers: list[tuple[str, str]]) -> bool:
        length = ("Content-Length", str(len(body)))
        await self._write(_head(status, [("Content-Type", content_type), *headers], length) + body)
        return True

    async def _write(self, raw: bytes) -> None:
        if self.writer.is_closing():
            self.call.disconnected.set()
            raise _HungUpError
        self.writer.write(raw)
        try:
            await self.writer.drain()
        except ConnectionError:
            self.call.disconnected.set()
            raise


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
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


def _head(status: int, headers: list[tuple[str, str]], framing: tuple[str, str]) -> bytes:
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
    inserted: dict[int, str] = dict(directive.get("insert", []))
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


def _logged(call: Received) -> Json:
    return {
        "method": call.method,
        "path": call.path,
        "headers": call.headers,
        "body": call.body.decode("utf-8", "replace"),
        "body_base64": base64.b64encode(call.body).decode(),
    }


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A scripted OpenAI-compatible server.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--api-key", default=None)
    options = parser.parse_args()
    with ScriptedUpstream(options.port, api_key=options.api_key) as upstream:
        sys.stdout.write(upstream.url + "\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
