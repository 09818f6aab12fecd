"""The pages for what goes wrong before or inside a view."""

from django.http import HttpRequest, HttpResponse, HttpResponseServerError
from django.shortcuts import render
from django.template import loader

from conversations.errors import BadRequestError, DaehwaError, InternalError
from conversations.wire.dialects import dialect_for


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: a request that no view has seen, such as one for a host that is not ours. Programs get their dialect."""
    return _for_programs(request, BadRequestError()) or HttpResponse(
        "Bad Request", status=400, content_type="text/plain"
    )


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: no such page. A stranger learns nothing more."""
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: a fault of our own. Needs neither the database nor a session, since those may be what is broken.

    Shows the request's ID, by which its line in the log is found. Programs get their dialect.
    """
    answer = _for_programs(request, InternalError())
    if answer is not None:
        return answer
    page = loader.get_template("500.html").render({"request_id": getattr(request, "request_id", "")})
    return HttpResponseServerError(page)


def _for_programs(request: HttpRequest, error: DaehwaError) -> HttpResponse | None:
    dialect = dialect_for(request.path)
    if dialect is None:
        return None
    headers = dialect.error_headers(error)
    return HttpResponse(dialect.error_body(error), "application/json", error.status, headers=headers)
