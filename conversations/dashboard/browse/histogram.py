"""The volume of conversations over time, as columns that are ranges of time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from conversations.dashboard.browse.browsing import Browsing
from conversations.dashboard.charts import Bar, Chart, stacked_bars

KINDS: Mapping[str, str | Promise] = {
    "completed": _("completed"),
    "failed": _("failed"),
    "pending": _("in progress"),
}
"""The groups of states that the columns are made of, the lowest first."""


@dataclass(frozen=True)
class Volume:
    """The columns, drawn (None where there is nothing to draw) and as numbers, and what the numbers of each are."""

    chart: Chart | None
    bars: list[Bar]
    kinds: list[tuple[str, str | Promise]]


def count_volume(browsing: Browsing, buckets: Iterable[tuple[dt.datetime, dt.datetime, Mapping[str, int]]]) -> Volume:
    """A column for each (start, end, counts by group of states)."""
    bars = [_bar(browsing, *bucket) for bucket in buckets]
    chart = stacked_bars(bars, list(KINDS)) if any(sum(bar.counts) for bar in bars) else None
    return Volume(chart, bars, list(KINDS.items()))


def _bar(browsing: Browsing, start: dt.datetime, end: dt.datetime, counts: Mapping[str, int]) -> Bar:
    total = sum(counts.values())
    local_start, local_end = timezone.localtime(start), timezone.localtime(end)
    until = f"{local_end:%H:%M}" if local_start.date() == local_end.date() else f"{local_end:%Y-%m-%d %H:%M}"
    number = ngettext("%(count)d conversation", "%(count)d conversations", total) % {"count": total}
    title = f"{local_start:%Y-%m-%d %H:%M} – {until} {local_end:%Z}: {number}"
    label = f"{local_start:%m-%d %H:%M}" if end - start < dt.timedelta(days=1) else f"{local_start:%Y-%m-%d}"
    address = browsing.between(_stamp(start), _stamp(end)) if total else ""
    return Bar(label, title, address, tuple(counts.get(kind, 0) for kind in KINDS))


def _stamp(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
