"""The answer of a record as the stream of events that it would have been."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from conversations.dashboard.access import private_page
from conversations.dashboard.views.requests import download, find_record, show_miss
from conversations.wire.replay import replayed_events


@private_page
def replay(request: HttpRequest, request_id: str) -> HttpResponse:
    """All events at once, as a client that asked for a stream with usage would have had them one by one."""
    record = find_record(request, request_id)
    try:
        answer = record.response_body if record and record.is_ready else b""
        events = b"".join(replayed_events(answer, include_usage=True))
    except ValueError:
        return show_miss(request, request_id)
    return download(events, "text/event-stream", f"{request_id}.sse")
