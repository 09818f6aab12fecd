"""Server-sent events to a client, with heartbeats; a failed stream is cut, so that no client takes it for whole."""

import asyncio
import contextlib
from collections.abc import Callable

from django.conf import settings
from starlette.types import Receive, Scope, Send

from conversations.services.relaying import Relay


class StreamResponse:
    """Sends a relay's pieces. A client that goes away is not waited for; the relay reads on without it."""

    def __init__(self, relay: Relay, *, heartbeat: Callable[[Relay], bytes], request_id: str) -> None:
        self._relay = relay
        self._heartbeat = heartbeat
        self._headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-store",
            "x-accel-buffering": "no",
            "x-request-id": request_id,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until the client is gone."""
        headers = [(name.encode(), value.encode()) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        sending = asyncio.create_task(self._send_pieces(send))
        gone = asyncio.create_task(_wait_until_gone(receive))
        await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
        for task in (sending, gone):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _send_pieces(self, send: Send) -> None:
        while True:
            try:
                piece = await self._relay.next_piece(settings.STREAM_HEARTBEAT_SECONDS)
            except TimeoutError:
                piece = self._heartbeat(self._relay)
            if piece is None:
                break
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if not self._relay.failed:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        # A failed one ends without its last chunk: the server then cuts the connection.


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
