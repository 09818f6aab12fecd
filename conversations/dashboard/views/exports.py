"""The list as a file: the same filters, every row, streamed."""

from __future__ import annotations

from itertools import chain, islice

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from conversations.dashboard.access import projects_of
from conversations.dashboard.browse.browsing import Browsing
from conversations.errors import BadRequestError
from conversations.services.exporting import Format, export_requests

MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
"""What a list can be exported as."""


@require_safe
@cache_control(private=True, no_store=True)
def conversations_export(request: HttpRequest, file_format: Format) -> HttpResponseBase:
    """All conversations of a list as a download, the newest first. A filter that cannot be one is a 400 in words."""
    try:
        chunks = export_requests(projects_of(request), Browsing.from_query(request.GET).search, file_format)
        # The first rows are there before anything is promised: what is too broad to be found fails here.
        begun = list(islice(chunks, 2))
    except BadRequestError as error:
        return HttpResponse(error.message, "text/plain; charset=utf-8", error.status)
    response = StreamingHttpResponse(chain(begun, chunks), content_type=MEDIA_TYPES[file_format])
    name = f"conversations-{timezone.now():%Y%m%d-%H%M%S}.{file_format}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
