"""Reads a request's body, counting bytes as they arrive."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request

from conversations.errors import RequestTooLargeError

DISCARDED_BYTES = 8 * 2**20
DISCARDING_SECONDS = 2.0
"""How much, and how long, of the rest of a body that is too large is read and thrown away."""


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body. Raises ``RequestTooLargeError`` when more is announced, or as soon as more has come.

    What is still on its way then is thrown away for a moment: a client that cannot finish sending sees
    a reset connection instead of the answer.
    """
    too_large = RequestTooLargeError(f"The request body is larger than {max_bytes} bytes.")
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > max_bytes:
        raise too_large
    pieces: list[bytes] = []
    left = max_bytes
    incoming = request.stream()
    async for piece in incoming:
        left -= len(piece)
        if left < 0:
            pieces.clear()
            await _discard(incoming)
            raise too_large
        pieces.append(piece)
    return b"".join(pieces)


async def _discard(incoming: AsyncIterator[bytes]) -> None:
    try:
        async with asyncio.timeout(DISCARDING_SECONDS):
            left = DISCARDED_BYTES
            async for piece in incoming:
                left -= len(piece)
                if left < 0:
                    return
    except TimeoutError:
        return
