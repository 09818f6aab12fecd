"""``POST …/chat/completions`` on both surfaces: plain, streamed and deferred."""

import asyncio
import logging
from dataclasses import dataclass

from django.conf import settings
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from conversations.errors import (
    DaehwaError,
    InternalError,
    ServerStoppedError,
    StorageUnavailableError,
    UpstreamNotConfiguredError,
    describe_fault,
)
from conversations.gateway.bodies import read_body
from conversations.gateway.resources import Resources
from conversations.gateway.streaming import StreamResponse
from conversations.gateway.surfaces import Surface
from conversations.ids import new_request_id
from conversations.services.answering import CheckedAnswer, ask_upstream
from conversations.services.authenticating import authenticate
from conversations.services.recording import Caller, Mode, Record
from conversations.services.relaying import Relay
from conversations.wire.calls import ChatCall
from conversations.wire.json_door import check_media_type
from conversations.wire.xai import accepted_body

logger = logging.getLogger(__name__)

LEASE_MARGIN = 60.0
"""Seconds past the total deadline after which a call whose gateway is gone is given up."""


@dataclass(frozen=True)
class Incoming:
    """One accepted call: what was asked (``body`` is the bytes as received), by whom, under which ID."""

    call: ChatCall
    body: bytes
    caller: Caller
    request_id: str


class ChatCompletionsEndpoint:
    """Authenticates, validates, records, calls the upstream, records again, answers."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong is answered in the surface's dialect."""
        request = Request(scope, receive)
        request_id = new_request_id()
        try:
            response = await self._respond(request, request_id)
        except ClientDisconnect:
            return
        except DaehwaError as error:
            response = self._refuse(error, request_id)
        except Exception as error:  # noqa: BLE001  whatever it is, the client gets its envelope
            # Its text may quote a prompt, so only its kind and place reach the log.
            logger.error("%s failed: %s", request_id, describe_fault(error))  # noqa: TRY400
            response = self._refuse(InternalError(), request_id)
        await response(scope, receive, send)

    async def _respond(self, request: Request, request_id: str) -> ASGIApp:
        resources: Resources = request.app.state.resources
        caller = await authenticate(resources.pool, self.surface.read_key(request))
        self.surface.check_address(request)
        check_media_type(request.headers.get("content-type"))
        body = await read_body(request, settings.MAX_REQUEST_BYTES)
        call = self.surface.read_call(request, body)
        if not settings.UPSTREAM_BASE_URL:
            raise UpstreamNotConfiguredError
        incoming = Incoming(call, body, caller, request_id)
        if call.deferred:
            await self._receive(resources, incoming, "deferred")
            return json_response(accepted_body(request_id), request_id)
        if call.stream:
            return await self._stream(resources, incoming)
        return await self._complete(resources, incoming)

    async def _complete(self, resources: Resources, incoming: Incoming) -> Response:
        record = await self._receive(resources, incoming, "plain")
        # A task of its own, so that it can be ended when the server stops.
        answering = asyncio.create_task(self._answer(resources, incoming, record))
        resources.watch(answering)
        return json_response(self.surface.completion_body(await answering), incoming.request_id)

    @staticmethod
    async def _answer(resources: Resources, incoming: Incoming, record: Record) -> CheckedAnswer:
        try:
            answer = await ask_upstream(resources.client, incoming.call, idempotency_key=incoming.request_id)
        except DaehwaError as error:
            await resources.recorder.fail(record, error)
            raise
        except asyncio.CancelledError:
            stopped = ServerStoppedError()
            await resources.recorder.fail(record, stopped)
            raise stopped from None
        except Exception:
            await resources.recorder.fail(record, InternalError())
            raise
        try:
            await resources.recorder.complete(record, answer.members, answer.body)
        except StorageUnavailableError as error:
            error.retryable = False  # the upstream has run
            raise
        return answer

    async def _stream(self, resources: Resources, incoming: Incoming) -> ASGIApp:
        record = await self._receive(resources, incoming, "stream")
        relay = Relay(resources.client, resources.recorder, record, incoming.call)
        await relay.open(resources.watch)
        return StreamResponse(relay, heartbeat=self.surface.heartbeat, request_id=incoming.request_id)

    async def _receive(self, resources: Resources, incoming: Incoming, mode: Mode) -> Record:
        return await resources.recorder.receive(
            incoming.call,
            incoming.caller,
            body=incoming.body,
            request_id=incoming.request_id,
            surface=self.surface.name,
            mode=mode,
            lease=settings.UPSTREAM_TOTAL_TIMEOUT + LEASE_MARGIN,
        )

    def _refuse(self, error: DaehwaError, request_id: str) -> Response:
        dialect = self.surface.dialect
        headers = dialect.error_headers(error)
        return json_response(dialect.error_body(error), request_id, status=error.status, headers=headers)


def json_response(
    body: bytes, request_id: str, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """JSON bytes as they are, with the request's ID; never cached."""
    named = {"x-request-id": request_id, "cache-control": "no-store", **(headers or {})}
    return Response(body, status, named, media_type="application/json")
