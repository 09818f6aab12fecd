"""One record at its permanent address, its exact bytes, and the sounds in it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from conversations.dashboard.access import go_to, private_page, projects_of
from conversations.dashboard.parts import sound_bytes, sound_type
from conversations.dashboard.records import Record
from conversations.dashboard.views.lookup import address_of, show_matches
from conversations.errors import NotFoundError
from conversations.models import ChatRequest
from conversations.services.looking_up import LookupResult, explain_miss, get_request

TABS = ("conversation", "fields", "request", "response", "timeline")
"""The views of a record, by their word in the address; the first is the one without a word."""


@private_page
def request_detail(request: HttpRequest, request_id: str) -> HttpResponse:
    """One record: its facts, and one of its tabs."""
    record = _find_record(request, request_id)
    if record is None:
        return _show_miss(request, request_id)
    tab = request.GET.get("tab", TABS[0])
    context = {"record": record, "tab": tab if tab in TABS else TABS[0], "tabs": TABS}
    return render(request, "request_detail.html", context)


@private_page
def completion_detail(request: HttpRequest, response_id: str) -> HttpResponse:
    """Lead from a response ID to the record's one address; list the records if there are several."""
    answered = ChatRequest.objects.in_projects(projects_of(request)).readable().by_response_id(response_id)
    matches = list(answered.select_related("completion", "project", "api_key").newest_first()[:50])
    if not matches:
        return _show_miss(request, response_id)
    if len(matches) == 1:
        return go_to(request, address_of(matches[0]))
    return show_matches(request, response_id, LookupResult(response_id, "response_id", matches))


@private_page
def request_body(request: HttpRequest, request_id: str) -> HttpResponse:
    """The exact bytes that the client sent, as a download."""
    record = _find_record(request, request_id)
    if record is None or not record.request_body:
        return _show_miss(request, request_id)
    return _download(record.request_body, "application/json", f"{request_id}-request.json")


@private_page
def response_body(request: HttpRequest, request_id: str) -> HttpResponse:
    """The exact bytes that came back, as a download."""
    record = _find_record(request, request_id)
    if record is None or not record.response_body:
        return _show_miss(request, request_id)
    # What is no JSON (a failed request keeps what the upstream sent instead) must not be called so.
    media_type = "application/json" if record.answered else "application/octet-stream"
    return _download(record.response_body, media_type, f"{request_id}.json")


@private_page
def audio(request: HttpRequest, request_id: str, place: str) -> HttpResponse:
    """One sound of a record, for the player on its page and for download."""
    record = _find_record(request, request_id)
    sound = sound_bytes(record.asked, record.answered, place) if record else None
    if sound is None:
        return _show_miss(request, request_id)
    media_type = sound_type(sound) or "application/octet-stream"
    return _download(sound, media_type, f"{request_id}-{place.replace('/', '-')}")


def _find_record(request: HttpRequest, request_id: str) -> Record | None:
    if "\0" in request_id:
        return None
    try:
        return Record(get_request(request_id, projects_of(request)))
    except NotFoundError:
        return None


def _show_miss(request: HttpRequest, an_id: str) -> HttpResponse:
    miss = explain_miss(an_id, projects_of(request))
    return render(request, "lookup.html", {"pasted": an_id, "miss": miss}, status=404)


def _download(content: bytes, media_type: str, name: str) -> HttpResponse:
    """Bytes of a stranger: never shown as a page of ours, whatever they are."""
    response = HttpResponse(content, content_type=media_type)
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    response["Content-Disposition"] = f'attachment; filename="{safe}"'
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
