"""The documented fields of a deferred and of a stored completion, and what a record has for each of them.

The two tables are the result tables of the seed documents: their fields, in their order, with what each one means.
Two names that the deferred table misspells stand here as they are sent, with the documented spelling beside them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from conversations.dashboard.reading.rendering import visible
from conversations.wire.json_door import encode

type Words = str | Promise

MAX_VALUE_LENGTH = 2_000
"""Longest value, in characters, that a row shows; the exact JSON has it all."""

MAX_CHOICES = 50
"""Most choices that get rows of their own."""

FINISH_REASONS: Mapping[str, Words] = {
    "stop": _("the answer is complete"),
    "length": _("the limit of tokens was reached"),
    "tool_calls": _("the model calls tools"),
    "content_filter": _("a content filter left something out"),
    "function_call": _("the model calls a function"),
}

_CHOICES = "choices[]"


@dataclass(frozen=True)
class Field:
    """A documented field: its path (``[]`` for each member of an array) and what it means."""

    path: str
    meaning: Words
    documented_as: str = ""


@dataclass(frozen=True)
class FieldRow:
    """One line of a result table. ``kind`` says how to read ``value``; ``words`` explain it to a person."""

    path: str
    value: str
    kind: Literal["text", "code", "null", "absent"]
    meaning: Words = ""
    documented_as: str = ""
    words: Words = ""
    cut: int = 0

    @property
    def steps(self) -> list[str]:
        """The path in pieces between which a line may break."""
        return re.findall(r"[^.]*\.?", self.path)


DEFERRED_FIELDS = (
    Field("id", _("ID of the generated response")),
    Field("object", _("Kind of the response object: always chat.completion")),
    Field("model", _("Model used")),
    Field("created", _("Timestamp of the creation")),
    Field("request_id", _("Returned when the deferred option was chosen; not returned otherwise")),
    Field("choices[]", _("List of the answers to the prompt")),
    Field("choices[].index", _("Position of the answer")),
    Field(
        "choices[].finish_reason",
        _("Why the generation of text stopped: stop = complete, length = maximum length exceeded"),
    ),
    Field("choices[].message", _("The message")),
    Field("choices[].message.role", _("Role of the message: system, user, assistant")),
    Field("choices[].message.content", _("Content of the message")),
    Field("choices[].message.refusal", _("Whether the model refused to answer (null in an ordinary call)")),
    Field("usage", _("Tokens used")),
    Field("usage.prompt_tokens", _("Tokens of the request's messages"), "usage.promp_tokens"),
    Field("usage.completion_tokens", _("Tokens of the answer's messages")),
    Field("usage.total_tokens", _("Sum of the tokens of request and answer")),
    Field("usage.prompt_tokens_details", _("How the tokens were used in detail"), "usage.prompt_token_details"),
    Field(
        "usage.prompt_tokens_details.text_tokens",
        _("Tokens used for text"),
        "usage.prompt_token_details.text_tokens",
    ),
    Field(
        "usage.prompt_tokens_details.audio_tokens",
        _("Tokens used for audio"),
        "usage.prompt_token_details.audio_tokens",
    ),
    Field(
        "usage.prompt_tokens_details.image_tokens",
        _("Tokens used for images"),
        "usage.prompt_token_details.image_tokens",
    ),
    Field(
        "usage.prompt_tokens_details.cached_tokens",
        _("Cached tokens used"),
        "usage.prompt_token_details.cached_tokens",
    ),
)

STORED_FIELDS = (
    Field("object", _("Kind of what is returned (chat.completion)")),
    Field("id", _("Unique ID of this request")),
    Field("model", _("The model that was used")),
    Field("created", _("Unix timestamp of the request's creation (in seconds)")),
    Field("request_id", _("Unique identifier of the request")),
    Field("tool_choice", _("The tool_choice that was used (null when unused)")),
    Field("usage", _("How many tokens were used")),
    Field("usage.total_tokens", _("Tokens used in all")),
    Field("usage.completion_tokens", _("Tokens used by the answer")),
    Field("usage.prompt_tokens", _("Tokens used by the prompt")),
    Field("seed", _("Random seed")),
    Field("top_p", _("Probability of token sampling (nucleus sampling)")),
    Field("temperature", _("Temperature of the sampling (controls randomness)")),
    Field("presence_penalty", _("Penalty that steers the conversation to new topics")),
    Field("frequency_penalty", _("Penalty that limits repeated words")),
    Field("system_fingerprint", _("Identifier of the system")),
    Field("input_user", _("The user's input (may be missing)")),
    Field("service_tier", _("Service level (for example: default)")),
    Field("tools", _("Tools that were used (null when unused)")),
    Field("metadata", _("Metadata (may be an empty object)")),
    Field("choices[]", _("List of answers")),
    Field("choices[].index", _("Order of the answer (index): tells several answers to one request apart")),
    Field("choices[].message.role", _("Role of who made the message")),
    Field("choices[].message.content", _("Content of the generated answer")),
    Field("choices[].message.refusal", _("Whether the request was refused")),
    Field("choices[].logprobs", _("Log probabilities used while generating the answer")),
    Field("choices[].finish_reason", _("Why the answer stopped being generated")),
)


def documented_rows(completion: Mapping[str, Any], fields: Sequence[Field]) -> list[FieldRow]:
    """A row for every documented field, ``choices[]`` unfolded into one group of rows for each choice.

    A field that the completion does not have gives a row all the same, of kind ``absent``.
    """
    choices = completion.get("choices")
    rows: list[FieldRow] = []
    for in_choices, group in groupby(fields, key=lambda field: field.path.startswith(_CHOICES)):
        if in_choices:
            rows += _choice_rows(choices, "choices" in completion, list(group))
        else:
            rows += [_row(field, completion, field.path, _is_parent(field, fields)) for field in group]
    return rows


def other_rows(completion: Mapping[str, Any], fields: Sequence[Field]) -> list[FieldRow]:
    """A row for every member that came and is not documented: of the root, of ``usage``, of each choice and message."""
    known = {field.path for field in fields}
    containers: list[tuple[str, str, object]] = [("", "", completion), ("usage.", "usage.", completion.get("usage"))]
    choices = completion.get("choices")
    for position, choice in enumerate(choices[:MAX_CHOICES] if isinstance(choices, list) else ()):
        here = f"choices[{position}]."
        containers.append(("choices[].", here, choice))
        message = choice.get("message") if isinstance(choice, dict) else None
        containers.append(("choices[].message.", f"{here}message.", message))
    rows: list[FieldRow] = []
    for generic, actual, container in containers:
        if not isinstance(container, dict):
            continue
        for key, value in container.items():
            path = f"{generic}{key}"
            # Its members are walked, so the container itself says nothing new.
            if path not in known and path not in {"choices", "choices[].message"}:
                rows.append(_shown(visible(f"{actual}{key}"), value, parent=False))
    return rows[:MAX_VALUE_LENGTH]


def finish_reason_in_words(reason: object) -> Words:
    """What a finish reason means, or "" for one that is not documented."""
    return FINISH_REASONS.get(reason, "") if isinstance(reason, str) else ""


def _choice_rows(choices: object, present: bool, fields: list[Field]) -> Iterator[FieldRow]:
    head, *members = fields
    if not isinstance(choices, list):
        yield _row(head, {head.path: choices} if present else {}, head.path, parent=False)
        yield from (FieldRow(field.path, "", "absent", field.meaning) for field in members)
        return
    count = ngettext("%(count)d choice", "%(count)d choices", len(choices)) % {"count": len(choices)}
    yield FieldRow(head.path, count, "text", head.meaning)
    for position, choice in enumerate(choices[:MAX_CHOICES]):
        for field in members:
            path = field.path.removeprefix(f"{_CHOICES}.")
            row = _row(field, choice, path, _is_parent(field, members))
            yield replace(row, path=f"choices[{position}].{path}")
    if not choices:
        yield from (FieldRow(field.path, "", "absent", field.meaning) for field in members)


def _is_parent(field: Field, fields: Sequence[Field]) -> bool:
    return any(other.path.startswith(f"{field.path}.") for other in fields)


def _row(field: Field, container: object, path: str, parent: bool) -> FieldRow:
    value = container
    for key in [path] if path == _CHOICES else path.split("."):
        if not isinstance(value, dict) or key not in value:
            return FieldRow(field.path, "", "absent", field.meaning, field.documented_as)
        value = value[key]
    return replace(_shown(field.path, value, parent), meaning=field.meaning, documented_as=field.documented_as)


def _shown(path: str, value: object, parent: bool) -> FieldRow:
    """How a value is shown. A ``parent``'s members have rows of their own, so it only names them."""
    if value is None:
        return FieldRow(path, "null", "null")
    if parent and isinstance(value, dict):
        return FieldRow(path, visible("{ " + ", ".join(value) + " }")[:MAX_VALUE_LENGTH], "code")
    text = visible(value if isinstance(value, str) else encode(value).decode())
    cut = len(text) if len(text) > MAX_VALUE_LENGTH else 0
    kind: Literal["text", "code"] = "text" if isinstance(value, str) else "code"
    return FieldRow(path, text[:MAX_VALUE_LENGTH], kind, words=_in_words(path, value), cut=cut)


def _in_words(path: str, value: object) -> Words:
    if path.endswith("finish_reason"):
        return finish_reason_in_words(value)
    if path == "created" and isinstance(value, int):
        try:
            return dt.datetime.fromtimestamp(value, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        except (OverflowError, ValueError, OSError):
            return ""
    return ""
