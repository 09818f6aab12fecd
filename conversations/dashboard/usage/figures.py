"""Charts over the steps of a range; each column, and each cell of the table below, opens the records of its step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from conversations.dashboard.amounts import compact, money
from conversations.dashboard.charts import Bar, Chart, Number, line, stacked_bars
from conversations.dashboard.periods import Bucket
from conversations.dashboard.usage.cells import (
    Column,
    Row,
    cells_of,
    column_label,
    longest_seconds,
    mean_seconds,
    records,
)
from conversations.dashboard.usage.query import UsageQuery, search_in
from conversations.dashboard.usage.sums import RangeSums
from conversations.dashboard.usage.tokens import KINDS, all_tokens, split_tokens
from conversations.dashboard.usage.words import axis_words, step_words
from conversations.services.usage import UsageSums
from conversations.templatetags.showing import span

_COST_UNITS = 10**10
"""Cost is drawn in the smallest sums that are kept: a chart's counts are whole numbers."""


@dataclass(frozen=True)
class Figure:
    """A chart with its table. ``marks`` are the words beside its grid, ``legend`` the classes and words in it."""

    name: str
    title: str
    chart: Chart
    marks: Sequence[str]
    legend: Sequence[tuple[str, str]]
    columns: Sequence[Column]
    rows: Sequence[Row]


def figures_of(query: UsageQuery, now: RangeSums, before: Sequence[UsageSums]) -> list[Figure]:
    """The charts of the page: tokens, requests, cost and duration, with the range before where that is known."""
    figures = _Figures(query, now, before)
    return [figures.tokens(), figures.requests(), figures.cost(), figures.duration()]


class _Figures:
    def __init__(self, query: UsageQuery, now: RangeSums, before: Sequence[UsageSums]) -> None:
        self.query = query
        self.steps: list[tuple[Bucket, UsageSums]] = list(zip(query.period.buckets(query.step), now.steps, strict=True))
        # Months differ in their days, so the range before may have a step more or less.
        pairs = zip_longest(range(len(self.steps)), before[: len(self.steps)])
        self.before: list[UsageSums | None] = [sums for _position, sums in pairs]
        self.has_before = any(sums.requests for sums in before)

    def tokens(self) -> Figure:
        kinds = KINDS[self.query.split]
        names = [kind.name for kind in kinds]
        counts = [split_tokens(sums.tokens, self.query.split) for _bucket, sums in self.steps]
        bars = [
            self._bar(
                n,
                tuple(counts[n][name] or 0 for name in names),
                lambda sums: all_tokens(sums.tokens),
                (*names, "tokens"),
            )
            for n in range(len(self.steps))
        ]
        shown = [kind for kind in kinds if any(count[kind.name] is not None for count in counts)]
        legend = [(kind.name, str(kind.label)) for kind in shown] + self._legend_before()
        if any(bar.lacking for bar in bars):
            legend.append(("lacking", _("some usage is missing")))
        columns = (*(kind.name for kind in shown), "tokens", "missing")
        return self._figure("tokens", _("Tokens"), stacked_bars(bars, names), compact, legend, columns)

    def requests(self) -> Figure:
        bars = [
            self._bar(
                n, (sums.requests - sums.failures, sums.failures), lambda sums: sums.requests, ("requests", "failures")
            )
            for n, (_bucket, sums) in enumerate(self.steps)
        ]
        legend = [("ended", _("Requests")), ("failed", _("Failures")), *self._legend_before()]
        chart = stacked_bars(bars, ("ended", "failed"))
        return self._figure("requests", _("Requests"), chart, compact, legend, ("requests", "failures"))

    def cost(self) -> Figure:
        bars = [self._bar(n, (_units(sums) or 0,), _units, ("cost",)) for n, (_bucket, sums) in enumerate(self.steps)]
        legend = [("cost", _("Cost")), *self._legend_before()]
        return self._figure("cost", _("Cost"), stacked_bars(bars, ("cost",)), _dollars, legend, ("cost",))

    def duration(self) -> Figure:
        bars = [self._bar(n, (), None, ("mean", "longest")) for n in range(len(self.steps))]
        sums = [sums for _bucket, sums in self.steps]
        series = [
            ("longest", [longest_seconds(step) for step in sums]),
            ("mean", [mean_seconds(step) for step in sums]),
        ]
        legend = [("mean", pgettext("duration", "Mean")), ("longest", pgettext("duration", "Longest"))]
        return self._figure("duration", _("Duration"), line(bars, series), _seconds, legend, ("mean", "longest"))

    def _bar(
        self,
        position: int,
        counts: tuple[int, ...],
        of: Callable[[UsageSums], int | None] | None,
        columns: Sequence[str],
    ) -> Bar:
        bucket, sums = self.steps[position]
        before = self.before[position]
        search = search_in(self.query.search, bucket)
        words = [
            f"{column_label(name, self.query.split)}: {cell.text}"
            for name, cell in zip(columns, cells_of(columns, sums, search, self.query.split), strict=True)
        ]
        return Bar(
            label=axis_words(bucket, self.query.step, is_short=self.query.period.days <= 2),
            title="\n".join([step_words(bucket, self.query.step), *words]),
            address=records(search) if sums.requests else "",
            counts=counts,
            before=(of(before) or None) if of and before else None,
            lacking=bool(sums.missing),
        )

    def _figure(
        self,
        name: str,
        title: str,
        chart: Chart,
        mark: Callable[[Number], str],
        legend: Sequence[tuple[str, str]],
        columns: Sequence[str],
    ) -> Figure:
        heads = [Column(column_label(column, self.query.split)) for column in columns]
        return Figure(name, title, chart, [mark(number) for number in chart.marks], legend, heads, self._rows(columns))

    def _rows(self, columns: Sequence[str]) -> list[Row]:
        rows: list[Row] = []
        for bucket, sums in self.steps:
            search = search_in(self.query.search, bucket)
            cells = cells_of(columns, sums, search, self.query.split)
            rows.append(Row(step_words(bucket, self.query.step), records(search) if sums.requests else "", cells))
        return rows

    def _legend_before(self) -> list[tuple[str, str]]:
        return [("before", _("the range before"))] if self.has_before else []


def _units(sums: UsageSums) -> int | None:
    return None if sums.cost is None else int(sums.cost * _COST_UNITS)


def _dollars(units: Number) -> str:
    return money(Decimal(units) / _COST_UNITS)


def _seconds(seconds: Number) -> str:
    return span(float(seconds)) if seconds >= 60 else _("%(number)s s") % {"number": compact(seconds)}
