"""Views of the list: the built-in ones, the reader's own, and those that others share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from conversations.dashboard.browse.browsing import Browsing
from conversations.dashboard.browse.filters import BUILT_IN, Text
from conversations.errors import BadRequestError, NotFoundError
from conversations.services.saved_views import delete_view, list_views, save_view


@dataclass(frozen=True)
class ViewLink:
    """A view as a link. ``pk`` is there when it is the reader's own, ``owner`` when it is somebody else's."""

    name: Text
    address: str
    is_current: bool
    pk: int | None = None
    owner: str = ""
    is_shared: bool = False


def views_for(user: Any, browsing: Browsing) -> list[ViewLink]:
    """The built-in views, then the reader's own and the shared ones by name."""
    plain = replace(browsing, panel="")
    now = sorted(plain.query.lists())
    links = [_link(plain, now, name, query) for name, query in BUILT_IN]
    for view in list_views(user):
        link = _link(plain, now, view.name, view.query)
        own = view.user_id == user.pk
        links.append(
            replace(
                link,
                pk=view.pk if own else None,
                owner="" if own else view.user.get_username(),
                is_shared=view.is_shared,
            )
        )
    return links


@require_POST
def save_conversations_view(request: HttpRequest) -> HttpResponse:
    """Keep a search under a name; a name that the reader has used already gets the new search."""
    try:
        browsing = Browsing.from_query(QueryDict(request.POST.get("query", "")))
        shared = "is_shared" in request.POST
        query = browsing.query.urlencode()
        save_view(request.user, name=request.POST.get("name", ""), query=query, is_shared=shared)
    except BadRequestError as error:
        return render(request, "conversations.html", {"refused": error, "is_saving": True}, status=error.status)
    return redirect(browsing.address)


@require_POST
def delete_conversations_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget one of the reader's own views; another's does not exist."""
    try:
        delete_view(request.user, pk)
    except NotFoundError as error:
        raise Http404 from error
    return redirect("conversations")


def _link(browsing: Browsing, now: list[Any], name: Text, query: str) -> ViewLink:
    searched = QueryDict(query)
    return ViewLink(name, browsing.address_of(searched), sorted(searched.lists()) == now)
