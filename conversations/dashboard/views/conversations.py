"""The list of conversations: filtered, counted, followed, and looked into one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from conversations.dashboard.access import private_page, projects_of, wants_fragment
from conversations.dashboard.browse.browsing import Browsing
from conversations.dashboard.browse.histogram import count_volume
from conversations.dashboard.browse.hits import read_hits
from conversations.dashboard.reading.records import Record
from conversations.dashboard.views.lookup import poll_interval
from conversations.dashboard.views.saved_views import views_for
from conversations.errors import BadRequestError, NotFoundError
from conversations.models import ChatRequest
from conversations.services.facets import count_facets, histogram
from conversations.services.listing import RequestPage, list_requests, neighbours
from conversations.services.looking_up import get_request

PAGE = 25
"""How many conversations come at once."""

AUTOMATIC_PAGES = 5
"""How many pages follow by themselves while somebody scrolls; then there is a button."""

MAX_FOLLOWED = 200
"""How many new rows, and how many unfinished ones, a page keeps before it starts anew."""


@private_page
def conversations(request: HttpRequest) -> HttpResponse:
    """The list, or the one part of it that htmx asks for."""
    try:
        browsing = Browsing.from_query(request.GET)
        for name, show in _PARTS.items():
            if wants_fragment(request, name):
                return show(request, browsing)
        return _show_browse(request, browsing)
    except BadRequestError as error:
        part = next((name for name in _PARTS if wants_fragment(request, name)), "")
        return _render(request, "refused" if part else "browse", {"refused": error, "part": part}, error.status)


def _show_browse(request: HttpRequest, browsing: Browsing) -> HttpResponse:
    """The list with all that belongs to it; what counts many records comes later, unless it is to come now."""
    page = _read_page(request, browsing)
    context = _list_context(browsing, page) | {
        "views": views_for(request.user, browsing),
        "peek": _read_peek(request, browsing),
        "peeking": request.GET.get("peek", ""),
        "is_later_page": "cursor" in request.GET,
        "is_first_run": not page.requests and not browsing.query and not _any_exists(request),
    }
    if browsing.panel == "counts":
        context |= _facets_context(request, browsing) | _volume_context(request, browsing)
    response = _render(request, "browse", context)
    if getattr(request, "htmx", False):
        # A form also sends the fields that nobody filled in.
        response["HX-Push-Url"] = browsing.address
    return response


def _show_more(request: HttpRequest, browsing: Browsing) -> HttpResponse:
    """The next rows."""
    page = _read_page(request, browsing)
    return _render(request, "more", _list_context(browsing, page, _read_number(request, "pages") + 1))


def _show_live(request: HttpRequest, browsing: Browsing) -> HttpResponse:
    """What has changed since the page asked last: new rows, and the ends of those that were unfinished."""
    page = list_requests(projects_of(request), browsing.search, limit=PAGE)
    shown = [row.pk for row in page.requests]
    newest = _read_number(request, "newest")
    fresh = page.requests[: shown.index(newest)] if newest in shown else page.requests
    followed = _read_number(request, "followed") + len(fresh)
    # Too many for one page of the list, or for the browser: the list begins anew.
    anew = bool(shown) and (newest not in shown or followed > MAX_FOLLOWED)
    waiting = [int(pk) for pk in request.GET.get("unfinished", "").split(".")[:MAX_FOLLOWED] if _is_small(pk)]
    done = [] if anew else list(_rows(request).filter(pk__in=waiting, finished_at__isnull=False))
    ended = {row.pk for row in done}
    left = [] if anew else [pk for pk in waiting if pk not in ended]
    polls = 0 if fresh or done else _read_number(request, "polls") + 1
    context = _list_context(browsing, page) | {"fresh": fresh, "anew": anew, "done": done, "is_poll": True}
    context |= _live_context(browsing, page, left, 0 if anew else followed, polls)
    return _render(request, "live", context)


def _show_facets(request: HttpRequest, browsing: Browsing) -> HttpResponse:
    """How many conversations have which value."""
    return _render(request, "facets", {"browsing": browsing} | _facets_context(request, browsing))


def _show_volume(request: HttpRequest, browsing: Browsing) -> HttpResponse:
    """How many conversations came when."""
    return _render(request, "volume", {"browsing": browsing} | _volume_context(request, browsing))


def _show_peek(request: HttpRequest, browsing: Browsing) -> HttpResponse:
    """One conversation beside the list, or nothing."""
    return _render(request, "peek", {"browsing": browsing, "peek": _read_peek(request, browsing)})


_PARTS: dict[str, Callable[[HttpRequest, Browsing], HttpResponse]] = {
    "more": _show_more,
    "live": _show_live,
    "facets": _show_facets,
    "volume": _show_volume,
    "peek": _show_peek,
}
"""What htmx may ask for, by the ID of the element that it is for."""


def _render(request: HttpRequest, part: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    whole = part == "browse" and not wants_fragment(request, "browse")
    template = "conversations.html" if whole else f"conversations.html#{part}"
    return render(request, template, context | {"now": timezone.now()}, status=status)


def _read_page(request: HttpRequest, browsing: Browsing) -> RequestPage:
    return list_requests(projects_of(request), browsing.search, cursor=request.GET.get("cursor", ""), limit=PAGE)


def _list_context(browsing: Browsing, page: RequestPage, pages: int = 1) -> dict[str, Any]:
    """What the rows and the way on from them need; ``pages`` is how many the reader has before that way."""
    cursor, query = page.next_cursor, browsing.query
    return _live_context(browsing, page, [], 0, 0) | {
        "browsing": browsing,
        "conversations": page.requests,
        "hits": read_hits(page.requests, browsing.search),
        "next_address": browsing.address_of(query, cursor=cursor) if cursor else "",
        "more_address": browsing.address_of(query, cursor=cursor, pages=str(pages)) if cursor else "",
        "is_automatic": pages < AUTOMATIC_PAGES,
    }


def _live_context(
    browsing: Browsing, page: RequestPage, waiting: list[int], followed: int, polls: int
) -> dict[str, Any]:
    """What the next look for new records needs to know; ``waiting`` are unfinished rows beside those of the page."""
    unfinished = dict.fromkeys([*(row.pk for row in page.requests if not row.is_final), *waiting])
    more = {
        "newest": str(page.requests[0].pk if page.requests else 0),
        "unfinished": ".".join(map(str, list(unfinished)[:MAX_FOLLOWED])),
        "followed": str(followed),
        "polls": str(polls),
    }
    address = browsing.address_of(browsing.query, **more)
    return {"live_address": address, "interval": poll_interval(polls), "followed": followed}


def _facets_context(request: HttpRequest, browsing: Browsing) -> dict[str, Any]:
    return {"choice_groups": browsing.choices(count_facets(projects_of(request), browsing.search))}


def _volume_context(request: HttpRequest, browsing: Browsing) -> dict[str, Any]:
    return {"volume": count_volume(browsing, histogram(projects_of(request), browsing.search))}


def _read_peek(request: HttpRequest, browsing: Browsing) -> dict[str, Any] | None:
    request_id = request.GET.get("peek", "")
    if not request_id or "\0" in request_id:
        return None
    projects = projects_of(request)
    try:
        record = Record(get_request(request_id, projects))
    except NotFoundError:
        return {"missing": request_id}
    newer, older = neighbours(record.request, projects, browsing.search)
    return {"record": record, "newer": newer, "older": older}


def _rows(request: HttpRequest) -> Any:
    readable = ChatRequest.objects.in_projects(projects_of(request)).readable()
    return readable.select_related("completion", "project", "api_key")


def _any_exists(request: HttpRequest) -> bool:
    return ChatRequest.objects.in_projects(projects_of(request)).readable().exists()


def _read_number(request: HttpRequest, name: str) -> int:
    """A count that the page itself wrote into the address; anything else is 0."""
    text = request.GET.get(name, "")
    return int(text) if _is_small(text) else 0


def _is_small(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
