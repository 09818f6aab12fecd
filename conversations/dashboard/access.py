"""What every page with content has in common: whose records it may show, and that nobody keeps a copy of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRedirect

from conversations.dashboard.preferences import preference_of
from conversations.models import Project

if TYPE_CHECKING:
    from conversations.querysets import ProjectQuerySet

type View = Callable[..., HttpResponseBase]


def private_page(view: View) -> View:
    """Reading only; the answer is for one reader, in that reader's time zone, and is stored nowhere.

    It differs between page and fragment.
    """

    @wraps(view)
    def in_own_zone(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        with timezone.override(preference_of(request, "zone")):
            return view(request, *args, **kwargs)

    varied = vary_on_headers("HX-Request", "HX-History-Restore-Request", "HX-Target")(in_own_zone)
    return require_safe(cache_control(private=True, no_store=True)(varied))


def projects_of(request: HttpRequest) -> ProjectQuerySet:
    """The projects whose records the signed-in user may see."""
    return Project.objects.visible_to(request.user)


def wants_fragment(request: HttpRequest, target: str) -> bool:
    """Whether htmx asks for the element with the ID ``target`` alone, rather than a browser for a whole page."""
    htmx = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.history_restore_request and htmx.target == target


def go_to(request: HttpRequest, address: str) -> HttpResponse:
    """Lead the browser to another page; htmx would swap a plain redirect's target into the old one."""
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponseClientRedirect(address)
    return redirect(address)
