"""Looking many IDs up at once."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from conversations.dashboard.access import projects_of, wants_fragment
from conversations.services.bulk_lookup import MAX_IDS, bulk_csv, find_in_bulk


@require_http_methods(["GET", "HEAD", "POST"])
@cache_control(private=True, no_store=True)
@vary_on_headers("HX-Request", "HX-History-Restore-Request", "HX-Target")
def bulk_lookup(request: HttpRequest) -> HttpResponse:
    """Ask for IDs; answer with what they lead to, as a table or as CSV. They are too many for an address."""
    context: dict[str, object] = {"pasted": request.POST.get("ids", ""), "most": MAX_IDS}
    if request.method == "POST":
        result = find_in_bulk(request.POST.get("ids", ""), projects_of(request))
        if "csv" in request.POST:
            return _download(bulk_csv(result))
        context["result"] = result
    fragment = wants_fragment(request, "bulk_result")
    return render(request, "bulk_lookup.html#bulk_result" if fragment else "bulk_lookup.html", context)


def _download(text: str) -> HttpResponse:
    response = HttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="lookup.csv"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
