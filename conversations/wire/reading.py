"""Small readers of completions and messages, for columns, previews and search.

They take whatever an upstream or a client sent and never raise: what is not there, or not of the shape that it
should have, is left out. Every text they give is fit for a text column (see ``showable``).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conversations.ids import MAX_ID_LENGTH
from conversations.wire.checks import INT64_MAX, MAX_MODEL_LENGTH
from conversations.wire.json_door import showable

_MAX_WORD_LENGTH = 64


def response_id_of(answer: Mapping[str, Any]) -> str | None:
    """The upstream's own response ID, or None where it sent none that can be kept and looked up."""
    value = answer.get("id")
    usable = isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH and showable(value) == value
    return value if usable else None


def model_of(answer: Mapping[str, Any], fallback: str) -> str:
    """The model that answered, cut to ``MAX_MODEL_LENGTH`` characters, or ``fallback``."""
    value = answer.get("model")
    return showable(value)[:MAX_MODEL_LENGTH] if isinstance(value, str) and value else fallback


def created_of(answer: Mapping[str, Any], fallback: int) -> int:
    """When the upstream says that it answered, in Unix seconds, or ``fallback``."""
    value = answer.get("created")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT64_MAX:
        return value
    return fallback


def finish_reasons_of(answer: Mapping[str, Any]) -> list[str]:
    """The finish reason of each choice that has one, in the order of the choices."""
    reasons = (choice.get("finish_reason") for choice in _objects(answer.get("choices")))
    return [showable(reason)[:_MAX_WORD_LENGTH] for reason in reasons if isinstance(reason, str)]


def tool_call_ids_of(answer: Mapping[str, Any]) -> list[str]:
    """The IDs of the tool calls in all choices, without repeats, less those too long to be looked up."""
    ids: dict[str, None] = {}
    for message in _messages(answer):
        for call in _objects(message.get("tool_calls")):
            value = call.get("id")
            if isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH:
                ids[showable(value)] = None
    return list(ids)


def last_user_text(messages: Sequence[Any] | object) -> str:
    """What the user said last: the text of the last message with role ``user``, or ""."""
    for message in reversed(list(_objects(messages))):
        if message.get("role") == "user":
            return showable(_text_of(message.get("content")))
    return ""


def answer_text(answer: Mapping[str, Any]) -> str:
    """What the model said, a line each: content, refusal and audio transcript of every choice."""
    parts: list[str] = []
    for message in _messages(answer):
        audio = message.get("audio")
        transcript = audio.get("transcript") if isinstance(audio, dict) else None
        parts += [_text_of(message.get("content")), _text_of(message.get("refusal")), _text_of(transcript)]
    return showable("\n".join(part for part in parts if part))


def has_images(messages: object) -> bool:
    """Whether a request's messages show the model an image."""
    return bool(_part_types(messages) & {"image_url", "image", "input_image"})


def has_audio(messages: object) -> bool:
    """Whether a request's messages let the model hear something."""
    return bool(_part_types(messages) & {"input_audio", "audio_url", "audio"})


def answers_with_audio(answer: Mapping[str, Any]) -> bool:
    """Whether a choice is spoken."""
    return any(isinstance(message.get("audio"), dict) for message in _messages(answer))


def is_refused(answer: Mapping[str, Any]) -> bool:
    """Whether a choice holds a refusal."""
    return any(_text_of(message.get("refusal")) for message in _messages(answer))


def said_in(call: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """Everything that was said, in order, a line each: what is searched for.

    That is each message's text, refusal, reasoning and transcript, and the name and arguments of each tool call.
    """
    texts = [text for message in _objects(call.get("messages")) for text in _said(message)]
    texts += [text for message in _messages(answer) for text in _said(message)]
    return showable("\n".join(texts))


def _said(message: Mapping[str, Any]) -> Iterator[str]:
    audio = message.get("audio")
    transcript = audio.get("transcript") if isinstance(audio, dict) else None
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    for content in (reasoning, message.get("content"), message.get("refusal"), transcript):
        if text := _text_of(content):
            yield text
    for call in _objects(message.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict):
            yield f"{_text_of(function.get('name'))}({_unescaped(_text_of(function.get('arguments')))})"


def _unescaped(arguments: str) -> str:
    """The arguments of a tool call with their letters instead of escapes, as people would look for them."""
    if "\\u" not in arguments:
        return arguments
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False)
    except (ValueError, RecursionError):
        return arguments


def _part_types(messages: object) -> set[str]:
    parts = (part for message in _objects(messages) for part in _objects(message.get("content")))
    return {part_type for part in parts if isinstance(part_type := part.get("type"), str)}


def _text_of(content: object) -> str:
    """The text of a content: a string, or the text parts of an array of parts."""
    if isinstance(content, str):
        return content
    texts = (part.get("text") for part in _objects(content))
    return "\n".join(text for text in texts if isinstance(text, str))


def _messages(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for choice in _objects(answer.get("choices")):
        message = choice.get("message")
        if isinstance(message, dict):
            yield message


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """The objects in what should be an array of objects."""
    if isinstance(value, list | tuple):
        yield from (member for member in value if isinstance(member, dict))
