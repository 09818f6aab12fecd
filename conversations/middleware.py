"""What every response of the Django half gets, and who may pass."""

from collections.abc import Callable
from typing import cast

from django.contrib.auth.middleware import LoginRequiredMiddleware as DjangoLoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django_htmx.http import HttpResponseClientRedirect

from conversations.ids import new_request_id

type View = Callable[..., HttpResponseBase]


class RequestIdMiddleware:
    """Puts a fresh ``x-request-id`` on every response, and ``request.request_id`` on every request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and say under which ID."""
        request.request_id = new_request_id()  # type: ignore[attr-defined]
        response = self.get_response(request)
        response.headers.setdefault("x-request-id", request.request_id)  # type: ignore[attr-defined]
        return response


class LoginRequiredMiddleware(DjangoLoginRequiredMiddleware):
    """Refuses strangers. An htmx request is sent to the sign-in page whole, never into a fragment."""

    def handle_no_permission(self, request: HttpRequest, view_func: View) -> HttpResponseRedirect:
        """Redirect to the sign-in page, by the browser's own navigation for htmx."""
        if not getattr(request, "htmx", False):
            return super().handle_no_permission(request, view_func)
        current = request.htmx.current_url_abs_path or "/"  # type: ignore[attr-defined]
        login = redirect_to_login(current, resolve_url(self.get_login_url(view_func)), "next")
        return cast("HttpResponseRedirect", HttpResponseClientRedirect(login.url))
