"""The sums of a review for programs and spreadsheets: a row for each step and group that has a record."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, cast

from conversations.dashboard.usage.cells import records
from conversations.dashboard.usage.query import UsageQuery
from conversations.models import Project
from conversations.services.exporting import defused
from conversations.services.pricing import PRICE_VERSION
from conversations.services.usage import TOKEN_COLUMNS, Group, UsageReport, UsageRow, UsageSums, sum_usage

_COUNTS = ("requests", "failures", "completions", "missing", "unpriced")


def as_csv(projects: Iterable[Project], query: UsageQuery) -> str:
    """One line of names, then one for each step and group; an unknown sum is empty, never 0. Costs are in USD."""
    written = io.StringIO(newline="")
    # Spreadsheets take a file without it for one in an old encoding.
    written.write("\ufeff")
    writer = csv.writer(written)
    names = ("start", "end", query.group, *(("key_name", "project") if query.group == "key" else ()))
    writer.writerow((*names, *_named(UsageSums())))
    for row in _report(projects, query).rows:
        writer.writerow([_cell(value) for value in (*_place(row, query).values(), *_named(row.sums).values())])
    return written.getvalue()


def as_json(projects: Iterable[Project], query: UsageQuery) -> dict[str, Any]:
    """The same rows, what they are sums of, their total and that of the range before. Costs are strings, in USD."""
    report = _report(projects, query)
    before = query.period.before()
    return {
        "object": "usage",
        "since": report.since.isoformat(),
        "until": report.until.isoformat(),
        "time_zone": query.period.zone.key,
        "step": query.step,
        "group_by": query.group,
        "filters": dict(query.search.to_query().lists()),
        "as_of": report.as_of.isoformat(),
        "price_list": PRICE_VERSION,
        "samples": "excluded",
        "rows": list(_json_rows(report, query)),
        "total": _json_sums(report.total),
        "previous": {"since": before.since.isoformat(), "until": before.until.isoformat()}
        | _json_sums(report.previous),
    }


def _report(projects: Iterable[Project], query: UsageQuery) -> UsageReport:
    return sum_usage(
        projects,
        since=query.period.since,
        until=query.period.until,
        zone=query.period.zone,
        group_by=cast("Group", query.group),
        step=query.step,
        search=query.search,
        previous_since=query.period.before().since,
    )


def _json_rows(report: UsageReport, query: UsageQuery) -> Iterator[dict[str, Any]]:
    for row in report.rows:
        yield _place(row, query) | _json_sums(row.sums) | {"conversations": records(row.search)}


def _json_sums(sums: UsageSums) -> dict[str, Any]:
    named = _named(sums)
    return named | {"cost_usd": None if sums.cost is None else str(named["cost_usd"])}


def _place(row: UsageRow, query: UsageQuery) -> dict[str, str | None]:
    place = {
        "start": row.start.isoformat() if row.start else None,
        "end": row.end.isoformat() if row.end else None,
        query.group: row.group or None,
    }
    return place | ({"key_name": row.key_name or None, "project": row.project or None} if query.group == "key" else {})


def _named(sums: UsageSums) -> dict[str, Any]:
    """The sums by their names; durations are those of the answers, in milliseconds."""
    counts = {name: getattr(sums, name) for name in _COUNTS}
    longest = sums.duration_max_ms if sums.completions else None
    durations = {"duration_mean_ms": sums.duration_mean_ms, "duration_max_ms": longest}
    return counts | {name: sums.tokens[name] for name in TOKEN_COLUMNS} | durations | {"cost_usd": sums.cost}


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:f}" if hasattr(value, "as_tuple") else str(value)
    return defused(text)
