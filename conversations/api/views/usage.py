"""``/api/usage``: tokens by day, model or API key."""

import datetime as dt
from typing import Any, cast

from django.utils import timezone
from django.utils.dateparse import parse_date
from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api import schema
from conversations.api.authentication import projects_of
from conversations.api.serializers import UsageReviewSerializer
from conversations.api.views.base import RestView
from conversations.errors import BadRequestError
from conversations.services.usage import GROUPINGS, Group, UsageRow, UsageSums, sum_usage

DEFAULT_DAYS = 30


class Usage(RestView):
    """What was used."""

    @schema.review_usage
    def get(self, request: Request) -> Response:
        """Sums by group and over all; 30 days up to today unless told."""
        grouping = request.query_params.get("group_by", "day")
        if grouping not in GROUPINGS:
            raise BadRequestError(f"'group_by' must be one of {', '.join(GROUPINGS)}.", param="group_by")
        last_day = _read_day(request, "to") or timezone.now().astimezone(dt.UTC).date()
        first_day = _read_day(request, "from") or _days_before(last_day)
        if first_day > last_day:
            raise BadRequestError("'from' must not be later than 'to'.", param="from")
        report = sum_usage(
            projects_of(request),
            since=dt.datetime.combine(first_day, dt.time(), dt.UTC),
            until=_end_of(last_day),
            step="day" if grouping == "day" else None,
            group_by=None if grouping == "day" else cast("Group", grouping),
        )
        review = {
            "group_by": grouping,
            "first_day": first_day,
            "last_day": last_day,
            "groups": [_shown_group(row, grouping) for row in report.rows],
            "total": _shown(report.total),
        }
        return Response(UsageReviewSerializer(review).data)


def _shown_group(row: UsageRow, grouping: str) -> dict[str, Any]:
    keys: dict[str, dict[str, Any]] = {
        "day": {"day": row.start.date() if row.start else None},
        "model": {"answered_by": row.group},
        "key": {"key_prefix": row.group, "key_name": row.key_name, "project_slug": row.project},
    }
    return _shown(row.sums) | keys[grouping]


def _shown(sums: UsageSums) -> dict[str, Any]:
    return vars(sums) | dict(sums.tokens)


def _end_of(day: dt.date) -> dt.datetime:
    # The calendar's last day has no day after it.
    last = day == dt.date.max
    return dt.datetime.combine(day, dt.time.max if last else dt.time(), dt.UTC) + dt.timedelta(days=0 if last else 1)


def _days_before(last_day: dt.date) -> dt.date:
    return dt.date.fromordinal(max(1, last_day.toordinal() - DEFAULT_DAYS + 1))


def _read_day(request: Request, name: str) -> dt.date | None:
    text = request.query_params.get(name, "").strip()
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if text and day is None:
        raise BadRequestError(f"'{name}' must be a day such as 2026-11-01.", param=name)
    return day
