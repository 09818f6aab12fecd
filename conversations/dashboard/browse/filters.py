"""What the list's filters are called, which values they have, and the views that everybody has."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from conversations.errors import BadRequestError
from conversations.models import ChatRequest

type Text = str | Promise

BIG = 10_000
"""Tokens from which on a conversation is in the built-in view of big ones."""

MULTIPLE = ("state", "mode", "surface", "model", "answered_by", "key", "finish_reason", "has", "lacks")
"""The filters that may have several values."""

LABELS: Mapping[str, Text] = {
    "q": _("Said"),
    "state": _("State"),
    "mode": _("Mode"),
    "surface": _("Surface"),
    "stored": _("Stored"),
    "model": _("Model"),
    "answered_by": _("Answered by"),
    "key": _("API key"),
    "project": _("Project"),
    "user": _("User"),
    "service_tier": _("Service tier"),
    "finish_reason": _("Finish reason"),
    "error_code": _("Error code"),
    "has": _("Has"),
    "lacks": _("Lacks"),
    "min_tokens": _("At least tokens"),
    "sample": _("Sample"),
    "since": _("Since"),
    "until": _("Until"),
}
"""What the filters are called, in the order in which they are shown."""

PERIODS: Mapping[str, Text] = {
    "1h": pgettext_lazy("period", "Last hour"),
    "24h": pgettext_lazy("period", "Last 24 hours"),
    "7d": pgettext_lazy("period", "Last 7 days"),
    "30d": pgettext_lazy("period", "Last 30 days"),
}
"""The ranges of time that are one click away."""

_YES_NO: Mapping[str, Text] = {"yes": _("yes"), "no": _("no")}
_WORDS: Mapping[str, Mapping[str, Text]] = {
    "state": dict(ChatRequest.State.choices),
    "mode": dict(ChatRequest.Mode.choices),
    "surface": dict(ChatRequest.Surface.choices),
    "stored": _YES_NO,
    "sample": _YES_NO,
    "has": {
        "tool_calls": _("tool calls"),
        "audio": pgettext_lazy("has", "audio"),
        "image": pgettext_lazy("has", "image"),
        "refusal": _("refusal"),
    },
    "lacks": {name: LABELS[name] for name in ("model", "key", "user", "service_tier")}
    | {"usage": _("Usage"), "cost": _("Cost")},
    "since": PERIODS,
}

BUILT_IN: tuple[tuple[Text, str], ...] = (
    (pgettext_lazy("view", "All"), ""),
    (pgettext_lazy("view", "Failed"), "state=failed&state=expired"),
    (pgettext_lazy("view", "In progress"), "state=received&state=queued&state=running"),
    (pgettext_lazy("view", "Deferred"), "mode=deferred"),
    (pgettext_lazy("view", "Big"), f"min_tokens={BIG}"),
)
"""The views that everybody has: a name and a query string."""


def cleaned(query: QueryDict) -> QueryDict:
    """What a form sent, as a search is written: no empty values, the last one where there can be one only.

    ``metadata`` in ``key=value`` form becomes ``metadata[key]``. Raises ``BadRequestError`` where it has no ``=``.
    """
    clean = QueryDict(mutable=True)
    for name, values in query.lists():
        values = list(dict.fromkeys(value.strip() for value in values if value.strip()))
        if name == "metadata" and values:
            key, equals, value = values[-1].partition("=")
            if not equals:
                raise BadRequestError("'metadata' must look like key=value.", param="metadata")
            clean[f"metadata[{key.strip()}]"] = value.strip()
        elif values:
            clean.setlist(name, values if name in MULTIPLE else values[-1:])
    return clean


def label_of(name: str) -> Text:
    """What a filter is called; a metadata pair by its key."""
    return LABELS.get(name, name)


def words_of(name: str, value: str) -> Text:
    """A filter's value in words, where it has any."""
    return _WORDS.get(name, {}).get(value, value)
