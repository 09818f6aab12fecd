"""Sums token usage by day, model or API key (sync)."""

import datetime as dt
from collections.abc import Iterable
from typing import Any, Literal, get_args

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncDate

from conversations.models import ChatRequest, Completion, Project

type Grouping = Literal["day", "model", "key"]

GROUPINGS: tuple[str, ...] = get_args(Grouping.__value__)

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

_GROUP_COLUMNS: dict[str, dict[str, Any]] = {
    "day": {"day": TruncDate("received_at", tzinfo=dt.UTC)},
    "model": {"answered_by": Coalesce("completion__model", "model")},
    "key": {"key_prefix": F("api_key__prefix"), "key_name": F("api_key__name"), "project_slug": F("project__slug")},
}


def sum_usage(
    projects: Iterable[Project], grouping: Grouping, *, first_day: dt.date, last_day: dt.date
) -> list[dict[str, Any]]:
    """One row a group, for requests received from ``first_day`` to ``last_day`` (UTC days, both included).

    A row has the group's own columns, the number of ``requests``, of ``completions`` and of those
    whose usage is ``missing``, and a sum in tokens for each of ``TOKEN_COLUMNS``: None where no record of the
    group has such a count, since nothing known is not nothing used.
    """
    group = _GROUP_COLUMNS[grouping]
    rows = _received(projects, first_day, last_day).values(**group).annotate(**_sums()).order_by(*group)
    return [dict(row) for row in rows]


def total_usage(projects: Iterable[Project], *, first_day: dt.date, last_day: dt.date) -> dict[str, Any]:
    """The same sums over all groups together."""
    return _received(projects, first_day, last_day).aggregate(**_sums())


def _received(projects: Iterable[Project], first_day: dt.date, last_day: dt.date) -> QuerySet[ChatRequest, ChatRequest]:
    # Deleted and expired records count: only their content is gone. Nobody paid for the samples.
    start = dt.datetime.combine(first_day, dt.time(), dt.UTC)
    end = dt.datetime.combine(last_day, dt.time.max, dt.UTC)
    return ChatRequest.objects.in_projects(projects).real().filter(received_at__range=(start, end))


def _sums() -> dict[str, Any]:
    missing = Q(completion__usage_source=Completion.UsageSource.MISSING)
    counts = {
        "requests": Count("pk"),
        "completions": Count("completion"),
        "missing": Count("completion", filter=missing),
    }
    return counts | {column: Sum(f"completion__{column}") for column in TOKEN_COLUMNS}
