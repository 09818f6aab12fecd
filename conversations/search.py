"""What to look for in a list of requests: read from a query string, written back to one, applied to rows."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Self

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.dateparse import parse_date, parse_datetime

from conversations.errors import BadRequestError
from conversations.wire.api_keys import PREFIX_LENGTH

STATES = ("received", "queued", "running", "completed", "failed", "cancelled", "expired")
MODES = ("plain", "stream", "deferred")
SURFACES = ("openai", "azure", "imported")

_EXACT = {"model": "model", "user": "end_user"}


@dataclass(frozen=True, kw_only=True)
class RequestSearch:
    """A search for requests; what is None, empty or without a value does not narrow it.

    ``state``, ``mode`` and ``surface`` hold any number of the known words. ``key`` is the beginning of an API key,
    ``metadata`` the pairs that a record must all have, ``since`` (included) and ``until`` (not included) are
    moments of receipt.
    """

    state: tuple[str, ...] = ()
    mode: tuple[str, ...] = ()
    surface: tuple[str, ...] = ()
    model: str = ""
    user: str = ""
    key: str = ""
    stored: bool | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    @classmethod
    def from_query(cls, query: QueryDict) -> Self:
        """Read ``state=failed&state=running&model=…&metadata[k]=v&since=2026-11-01``; other names are ignored.

        Raises ``BadRequestError`` naming the parameter whose value cannot be one.
        """
        return cls(
            state=_read_words(query, "state", STATES),
            mode=_read_words(query, "mode", MODES),
            surface=_read_words(query, "surface", SURFACES),
            model=_read_text(query, "model"),
            user=_read_text(query, "user"),
            # Whoever pastes a whole key is not to have it repeated in every link of the page.
            key=_read_text(query, "key")[:PREFIX_LENGTH],
            stored=_read_switch(query, "stored"),
            metadata=_read_metadata(query),
            since=_read_moment(query, "since"),
            until=_read_moment(query, "until"),
        )

    def to_query(self) -> QueryDict:
        """The same search as a query string that ``from_query`` reads back."""
        query = QueryDict(mutable=True)
        for name in ("state", "mode", "surface"):
            query.setlist(name, list(getattr(self, name)))
        for name in ("model", "user", "key"):
            if getattr(self, name):
                query[name] = getattr(self, name)
        if self.stored is not None:
            query["stored"] = "true" if self.stored else "false"
        for key, value in self.metadata:
            query[f"metadata[{key}]"] = value
        for name in ("since", "until"):
            if moment := getattr(self, name):
                query[name] = moment.isoformat().replace("+00:00", "Z")
        return query

    def apply[Rows: QuerySet[Any, Any]](self, requests: Rows) -> Rows:
        """Only the requests that are looked for."""
        for name in ("state", "mode", "surface"):
            if words := getattr(self, name):
                requests = requests.filter(**{f"{name}__in": words})
        for name, column in _EXACT.items():
            if text := getattr(self, name):
                requests = requests.filter(**{column: text})
        if self.key:
            requests = requests.filter(api_key__prefix__startswith=self.key)
        if self.stored is not None:
            requests = requests.filter(stored=self.stored)
        if self.metadata:
            # As one value, never as names of columns.
            requests = requests.filter(metadata__contains=dict(self.metadata))
        if self.since:
            requests = requests.filter(received_at__gte=self.since)
        if self.until:
            requests = requests.filter(received_at__lt=self.until)
        return requests


def _read_text(query: QueryDict, name: str) -> str:
    text = query.get(name, "").strip()
    _refuse_nul(text, name)
    return text


def _refuse_nul(text: str, name: str) -> None:
    if "\0" in text:
        raise BadRequestError(f"'{name}' must not hold U+0000.", param=name)


def _read_words(query: QueryDict, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word for word in query.getlist(name) if word))
    if not set(words) <= set(known):
        raise BadRequestError(f"'{name}' must be one of {', '.join(known)}.", param=name)
    return words


def _read_switch(query: QueryDict, name: str) -> bool | None:
    word = query.get(name, "").lower()
    if word not in {"", "true", "false"}:
        raise BadRequestError(f"'{name}' must be true or false.", param=name)
    return None if not word else word == "true"


def _read_metadata(query: QueryDict) -> tuple[tuple[str, str], ...]:
    pairs: dict[str, str] = {}
    for name in query:
        if name.startswith("metadata[") and name.endswith("]"):
            # A key may itself hold brackets.
            key = name.removeprefix("metadata[").removesuffix("]")
            pairs[key] = query.get(name, "")
            _refuse_nul(key + pairs[key], "metadata")
    return tuple(pairs.items())


def _read_moment(query: QueryDict, name: str) -> dt.datetime | None:
    text = query.get(name, "").strip()
    if not text:
        return None
    try:
        # A space is what is left of the "+" of a zone that was not percent-encoded.
        moment = parse_datetime(text.replace(" ", "+") if "T" in text else text)
        day = None if moment else parse_date(text)
        if moment is None and day is not None:
            moment = dt.datetime.combine(day, dt.time())
        if moment is not None:
            return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise BadRequestError(f"'{name}' must be a date or a time such as 2026-11-01T00:00:00Z.", param=name)
