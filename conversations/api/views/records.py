"""``/api/requests``, ``/api/completions`` and ``/api/lookup``: the records themselves."""

from django.http import HttpResponse
from django.utils.http import content_disposition_header
from rest_framework.request import Request
from rest_framework.response import Response

from conversations.api import schema
from conversations.api.authentication import projects_of
from conversations.api.pagination import as_page, read_limit
from conversations.api.serializers import CompletionSerializer, RequestSerializer
from conversations.api.views.base import RestView
from conversations.errors import BadRequestError, NotFoundError
from conversations.models import Body, ChatRequest
from conversations.search import RequestSearch
from conversations.services.listing import list_requests
from conversations.services.looking_up import explain_miss, find_by_any_id, find_completions, get_request, read_body


class Requests(RestView):
    """Everything that clients asked."""

    @schema.list_requests
    def get(self, request: Request) -> Response:
        """One page, the newest first."""
        page = list_requests(
            projects_of(request),
            RequestSearch.from_query(request.query_params),
            cursor=request.query_params.get("cursor", ""),
            limit=read_limit(request),
        )
        return Response(as_page(page, lambda found: RequestSerializer(found).data))


class RequestDetail(RestView):
    """One request."""

    @schema.retrieve_request
    def get(self, request: Request, request_id: str) -> Response:
        """What is known about it, and its completion."""
        return Response(RequestSerializer(get_request(request_id, projects_of(request))).data)


class RequestBody(RestView):
    """The exact bytes that a client sent."""

    @schema.download_request_body
    def get(self, request: Request, request_id: str) -> HttpResponse:
        """A download."""
        found = get_request(request_id, projects_of(request))
        return _download(_body_of(found).request_body, f"{request_id}.request.json", "application/json")


class ResponseBody(RestView):
    """The exact bytes that came back."""

    @schema.download_response_body
    def get(self, request: Request, request_id: str) -> HttpResponse:
        """A download: JSON of a completed request; of a failed one whatever the upstream sent."""
        found = get_request(request_id, projects_of(request))
        content = _body_of(found).response_body
        if content is None:
            raise NotFoundError(f"No response body is kept for request '{request_id}'.")
        if found.state == ChatRequest.State.COMPLETED:
            return _download(content, f"{request_id}.response.json", "application/json")
        return _download(content, f"{request_id}.response.bin", "application/octet-stream")


def _body_of(request: ChatRequest) -> Body:
    body = read_body(request)
    if body is None:
        raise NotFoundError(f"No content is kept for request '{request.request_id}'.")
    return body


def _download(content: bytes | memoryview, filename: str, content_type: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    # A model wrote this: it must never run as a page of ours.
    response.headers["Content-Disposition"] = content_disposition_header(True, filename)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox"
    return response


class Completions(RestView):
    """Everything that came back."""

    @schema.list_completions
    def get(self, request: Request) -> Response:
        """One page, the newest first."""
        page = list_requests(
            projects_of(request),
            RequestSearch.from_query(request.query_params),
            cursor=request.query_params.get("cursor", ""),
            limit=read_limit(request),
            answered=True,
        )
        return Response(as_page(page, show_completion))


class CompletionDetail(RestView):
    """One completion."""

    @schema.retrieve_completion
    def get(self, request: Request, response_id: str) -> Response:
        """The newest one with this response ID."""
        found = find_completions(response_id, projects_of(request))
        return Response({"matches": len(found)} | show_completion(found[0]))


def show_completion(request: ChatRequest) -> dict[str, object]:
    """The completion of a request, and the request."""
    completion = request.completion
    # The very row that was read, which knows when it expires.
    completion.request = request
    return dict(CompletionSerializer(completion).data)


class Lookup(RestView):
    """Any ID."""

    @schema.look_up
    def get(self, request: Request) -> Response:
        """The newest record that the ID leads to; a miss says why, as far as it may be told."""
        pasted = request.query_params.get("id", "")
        result = find_by_any_id(pasted, projects_of(request))
        if result.matches:
            return Response(
                {
                    "id": result.candidate,
                    "matched_on": result.matched_on,
                    "matches": len(result.matches),
                    "request": RequestSerializer(result.matches[0]).data,
                }
            )
        miss = explain_miss(pasted, projects_of(request))
        if miss.reason == "empty":
            raise BadRequestError("'id' must hold an ID.", param="id")
        raise NotFoundError(MISSES.get(miss.reason, MISSES["never_seen"]), param="id", code=miss.reason)


MISSES = {
    "never_seen": "No record with this ID was ever seen here.",
    "deleted": "The record with this ID was deleted.",
    "expired": "The record with this ID is older than it is kept.",
}
