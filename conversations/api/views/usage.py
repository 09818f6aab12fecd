"""``/api/usage``: tokens by day, model or API key."""

import datetime as dt
from typing import cast

from django.utils import timezone
from django.utils.dateparse import parse_date
from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api import schema
from conversations.api.authentication import projects_of
from conversations.api.serializers import UsageReviewSerializer
from conversations.api.views.base import RestView
from conversations.errors import BadRequestError
from conversations.services.usage import GROUPINGS, Grouping, sum_usage, total_usage

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
        projects = projects_of(request)
        review = {
            "group_by": grouping,
            "first_day": first_day,
            "last_day": last_day,
            "groups": sum_usage(projects, cast("Grouping", grouping), first_day=first_day, last_day=last_day),
            "total": total_usage(projects, first_day=first_day, last_day=last_day),
        }
        return Response(UsageReviewSerializer(review).data)


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
