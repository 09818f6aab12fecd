"""Carries ASGI requests to Django's WSGI handler, with bodies that are whole and small.

WSGI knows a body by its length, so a chunked one would arrive empty; and whoever has not signed in yet must
not fill the memory. So each body is read here first, up to a limit that every form and every JSON of the
Django half stays far below.
"""

from a2wsgi import WSGIMiddleware
from django.core.handlers.wsgi import WSGIHandler
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from conversations.errors import RequestTooLargeError
from conversations.gateway.bodies import read_body
from conversations.gateway.endpoints import json_response
from conversations.ids import new_request_id
from conversations.wire.dialects import dialect_for

MAX_BODY_BYTES = 2**20
THREADS = 10


class DjangoBridge:
    """Django's half as an ASGI application."""

    def __init__(self, application: WSGIHandler) -> None:
        self._application = WSGIMiddleware(application, workers=THREADS)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; 413, in the dialect of its path, when its body is too large."""
        try:
            body = await read_body(Request(scope, receive), MAX_BODY_BYTES)
        except ClientDisconnect:
            return
        except RequestTooLargeError as error:
            await _refuse(scope["path"], error)(scope, receive, send)
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_whole() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._application(_with_length(scope, len(body)), receive_whole, send)  # type: ignore[arg-type]


def _with_length(scope: Scope, length: int) -> Scope:
    headers = [pair for pair in scope["headers"] if pair[0] not in {b"content-length", b"transfer-encoding"}]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


def _refuse(path: str, error: RequestTooLargeError) -> Response:
    request_id = new_request_id()
    dialect = dialect_for(path)
    if dialect is None:
        return PlainTextResponse(error.message, error.status, {"x-request-id": request_id})
    return json_response(
        dialect.error_body(error), request_id, status=error.status, headers=dialect.error_headers(error)
    )
