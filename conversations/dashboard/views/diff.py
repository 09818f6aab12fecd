"""Two records compared."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from conversations.dashboard.access import private_page, projects_of
from conversations.dashboard.reading.diffs import diff_of
from conversations.dashboard.reading.records import Record
from conversations.services.looking_up import Miss, explain_miss, find_by_any_id


@private_page
def diff(request: HttpRequest) -> HttpResponse:
    """What record ``b`` has differently from record ``a``, each named by any of its IDs."""
    pasted = {side: request.GET.get(side, "") for side in ("a", "b")}
    records = {side: _find(request, text) for side, text in pasted.items() if text.strip()}
    misses: list[Miss] = [
        explain_miss(pasted[side], projects_of(request)) for side, record in records.items() if record is None
    ]
    a, b = records.get("a"), records.get("b")
    compared = diff_of(a, b) if a and b else None
    context = {"pasted": pasted, "a": a, "b": b, "misses": misses, "diff": compared, "sides": [a, b]}
    return render(request, "diff.html", context, status=404 if misses else 200)


def _find(request: HttpRequest, text: str) -> Record | None:
    """The record that an ID means; of several with one ID the newest. Plain: what is compared is what was said."""
    matches = find_by_any_id(text, projects_of(request)).matches
    return Record(matches[0], is_rendered=False) if matches else None
