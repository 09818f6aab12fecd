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
import sys
import threading
from types import TracebackType
from typing import Self

from tests.scripted_exchange import OPENAI_ERROR, Exchange, HungUpError, Received, read_request, response_head
from tests.scripted_model import DEFAULT_MODEL, Json, read_directive

__all__ = ["Received", "ScriptedUpstream"]


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
            while (call := await read_request(reader)) is not None:
                self.received.append(call)
                exchange = Exchange(reader, writer, call)
                with contextlib.suppress(HungUpError, ConnectionError):
                    if await self._respond(exchange, call):
                        continue
                break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except ValueError:
            writer.write(response_head(400, [], ("Content-Length", "0")))
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _respond(self, exchange: Exchange, call: Received) -> bool:
        """Answer one request; True when the connection can take another one."""
        if call.path == "/_log":
            return await exchange.send_json(200, [_logged(received) for received in self.received])
        if self._api_key is not None and call.header("authorization") != f"Bearer {self._api_key}":
            error = {**OPENAI_ERROR, "message": f"Incorrect API key: {call.header('authorization')}"}
            return await exchange.send_json(401, {"error": {**error, "code": "invalid_api_key"}})
        if (call.method, call.path.partition("?")[0]) == ("GET", "/v1/models"):
            model = {"id": DEFAULT_MODEL, "object": "model", "created": 0, "owned_by": "tests"}
            return await exchange.send_json(200, {"object": "list", "data": [model]})
        if (call.method, call.path.partition("?")[0]) != ("POST", "/v1/chat/completions"):
            return await exchange.send_json(404, {"error": {**OPENAI_ERROR, "message": f"No route {call.path}"}})
        try:
            request = call.parsed()
        except ValueError:
            return await exchange.send_json(400, {"error": {**OPENAI_ERROR, "message": "The body is not JSON."}})
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
