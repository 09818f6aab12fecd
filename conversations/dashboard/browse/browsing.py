"""An address of the list: what it looks for, how it is looked at, and the addresses that lead on from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from conversations.dashboard.browse.filters import LABELS, MULTIPLE, PERIODS, Text, cleaned, label_of, words_of
from conversations.search import RequestSearch

_FIELDS: tuple[tuple[str, str, Text], ...] = (
    ("since", "datetime-local", _("From (UTC)")),
    ("until", "datetime-local", _("To (UTC)")),
    ("model", "text", LABELS["model"]),
    ("key", "text", _("Beginning of the API key")),
    ("user", "text", LABELS["user"]),
    ("metadata", "text", _("Metadata (key=value)")),
    ("min_tokens", "number", LABELS["min_tokens"]),
    ("error_code", "text", LABELS["error_code"]),
)
"""The filters that are typed: name, sort of field, label."""

MOST_CHOICES = 10
"""How many values of one filter are shown to choose from."""

_TELLING = ("sample", "project", "service_tier")
"""Filters that are only worth a word where their values differ."""


@dataclass(frozen=True)
class Field:
    """One filter that is typed, with what it holds."""

    name: str
    type: str
    label: Text
    value: str


@dataclass(frozen=True)
class Chip:
    """One filter that is on: what it is called, its value in words, and the address without it."""

    label: Text
    value: Text
    address: str


@dataclass(frozen=True)
class Choice:
    """One value that a filter can have, how many records have it, and the address that turns it on or off.

    ``capped`` says that there are more than ``count``.
    """

    value: Text
    count: int
    capped: bool
    chosen: bool
    address: str


@dataclass(frozen=True)
class ChoiceGroup:
    """The values of one filter, the commonest first."""

    name: str
    label: Text
    choices: list[Choice]


@dataclass(frozen=True)
class Browsing:
    """What an address of the list says: the search, and how it is looked at.

    ``panel`` is "" (filters folded away), "open" or "counts" (with the counts in the page itself, for browsers that
    load nothing later); ``live`` whether new records are followed.
    """

    search: RequestSearch
    panel: str = ""
    live: bool = False

    @classmethod
    def from_query(cls, query: QueryDict) -> Self:
        """Read an address. Raises ``BadRequestError`` for a filter with a value that cannot be one."""
        panel = query.get("panel", "")
        search = RequestSearch.from_query(cleaned(query))
        return cls(search, panel if panel in {"open", "counts"} else "", query.get("live") == "on")

    @cached_property
    def query(self) -> QueryDict:
        """The search alone, as it stands in an address."""
        return self.search.to_query()

    @property
    def address(self) -> str:
        """The address of this list."""
        return self.address_of(self.query)

    def address_of(self, query: QueryDict, path: str = "", **more: str) -> str:
        """The address of the list with another search, looked at in the same way; ``more`` is added to it."""
        query = query.copy()
        for name, word in (("panel", self.panel), ("live", "on" if self.live else "")):
            if word:
                query[name] = word
        for name, word in more.items():
            query[name] = word
        path = path or reverse("conversations")
        return f"{path}?{query.urlencode()}" if query else path

    def chips(self) -> list[Chip]:
        """The filters that are on, in the order of ``LABELS``."""
        found = _pairs(self.query)
        order = list(LABELS)
        found.sort(key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order))
        return [Chip(label_of(name), words_of(name, value), self.without(name, value)) for name, value in found]

    def without(self, name: str, value: str) -> str:
        """The address without one value of a filter."""
        query = self.query.copy()
        query.setlist(name, [other for other in query.getlist(name) if other != value])
        if not query.getlist(name):
            del query[name]
        return self.address_of(query)

    def toggled(self, name: str, value: str) -> str:
        """The address with one value of a filter turned on, or off where it is on."""
        if value in self.query.getlist(name):
            return self.without(name, value)
        query = self.query.copy()
        query.setlist(name, [*query.getlist(name), value] if name in MULTIPLE else [value])
        return self.address_of(query)

    def choices(self, facets: Mapping[str, Iterable[tuple[str, int, bool]]]) -> list[ChoiceGroup]:
        """The counted values as links, in the order of ``LABELS``; filters without a value are left out."""
        groups = (
            ChoiceGroup(
                name,
                LABELS[name],
                [
                    Choice(
                        words_of(name, value),
                        count,
                        capped,
                        value in self.query.getlist(name),
                        self.toggled(name, value),
                    )
                    for value, count, capped in [*facets.get(name, ())][:MOST_CHOICES]
                ],
            )
            for name in LABELS
        )
        return [
            group
            for group in groups
            if len(group.choices) > 1 or any(choice.chosen or group.name not in _TELLING for choice in group.choices)
        ]

    def periods(self) -> list[Choice]:
        """The ranges of time that are one click away, as links."""
        query = self.query.copy()
        query.pop("until", None)
        chosen = self.query.get("since", "") if "until" not in self.query else "until"
        choices: list[Choice] = []
        for period, words in PERIODS.items():
            query["since"] = period
            choices.append(Choice(words, 0, False, period == chosen, self.address_of(query)))
        query.pop("since")
        return [*choices, Choice(pgettext_lazy("period", "All time"), 0, False, not chosen, self.address_of(query))]

    def between(self, since: str, until: str) -> str:
        """The address with another range of time, as a click on the histogram chooses it."""
        query = self.query.copy()
        query["since"], query["until"] = since, until
        return self.address_of(query)

    @property
    def clear(self) -> str:
        """The address without any filter."""
        return self.address_of(QueryDict())

    @property
    def follow(self) -> str:
        """The address of the same list that follows new records."""
        return replace(self, live=True).address

    @property
    def stop_following(self) -> str:
        """The address of the same list that stands still."""
        return replace(self, live=False).address

    @property
    def csv(self) -> str:
        """The address of the whole list as CSV."""
        return self._file("csv")

    @property
    def jsonl(self) -> str:
        """The address of the whole list as JSON lines."""
        return self._file("jsonl")

    @property
    def facets_address(self) -> str:
        """The address of the counted values, whose links leave the filters open."""
        return replace(self, panel="open").address

    @property
    def counts_address(self) -> str:
        """The address of the list with everything counted in the page itself."""
        return replace(self, panel="counts").address

    @property
    def peek_prefix(self) -> str:
        """The address of the list with a record beside it, but for the record's request ID at its end."""
        return self.address_of(self.query, peek="")

    @property
    def kept_by_search(self) -> list[tuple[str, str]]:
        """What the search box leaves as it is: names and values for hidden fields."""
        query = QueryDict(self.address.partition("?")[2], mutable=True)
        query.pop("q", None)
        return _pairs(query)

    @property
    def kept_by_panel(self) -> list[tuple[str, str]]:
        """What the typed filters leave as it is. Those with several values, and a relative time, are added to."""
        typed = {field.name for field in self.fields if field.value}
        pairs = [(name, value) for name, value in _pairs(self.query) if name not in typed]
        return [*pairs, ("live", "on")] if self.live else pairs

    @property
    def fields(self) -> list[Field]:
        """The filters that are typed. What may have several values begins empty: it is one more."""
        return [Field(name, kind, label, self._typed(name, kind)) for name, kind, label in _FIELDS]

    def _typed(self, name: str, kind: str) -> str:
        value = self.query.get(name, "")
        if name in MULTIPLE:
            return ""
        return value.removesuffix("Z") if kind != "datetime-local" or (value[:4].isdigit() and "T" in value) else ""

    def _file(self, file_format: str) -> str:
        path = reverse("conversations_export", args=[file_format])
        return f"{path}?{self.query.urlencode()}" if self.query else path


def _pairs(query: QueryDict) -> list[tuple[str, str]]:
    return [(name, value) for name, values in query.lists() for value in values]
