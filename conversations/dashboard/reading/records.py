"""One record as a page shows it: its row, its parsed bodies, and what is derived from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from conversations.dashboard.charts import Segment, token_segments
from conversations.dashboard.reading.fields import (
    DEFERRED_FIELDS,
    STORED_FIELDS,
    Field,
    FieldRow,
    documented_rows,
    other_rows,
)
from conversations.dashboard.reading.json_tree import Opened, open_node, parse_json
from conversations.dashboard.reading.parts import RenderBudget
from conversations.dashboard.reading.reasons import reason_in_words
from conversations.dashboard.reading.rendering import coloured_json, is_colourable, visible
from conversations.dashboard.reading.timeline import Step, timeline_of
from conversations.dashboard.reading.turns import Turn, turns_of
from conversations.errors import DaehwaError
from conversations.models import Attempt, ChatRequest, Completion
from conversations.services.looking_up import read_body
from conversations.wire import openai, xai
from conversations.wire.json_door import encode, parse_answer
from conversations.wire.replay import replayed_chunks

MAX_SHOWN_JSON = 256 * 1024
"""Longest JSON, in characters, that a page shows; longer ones show their beginning and a download."""


MAX_CHUNKS = 500
"""Most chunks of a replay that a page lists; the download has them all."""

MAX_CHUNK_LENGTH = 500
"""Longest delta, in characters, that a list of chunks shows."""


@dataclass(frozen=True)
class ExactJson:
    """A body to look at and to copy. ``size`` is in bytes; ``is_cut`` when only its beginning is here."""

    content: bytes

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.content)

    @cached_property
    def text(self) -> str:
        """The exact text as far as it is shown; what is not UTF-8 appears as U+FFFD."""
        return self.content[:MAX_SHOWN_JSON].decode("utf-8", "replace").replace("\0", "\ufffd")

    @property
    def is_cut(self) -> bool:
        """Whether the text is only the beginning."""
        return self.size > MAX_SHOWN_JSON

    @cached_property
    def coloured(self) -> str | None:
        """The text indented and coloured, or None when it is too much for that."""
        return coloured_json(self.text) if not self.is_cut and is_colourable(self.text) else None

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()

    def opened(self, pointer: str, start: int = 0) -> Opened | None:
        """The node at this JSON Pointer with a page of its members; None where there is none, or no JSON."""
        try:
            return open_node(parse_json(self.content.decode("utf-8-sig", "replace")), pointer, start)
        except ValueError:
            return None


@dataclass(frozen=True)
class Chunk:
    """One chunk of a stream: the position of its choice, its delta as JSON, and what ends the choice.

    ``choice`` is None for the last one, whose ``text`` is the usage.
    """

    number: int
    choice: str | None
    text: str
    finish_reason: str


class Record:
    """A request with what a page needs to know about it. Bodies and attempts are read when first asked for.

    Markdown and JSON inside the conversation are rendered unless the reader wants it otherwise.
    """

    def __init__(self, request: ChatRequest, *, is_rendered: bool = True) -> None:
        self.request = request
        self.is_rendered = is_rendered
        self.completion: Completion | None = getattr(request, "completion", None)

    @cached_property
    def _bodies(self) -> tuple[bytes, bytes]:
        body = read_body(self.request)
        return (bytes(body.request_body), bytes(body.response_body or b"")) if body else (b"", b"")

    @property
    def request_body(self) -> bytes:
        """The exact bytes that the client sent; empty when they were not kept."""
        return self._bodies[0]

    @property
    def response_body(self) -> bytes:
        """The exact bytes that came back; empty when there are none or they were not kept."""
        return self._bodies[1]

    @cached_property
    def asked(self) -> dict[str, Any]:
        """The request's members; empty when it was not kept."""
        return _members(self.request_body)

    @cached_property
    def answered(self) -> dict[str, Any]:
        """The answer's members; empty when there is none that can be read."""
        return _members(self.response_body)

    @property
    def is_ready(self) -> bool:
        """Whether there is an answer to show."""
        return self.request.state == ChatRequest.State.COMPLETED

    @cached_property
    def turns(self) -> list[Turn]:
        """The conversation."""
        answer = self.answered if self.is_ready else None
        return turns_of(self.asked, answer, budget=RenderBudget() if self.is_rendered else None)

    @property
    def questions(self) -> list[Turn]:
        """What was said before the answer."""
        return [turn for turn in self.turns if not turn.is_answer]

    @property
    def answers(self) -> list[Turn]:
        """The answer: one turn for each choice."""
        return [turn for turn in self.turns if turn.is_answer]

    @cached_property
    def chunks(self) -> list[Chunk]:
        """The answer as the first chunks of the stream that it would have been; none where it cannot be one."""
        try:
            chunks = replayed_chunks(self.response_body if self.is_ready else b"", include_usage=True)
        except ValueError:
            return []
        return [_chunk(number, members) for number, members in enumerate(islice(chunks, MAX_CHUNKS), 1)]

    @property
    def has_all_chunks(self) -> bool:
        """Whether the stream ends within those chunks."""
        return len(self.chunks) < MAX_CHUNKS

    @cached_property
    def segments(self) -> list[Segment]:
        """The token bar."""
        return token_segments(self.completion) if self.completion else []

    @cached_property
    def steps(self) -> list[Step]:
        """The timeline."""
        return timeline_of(self.request, Attempt.objects.filter(request=self.request))

    @property
    def reason(self) -> str:
        """Why the request ended as it did, in words."""
        return reason_in_words(self.request.reason)

    @property
    def duration(self) -> float | None:
        """Seconds from the request's arrival to its end."""
        return self._seconds_until("finished_at")

    @property
    def first_chunk(self) -> float | None:
        """Seconds from the request's arrival to the first chunk of its stream."""
        return self._seconds_until("first_chunk_at")

    def _seconds_until(self, name: str) -> float | None:
        at = getattr(self.request, name)
        return (at - self.request.received_at).total_seconds() if at else None

    @property
    def is_deferred(self) -> bool:
        """Whether the client asked with ``deferred: true``."""
        return self.request.mode == ChatRequest.Mode.DEFERRED

    @cached_property
    def deferred_json(self) -> ExactJson:
        """The completion as a client fetches it from the deferred route."""
        return ExactJson(self._as_served(stored=False))

    @cached_property
    def stored_json(self) -> ExactJson:
        """The completion as a client retrieves it from the stored route."""
        return ExactJson(self._as_served(stored=True))

    @property
    def request_json(self) -> ExactJson | None:
        """The request's exact body, or None when it was not kept."""
        return ExactJson(self.request_body) if self.request_body else None

    @property
    def response_json(self) -> ExactJson | None:
        """The answer's exact body, or None when there is none."""
        return ExactJson(self.response_body) if self.response_body else None

    def _as_served(self, *, stored: bool) -> bytes:
        body = self.response_body
        try:
            if stored:
                return openai.stored_completion(
                    response_body=body,
                    request_body=self.request_body,
                    request_id=self.request.request_id,
                    metadata=self.request.metadata,
                )
            return xai.deferred_completion(response_body=body, request_id=self.request.request_id)
        except (ValueError, DaehwaError):
            # No completion can be made of it, so it is shown as it came.
            return body

    @property
    def fields(self) -> Sequence[Field]:
        """Which table documents this record: the deferred one, unless it was stored."""
        return DEFERRED_FIELDS if self.is_deferred and not self.request.stored else STORED_FIELDS

    @cached_property
    def rows(self) -> list[FieldRow]:
        """The record's own result table; from its columns where the content was not kept."""
        return documented_rows(self._completion_members, self.fields)

    @cached_property
    def other_rows(self) -> list[FieldRow]:
        """What came beside the documented fields."""
        return other_rows(self._completion_members, self.fields)

    @cached_property
    def deferred_rows(self) -> list[FieldRow]:
        """The result table of the deferred lookup."""
        return documented_rows(_members(self.deferred_json.content), DEFERRED_FIELDS)

    @cached_property
    def stored_rows(self) -> list[FieldRow]:
        """The result table of the stored lookup."""
        return documented_rows(_members(self.stored_json.content), STORED_FIELDS)

    @cached_property
    def _completion_members(self) -> dict[str, Any]:
        if not self.response_body:
            return _known_members(self.request, self.completion)
        served = self.deferred_json if self.fields is DEFERRED_FIELDS else self.stored_json
        return _members(served.content)


def _chunk(number: int, chunk: dict[str, Any]) -> Chunk:
    if not chunk["choices"]:
        return Chunk(number, None, visible(encode(chunk["usage"]).decode()[:MAX_CHUNK_LENGTH]), "")
    (choice,) = chunk["choices"]
    reason = choice["finish_reason"]
    text = visible(encode(choice["delta"]).decode()[:MAX_CHUNK_LENGTH])
    return Chunk(number, str(choice["index"]), text, visible(reason)[:100] if isinstance(reason, str) else "")


def _members(body: bytes) -> dict[str, Any]:
    try:
        return parse_answer(body).members
    except (ValueError, RecursionError):
        return {}


def _known_members(request: ChatRequest, completion: Completion | None) -> dict[str, Any]:
    """What the columns tell of a completion whose content was not kept."""
    if completion is None:
        return {"request_id": request.request_id}
    usage = {"prompt_tokens": completion.prompt_tokens, "completion_tokens": completion.completion_tokens}
    return {
        "object": "chat.completion",
        "id": completion.response_id,
        "model": completion.model,
        "created": completion.created,
        "request_id": request.request_id,
        "service_tier": completion.service_tier or None,
        "metadata": request.metadata,
        "usage": {**usage, "total_tokens": completion.total_tokens},
        "choices": [
            {"index": position, "finish_reason": visible(reason)}
            for position, reason in enumerate(completion.finish_reasons)
        ],
    }
