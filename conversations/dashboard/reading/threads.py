"""A talk of several turns: the requests of which each sends the ones before it back with more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from conversations.dashboard.reading.parts import RenderBudget
from conversations.dashboard.reading.records import Record
from conversations.dashboard.reading.turns import Turn, turns_of
from conversations.models import ChatRequest, Project
from conversations.services.threads import list_thread

MAX_SHOWN = 20
"""How many requests of a thread are read out on one page."""


@dataclass(frozen=True)
class Exchange:
    """What one request adds to its thread: the messages that are new in it, and its answer.

    It stands where a template expects a record: ``request`` and ``turns`` are all that is shown of it. ``number``
    counts from 1, ``follows`` is the number of the one whose answer it goes on from (None for a beginning).
    """

    request: ChatRequest
    number: int
    is_current: bool
    follows: int | None
    turns: Sequence[Turn] = ()

    @property
    def questions(self) -> list[Turn]:
        """What was said before the answer."""
        return [turn for turn in self.turns if not turn.is_answer]

    @property
    def answers(self) -> list[Turn]:
        """The answer: one turn for each choice."""
        return [turn for turn in self.turns if turn.is_answer]


class Thread:
    """The requests of a thread in the order of time, seen from one of them."""

    def __init__(self, record: Record, requests: Sequence[ChatRequest]) -> None:
        self._record = record
        self._links = _links_of(requests)
        self.requests = requests
        self.position = next(place for place, request in enumerate(requests) if request.pk == record.request.pk)

    @property
    def number(self) -> int:
        """Which one this is, from 1."""
        return self.position + 1

    @property
    def exchanges(self) -> list[Exchange]:
        """Every request, without what was said."""
        return [self._exchange(place) for place in range(len(self.requests))]

    @property
    def earlier(self) -> Exchange | None:
        """The one that this one goes on from."""
        link = self._links[self.position]
        return self._exchange(link[0]) if link else None

    @property
    def later(self) -> list[Exchange]:
        """Those that go on from this one: more than one where the talk was taken up twice."""
        places = [place for place, link in enumerate(self._links) if link and link[0] == self.position]
        return [self._exchange(place) for place in places]

    @property
    def start(self) -> int:
        """Where the part that is read out begins: this request is in it."""
        return self.position // MAX_SHOWN * MAX_SHOWN

    @property
    def before(self) -> Exchange | None:
        """The last request before the part that is read out, if there is one."""
        return self._exchange(self.start - 1) if self.start else None

    @property
    def after(self) -> Exchange | None:
        """The first request after the part that is read out, if there is one."""
        end = self.start + MAX_SHOWN
        return self._exchange(end) if end < len(self.requests) else None

    @cached_property
    def read_out(self) -> list[Exchange]:
        """The requests of that part with what each added. One body is held at a time."""
        budget = RenderBudget() if self._record.is_rendered else None
        places = range(self.start, min(self.start + MAX_SHOWN, len(self.requests)))
        return [self._exchange(place, budget, is_read=True) for place in places]

    def _exchange(self, place: int, budget: RenderBudget | None = None, *, is_read: bool = False) -> Exchange:
        request, link = self.requests[place], self._links[place]
        number, follows = place + 1, link[0] + 1 if link else None
        turns = _new_turns(request, link, budget, f"t{number}-") if is_read else []
        return Exchange(request, number, place == self.position, follows, turns)


def thread_of(record: Record, projects: Iterable[Project]) -> Thread | None:
    """The thread that a record is a turn of, or None for a request that stands alone."""
    request, completion = record.request, record.completion
    if not request.prefix_hashes and not (completion and completion.answer_hashes):
        return None
    requests = list_thread(request, projects)
    return Thread(record, requests) if len(requests) > 1 else None


type Link = tuple[int, int]
"""The place of the request that is gone on from, and how many of one's own prefixes come after its answer."""


def _links_of(requests: Sequence[ChatRequest]) -> list[Link | None]:
    """For each request the one that it goes on from: the one whose answer is the last that it sends back."""
    answered: dict[UUID, int] = {}
    for place, request in enumerate(requests):
        for answer in request.completion.answer_hashes if hasattr(request, "completion") else ():
            answered.setdefault(answer, place)
    return [_link_of(request, place, answered) for place, request in enumerate(requests)]


def _link_of(request: ChatRequest, place: int, answered: Mapping[UUID, int]) -> Link | None:
    for after, prefix in enumerate(reversed(request.prefix_hashes)):
        found = answered.get(prefix)
        if found is not None and found != place:
            return found, after
    return None


def _new_turns(request: ChatRequest, link: Link | None, budget: RenderBudget | None, anchors: str) -> list[Turn]:
    record = Record(request)
    first = _first_new(record.asked.get("messages"), link[1]) if link else 0
    answer = record.answered if record.is_ready else None
    return turns_of(record.asked, answer, budget=budget, first=first, anchors=anchors)


def _first_new(messages: Any, after: int) -> int:
    """The position after the answer that is sent back and followed by ``after`` more answers."""
    messages = messages if isinstance(messages, list) else []
    places = [
        place
        for place, message in enumerate(messages)
        if isinstance(message, dict) and message.get("role") == "assistant"
    ]
    return places[-1 - after] + 1 if after < len(places) else 0
