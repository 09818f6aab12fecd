"""The answer of a record as the stream of events that it would have been."""

from __future__ import annotations

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from conversations.dashboard.access import private_page
from conversations.dashboard.views.requests import find_record, hand_out, show_miss
from conversations.wire.replay import replayed_events


@private_page
def replay(request: HttpRequest, request_id: str) -> HttpResponseBase:
    """The events as a client that asked for a stream with usage would have had them, as a download."""
    record = find_record(request, request_id)
    try:
        events = replayed_events(record.response_body if record and record.is_ready else b"", include_usage=True)
    except ValueError:
        return show_miss(request, request_id)
    return hand_out(StreamingHttpResponse(events, content_type="text/event-stream"), f"{request_id}.sse")
