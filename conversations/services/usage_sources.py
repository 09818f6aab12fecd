"""Where sums of usage come from, as querysets of one shape (sync).

What is enriched is in the rollups, by whole UTC hours. What is not yet, and what lies in a part of an hour, is
summed from the records; so is everything when a search asks for what no rollup tells apart.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import reduce
from operator import or_
from typing import Any, Literal
from zoneinfo import ZoneInfo

from django.db.models import (
    BigIntegerField,
    Count,
    DateTimeField,
    DecimalField,
    F,
    Func,
    Max,
    Q,
    QuerySet,
    Sum,
    TextField,
    Value,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from conversations.models import ChatRequest, Completion, Project, UsageRollup
from conversations.search import MODEL_OR_ASKED, RequestSearch

type Step = Literal["hour", "day", "week", "month"]
type Group = Literal["model", "key", "project", "user", "service_tier", "surface"]

TOKEN_COLUMNS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "prompt_text_tokens",
    "prompt_audio_tokens",
    "prompt_image_tokens",
    "completion_audio_tokens",
)
"""Every token count that is kept with a completion."""

COUNTS = ("requests", "completions", "failures", "missing", "priced", "duration_ms")
LONGEST = "duration_max_ms"
SUMMED = (*COUNTS, LONGEST, *TOKEN_COLUMNS, "cost")

_GROUP_OF_ROLLUP = {
    "model": F("model"),
    "key": F("api_key"),
    "project": F("project"),
    "user": F("end_user"),
    "service_tier": F("service_tier"),
    "surface": F("surface"),
}
_GROUP_OF_RECORD: Mapping[str, Combinable] = _GROUP_OF_ROLLUP | {
    "model": MODEL_OR_ASKED,
    "service_tier": Coalesce("completion__service_tier", Value(""), output_field=TextField()),
}
_ROLLED_UP = {"since", "until", "answered_by", "key", "project", "user", "service_tier", "surface", "lacks"}
_LACKING_IN_ROLLUP: Mapping[str, dict[str, Any]] = {
    "model": {"model": ""},
    "key": {"api_key": None},
    "user": {"end_user": ""},
    "service_tier": {"service_tier": ""},
}
_HOUR = dt.timedelta(hours=1)


def usage_rows(
    projects: Iterable[Project], search: RequestSearch, *, group_by: Group | None, step: Step | None, zone: ZoneInfo
) -> list[dict[str, Any]]:
    """Sums of what ``search`` finds between its ``since`` and ``until``, in one statement and so of one moment.

    A row has ``start`` (of the step) and ``group`` where they are asked for, and each column of ``SUMMED`` with
    ``sum_`` before its name. There may be several rows of one group, to be added up.
    """
    since, until = search.starts_at, search.ends_at
    if since is None or until is None or since >= until:
        return []
    records = search.apply(ChatRequest.objects.in_projects(projects).real())
    sources: list[QuerySet[Any, Any]] = []
    first, last = _next_hour(since), until.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    if first < last and _is_rolled_up(search) and _has_whole_hours(zone, since, until):
        sources.append(_summed_rollups(_rollups(projects, search, first, last), group_by, _start("hour", step, zone)))
        at = _start("received_at", step, zone)
        parts = Q(received_at__lt=first) | Q(received_at__gte=last)
        sources.append(_summed_records(records.filter(enriched=False), group_by, at))
        if first > since or last < until:
            sources.append(_summed_records(records.filter(parts, enriched=True), group_by, at))
    else:
        sources.append(_summed_records(records, group_by, _start("received_at", step, zone)))
    return list(sources[0].union(*sources[1:], all=True) if len(sources) > 1 else sources[0])


def _is_rolled_up(search: RequestSearch) -> bool:
    """Whether the search asks only for what the rollups tell apart."""
    asked = {field.name for field in fields(search) if getattr(search, field.name) != field.default}
    told_apart = asked - {"sample"} <= _ROLLED_UP and set(search.lacks) <= _LACKING_IN_ROLLUP.keys()
    return search.sample is not True and told_apart


def _has_whole_hours(zone: ZoneInfo, since: dt.datetime, until: dt.datetime) -> bool:
    """Whether the days of the zone begin at whole hours of UTC, all through this time."""
    if zone.key == "UTC":
        return True
    months = min((until - since).days // 30, 1200)
    moments = [since + n * dt.timedelta(days=30) for n in range(months + 1)] + [until]
    offsets = (moment.astimezone(zone).utcoffset() or dt.timedelta() for moment in moments)
    return not any(offset % _HOUR for offset in offsets)


def _rollups(
    projects: Iterable[Project], search: RequestSearch, first: dt.datetime, last: dt.datetime
) -> QuerySet[UsageRollup, UsageRollup]:
    rollups = UsageRollup.objects.filter(project__in=projects, hour__gte=first, hour__lt=last)
    exact: dict[str, object] = {
        "project__slug": search.project,
        "end_user": search.user,
        "service_tier": search.service_tier,
    }
    exact |= {"model__in": search.answered_by, "surface__in": search.surface}
    rollups = rollups.filter(**{column: value for column, value in exact.items() if value})
    if search.key:
        rollups = rollups.filter(reduce(or_, (Q(api_key__prefix__startswith=key) for key in search.key)))
    for name in search.lacks:
        rollups = rollups.filter(**_LACKING_IN_ROLLUP[name])
    return rollups


def _summed_rollups(
    rollups: QuerySet[UsageRollup, UsageRollup], group_by: Group | None, start: Combinable | None
) -> QuerySet[Any, Any]:
    sums: dict[str, Any] = {column: Sum(column, output_field=_number()) for column in SUMMED}
    sums[LONGEST] = Max(LONGEST)
    return _grouped(rollups, _GROUP_OF_ROLLUP, group_by, start, sums)


def _summed_records(
    records: QuerySet[Any, Any], group_by: Group | None, start: Combinable | None
) -> QuerySet[Any, Any]:
    answered = Q(completion__isnull=False)
    took = Func(
        F("finished_at"),
        F("received_at"),
        template="(extract(epoch FROM %(expressions)s) * 1000)::bigint",
        arg_joiner=" - ",
        output_field=BigIntegerField(),
    )
    sums: dict[str, Any] = {
        "requests": Count("pk"),
        "completions": Count("completion"),
        "failures": Count("pk", filter=Q(state__in=("failed", "expired"))),
        "missing": Count("completion", filter=Q(completion__usage_source=Completion.UsageSource.MISSING)),
        "priced": Count("completion__cost"),
        "duration_ms": Sum(took, filter=answered, output_field=_number()),
        LONGEST: Max(took, filter=answered),
    }
    sums |= {column: Sum(f"completion__{column}", output_field=_number()) for column in (*TOKEN_COLUMNS, "cost")}
    return _grouped(records, _GROUP_OF_RECORD, group_by, start, sums)


def _grouped(
    rows: QuerySet[Any, Any],
    groups: Mapping[str, Combinable],
    group_by: Group | None,
    start: Combinable | None,
    sums: Mapping[str, Any],
) -> QuerySet[Any, Any]:
    keys: dict[str, Any] = {} if start is None else {"start": start}
    if group_by:
        keys["group"] = groups[group_by]
    keys = keys or {"group": Value("")}
    # Not by their own names, which the rollups' columns have.
    by_group: QuerySet[Any, Any] = rows.order_by().values(**keys)
    summed: QuerySet[Any, Any] = by_group.annotate(**{f"sum_{name}": total for name, total in sums.items()})
    return summed


def _number() -> "DecimalField[Any, Any]":
    return DecimalField(max_digits=40, decimal_places=10)


def _next_hour(at: dt.datetime) -> dt.datetime:
    floor = at.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    return floor if floor == at else floor + _HOUR


def _start(column: str, step: Step | None, zone: ZoneInfo) -> Combinable | None:
    """When the step that the column lies in began, by the clock of the zone."""
    if step is None:
        return None
    if step != "hour":
        return Func(Value(step), F(column), Value(zone.key), function="date_trunc", output_field=DateTimeField())
    # date_trunc takes the hour that is there twice, when summer time ends, for one.
    offset = dt.datetime(2001, 1, 1, tzinfo=zone).utcoffset() or dt.timedelta()
    origin = dt.datetime(2001, 1, 1, tzinfo=dt.UTC) - offset % _HOUR
    return Func(Value(_HOUR), F(column), Value(origin), function="date_bin", output_field=DateTimeField())
