"""Counts what a search finds: how many have which value, and how many came when (sync)."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from typing import Any

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

_SINGLE = {
    "state": "state",
    "mode": "mode",
    "surface": "surface",
    "stored": "stored",
    "sample": "is_sample",
    "key": "api_key__prefix",
    "project": "project__slug",
    "user": "end_user",
    "error_code": "error_code",
    "service_tier": "completion__service_tier",
}
_FEATURES = {
    "tool_calls": "completion__tool_call_ids__len",
    "audio": "has_audio",
    "image": "has_images",
    "refusal": "completion__refused",
}
_SEVERAL = ("model", "completion__model", "completion__finish_reasons")
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
    names = (*_SINGLE.values(), *_FEATURES.values(), *_SEVERAL)
    with bounded(search):
        rows = list(found_requests(projects, search).newest_first().values_list(*names)[:MAX_COUNTED])
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
    counters = {field: Counter(columns.get(column, ())) for field, column in _SINGLE.items()}
    counters["has"] = Counter({name: sum(map(bool, columns.get(column, ()))) for name, column in _FEATURES.items()})
    asked, answered, reasons = (columns.get(name, ()) for name in _SEVERAL)
    counters["model"] = _count_members(zip(asked, answered, strict=True))
    counters["finish_reason"] = _count_members(tuple(found or ()) for found in reasons)
    capped = len(rows) == MAX_COUNTED
    return {
        field: [(_written(value), count, capped) for value, count in counter.most_common(MAX_VALUES)]
        for field, counter in ((field, _without_blanks(counter)) for field, counter in counters.items())
        if counter
    }


def _count_members(values: Iterable[tuple[object, ...]]) -> Counter[Any]:
    """In how many of the tuples each member is."""
    counter: Counter[Any] = Counter()
    for members, count in Counter(values).items():
        for member in set(members):
            counter[member] += count
    return counter


def _without_blanks(counter: Counter[Any]) -> Counter[Any]:
    return Counter({value: count for value, count in counter.items() if value not in {None, ""} and count})


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


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
