"""Finding a conversation: by any ID, as a deferred one, as a stored one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from conversations.dashboard.access import go_to, private_page, projects_of, wants_fragment
from conversations.dashboard.reading.records import Record
from conversations.models import ChatRequest
from conversations.services.looking_up import LookupResult, explain_miss, find_by_any_id

POLLS = ((5, 2), (12, 5))
"""How often a page asks again: up to so many times, every so many seconds."""

SLOWEST_POLL = 15
"""Seconds between two questions after all of ``POLLS``."""


@private_page
def lookup(request: HttpRequest) -> HttpResponse:
    """Go straight to the only record with an ID; list several; say why there is none."""
    pasted = request.GET.get("id", "")
    found = find_by_any_id(pasted, projects_of(request))
    if len(found.matches) == 1:
        return go_to(request, address_of(found.matches[0]))
    return show_matches(request, pasted, found)


def show_matches(request: HttpRequest, pasted: str, found: LookupResult) -> HttpResponse:
    """The records that an ID leads to, or a 404 with the reason why there are none."""
    template = "lookup.html#result" if wants_fragment(request, "result") else "lookup.html"
    if found.matches:
        return render(request, template, {"pasted": pasted, "found": found, "conversations": found.matches})
    miss = explain_miss(pasted, projects_of(request))
    status = 200 if miss.reason == "empty" else 404
    return render(request, template, {"pasted": pasted, "miss": miss}, status=status)


def address_of(request: ChatRequest) -> str:
    """The one permanent address of a record."""
    return reverse("request_detail", args=[request.request_id])


@private_page
def deferred_lookup(request: HttpRequest) -> HttpResponse:
    """A deferred conversation by its request ID: how far it is, or what came of it."""
    pasted = request.GET.get("request_id", "")
    found = find_by_any_id(pasted, projects_of(request))
    match = found.matches[0] if found.matches else None
    if match is None or found.matched_on != "request_id" or match.mode != ChatRequest.Mode.DEFERRED:
        return _show_result(request, "deferred_lookup.html", pasted, found)
    record = Record(match)
    polls = _read_polls(request)
    context = {"record": record, "pasted": pasted, "polls": polls + 1, "interval": poll_interval(polls)}
    return _render_result(request, "deferred_lookup.html", context)


@private_page
def stored_lookup(request: HttpRequest) -> HttpResponse:
    """A stored conversation by its response ID."""
    pasted = request.GET.get("response_id", "")
    found = find_by_any_id(pasted, projects_of(request))
    stored = [match for match in found.matches if match.stored and found.matched_on == "response_id"]
    if not stored:
        return _show_result(request, "stored_lookup.html", pasted, found)
    context = {"record": Record(stored[0]), "pasted": pasted, "namesakes": len(found.matches) - 1}
    return _render_result(request, "stored_lookup.html", context)


def poll_interval(polls: int) -> int:
    """Seconds until a page asks again that has asked ``polls`` times."""
    return next((seconds for most, seconds in POLLS if polls < most), SLOWEST_POLL)


def _show_result(request: HttpRequest, template: str, pasted: str, found: LookupResult) -> HttpResponse:
    """Nothing of this kind: an ID of another kind leads on, any other miss gets its reason."""
    if not pasted.strip():
        return _render_result(request, template, {"pasted": ""})
    context: dict[str, object] = {"pasted": pasted, "found": found}
    if found.matches:
        context["elsewhere"] = found.matches[0]
    else:
        context["miss"] = explain_miss(pasted, projects_of(request))
    return _render_result(request, template, context, status=404)


def _render_result(request: HttpRequest, template: str, context: dict[str, object], status: int = 200) -> HttpResponse:
    is_fragment = wants_fragment(request, "result")
    return render(request, f"{template}#result" if is_fragment else template, context, status=status)


def _read_polls(request: HttpRequest) -> int:
    """How often the page has asked before; what is not a small number counts as never."""
    text = request.GET.get("polls", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
