"""The one outbound client. It goes to one address that the operator chose, and nowhere else."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from conversations.errors import MalformedAnswerError, UpstreamNotConfiguredError
from conversations.upstream.answers import EVENT_STREAM, Answer, AnswerStream
from conversations.upstream.failures import FAULTS, failure_in_answer, failure_of_exception, failure_of_status

MAX_ERROR_BYTES = 64 * 2**10
"""Bytes of an error's body that are read and kept."""

_READ_BUFFER_BYTES = 64 * 2**10


@dataclass(frozen=True, kw_only=True)
class UpstreamSettings:
    """Where the upstream is and how long it may take.

    ``base_url`` is what stands before ``/chat/completions``; it may have a query, which every call carries then
    (Azure's ``?api-version=…``). Empty means that there is no upstream. All timeouts are in seconds:
    ``first_byte_timeout`` from the call to the status line, ``idle_timeout`` between two pieces of the body,
    ``total_timeout`` from the call to the body's end. ``max_answer_bytes`` counts after decompression.

    Raises:
        ValueError: the address is not plain http(s), or the key could not stand in a header.
    """

    base_url: str = ""
    api_key: str = field(default="", repr=False)
    connect_timeout: float = 5
    first_byte_timeout: float = 60
    idle_timeout: float = 60
    total_timeout: float = 600
    max_answer_bytes: int = 32 * 2**20

    def __post_init__(self) -> None:
        if self.base_url:
            url = URL(self.base_url)
            if url.scheme not in {"http", "https"} or not url.host or url.user is not None or url.fragment:
                raise ValueError("UPSTREAM_BASE_URL must look like https://host/v1, without user name or password.")
        if not (self.api_key.isascii() and self.api_key.isprintable() and " " not in self.api_key):
            raise ValueError("UPSTREAM_API_KEY must be printable ASCII without spaces.")


class UpstreamClient:
    """Calls the upstream. One for each event loop, shared by all tasks, used as an async context manager.

    Connections are kept open and reused; their number is not limited here. A reused connection that turns out
    to be dead is replaced without a word for ``models`` only: aiohttp never repeats a POST, since it cannot know
    whether the upstream has read it, so that call ends as an ``UpstreamError`` that is not retryable. Idle
    connections are dropped after 15 seconds, and at once when the upstream closes them.
    """

    def __init__(self, settings: UpstreamSettings) -> None:
        self._settings = settings
        self._base = URL(settings.base_url)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Its own environment must not send prompts through a proxy, nor one caller's cookies to the next.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._common_headers(),
            timeout=aiohttp.ClientTimeout(connect=self._settings.connect_timeout),
            trust_env=False,
            read_bufsize=_READ_BUFFER_BYTES,
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def complete(
        self, body: bytes, *, idempotency_key: str | None = None, first_byte_timeout: float | None = None
    ) -> Answer:
        """POST ``body`` as it is to ``/chat/completions`` and read the whole answer, whatever it contains.

        ``first_byte_timeout`` (seconds) replaces the settings' own: without streaming, most upstreams send
        their status line only when the model has finished, so a long answer needs a long one.

        Raises:
            UpstreamError: or one of its subclasses, as ``upstream.failures`` says, also for an ``error`` in a 200.
        """
        headers = _post_headers("application/json", idempotency_key)
        async with self._exchange("POST", "chat/completions", headers, body, first_byte_timeout) as answer:
            return _refuse_reported_failure(await answer.read_whole())

    @asynccontextmanager
    async def stream(self, body: bytes, *, idempotency_key: str | None = None) -> AsyncIterator[AnswerStream]:
        """POST ``body`` as it is to ``/chat/completions``; entering waits for the status line.

        The answer may be JSON all the same, see ``AnswerStream.content_type``. Leaving the context before the
        answer's end closes the connection, so that the upstream can stop.

        Raises:
            UpstreamError: or one of its subclasses, as ``upstream.failures`` says; on entry, or while reading.
        """
        headers = _post_headers(f"{EVENT_STREAM}, application/json", idempotency_key)
        async with self._exchange("POST", "chat/completions", headers, body) as answer:
            yield answer

    async def models(self) -> bytes:
        """GET ``/models``: the answer's body.

        Raises:
            UpstreamError: or one of its subclasses, as ``upstream.failures`` says.
        """
        async with self._exchange("GET", "models", {"Accept": "application/json"}) as answer:
            return _refuse_reported_failure(await answer.read_whole()).body

    def _common_headers(self) -> dict[str, str]:
        # Compression would hold back a stream's pieces.
        headers = {"User-Agent": "daehwa", "Accept-Encoding": "identity"}
        if self._settings.api_key:
            headers["Authorization"] = f"Bearer {self._settings.api_key}"
        return headers

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None = None,
        first_byte_timeout: float | None = None,
    ) -> AsyncIterator[AnswerStream]:
        settings = self._settings
        now = asyncio.get_running_loop().time()
        deadline = now + settings.total_timeout
        status_line_by = min(deadline, now + (first_byte_timeout or settings.first_byte_timeout))
        response = await self._send(method, path, headers, body, status_line_by)
        try:
            answer = AnswerStream(
                response,
                deadline=deadline,
                idle_timeout=settings.idle_timeout,
                max_bytes=settings.max_answer_bytes,
            )
            await _refuse_failure(response, answer)
            yield answer
        finally:
            # After the body's end the connection is back in the pool already, and this changes nothing.
            response.close()

    async def _send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, status_line_by: float
    ) -> aiohttp.ClientResponse:
        if not self._settings.base_url:
            raise UpstreamNotConfiguredError
        if self._session is None:
            raise RuntimeError("An UpstreamClient is used inside `async with`.")
        url = (self._base / path).with_query(self._base.query)
        # aiohttp writes a file in pieces, but would hold up the loop with many megabytes of bytes.
        content = None if body is None else io.BytesIO(body)
        try:
            async with asyncio.timeout_at(status_line_by):
                return await self._session.request(method, url, headers=headers, data=content, allow_redirects=False)
        except FAULTS as exc:
            raise failure_of_exception(exc) from exc


def _post_headers(accept: str, idempotency_key: str | None) -> dict[str, str]:
    headers = {"Accept": accept, "Content-Type": "application/json"}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    return headers


async def _refuse_failure(response: aiohttp.ClientResponse, answer: AnswerStream) -> None:
    if response.status != 200:
        raise failure_of_status(response.status, response.headers, await answer.read_start(MAX_ERROR_BYTES))
    if answer.content_type == "text/html":
        raise MalformedAnswerError(
            "The upstream answered with a web page. Check UPSTREAM_BASE_URL.",
            answer=await answer.read_start(MAX_ERROR_BYTES),
        )


def _refuse_reported_failure(answer: Answer) -> Answer:
    failure = failure_in_answer(answer.body)
    if failure is not None:
        raise failure
    return answer
