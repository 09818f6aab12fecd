"""Reads a request's body, counting bytes as they arrive."""

from starlette.requests import Request

from conversations.errors import RequestTooLargeError


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body. Raises ``RequestTooLargeError`` at the first byte too many, and reads no further."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > max_bytes:
        raise RequestTooLargeError(f"The request body is larger than {max_bytes} bytes.")
    pieces: list[bytes] = []
    left = max_bytes
    async for piece in request.stream():
        left -= len(piece)
        if left < 0:
            raise RequestTooLargeError(f"The request body is larger than {max_bytes} bytes.")
        pieces.append(piece)
    return b"".join(pieces)
