"""The sums of a range as the page needs them: for each of its steps, for each of its groups, and as a whole."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import cast

from conversations.dashboard.periods import Bucket, Period
from conversations.dashboard.usage.query import UsageQuery
from conversations.models import Project
from conversations.search import RequestSearch
from conversations.services.usage import Group, UsageRow, UsageSums, sum_usage

MAX_CELLS = 6_000
"""Most groups times steps that are summed for the courses of groups; beyond, groups have no course."""


@dataclass(frozen=True)
class GroupSums:
    """The records of one model, key, …: its value ("" for none), the search for them, and their sums by step.

    Of a key, ``name`` and ``project`` say whose it is. ``steps`` is empty where the course is not known.
    """

    value: str
    name: str
    project: str
    search: RequestSearch
    total: UsageSums
    steps: Sequence[UsageSums]


@dataclass(frozen=True)
class RangeSums:
    """The sums of a range, of its steps and of its groups, at one moment."""

    total: UsageSums
    steps: Sequence[UsageSums]
    groups: Sequence[GroupSums]
    as_of: dt.datetime


def sum_range(projects: Iterable[Project], query: UsageQuery) -> RangeSums:
    """What a review is about: by step and by group."""
    projects, span, buckets = list(projects), query.period, list(query.period.buckets(query.step))
    asked = {"since": span.since, "until": span.until, "zone": span.zone, "search": query.search}
    group = cast("Group", query.group)
    whole = sum_usage(projects, **asked, group_by=group)  # type: ignore[arg-type]
    if len(whole.rows) * len(buckets) > MAX_CELLS:
        return RangeSums(whole.total, sum_steps(projects, query, span), _groups(whole.rows, buckets), whole.as_of)
    # All from the same rows, so that the page agrees with itself while records come in.
    cells = sum_usage(projects, **asked, group_by=group, step=query.step)  # type: ignore[arg-type]
    return RangeSums(cells.total, _by_step(cells.rows, buckets), _groups(cells.rows, buckets), cells.as_of)


def sum_steps(projects: Iterable[Project], query: UsageQuery, span: Period) -> list[UsageSums]:
    """The steps of a range, all groups together."""
    report = sum_usage(
        projects, since=span.since, until=span.until, zone=span.zone, search=query.search, step=query.step
    )
    return _by_step(report.rows, list(span.buckets(query.step)))


def _by_step(rows: Iterable[UsageRow], buckets: Sequence[Bucket]) -> list[UsageSums]:
    starts = [bucket.since.timestamp() for bucket in buckets]
    sums = [UsageSums() for _bucket in buckets]
    for row in rows:
        if row.start is not None:
            position = bisect_right(starts, row.start.timestamp()) - 1
            sums[position] += row.sums
    return sums


def _groups(rows: Iterable[UsageRow], buckets: Sequence[Bucket]) -> list[GroupSums]:
    found: dict[str, list[UsageRow]] = {}
    for row in rows:
        found.setdefault(row.group, []).append(row)
    return [_group(members, buckets) for members in found.values()]


def _group(rows: Sequence[UsageRow], buckets: Sequence[Bucket]) -> GroupSums:
    row = rows[0]
    search = replace(row.search, since=buckets[0].since.astimezone(dt.UTC), until=buckets[-1].until.astimezone(dt.UTC))
    return GroupSums(
        value=row.group,
        name=row.key_name,
        project=row.project,
        search=search,
        total=reduce(add, (row.sums for row in rows)),
        steps=_by_step(rows, buckets) if row.start is not None else [],
    )
