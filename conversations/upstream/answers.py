"""What the upstream answers with status 200: read piece by piece within deadlines, or as a whole."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp

from conversations.errors import AnswerTooLargeError, StreamCutError, UpstreamError, UpstreamTimeoutError
from conversations.upstream.failures import FAULTS, failure_of_exception

EVENT_STREAM = "text/event-stream"

_RELAYED = ("openai-processing-ms", "openai-version")
_RELAYED_PREFIX = "x-ratelimit-"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer: the body's exact (decoded) bytes, and the headers that a client may see."""

    body: bytes
    content_type: str
    headers: Mapping[str, str]
    status: int = 200


class AnswerStream:
    """An answer that is still coming in. Its connection is closed when the context that gave it ends.

    ``deadline`` is a moment of the event loop's clock, ``idle_timeout`` is in seconds and holds for each piece,
    ``max_bytes`` counts bytes after decompression.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, *, deadline: float, idle_timeout: float, max_bytes: int
    ) -> None:
        self._response = response
        self._deadline = deadline
        self._idle_timeout = idle_timeout
        self._bytes_left = max_bytes

    @property
    def content_type(self) -> str:
        """The media type in small letters without parameters, or ``""``: an upstream may answer a stream in JSON."""
        return self._response.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def headers(self) -> dict[str, str]:
        """The headers that may be passed on to a client, names in small letters; every other one stays here."""
        named = ((name.lower(), value) for name, value in self._response.headers.items())
        return {
            name: value
            for name, value in named
            if (name in _RELAYED or name.startswith(_RELAYED_PREFIX)) and value.isascii() and value.isprintable()
        }

    async def next_piece(self) -> bytes:
        """The bytes that are there, as soon as there are any; ``b""`` at the end.

        A body without a length that is cut off cleanly ends like a complete one: only its content can tell.

        Raises:
            UpstreamTimeoutError: silence for ``idle_timeout``, or the deadline has passed.
            AnswerTooLargeError: more than ``max_bytes`` came.
            StreamCutError: the connection of an event stream was lost.
            UpstreamError: the connection of any other answer was lost.
        """
        now = asyncio.get_running_loop().time()
        # A timeout fires only when the loop gets to run, which a fast enough upstream need not let happen.
        if now >= self._deadline:
            raise UpstreamTimeoutError
        try:
            async with asyncio.timeout_at(min(self._deadline, now + self._idle_timeout)):
                piece = await self._response.content.readany()
        except FAULTS as exc:
            lost = StreamCutError if self.content_type == EVENT_STREAM else UpstreamError
            raise failure_of_exception(exc, lost=lost) from exc
        self._bytes_left -= len(piece)
        if self._bytes_left < 0:
            raise AnswerTooLargeError
        return piece

    async def read(self) -> AsyncIterator[bytes]:
        """All pieces in order, each as it comes in. Raises as ``next_piece`` does.

        Read it to its end where possible: only then can the connection serve another call.
        """
        while piece := await self.next_piece():
            yield piece

    async def read_whole(self) -> Answer:
        """Everything at once. Raises as ``next_piece`` does, with what had come by then as the error's ``answer``."""
        pieces: list[bytes] = []
        try:
            while piece := await self.next_piece():
                pieces.append(piece)
        except UpstreamError as failure:
            failure.answer = b"".join(pieces)
            raise
        return Answer(body=b"".join(pieces), content_type=self.content_type, headers=self.headers)

    async def read_start(self, max_bytes: int) -> bytes:
        """What comes, up to ``max_bytes`` and up to the first failure: for the bodies of errors."""
        start = bytearray()
        try:
            while len(start) < max_bytes and (piece := await self.next_piece()):
                start += piece
        except UpstreamError:
            pass
        return bytes(start[:max_bytes])
