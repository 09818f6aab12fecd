"""Signing in, and how a reader likes the pages: each preference is a cookie, the language Django's own."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from conversations.dashboard.preferences import PREFERENCES, may_be

_ONE_YEAR = 365 * 24 * 60 * 60


class Login(LoginView):
    """The sign-in page; who is signed in already is led on."""

    template_name = "login.html"
    redirect_authenticated_user = True


@login_not_required
@require_POST
def set_preference(request: HttpRequest, name: str) -> HttpResponse:
    """Keep what was chosen in a cookie, and go back to where the choice was made."""
    if name not in PREFERENCES:
        raise Http404
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = reverse("home")
    response = redirect(back)
    chosen = request.POST.get(name, "")
    if may_be(name, chosen):
        response.set_cookie(name, chosen, _ONE_YEAR, secure=settings.HTTPS, httponly=True, samesite="Lax")
    return response
