"""``/v1/chat/deferred-completion/{request_id}``: a deferred result, as xAI serves it."""

from django.http import HttpResponse
from rest_framework.request import Request

from conversations.api import schema
from conversations.api.views.base import OpenAIView, json_answer
from conversations.services.deferred_results import fetch_deferred_result


class DeferredCompletion(OpenAIView):
    """The result of one deferred request."""

    # A HEAD would use up a result that is handed out once.
    http_method_names = ["get"]

    @schema.fetch_deferred
    def get(self, request: Request, request_id: str) -> HttpResponse:
        """The completion, or 202 without a word until it is ready."""
        body = fetch_deferred_result(self.project, request_id)
        if body is not None:
            return json_answer(body)
        pending = HttpResponse(status=202)
        # OpenAI's client would try to parse nothing as JSON.
        del pending.headers["Content-Type"]
        return pending
