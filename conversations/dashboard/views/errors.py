"""The pages for what goes wrong before or inside a view."""

from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import render
from django.template import loader


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: no such page. A stranger learns nothing more."""
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: a fault of our own. Needs neither the database nor a session, since those may be what is broken.

    Shows the request's ID, by which its line in the log is found.
    """
    page = loader.get_template("500.html").render({"request_id": getattr(request, "request_id", "")})
    return HttpResponseServerError(page)
