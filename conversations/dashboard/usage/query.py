"""What a reader wants to know about usage: read from a query string, and written back into the page's links."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, cast
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from conversations.dashboard.periods import (
    RANGES,
    Bucket,
    Period,
    Step,
    chosen_period,
    named_period,
    read_day,
)
from conversations.search import RequestSearch

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUPS = {
    "model": "answered_by",
    "key": "key",
    "project": "project",
    "user": "user",
    "service_tier": "service_tier",
    "surface": "surface",
}
"""What sums can be made by, and the filter that finds one of them."""

FILTERS = (*GROUPS.values(), "lacks")
"""The filters of a search that sums can be narrowed by."""

SPLITS = ("kind", "modality")
"""How tokens are told apart: by what they cost, or by what they are of."""

SORTS = ("tokens", "requests", "failures", "cost")

USUAL_RANGE, USUAL_GROUP = "30d", "model"


@dataclass(frozen=True)
class UsageQuery:
    """A review of ``period`` in ``step``s by ``group``, its tokens told apart by ``split``, of what ``search`` finds.

    ``everything`` lists every group instead of the first few by ``sort``. ``notes`` say what was not understood.
    """

    period: Period
    step: Step
    group: str
    split: str
    sort: str
    everything: bool
    search: RequestSearch
    notes: tuple[str, ...] = ()

    @classmethod
    def from_query(cls, query: QueryDict, zone: ZoneInfo, now: dt.datetime) -> Self:
        """Read ``range=7d&step=day&group=model&model=…``, or ``from=2026-11-01&to=2026-11-07`` instead of a range.

        What cannot be understood is left out, and said in ``notes``. Raises ``BadRequestError`` for a filter whose
        value cannot be one.
        """
        reader = _Reader(query)
        period = reader.period(zone, now)
        step = reader.word("step", period.steps(), period.usual_step())
        return cls(
            period=period,
            step=cast("Step", step),
            group=reader.word("group", tuple(GROUPS), USUAL_GROUP),
            split=reader.word("split", SPLITS, SPLITS[0]),
            sort=reader.word("sort", SORTS, SORTS[0]),
            everything=query.get("all") == "yes",
            search=RequestSearch.from_query(_filters_of(query)),
            notes=tuple(reader.notes),
        )

    def to_query(self) -> QueryDict:
        """The same review as a query string; what is usual is not said."""
        query = self.search.to_query()
        if not self.period.name:
            query["from"], query["to"] = self.period.since.date().isoformat(), self.period.last_day.isoformat()
        elif self.period.name != USUAL_RANGE:
            query["range"] = self.period.name
        usual = {"step": self.period.usual_step(), "group": USUAL_GROUP, "split": SPLITS[0], "sort": SORTS[0]}
        for name, word in usual.items():
            if getattr(self, name) != word:
                query[name] = getattr(self, name)
        if self.everything:
            query["all"] = "yes"
        if self.period.zone.key != settings.TIME_ZONE:
            query["zone"] = self.period.zone.key
        return query

    def with_notes(self, *notes: str) -> Self:
        """The same, with more that was not understood."""
        return replace(self, notes=(*notes, *self.notes))

    def address(self, page: str = "usage", **changes: Any) -> str:
        """The address of this review, or of one that differs in ``changes``."""
        query = replace(self, **changes).to_query().urlencode() if changes else self.to_query().urlencode()
        return reverse(page) + (f"?{query}" if query else "")

    def in_range(self, name: str, now: dt.datetime) -> str:
        """The address of the same review over another of ``RANGES``, in its usual step."""
        period = named_period(name, now, self.period.zone)
        return self.address(period=period, step=period.usual_step())


class _Reader:
    def __init__(self, query: QueryDict) -> None:
        self.query = query
        self.notes: list[str] = []

    def word(self, name: str, known: Sequence[str], usual: str) -> str:
        word = self.query.get(name, "")
        if word in known:
            return word
        if word:
            self.notes.append(
                _("“%(value)s” is not possible for “%(name)s” here; “%(usual)s” is shown.")
                % {"value": word[:40], "name": name, "usual": usual}
            )
        return usual

    def period(self, zone: ZoneInfo, now: dt.datetime) -> Period:
        named = named_period(self.word("range", RANGES, USUAL_RANGE), now, zone)
        days = [read_day(self.query.get(name, "")) for name in ("from", "to")]
        if any(self.query.get(name) and day is None for name, day in zip(("from", "to"), days, strict=True)):
            self.notes.append(_("A day is written like 2026-11-01."))
        first, last = days
        # A form sends the days along that a range has by its name.
        if (first is None and last is None) or (first, last) == (named.since.date(), named.last_day):
            return named
        today = now.astimezone(zone).date()
        return chosen_period(first or min(last or today, today), last or max(first or today, today), zone)


def _filters_of(query: QueryDict) -> QueryDict:
    filters = QueryDict(mutable=True)
    for name in FILTERS:
        filters.setlist(name, query.getlist(name))
    return filters


def search_in(search: RequestSearch, span: Bucket | Period) -> RequestSearch:
    """The search for the records of a span of time that a sum is made of: the samples are in none."""
    return replace(search, since=span.since.astimezone(dt.UTC), until=span.until.astimezone(dt.UTC), sample=False)
