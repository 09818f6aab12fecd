"""Sums usage by time and by group, and proves that the sums are those of the records (sync)."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, get_args
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils import timezone

from conversations.models import ApiKey, ChatRequest, Project
from conversations.search import RequestSearch
from conversations.services import rollups
from conversations.services.usage_sources import COUNTS, LONGEST, TOKEN_COLUMNS, Group, Step, usage_rows

__all__ = ["TOKEN_COLUMNS", "Group", "Step"]

GROUPS: tuple[str, ...] = get_args(Group.__value__)
STEPS: tuple[str, ...] = get_args(Step.__value__)

GROUPINGS = ("day", "model", "key")
"""What ``/api/usage`` groups by."""

UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class UsageSums:
    """Sums over some requests.

    ``failures`` failed or expired; ``missing`` completions have no usage; ``priced`` ones have a known cost.
    ``duration_ms`` and ``duration_max_ms`` are of the completions, from arrival to end. ``tokens`` has one sum for
    each of ``TOKEN_COLUMNS``, and ``cost`` is in US dollars: each None where no record has one, since nothing known
    is not nothing used.
    """

    requests: int = 0
    completions: int = 0
    failures: int = 0
    missing: int = 0
    priced: int = 0
    duration_ms: int = 0
    duration_max_ms: int = 0
    tokens: Mapping[str, int | None] = field(default_factory=lambda: dict.fromkeys(TOKEN_COLUMNS))
    cost: Decimal | None = None

    @property
    def reported(self) -> int:
        """The completions whose usage the upstream reported."""
        return self.completions - self.missing

    @property
    def unpriced(self) -> int:
        """The completions whose cost is not known."""
        return self.completions - self.priced

    @property
    def duration_mean_ms(self) -> int | None:
        """The mean duration of the completions."""
        return round(self.duration_ms / self.completions) if self.completions else None

    def __add__(self, other: "UsageSums") -> "UsageSums":
        counts = {name: getattr(self, name) + getattr(other, name) for name in COUNTS}
        return UsageSums(
            **counts,
            duration_max_ms=max(self.duration_max_ms, other.duration_max_ms),
            tokens={name: _plus(self.tokens[name], other.tokens[name]) for name in TOKEN_COLUMNS},
            cost=_plus(self.cost, other.cost),
        )


@dataclass(frozen=True)
class UsageRow:
    """The sums of one step and one group.

    ``start`` and ``end`` (by the clock of the zone, ``end`` not included) are None where no step was asked for.
    ``group`` is "" for what has none (no key, no user). Of a key ``group`` is the prefix, with its ``key_name`` and
    ``project``. ``search`` finds exactly these records, as far as they are readable still: what is deleted or
    expired stays in the sums.
    """

    start: dt.datetime | None
    end: dt.datetime | None
    group: str
    sums: UsageSums
    search: RequestSearch
    key_name: str = ""
    project: str = ""


@dataclass(frozen=True)
class UsageReport:
    """Usage from ``since`` (included) to ``until`` (not included), by step, then by group; and as a whole.

    ``previous`` is the whole of the time before (of the same length, unless told otherwise). ``as_of`` is when it was
    summed. The samples are in no sum.
    """

    rows: list[UsageRow]
    total: UsageSums
    previous: UsageSums
    since: dt.datetime
    until: dt.datetime
    zone: ZoneInfo
    as_of: dt.datetime


def sum_usage(
    projects: Iterable[Project],
    *,
    since: dt.datetime,
    until: dt.datetime,
    group_by: Group | None = None,
    step: Step | None = None,
    zone: ZoneInfo = UTC,
    search: RequestSearch = RequestSearch(),  # noqa: B008  frozen
    previous_since: dt.datetime | None = None,
) -> UsageReport:
    """The exact sums of every request that was received in this time and that ``search`` finds.

    They come from the rollups where ``search`` narrows only by ``answered_by``, ``key``, ``project``, ``user``,
    ``service_tier``, ``surface`` and ``lacks``, and from the records otherwise. Steps begin by the clock of ``zone``
    (weeks on Monday). The ``since`` and ``until`` of ``search`` do not count.
    """
    projects = list(projects)
    search = replace(search, since=since, until=until, sample=search.sample or False)
    sums: dict[tuple[dt.datetime | None, Any], UsageSums] = {}
    for row in usage_rows(projects, search, group_by=group_by, step=step, zone=zone):
        place = (row.get("start"), row.get("group", ""))
        sums[place] = sums.get(place, UsageSums()) + _sums_of(row)
    rows = _named(sums, search, group_by, step, zone)
    try:
        before = replace(search, since=previous_since or since - (until - since), until=since)
        previous = usage_rows(projects, before, group_by=None, step=None, zone=zone)
    except OverflowError:  # before the calendar begins
        previous = []
    return UsageReport(
        rows=sorted(rows, key=lambda row: (row.start or since, row.group, row.project)),
        total=sum((row.sums for row in rows), UsageSums()),
        previous=sum(map(_sums_of, previous), UsageSums()),
        since=since,
        until=until,
        zone=zone,
        as_of=timezone.now(),
    )


def _named(
    sums: Mapping[tuple[dt.datetime | None, Any], UsageSums],
    search: RequestSearch,
    group_by: Group | None,
    step: Step | None,
    zone: ZoneInfo,
) -> list[UsageRow]:
    groups = {group for _, group in sums}
    keys = ApiKey.objects.select_related("project").in_bulk(groups - {None}) if group_by == "key" else {}
    slugs = dict(Project.objects.filter(pk__in=groups).values_list("pk", "slug")) if group_by == "project" else {}
    rows: list[UsageRow] = []
    for (start, group), summed in sums.items():
        within = _within(search, start, step, zone)
        key = keys.get(group)
        name = key.prefix if key else "" if group_by == "key" else slugs.get(group, group or "")
        rows.append(
            UsageRow(
                start=within.starts_at.astimezone(zone) if start and within.starts_at else None,
                end=within.ends_at.astimezone(zone) if start and within.ends_at else None,
                group=name,
                sums=summed,
                search=_of_group(within, group_by, name),
                key_name=key.name if key else "",
                project=key.project.slug if key else "",
            )
        )
    return rows


def _within(search: RequestSearch, start: dt.datetime | None, step: Step | None, zone: ZoneInfo) -> RequestSearch:
    """The search within one step; the first and the last step may be cut short."""
    if start is None or step is None or search.starts_at is None or search.ends_at is None:
        return search
    end = _end_of(start.astimezone(zone), step)
    return replace(
        search,
        since=max(start, search.starts_at).astimezone(dt.UTC),
        until=min(end, search.ends_at).astimezone(dt.UTC),
    )


def _end_of(start: dt.datetime, step: Step) -> dt.datetime:
    if step == "hour":
        return start.astimezone(dt.UTC) + dt.timedelta(hours=1)
    days = {"day": 1, "week": 7, "month": 31}[step]
    day = start.date() + dt.timedelta(days)
    # A day may have 23 hours, so the next one's midnight is asked for by its name.
    next_day = day.replace(day=1) if step == "month" else day
    return dt.datetime.combine(next_day, dt.time(), start.tzinfo).astimezone(dt.UTC)


def _of_group(search: RequestSearch, group_by: Group | None, name: str) -> RequestSearch:
    if group_by is None:
        return search
    if not name:
        return replace(search, lacks=tuple(dict.fromkeys((*search.lacks, group_by))))
    name_of, value = {
        "model": ("answered_by", (name,)),
        "key": ("key", (name,)),
        "surface": ("surface", (name,)),
    }.get(group_by, (group_by, name))
    return replace(search, **{name_of: value})  # type: ignore[arg-type]  # each field gets what it holds


def _sums_of(row: Mapping[str, Any]) -> UsageSums:
    return UsageSums(
        **{name: int(row[f"sum_{name}"] or 0) for name in (*COUNTS, LONGEST)},
        tokens={name: None if (count := row[f"sum_{name}"]) is None else int(count) for name in TOKEN_COLUMNS},
        cost=row["sum_cost"],
    )


def _plus[Number: (int, Decimal)](one: Number | None, other: Number | None) -> Number | None:
    return other if one is None else one if other is None else one + other


@dataclass(frozen=True)
class Discrepancy:
    """A cell of the rollups that is not the sum of its records; ``kept`` or ``counted`` is None where there is none."""

    kept: Mapping[str, Any] | None
    counted: Mapping[str, Any] | None

    @property
    def cell(self) -> dict[str, Any]:
        """Its hour, project, key, model, surface, service tier and user (keys and projects by their pk)."""
        return {name: (self.kept or self.counted or {})[name] for name in rollups.DIMENSIONS.split(", ")}

    @property
    def differences(self) -> dict[str, tuple[Any, Any]]:
        """The columns that differ: what is kept, and what the records say."""
        kept, counted = self.kept or {}, self.counted or {}
        names = (name for name in (self.kept or counted) if name not in self.cell)
        return {name: (kept.get(name), counted.get(name)) for name in names if kept.get(name) != counted.get(name)}


def check_usage() -> list[Discrepancy]:
    """Compare every cell of the rollups with the records that it sums; the cells that differ, in no order."""
    with connection.cursor() as cursor:
        cursor.execute(rollups.DIFFERENCES)
        return [Discrepancy(*map(_parsed, row)) for row in cursor.fetchall()]


def _parsed(cell: str | None) -> dict[str, Any] | None:
    return None if cell is None else json.loads(cell, parse_float=Decimal)


def forget_user(request: ChatRequest, end_user: str) -> None:
    """Sum the hour of a request anew that was by ``end_user`` and is by nobody now. Needs a transaction."""
    where: dict[str, Any] = {"project_pk": request.project_id, "at": request.received_at}
    where["end_users"] = [end_user, ""]
    with connection.cursor() as cursor:
        cursor.execute(rollups.REPLACE_SUMS)
        cursor.execute(rollups.FORGET, where)
        cursor.execute(rollups.FOLD_ANEW, where)
