"""One record at its permanent address: its tabs, its exact bytes, its JSON node by node, and what is attached to it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render

from conversations.dashboard.access import go_to, private_page, projects_of
from conversations.dashboard.preferences import preference_of
from conversations.dashboard.reading.copying import FORMS, copied_as, record_json
from conversations.dashboard.reading.json_tree import Opened
from conversations.dashboard.reading.parts import attachment_bytes, media_type_of
from conversations.dashboard.reading.records import Record
from conversations.dashboard.reading.threads import Thread, thread_of
from conversations.dashboard.views.lookup import address_of, show_matches
from conversations.errors import NotFoundError
from conversations.models import ChatRequest
from conversations.services.looking_up import LookupResult, explain_miss, get_request

TABS = ("conversation", "fields", "request", "response", "timeline", "replay")
"""The views of a record, by their word in the address; the first is the one without a word."""


@private_page
def request_detail(request: HttpRequest, request_id: str) -> HttpResponse:
    """One record: its facts, and one of its tabs."""
    record = find_record(request, request_id)
    if record is None:
        return show_miss(request, request_id)
    tab = request.GET.get("tab", TABS[0])
    tab = tab if tab in TABS else TABS[0]
    context: dict[str, object] = {"record": record, "tab": tab, "tabs": TABS, "forms": FORMS if record.asked else ()}
    if tab == "conversation":
        context["thread"] = _thread(request, record)
    if tab in {"request", "response"}:
        context["opened"] = _opened(record, tab, request.GET)
    return render(request, "request_detail.html", context)


@private_page
def thread(request: HttpRequest, request_id: str) -> HttpResponse:
    """The whole talk that a record is a turn of, readable from any of its turns."""
    record = find_record(request, request_id)
    if record is None:
        return show_miss(request, request_id)
    return render(request, "thread.html", {"record": record, "thread": _thread(request, record)})


@private_page
def completion_detail(request: HttpRequest, response_id: str) -> HttpResponse:
    """Lead from a response ID to the record's one address; list the records if there are several."""
    answered = ChatRequest.objects.in_projects(projects_of(request)).readable().by_response_id(response_id)
    matches = list(answered.select_related("completion", "project", "api_key").newest_first()[:50])
    if not matches:
        return show_miss(request, response_id)
    if len(matches) == 1:
        return go_to(request, address_of(matches[0]))
    return show_matches(request, response_id, LookupResult(response_id, "response_id", matches))


@private_page
def json_nodes(request: HttpRequest, request_id: str, side: str) -> HttpResponse:
    """A page of the members of one node of a body's JSON; for a browser without htmx, the tab that shows it."""
    record = find_record(request, request_id)
    opened = _opened(record, side, request.GET) if record and side in {"request", "response"} else None
    if record is None or opened is None:
        return show_miss(request, request_id)
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "record.html#json_nodes", {"record": record, "tab": side, "opened": opened})
    query = request.GET.copy()
    query["tab"] = side
    return go_to(request, f"{address_of(record.request)}?{query.urlencode()}")


@private_page
def request_json(request: HttpRequest, request_id: str) -> HttpResponse:
    """Everything about a record as JSON: its facts, and both bodies as they came."""
    record = find_record(request, request_id)
    if record is None:
        return show_miss(request, request_id)
    return download(record_json(record), "application/json", f"{request_id}.json", is_attachment=False)


@private_page
def request_body(request: HttpRequest, request_id: str) -> HttpResponse:
    """The exact bytes that the client sent, as a download."""
    record = find_record(request, request_id)
    if record is None or not record.request_body:
        return show_miss(request, request_id)
    return download(record.request_body, "application/json", f"{request_id}-request.json")


@private_page
def response_body(request: HttpRequest, request_id: str) -> HttpResponse:
    """The exact bytes that came back, as a download."""
    record = find_record(request, request_id)
    if record is None or not record.response_body:
        return show_miss(request, request_id)
    # What is no JSON (a failed request keeps what the upstream sent instead) must not be called so.
    media_type = "application/json" if record.answered else "application/octet-stream"
    return download(record.response_body, media_type, f"{request_id}-response.json")


@private_page
def request_copy(request: HttpRequest, request_id: str, form: str) -> HttpResponse:
    """A record as a command, a program or a text, for pasting elsewhere."""
    record = find_record(request, request_id)
    origin = request.build_absolute_uri("/").rstrip("/")
    text = copied_as(record, form, origin) if record else None
    if text is None:
        return show_miss(request, request_id)
    return download(text.encode(), "text/plain; charset=utf-8", f"{request_id}.txt", is_attachment=False)


@private_page
def attachment(request: HttpRequest, request_id: str, place: str) -> HttpResponse:
    """A picture, sound or file of a record, for its page and for download; only by its own bytes is it typed."""
    record = find_record(request, request_id)
    content = attachment_bytes(record.asked, record.answered, place) if record else None
    if content is None:
        return show_miss(request, request_id)
    media_type = media_type_of(content) or "application/octet-stream"
    return download(content, media_type, f"{request_id}-{place.replace('/', '-')}")


def find_record(request: HttpRequest, request_id: str) -> Record | None:
    """The readable record with this request ID, to be read as the reader likes it; None where there is none."""
    if "\0" in request_id:
        return None
    try:
        found = get_request(request_id, projects_of(request))
    except NotFoundError:
        return None
    return Record(found, is_rendered=preference_of(request, "reading") == "rendered")


def show_miss(request: HttpRequest, an_id: str) -> HttpResponse:
    """A 404 that says why there is nothing with this ID."""
    miss = explain_miss(an_id, projects_of(request))
    return render(request, "lookup.html", {"pasted": an_id, "miss": miss}, status=404)


def download(content: bytes, media_type: str, name: str, *, is_attachment: bool = True) -> HttpResponse:
    """Bytes of a stranger: never shown as a page of ours, whatever they are."""
    response = HttpResponse(content, content_type=media_type)
    return hand_out(response, name, is_attachment=is_attachment)


def hand_out[Response: HttpResponseBase](response: Response, name: str, *, is_attachment: bool = True) -> Response:
    """The same response, to be kept under this name and never to be taken for a page."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    response["Content-Disposition"] = f'{"attachment" if is_attachment else "inline"}; filename="{safe}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _thread(request: HttpRequest, record: Record) -> Thread | None:
    return thread_of(record, projects_of(request))


def _opened(record: Record, side: str, query: QueryDict) -> Opened | None:
    body = record.request_json if side == "request" else record.response_json
    pointer, start = query.get("ptr", ""), query.get("from", "")
    if body is None or not (pointer or "from" in query or query.get("view") == "tree" or body.coloured is None):
        return None
    return body.opened(pointer, int(start) if start.isascii() and start.isdigit() and len(start) < 10 else 0)
