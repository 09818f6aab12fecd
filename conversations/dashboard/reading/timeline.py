"""What happened to a request, step by step, in the order of time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from conversations.dashboard.reading.reasons import reason_in_words
from conversations.models import Attempt, ChatRequest

_STEPS = (
    ("received_at", _("Received")),
    ("queued_at", _("Queued")),
    ("started_at", _("Started")),
    ("first_chunk_at", _("First chunk")),
    ("fetched_at", _("First fetched by a client")),
)


@dataclass(frozen=True)
class Step:
    """One event: when, what, how long after the request was received (seconds), and what more is known."""

    at: dt.datetime
    label: str | Promise
    since: float
    note: str = ""
    state: str = ""


def timeline_of(request: ChatRequest, attempts: Iterable[Attempt]) -> list[Step]:
    """The steps of a request and of every attempt at it."""
    return sorted(_steps(request, list(attempts)), key=lambda step: step.at)


def _steps(request: ChatRequest, attempts: list[Attempt]) -> Iterator[Step]:
    def step(at: dt.datetime, label: str | Promise, note: str = "", state: str = "") -> Step:
        # Two machines' clocks may disagree a little.
        since = max((at - request.received_at).total_seconds(), 0)
        return Step(at, label, since, note, state)

    for name, label in _STEPS:
        at = getattr(request, name)
        if at and not (name == "started_at" and attempts):
            yield step(at, label)
    for attempt in attempts:
        which = _("Attempt %(number)d") % {"number": attempt.number}
        yield step(attempt.started_at, _("%(attempt)s started") % {"attempt": which}, attempt.worker)
        if attempt.finished_at:
            ended = {"attempt": which, "outcome": attempt.get_outcome_display() or _("lost")}
            yield step(attempt.finished_at, _("%(attempt)s: %(outcome)s") % ended, reason_in_words(attempt.reason))
    if request.finished_at:
        ended_as = request.get_state_display()
        yield step(request.finished_at, ended_as, reason_in_words(request.reason), request.state)
