"""OpenAI's chat completions as served under ``/v1``: calls read, answers and errors written.

What a client or an upstream wrote is spliced, never rewritten: the answer goes out as it came in plus what the
contract requires, and a stored completion quotes the request's own bytes.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conversations.errors import BadRequestError, DaehwaError, MalformedAnswerError
from conversations.wire import checks
from conversations.wire.calls import ChatCall
from conversations.wire.json_door import JsonObject, encode, parse_answer, parse_object, showable, split_array

SERVICE_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")
"""The service tiers that a strict OpenAI client accepts."""

DEFAULT_LIMIT = 20
MAX_LIMIT = 100

_MAX_END_USER_LENGTH = 512
_NUMBERS = {"temperature": (0, 2), "top_p": (0, 1), "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2)}
_LEAST = {"max_tokens": 1, "max_completion_tokens": 1, "n": 1, "seed": None}
_QUOTED = {"tool_choice": b"null", "seed": b"null", "top_p": b"1.0", "temperature": b"1.0", "presence_penalty": b"0.0"}
_QUOTED |= {"frequency_penalty": b"0.0", "tools": b"null", "response_format": b"null"}


def read_call(body: bytes) -> ChatCall:
    """Validate a POST to ``/v1/chat/completions``; raises ``BadRequestError`` with ``param`` and ``code``.

    Parameters that OpenAI documents are checked as it documents them; keys that are not ours to know are left
    to the upstream.
    """
    body_object = parse_object(body)
    members = body_object.members
    model = checks.read_model(checks.require(members.get("model"), "model"))
    if not model:
        raise checks.bad_value("model", "must not be empty")
    messages = checks.read_messages(members.get("messages"))
    _check_sampling(members)
    stream = checks.read_flag(members.get("stream"), "stream")
    deferred = checks.read_flag(members.get("deferred"), "deferred")
    if stream and deferred:
        raise checks.bad_value("deferred", "cannot be combined with 'stream'")
    return ChatCall(
        body=body_object,
        model=model,
        stream=stream,
        include_usage=_read_include_usage(members, stream=stream),
        store=checks.read_flag(members.get("store"), "store"),
        deferred=deferred,
        metadata=checks.read_metadata(members.get("metadata")),
        end_user=read_end_user(members),
        messages=messages,
    )


def _check_sampling(members: Mapping[str, Any]) -> None:
    for name, (low, high) in _NUMBERS.items():
        checks.check_number(members.get(name), name, low, high)
    for name, least in _LEAST.items():
        checks.check_integer(members.get(name), name, least)
    checks.read_array(members.get("tools"), "tools")
    checks.read_object(members.get("response_format"), "response_format")
    stop = members.get("stop")
    if stop is not None and not isinstance(stop, str | list):
        raise checks.wrong_type(stop, "stop", "a string or an array of strings")
    for position, text in enumerate(stop if isinstance(stop, list) else []):
        if not isinstance(text, str):
            raise checks.wrong_type(text, f"stop[{position}]", "a string")


def _read_include_usage(members: Mapping[str, Any], *, stream: bool) -> bool:
    options = members.get("stream_options")
    include_usage = checks.read_object(options, "stream_options").get("include_usage")
    if options is not None and not stream:
        raise checks.bad_value("stream_options", "is only allowed when 'stream' is true")
    return checks.read_flag(include_usage, "stream_options.include_usage")


def read_end_user(members: Mapping[str, Any]) -> str:
    """The ``user`` of a request as it is shown and searched, cut to 512 characters; "" if there is none."""
    checks.check_text(members.get("user"), "user")
    return showable(members.get("user") or "")[:_MAX_END_USER_LENGTH]


def error_body(error: DaehwaError) -> bytes:
    """OpenAI's error envelope; clients look for all four keys."""
    envelope = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return encode({"error": envelope})


def error_headers(error: DaehwaError) -> dict[str, str]:
    """``x-should-retry`` where the error knows, ``Retry-After`` in whole seconds on 429 and 503 only, a 401's scheme.

    azure-core sends a POST again on any status that carries ``Retry-After``, so no other status may.
    """
    headers: dict[str, str] = {}
    if error.retryable is not None:
        headers["x-should-retry"] = "true" if error.retryable else "false"
    if error.status in {429, 503} and error.retry_after is not None and math.isfinite(error.retry_after):
        headers["Retry-After"] = str(max(0, math.ceil(error.retry_after)))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def check_answer(answer: JsonObject) -> None:
    """Raise ``MalformedAnswerError`` unless ``choices`` is a non-empty array of objects with a message each."""
    choices = answer.members.get("choices")
    if not isinstance(choices, list) or not choices:
        raise MalformedAnswerError("The upstream sent an answer without choices.", answer=bytes(answer))
    for choice in choices:
        if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
            raise MalformedAnswerError("The upstream sent a choice without a message.", answer=bytes(answer))


def missing_members(answer: JsonObject, *, kind: str, response_id: str, created: int, model: str) -> dict[str, bytes]:
    """The raw members that a completion (or a chunk: ``kind`` is its ``object``) needs and lacks or has as null.

    The ID also counts as lacking where it is not the one that the record is kept under.
    """
    required: dict[str, Any] = {"id": response_id, "object": kind, "created": created, "model": model}
    sent = answer.members
    return {
        key: encode(value)
        for key, value in required.items()
        if sent.get(key) is None or (key == "id" and sent[key] != response_id)
    }


def complete_answer(answer: JsonObject, *, response_id: str, created: int, model: str) -> bytes:
    """The answer's own bytes, plus the required root members that are missing; no choice is touched.

    ``response_id`` is the ID that the record is kept under, ``created`` is in Unix seconds.
    """
    kind = "chat.completion"
    return answer.with_members(
        missing_members(answer, kind=kind, response_id=response_id, created=created, model=model)
    )


def stored_completion(
    *, response_body: bytes, request_body: bytes, request_id: str, metadata: Mapping[str, str]
) -> bytes:
    """A stored completion as ``GET /v1/chat/completions/{response_id}`` shows it.

    The response's bytes with the request's parameters quoted as they were sent, and with every key that OpenAI's
    example has, null where unused, so that a client that validates strictly takes it.
    """
    response, request = parse_answer(response_body), parse_answer(request_body)
    sent = request.members
    extra = {"request_id": encode(request_id), "metadata": encode(dict(metadata))}
    for name, default in _QUOTED.items():
        extra[name] = default if sent.get(name) is None else request.raw(name) or default
    extra["input_user"] = request.raw("user") or b"null"
    if response.members.get("service_tier") not in SERVICE_TIERS:
        extra["service_tier"] = b'"default"'
    for name in ("system_fingerprint", "usage"):
        if name not in response.members:
            extra[name] = b"null"
    choices = response.raw("choices")
    if choices is not None and isinstance(response.members["choices"], list):
        extra["choices"] = _complete_choices(choices)
    return response.with_members(extra)


def _complete_choices(raw: bytes) -> bytes:
    """The choices with the keys that OpenAI's schema requires, as they came where none is missing."""
    before = split_array(raw)
    after = [_complete_choice(choice, position) for position, choice in enumerate(before)]
    return raw if after == before else b"[" + b",".join(after) + b"]"


def _complete_choice(raw: bytes, position: int) -> bytes:
    if not raw.startswith(b"{"):
        return raw
    choice = parse_answer(raw)
    extra = _absent(choice, {"index": encode(position), "logprobs": b"null"})
    message_raw = choice.raw("message")
    if message_raw is not None and message_raw.startswith(b"{"):
        message = parse_answer(message_raw)
        nullable = ("content", "refusal", "tool_calls", "function_call")
        lacking = _absent(message, {"role": b'"assistant"'} | dict.fromkeys(nullable, b"null"))
        if lacking:
            extra["message"] = message.with_members(lacking)
    return choice.with_members(extra)


def _absent(container: JsonObject, wanted: Mapping[str, bytes]) -> dict[str, bytes]:
    return {key: raw for key, raw in wanted.items() if key not in container.members}


def stored_messages(request_body: bytes, response_id: str) -> list[tuple[str, bytes]]:
    """The input messages of a stored completion, each as its ID (``{response_id}-{position}``) and its JSON."""
    request = parse_answer(request_body)
    raw = request.raw("messages")
    if raw is None or not isinstance(request.members["messages"], list):
        return []
    listed: list[tuple[str, bytes]] = []
    for position, message_raw in enumerate(split_array(raw)):
        if message_raw.startswith(b"{"):
            message_id = f"{response_id}-{position}"
            listed.append((message_id, _stored_message(parse_answer(message_raw), message_id)))
    return listed


def _stored_message(message: JsonObject, message_id: str) -> bytes:
    extra = {"id": encode(message_id)}
    extra |= _absent(message, {"content": b"null", "name": b"null", "content_parts": b"null"})
    if isinstance(message.members.get("content"), list):
        extra |= {"content": b"null", "content_parts": message.raw("content") or b"null"}
    return message.with_members(extra)


def list_page(items: Sequence[bytes], first_id: str | None, last_id: str | None, has_more: bool) -> bytes:
    """One page of a list: the items' own JSON, the IDs of the first and last (None on an empty page)."""
    ends = b'],"first_id":%b,"last_id":%b,"has_more":%b}' % (encode(first_id), encode(last_id), encode(has_more))
    return b'{"object":"list","data":[' + b",".join(items) + ends


def deleted_body(response_id: str) -> bytes:
    """The answer to a ``DELETE`` of a stored completion."""
    return encode({"object": "chat.completion.deleted", "id": response_id, "deleted": True})


def read_metadata_update(body: bytes) -> dict[str, str]:
    """The whole new metadata from a POST to a stored completion, whose only key is ``metadata``; null is ``{}``."""
    members = parse_object(body).members
    for key in members:
        if key != "metadata":
            message = f"'{key[:64]}' cannot be changed; only 'metadata' can."
            raise BadRequestError(message, param=key[:64], code="unknown_parameter")
    if "metadata" not in members:
        raise BadRequestError("'metadata' is required.", param="metadata", code="missing_required_parameter")
    return checks.read_metadata(members["metadata"])


@dataclass(frozen=True)
class ListQuery:
    """A list's query: ``after`` and ``model`` are None where not asked for, ``order`` is ``asc`` or ``desc``,
    ``limit`` is 1 to 100, and a record must have every pair of ``metadata``."""

    after: str | None
    limit: int
    order: str
    model: str | None
    metadata: dict[str, str]


def read_list_query(pairs: Sequence[tuple[str, str]]) -> ListQuery:
    """Read the decoded pairs of a list's query string; unknown keys are ignored, of repeated ones the last counts.

    A metadata key may itself hold brackets: ``metadata[k]]`` asks for ``k]``.
    """
    named: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for name, value in pairs:
        if name.startswith("metadata[") and name.endswith("]"):
            key = name.removeprefix("metadata[").removesuffix("]")
            _refuse_unsearchable(key + value, "metadata")
            metadata[key] = value
        elif name in {"after", "limit", "order", "model"}:
            _refuse_unsearchable(value, name)
            named[name] = value
    limit = named.get("limit", str(DEFAULT_LIMIT))
    if not re.fullmatch(r"[0-9]{1,9}", limit):
        raise BadRequestError("'limit' must be an integer.", param="limit", code="invalid_type")
    checks.check_integer(int(limit), "limit", 1, MAX_LIMIT)
    order = named.get("order", "asc")
    checks.check_choice(order, "order", ("asc", "desc"))
    return ListQuery(named.get("after") or None, int(limit), order, named.get("model"), metadata)


def _refuse_unsearchable(text: str, param: str) -> None:
    if showable(text) != text:
        raise checks.bad_value(param, "must not hold U+0000 or half of a surrogate pair")
