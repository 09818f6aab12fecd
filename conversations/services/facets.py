"""Counts what a search finds: how many have which value, and how many came when (sync)."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable

from django.db.models import Count, DateTimeField, F, Func, Value
from django.utils import timezone

from conversations.models import Project
from conversations.querysets import ChatRequestQuerySet
from conversations.search import RequestSearch
from conversations.services.listing import bounded, found_requests

MAX_COUNTED = 10_000
"""How many of the newest records that are found are counted."""

MAX_VALUES = 20
"""How many values of a field are given, the commonest."""

type Facets = dict[str, list[tuple[str, int, bool]]]
type Bar = tuple[dt.datetime, dt.datetime, dict[str, int]]

_COLUMNS = {
    "state": "state",
    "mode": "mode",
    "surface": "surface",
    "stored": "stored",
    "sample": "is_sample",
    "key": "api_key__prefix",
    "project": "project__slug",
    "user": "end_user",
    "error_code": "error_code",
    "finish_reason": "completion__finish_reasons",
    "service_tier": "completion__service_tier",
    "asked": "model",
    "answered": "completion__model",
    "tool_calls": "completion__tool_call_ids",
    "audio": "has_audio",
    "image": "has_images",
    "refusal": "completion__refused",
}
_FEATURES = ("tool_calls", "audio", "image", "refusal")
_STATE_GROUPS = {"completed": "completed", "failed": "failed", "cancelled": "failed", "expired": "failed"}
_WIDTHS = [
    *(dt.timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30)),
    *(dt.timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    *(dt.timedelta(days=days) for days in (1, 2, 7, 14, 28, 91, 364, 3640)),
]
_A_MONDAY = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)


def count_facets(projects: Iterable[Project], search: RequestSearch) -> Facets:
    """For each filter its commonest values among what is found: (value, count, whether there may be more).

    Values are written as ``RequestSearch`` reads them. At most ``MAX_COUNTED`` records, the newest, are counted.
    Raises ``SearchTooBroadError``.
    """
    rows = found_requests(projects, search).newest_first().values_list(*_COLUMNS.values())[:MAX_COUNTED]
    counters: dict[str, Counter[str]] = {}
    with bounded(search):
        counted = list(rows)
    for row in counted:
        for field, values in _values_of(dict(zip(_COLUMNS, row, strict=True))).items():
            counters.setdefault(field, Counter()).update(values)
    capped = len(counted) == MAX_COUNTED
    return {
        field: [(value, count, capped) for value, count in counter.most_common(MAX_VALUES)]
        for field, counter in counters.items()
        if counter
    }


def _values_of(row: dict[str, object]) -> dict[str, set[str]]:
    found = {
        "model": {row.pop("asked"), row.pop("answered")},
        "has": {name for name in _FEATURES if row.pop(name)},
        "finish_reason": row.pop("finish_reason") or (),
    }
    found |= {field: {value} for field, value in row.items()}
    return {field: {_written(value) for value in values} - {""} for field, values in found.items()}  # type: ignore[attr-defined]


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value or "")


def histogram(projects: Iterable[Project], search: RequestSearch, buckets: int = 48) -> list[Bar]:
    """How many of what is found came when: (start, end, counts by group of states), the oldest first, without gaps.

    The groups are ``completed``, ``failed`` and ``pending``. There are at most ``buckets`` bars. Without ``since``
    they begin with the oldest of the newest ``MAX_COUNTED`` records. Empty where nothing is found.
    Raises ``SearchTooBroadError``.
    """
    found = found_requests(projects, search)
    with bounded(search):
        start = search.starts_at or _oldest_counted(found)
        if start is None:
            return []
        end = search.ends_at or timezone.now()
        width = next((width for width in _WIDTHS if (end - start) / width <= buckets - 1), _WIDTHS[-1])
        counts = _count_by_bin(found.filter(received_at__gte=start, received_at__lt=end), width)
    return _bars(counts, start, end, width) if counts else []


def _oldest_counted(found: ChatRequestQuerySet) -> dt.datetime | None:
    newest = found.newest_first().values_list("received_at", flat=True)
    return newest[MAX_COUNTED - 1 : MAX_COUNTED].first() or newest.reverse().first()


def _count_by_bin(found: ChatRequestQuerySet, width: dt.timedelta) -> dict[dt.datetime, Counter[str]]:
    at = Func(Value(width), F("received_at"), Value(_A_MONDAY), function="date_bin", output_field=DateTimeField())
    counts: dict[dt.datetime, Counter[str]] = {}
    for row in found.order_by().values("state", bin=at).annotate(count=Count("pk")):
        group = _STATE_GROUPS.get(row["state"], "pending")
        counts.setdefault(row["bin"], Counter())[group] += row["count"]
    return counts


def _bars(
    counts: dict[dt.datetime, Counter[str]], start: dt.datetime, end: dt.datetime, width: dt.timedelta
) -> list[Bar]:
    bars: list[Bar] = []
    at = _A_MONDAY + (start - _A_MONDAY) // width * width
    while at < end:
        # The first and the last are cut, so that each bar is the range whose records it counts.
        bars.append((max(at, start), min(at + width, end), dict(counts.get(at, {}))))
        at += width
    return bars
