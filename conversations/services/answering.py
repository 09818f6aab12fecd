"""Asks the upstream for one whole answer (async), the same way for the gateway and for the workers."""

import json
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from conversations.errors import MalformedAnswerError
from conversations.ids import new_response_id
from conversations.upstream.client import UpstreamClient
from conversations.wire import openai
from conversations.wire.calls import OWN_PARAMETERS, ChatCall
from conversations.wire.chunks import with_usage_asked
from conversations.wire.json_door import JsonObject, parse_answer
from conversations.wire.reading import response_id_of


@dataclass(frozen=True)
class CheckedAnswer:
    """A completion as it goes to the client (``body``), and its members."""

    body: bytes
    members: dict[str, Any]


def body_for_upstream(call: ChatCall) -> bytes:
    """The client's body as it came, less the members that are for us, with the model where it named none."""
    ours = ("deferred",) if settings.UPSTREAM_STORES else OWN_PARAMETERS
    body = with_usage_asked(call, dropped=ours) if call.stream else call.body_without(ours)
    if call.model or not settings.UPSTREAM_MODEL:
        return body
    return parse_answer(body).with_members({"model": json.dumps(settings.UPSTREAM_MODEL).encode()})


def check_answer(body: bytes, call: ChatCall) -> CheckedAnswer:
    """The upstream's bytes as a completion, with the members that every client needs.

    Raises ``MalformedAnswerError``, carrying the bytes, when they are no completion.
    """
    try:
        answer = parse_answer(body)
        openai.check_answer(answer)
    except MalformedAnswerError as error:
        error.answer = body
        raise
    except ValueError as error:
        raise MalformedAnswerError(answer=body) from error
    return complete_answer(answer, call)


def complete_answer(answer: JsonObject, call: ChatCall) -> CheckedAnswer:
    """The answer with an ID, a creation time and a model, where the upstream sent none that can be kept."""
    body = openai.complete_answer(
        answer,
        response_id=response_id_of(answer.members) or new_response_id(),
        created=int(time.time()),
        model=call.model or settings.UPSTREAM_MODEL,
    )
    return CheckedAnswer(body, parse_answer(body).members)


def parse_chunk(payload: bytes) -> JsonObject:
    """One event's payload. Raises ``MalformedAnswerError`` when it is not a JSON object."""
    try:
        return parse_answer(payload)
    except ValueError as error:
        raise MalformedAnswerError("The upstream sent an event that is not JSON.", answer=payload) from error


async def ask_upstream(client: UpstreamClient, call: ChatCall, *, idempotency_key: str) -> CheckedAnswer:
    """One whole answer. Raises ``UpstreamError`` or one of its subclasses."""
    answer = await client.complete(
        body_for_upstream(call),
        idempotency_key=idempotency_key,
        # A model that answers as a whole sends its first byte when it has finished.
        first_byte_timeout=settings.UPSTREAM_TOTAL_TIMEOUT,
    )
    return check_answer(answer.body, call)
