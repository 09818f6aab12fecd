"""A conversation as turns in the order they were said: what was asked, then each choice that was answered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from conversations.dashboard.reading.fields import MAX_CHOICES, finish_reason_in_words
from conversations.dashboard.reading.heat import Heat, heat_of
from conversations.dashboard.reading.parts import Part, RenderBudget, content_parts, json_part, sound_part, text_part
from conversations.dashboard.reading.rendering import visible
from conversations.wire.json_door import encode

type Words = str | Promise

SHOWN_AT_EACH_END = 100
"""How many messages are shown from the start and from the end of a conversation that is longer than both."""

_RENDERED_ROLES = frozenset({"assistant", "tool", "function"})
_MAX_CALLS = 100
_MAX_NAME_LENGTH = 200
_MAX_SUMMARY_LENGTH = 80

ROLES: Mapping[str, Words] = {
    "system": _("System"),
    "developer": _("Developer"),
    "user": _("User"),
    "assistant": _("Assistant"),
    "tool": _("Tool"),
    "function": _("Function"),
}


@dataclass(frozen=True)
class Result:
    """What a tool gave back: the message that says so, at its own ``anchor``."""

    anchor: str
    parts: list[Part]


@dataclass(frozen=True)
class Call:
    """A tool call: which tool, with what arguments, and its result where the conversation has it."""

    call_id: str
    name: str
    arguments: Part
    result: Result | None = None


@dataclass(frozen=True)
class Turn:
    """One message. ``folded`` ones (instructions) show their ``summary`` until opened.

    ``anchor`` is its place on the page: ``m-3`` for the request's fourth message, ``c-0`` for the first choice.
    ``skipped`` is the number of messages left out before this one. ``choice`` is the position of an answer
    among several, else None; ``heat`` has its tokens where their log probabilities came along.
    """

    anchor: str
    role: str
    label: Words
    parts: list[Part]
    calls: list[Call] = field(default_factory=list)
    name: str = ""
    tool_call_id: str = ""
    summary: str = ""
    length: int = 0
    choice: int | None = None
    finish_reason: str = ""
    finish_words: Words = ""
    skipped: int = 0
    is_answer: bool = False
    heat: Heat | None = None

    @property
    def folded(self) -> bool:
        """Whether this is an instruction rather than a part of the talk."""
        return self.role in {"system", "developer"}


def turns_of(
    request: Mapping[str, Any],
    response: Mapping[str, Any] | None,
    *,
    budget: RenderBudget | None = None,
    first: int = 0,
    anchors: str = "",
) -> list[Turn]:
    """The turns of a request (its ``messages``) and of its answer (each of its ``choices``), of any shape.

    Markdown and JSON are rendered within the ``budget``, and shown as they came without one. Messages before
    position ``first`` are left out; every anchor starts with ``anchors``, so that several conversations can stand on
    one page.
    """
    reading = _Reading(budget, anchors)
    messages = request.get("messages")
    messages = messages if isinstance(messages, list) else []
    # The answers are what people come for, so they are the first to be rendered.
    answers = list(_answers(response or {}, reading))
    return [*_questions(messages, first, reading), *answers]


@dataclass(frozen=True)
class _Reading:
    """How the reader wants it."""

    budget: RenderBudget | None
    anchors: str


def _questions(messages: list[Any], first: int, reading: _Reading) -> Iterator[Turn]:
    shown = list(enumerate(messages))[first:]
    skipped = max(len(shown) - 2 * SHOWN_AT_EACH_END, 0)
    if skipped:
        shown[SHOWN_AT_EACH_END:-SHOWN_AT_EACH_END] = []
    results = _paired(shown)
    paired = set(results.values())
    for count, (position, message) in enumerate(shown):
        if position in paired:
            continue
        gap = skipped if count == SHOWN_AT_EACH_END else 0
        found = {
            index: Result(
                f"{reading.anchors}m-{result}",
                list(content_parts(messages[result].get("content"), f"messages/{result}", reading.budget)),
            )
            for (asker, index), result in results.items()
            if asker == position
        }
        yield _turn(message, f"messages/{position}", f"m-{position}", reading, found, skipped=gap)


def _answers(response: Mapping[str, Any], reading: _Reading) -> Iterator[Turn]:
    choices = response.get("choices")
    choices = choices[:MAX_CHOICES] if isinstance(choices, list) else []
    for position, choice in enumerate(choices):
        members = choice if isinstance(choice, dict) else {}
        message = members.get("message", choice)
        if isinstance(message, dict) and not isinstance(message.get("role"), str):
            message = {**message, "role": "assistant"}
        reason = members.get("finish_reason")
        yield _turn(
            message,
            f"choices/{position}",
            f"c-{position}",
            reading,
            {},
            is_answer=True,
            heat=heat_of(members.get("logprobs")),
            choice=position if len(choices) > 1 else None,
            finish_reason=visible(reason)[:_MAX_NAME_LENGTH] if isinstance(reason, str) else "",
            finish_words=finish_reason_in_words(reason),
        )


def _turn(
    message: object,
    place: str,
    anchor: str,
    reading: _Reading,
    results: Mapping[int, Result],
    **more: Any,
) -> Turn:
    anchor = f"{reading.anchors}{anchor}"
    if not isinstance(message, dict):
        return Turn(anchor, "", _("Not a message"), [json_part(message)], **more)
    role = message.get("role")
    role = visible(role)[:_MAX_NAME_LENGTH] if isinstance(role, str) else ""
    budget = reading.budget if role in _RENDERED_ROLES else None
    parts = list(_message_parts(message, place, budget, as_markdown=role == "assistant"))
    first = next((part.text for part in parts if part.kind == "text"), "")
    return Turn(
        anchor,
        role if role in ROLES else "",
        ROLES.get(role, role or _("No role")),
        parts,
        calls=list(_calls(message, reading.budget, results)),
        name=_short(message.get("name")),
        tool_call_id=_short(message.get("tool_call_id")),
        summary=" ".join(first[: 2 * _MAX_SUMMARY_LENGTH].split())[:_MAX_SUMMARY_LENGTH],
        length=len(first),
        **more,
    )


def _message_parts(
    message: Mapping[str, Any], place: str, budget: RenderBudget | None, *, as_markdown: bool
) -> Iterator[Part]:
    for key in ("reasoning_content", "reasoning"):
        if isinstance(message.get(key), str) and message[key]:
            yield text_part(message[key], "reasoning")
            break
    yield from content_parts(message.get("content"), place, budget, as_markdown=as_markdown)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        yield text_part(refusal, "refusal")
    elif refusal:
        yield json_part(refusal)
    audio = message.get("audio")
    if isinstance(audio, dict):
        yield sound_part(audio, place)


def _paired(messages: Iterable[tuple[int, Any]]) -> dict[tuple[int, int], int]:
    """Which message is the result of which call: the first one after it that names its ID.

    Keys are the position of the message that calls and the position of the call in it.
    """
    open_calls: dict[str, list[tuple[int, int]]] = {}
    pairs: dict[tuple[int, int], int] = {}
    for position, message in messages:
        match message:
            case {"role": "tool", "tool_call_id": str(call_id)} if open_calls.get(call_id):
                pairs[open_calls[call_id].pop(0)] = position
            case {"tool_calls": [*calls]}:
                for index, call in enumerate(calls[:_MAX_CALLS]):
                    if isinstance(call, dict) and isinstance(call.get("id"), str):
                        open_calls.setdefault(call["id"], []).append((position, index))
    return pairs


def _calls(message: Mapping[str, Any], budget: RenderBudget | None, results: Mapping[int, Result]) -> Iterator[Call]:
    calls = message.get("tool_calls")
    for index, call in enumerate(calls[:_MAX_CALLS] if isinstance(calls, list) else ()):
        match call:
            case {"function": dict(called)}:
                arguments = _arguments(called.get("arguments"), budget)
            case {"custom": dict(called)}:
                arguments = _arguments(called.get("input"), budget)
            case _:
                yield Call("", "", json_part(call))
                continue
        yield Call(_short(call.get("id")), _short(called.get("name")), arguments, results.get(index))
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        yield Call("", _short(legacy.get("name")), _arguments(legacy.get("arguments"), budget))


def _arguments(arguments: object, budget: RenderBudget | None) -> Part:
    text = arguments if isinstance(arguments, str) else encode(arguments).decode()
    return text_part(text, "json", budget)


def _short(value: object) -> str:
    return visible(value)[:_MAX_NAME_LENGTH] if isinstance(value, str) else ""
