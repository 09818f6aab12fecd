"""A message cut into the deltas that would stream it, in the order in which OpenAI sends them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from conversations.wire.deltas import IDENTITIES

_WORD = re.compile(r"\S*\s+|\S+")
_ARGUMENT_LENGTH = 24
_AUDIO_LENGTH = 4 * 1024  # base64 characters: whole groups of four, so that each piece decodes alone
_CUT = frozenset({"role", "content", "refusal", "tool_calls", "audio"})

type Delta = dict[str, Any]
type Piece = tuple[Delta, dict[str, Any] | None]
"""A delta and the ``logprobs`` of the choice beside it."""


def cut_message(message: Mapping[str, Any], logprobs: Mapping[str, Any] | None) -> Iterator[Piece]:
    """The pieces of a choice's message, the role first; what OpenAI does not have comes whole."""
    content, refusal = message.get("content"), message.get("refusal")
    opening = {"role": message.get("role", "assistant"), "content": "" if isinstance(content, str) else None}
    nulls = {key: None for key, value in message.items() if value is None and key not in opening}
    yield opening | {"refusal": None} | nulls, None
    for key, value in message.items():
        if key not in _CUT and value is not None:
            yield from _cut_other(key, value)
    yield from _cut_text("content", content, logprobs)
    yield from _cut_text("refusal", refusal, logprobs)
    if logprobs is not None and not set(logprobs) <= {"content", "refusal"}:
        yield {}, {key: value for key, value in logprobs.items() if key not in {"content", "refusal"}}
    yield from _cut_calls(message.get("tool_calls"))
    yield from _cut_audio(message.get("audio"))


def _cut_other(key: str, value: Any) -> Iterator[Piece]:
    pieces = _words(value) if isinstance(value, str) and key not in IDENTITIES else iter([value])
    for piece in pieces:
        yield {key: piece}, None


def _words(text: str) -> Iterator[str]:
    """A text in words with the space after them; an empty text is one piece."""
    if not text:
        yield text
    for word in _WORD.finditer(text):
        yield word.group()


def _cut_text(key: str, value: Any, logprobs: Mapping[str, Any] | None) -> Iterator[Piece]:
    """Content or refusal: by token where the log probabilities tell the tokens, else by word."""
    entries = logprobs.get(key) if logprobs is not None else None
    if logprobs is None or entries is None:
        if value is not None and (value != "" or key == "refusal"):
            yield from _cut_other(key, value)
        if logprobs is not None and key == "content":
            yield {}, dict.fromkeys(logprobs)
        return
    beside: dict[str, Any] = dict.fromkeys(logprobs)
    said = (entry.get("token") if isinstance(entry, dict) else None for entry in entries)
    tokens = [token for token in said if isinstance(token, str)]
    if tokens and len(tokens) == len(entries) and "".join(tokens) == value:
        for token, entry in zip(tokens, entries, strict=True):
            yield {key: token}, beside | {key: [entry]}
    else:
        yield {} if value is None else {key: value}, beside | {key: entries}


def _cut_calls(calls: Any) -> Iterator[Piece]:
    if not isinstance(calls, list) or not calls or not all(isinstance(call, dict) for call in calls):
        if calls is not None:
            yield {"tool_calls": calls}, None
        return
    for index, call in enumerate(calls):
        function = call.get("function")
        arguments = function.get("arguments") if isinstance(function, dict) else None
        if not isinstance(arguments, str):
            yield {"tool_calls": [{"index": index} | call]}, None
            continue
        yield {"tool_calls": [{"index": index} | call | {"function": function | {"arguments": ""}}]}, None
        for piece in _slices(arguments, _ARGUMENT_LENGTH):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, None


def _cut_audio(audio: Any) -> Iterator[Piece]:
    """ID and the start of the transcript, the rest of it, the bytes, and what else there is (``expires_at``)."""
    if not isinstance(audio, dict):
        if audio is not None:
            yield {"audio": audio}, None
        return
    spoken, encoded = audio.get("transcript"), audio.get("data")
    words = list(_words(spoken)) if isinstance(spoken, str) else []
    opening = {key: audio[key] for key in ("id", "transcript") if key in audio}
    yield {"audio": opening | ({"transcript": words[0]} if words else {})}, None
    for word in words[1:]:
        yield {"audio": {"transcript": word}}, None
    cut = {"id", "transcript"}
    if isinstance(encoded, str):
        cut.add("data")
        for piece in _slices(encoded, _AUDIO_LENGTH):
            yield {"audio": {"data": piece}}, None
    if set(audio) - cut:
        yield {"audio": {key: value for key, value in audio.items() if key not in cut}}, None


def _slices(text: str, length: int) -> Iterator[str]:
    return (text[start : start + length] for start in range(0, max(len(text), 1), length))
