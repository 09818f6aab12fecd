"""Reviewing usage: the page, and the same sums as CSV and JSON."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from conversations.dashboard.access import private_page, projects_of, wants_fragment
from conversations.dashboard.periods import is_zone
from conversations.dashboard.usage.export import as_csv, as_json
from conversations.dashboard.usage.query import UsageQuery
from conversations.dashboard.usage.review import review_usage
from conversations.errors import BadRequestError
from conversations.models import ChatRequest

_ONE_YEAR = 365 * 24 * 60 * 60


@private_page
def usage(request: HttpRequest) -> HttpResponse:
    """Tokens, requests, cost and durations over time and by group."""
    is_fragment = wants_fragment(request, "review")
    template = "usage.html#review" if is_fragment else "usage.html"
    try:
        query = _read_query(request)
    except BadRequestError as error:
        return render(request, template, {"refused": error}, status=error.status)
    if not is_fragment and query.period.name and "from" in request.GET and not query.notes:
        # A form also sends the days of a range that has a name: the address should not stop with today.
        return _remember_zone(request, redirect(query.address()))
    review = review_usage(projects_of(request), query)
    context = {"review": review, "is_first_run": review.is_empty and not _any_exists(request)}
    response = render(request, template, context)
    if is_fragment:
        response["HX-Push-Url"] = query.address()
    return _remember_zone(request, response)


@private_page
def usage_csv(request: HttpRequest) -> HttpResponse:
    """The same sums as CSV: a row for each step and group."""
    try:
        query = _read_query(request)
    except BadRequestError as error:
        return HttpResponse(error.message, content_type="text/plain; charset=utf-8", status=error.status)
    response = HttpResponse(as_csv(projects_of(request), query), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{_file_name(query)}.csv"'
    return response


@private_page
def usage_json(request: HttpRequest) -> HttpResponse:
    """The same sums as JSON, with what they are sums of."""
    try:
        query = _read_query(request)
    except BadRequestError as error:
        return JsonResponse({"error": {"message": error.message, "param": error.param}}, status=error.status)
    return JsonResponse(as_json(projects_of(request), query), json_dumps_params={"ensure_ascii": False})


def _read_query(request: HttpRequest) -> UsageQuery:
    zone, notes = _read_zone(request)
    query = UsageQuery.from_query(request.GET, zone, timezone.now())
    return query.with_notes(*notes)


def _read_zone(request: HttpRequest) -> tuple[ZoneInfo, list[str]]:
    """The zone that is asked for, else the one that the reader chose before, else the server's."""
    asked = request.GET.get("zone", "").strip()
    known = [name for name in (asked, request.COOKIES.get("zone", "")) if is_zone(name)]
    zone = ZoneInfo(known[0] if known else settings.TIME_ZONE)
    if asked and not is_zone(asked):
        return zone, [_("There is no time zone “%(name)s”; %(zone)s is used.") % {"name": asked[:40], "zone": zone.key}]
    return zone, []


def _remember_zone(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Keep the zone that was chosen in the form; a link that somebody sent chooses for itself only."""
    zone = request.GET.get("zone", "").strip()
    if request.GET.get("remember") == "zone" and is_zone(zone):
        response.set_cookie("zone", zone, _ONE_YEAR, secure=settings.HTTPS, httponly=True, samesite="Lax")
    return response


def _any_exists(request: HttpRequest) -> bool:
    return ChatRequest.objects.in_projects(projects_of(request)).real().exists()


def _file_name(query: UsageQuery) -> str:
    first: dt.date = query.period.since.date()
    return f"usage-by-{query.group}-{first}-to-{query.period.last_day}"
