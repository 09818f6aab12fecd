"""Which requests continue which: a hash chain over the messages of a conversation.

A request that sends an earlier answer back with more messages after it continues that answer's request. Each
message is hashed together with all before it, so two records belong together when they have a hash in common,
and no body is ever compared. The chain starts from the project, so that it links within one only.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

MAX_PREFIXES = 256
"""How many of the answers that a request continues are kept, the last ones: they are indexed one by one."""


class Chain(NamedTuple):
    """A request's messages: ``prefixes`` has one hash for each assistant message, ``tip`` is that of all of them."""

    prefixes: list[UUID]
    tip: bytes


def chain_of(project_pk: int, messages: Sequence[Mapping[str, Any]]) -> Chain:
    """The chain over the messages of a request of this project."""
    tip = hashlib.blake2b(b"project %d" % project_pk, digest_size=16).digest()
    prefixes: list[UUID] = []
    for message in messages:
        tip = _link(tip, message)
        if message.get("role") == "assistant":
            prefixes.append(UUID(bytes=tip))
    return Chain(prefixes[-MAX_PREFIXES:], tip)


def answer_hashes_of(tip: bytes, answer: Mapping[str, Any]) -> list[UUID]:
    """One hash for each choice's message, as the prefix of a request that continues it will have it."""
    choices = answer.get("choices")
    messages = [choice.get("message") for choice in choices if isinstance(choice, dict)] if choices else []
    hashes = (UUID(bytes=_link(tip, message)) for message in messages if isinstance(message, dict))
    return list(dict.fromkeys(hashes))


def _link(tip: bytes, message: Mapping[str, Any]) -> bytes:
    said = json.dumps(_normalised(message), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(tip + said.encode(), digest_size=16).digest()


def _normalised(message: Mapping[str, Any]) -> dict[str, Any]:
    """What a client sends back of a message, whichever library it uses: what is null, empty or absent is alike."""
    audio = message.get("audio")
    members = {
        "role": message.get("role") or "assistant",
        "content": _content(message.get("content")),
        "name": message.get("name"),
        "tool_call_id": message.get("tool_call_id"),
        "tool_calls": [_tool_call(call) for call in _objects(message.get("tool_calls"))],
        "audio": audio.get("id") if isinstance(audio, dict) else None,
    }
    return {key: value for key, value in members.items() if value}


def _content(content: Any) -> Any:
    parts = list(_objects(content))
    if len(parts) == 1 and parts[0].get("type") == "text":
        return parts[0].get("text")
    return content


def _tool_call(call: Mapping[str, Any]) -> list[Any]:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    return [call.get("id"), function.get("name"), function.get("arguments")]


def _objects(value: object) -> Iterable[dict[str, Any]]:
    return (member for member in value if isinstance(member, dict)) if isinstance(value, list) else ()
