"""What to look for in a list of requests: read from a query string, written back to one, applied to rows."""

import datetime as dt
import functools
import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from django.db.models import Q, QuerySet, TextField, Value
from django.db.models.functions import Coalesce, Lower, NullIf, StrIndex
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from conversations.errors import BadRequestError
from conversations.wire.api_keys import PREFIX_LENGTH
from conversations.wire.checks import INT64_MAX
from conversations.wire.grams import grams_to_find, terms_of

STATES = ("received", "queued", "running", "completed", "failed", "cancelled", "expired")
MODES = ("plain", "stream", "deferred")
SURFACES = ("openai", "azure", "imported")
FEATURES = ("tool_calls", "audio", "image", "refusal")
LACKING = ("model", "key", "user", "service_tier", "usage", "cost")

MAX_TEXT_LENGTH = 500
"""Characters of a text that is searched for."""

MODEL_OR_ASKED = Coalesce(NullIf("completion__model", Value("")), "model", output_field=TextField())
"""The model that answered, or else the one that was asked for: what sums are grouped by."""

_WORDS = {"state": STATES, "mode": MODES, "surface": SURFACES, "has": FEATURES, "lacks": LACKING}
_LISTS = ("model", "answered_by", "key", "finish_reason")
_TEXTS = ("project", "user", "service_tier", "error_code", "q")
_SWITCHES = ("stored", "sample")
_COLUMNS = {
    "project": "project__slug",
    "user": "end_user",
    "service_tier": "completion__service_tier",
    "error_code": "error_code",
    "stored": "stored",
    "sample": "is_sample",
    "min_tokens": "completion__total_tokens__gte",
    "since": "received_at__gte",
    "until": "received_at__lt",
}
_FEATURE_IS = {
    "tool_calls": Q(completion__tool_call_ids__len__gt=0),
    "audio": Q(has_audio=True),
    "image": Q(has_images=True),
    "refusal": Q(completion__refused=True),
}
_AGO = re.compile(r"(\d{1,4})([mhdw])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, kw_only=True)
class RequestSearch:
    """A search for requests; what is None, empty or without a value does not narrow it.

    Of several values in one of the tuples a record needs one, but all of ``has`` and ``lacks``. ``model`` is one that
    was asked for or answered; ``answered_by`` the one that a record's usage is summed under (the model that
    answered, else the one that was asked for). ``key`` holds beginnings of API keys, ``metadata`` the pairs that a
    record must all have. ``since`` (included) and ``until`` (not included) are moments of receipt, or a time before
    now such as ``24h`` (``m``, ``h``, ``d``, ``w``). ``q`` is looked for in what was said: all its words and "quoted
    phrases", in any case. ``lacks`` names what a record is without: ``key``, ``user``, ``service_tier``, ``model``,
    or what its answer is without: ``usage``, ``cost``.
    """

    state: tuple[str, ...] = ()
    mode: tuple[str, ...] = ()
    surface: tuple[str, ...] = ()
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    answered_by: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    finish_reason: tuple[str, ...] = ()
    project: str = ""
    user: str = ""
    service_tier: str = ""
    error_code: str = ""
    q: str = ""
    stored: bool | None = None
    sample: bool | None = None
    min_tokens: int | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    since: dt.datetime | str | None = None
    until: dt.datetime | str | None = None

    @classmethod
    def from_query(cls, query: QueryDict) -> Self:
        """Read ``state=failed&state=running&model=…&metadata[k]=v&since=2026-11-01``; other names are ignored.

        Raises ``BadRequestError`` naming the parameter whose value cannot be one.
        """
        values: dict[str, Any] = {name: _read_words(query, name, known) for name, known in _WORDS.items()}
        values |= {name: _read_list(query, name) for name in _LISTS}
        values |= {name: _read_text(query, name) for name in _TEXTS}
        values |= {name: _read_switch(query, name) for name in _SWITCHES}
        values |= {name: _read_moment(query, name) for name in ("since", "until")}
        # Whoever pastes a whole key is not to have it repeated in every link of the page.
        values["key"] = tuple(dict.fromkeys(key[:PREFIX_LENGTH] for key in values["key"]))
        if len(values["q"]) > MAX_TEXT_LENGTH:
            raise BadRequestError(f"'q' must have at most {MAX_TEXT_LENGTH} characters.", param="q")
        return cls(**values, min_tokens=_read_count(query, "min_tokens"), metadata=_read_metadata(query))

    def to_query(self) -> QueryDict:
        """The same search as a query string that ``from_query`` reads back."""
        query = QueryDict(mutable=True)
        for name in (*_WORDS, *_LISTS):
            query.setlist(name, list(getattr(self, name)))
        for name in _TEXTS:
            query.setlist(name, [text] if (text := getattr(self, name)) else [])
        for name in _SWITCHES:
            query.setlist(name, [] if (on := getattr(self, name)) is None else ["yes" if on else "no"])
        query.setlist("min_tokens", [] if self.min_tokens is None else [str(self.min_tokens)])
        for key, value in self.metadata:
            query[f"metadata[{key}]"] = value
        for name in ("since", "until"):
            if moment := getattr(self, name):
                query[name] = moment if isinstance(moment, str) else moment.isoformat().replace("+00:00", "Z")
        for name in [name for name, found in query.lists() if not found]:
            del query[name]
        return query

    @property
    def starts_at(self) -> dt.datetime | None:
        """``since`` as a moment."""
        return _at(self.since)

    @property
    def ends_at(self) -> dt.datetime | None:
        """``until`` as a moment."""
        return _at(self.until)

    @property
    def terms(self) -> list[str]:
        """The words and phrases of ``q``."""
        return terms_of(self.q)

    def apply[Rows: QuerySet[Any, Any]](self, requests: Rows, *, by_grams: bool = True) -> Rows:
        """Only the requests that are looked for.

        Texts are found by the index of their grams, unless ``by_grams`` is False: then each is read, which is
        better for a few requests that are narrowed down already.
        """
        chosen = {column: getattr(self, name) for name, column in _COLUMNS.items()}
        chosen |= {"received_at__gte": self.starts_at, "received_at__lt": self.ends_at}
        requests = requests.filter(**{column: value for column, value in chosen.items() if value not in {None, ""}})
        for name in ("state", "mode", "surface"):
            if words := getattr(self, name):
                requests = requests.filter(**{f"{name}__in": words})
        if self.model:
            requests = requests.filter(Q(model__in=self.model) | Q(completion__model__in=self.model))
        if self.answered_by:
            requests = requests.filter(_answered_by(self.answered_by))
        if self.key:
            requests = requests.filter(_any_of(Q(api_key__prefix__startswith=key) for key in self.key))
        if self.finish_reason:
            requests = requests.filter(completion__finish_reasons__overlap=list(self.finish_reason))
        if self.metadata:
            # As one value, never as names of columns.
            requests = requests.filter(metadata__contains=dict(self.metadata))
        requests = requests.filter(*(_FEATURE_IS[name] for name in self.has))
        return self._apply_text(self._apply_lacking(requests), by_grams)

    def _apply_lacking[Rows: QuerySet[Any, Any]](self, requests: Rows) -> Rows:
        if "key" in self.lacks:
            requests = requests.filter(api_key__isnull=True)
        if "user" in self.lacks:
            requests = requests.filter(end_user="")
        if "service_tier" in self.lacks:
            requests = requests.filter(Q(completion__isnull=True) | Q(completion__service_tier=""))
        if "model" in self.lacks:
            requests = requests.filter(_answered_by([""]))
        if "usage" in self.lacks:
            requests = requests.filter(completion__usage_source="missing")
        if "cost" in self.lacks:
            requests = requests.filter(completion__isnull=False, completion__cost__isnull=True)
        return requests

    def _apply_text[Rows: QuerySet[Any, Any]](self, requests: Rows, by_grams: bool) -> Rows:
        terms = self.terms
        grams = list(dict.fromkeys(gram for term in terms for gram in grams_to_find(term)))
        if grams and by_grams:
            requests = requests.filter(search_text__grams__contains=grams)
        for term in terms:
            # Not LIKE: PostgreSQL takes that for a rare hit, and would read every text with the grams to sort them.
            place = StrIndex(Lower("search_text__said"), Lower(Value(term, TextField())))
            requests = requests.alias(place=place).filter(place__gt=0)
        return requests


def _read_text(query: QueryDict, name: str) -> str:
    text = query.get(name, "").strip()
    _refuse_nul(text, name)
    return text


def _read_list(query: QueryDict, name: str) -> tuple[str, ...]:
    texts = tuple(dict.fromkeys(text.strip() for text in query.getlist(name) if text.strip()))
    _refuse_nul("".join(texts), name)
    return texts


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
    if word not in {"", "yes", "no", "true", "false"}:
        raise BadRequestError(f"'{name}' must be yes or no.", param=name)
    return word in {"yes", "true"} if word else None


def _read_count(query: QueryDict, name: str) -> int | None:
    text = query.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= INT64_MAX):
        raise BadRequestError(f"'{name}' must be a whole number, 0 or more.", param=name)
    return int(text)


def _read_metadata(query: QueryDict) -> tuple[tuple[str, str], ...]:
    pairs: dict[str, str] = {}
    for name in query:
        if name.startswith("metadata[") and name.endswith("]"):
            # A key may itself hold brackets.
            key = name.removeprefix("metadata[").removesuffix("]")
            pairs[key] = query.get(name, "")
            _refuse_nul(key + pairs[key], "metadata")
    return tuple(pairs.items())


def _read_moment(query: QueryDict, name: str) -> dt.datetime | str | None:
    text = query.get(name, "").strip()
    if not text:
        return None
    if _AGO.fullmatch(text):
        return text
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
    raise BadRequestError(
        f"'{name}' must be a date, a time such as 2026-11-01T00:00:00Z, or how long ago, such as 24h.", param=name
    )


def _at(moment: dt.datetime | str | None) -> dt.datetime | None:
    if not isinstance(moment, str):
        return moment
    number, unit = _AGO.fullmatch(moment).groups()  # type: ignore[union-attr]  # nothing else is read
    return timezone.now() - dt.timedelta(**{_UNITS[unit]: int(number)})


def _answered_by(models: Iterable[str]) -> Q:
    # What ``MODEL_OR_ASKED`` is one of, said so that the planner has statistics for it.
    unnamed = Q(completion__isnull=True) | Q(completion__model="")
    return Q(completion__model__in=[model for model in models if model]) | (unnamed & Q(model__in=models))


def _any_of(conditions: Iterable[Q]) -> Q:
    return functools.reduce(operator.or_, conditions)
