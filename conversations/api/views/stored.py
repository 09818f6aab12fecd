"""``/v1/chat/completions``: stored completions, as OpenAI serves them."""

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from conversations.api import schema
from conversations.api.views.base import OpenAIView, json_answer
from conversations.errors import BadRequestError, MethodNotAllowedError, UnsupportedParameterError
from conversations.services import stored_completions
from conversations.wire import openai
from conversations.wire.json_door import check_media_type
from conversations.wire.replay import replayed_events


class ChatCompletions(OpenAIView):
    """The stored completions of a project."""

    @schema.list_stored
    def get(self, request: Request) -> HttpResponse:
        """One page of them."""
        query = openai.read_list_query(read_pairs(request))
        return json_answer(stored_completions.list_stored_completions(self.project, query))

    @schema.create_completion
    def post(self, request: Request) -> HttpResponse:
        """Answered by the gateway, which this half of the program does not hold."""
        raise MethodNotAllowedError("Chat completions are created by the gateway, which does not run here.")


class ChatCompletion(OpenAIView):
    """One stored completion."""

    @schema.retrieve_stored
    def get(self, request: Request, response_id: str) -> HttpResponseBase:
        """The completion as it came, with the request's parameters; with ``stream=true`` as the stream it would be."""
        include_usage = read_flag(request, "include_usage")
        if not read_flag(request, "stream"):
            return json_answer(stored_completions.get_stored_completion(self.project, response_id))
        return self._replay(response_id, include_usage=include_usage)

    def _replay(self, response_id: str, *, include_usage: bool) -> StreamingHttpResponse:
        answer = stored_completions.get_stored_answer(self.project, response_id)
        try:
            events = replayed_events(answer, include_usage=include_usage)
        except ValueError:
            raise UnsupportedParameterError(
                "This completion has no choice that could be streamed.", param="stream"
            ) from None
        return StreamingHttpResponse(events, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @schema.update_stored
    def post(self, request: Request, response_id: str) -> HttpResponse:
        """Replace its metadata."""
        check_media_type(request.META.get("CONTENT_TYPE"))
        metadata = openai.read_metadata_update(request.body)
        return json_answer(stored_completions.replace_metadata(self.project, response_id, metadata))

    @schema.delete_stored
    def delete(self, request: Request, response_id: str) -> HttpResponse:
        """Delete its content; its usage stays."""
        return json_answer(stored_completions.delete_stored_completion(self.project, response_id))


class ChatCompletionMessages(OpenAIView):
    """The input messages of one stored completion."""

    @schema.list_messages
    def get(self, request: Request, response_id: str) -> HttpResponse:
        """One page of them."""
        query = openai.read_list_query(read_pairs(request))
        return json_answer(stored_completions.list_stored_messages(self.project, response_id, query))


def read_flag(request: Request, name: str) -> bool:
    """A query parameter that is ``true`` or ``false``, the latter unless told; of repeated ones the last counts."""
    word = request.query_params.get(name, "false")
    if word not in {"true", "false"}:
        raise BadRequestError(f"'{name}' must be true or false.", param=name, code="invalid_type")
    return word == "true"


def read_pairs(request: Request) -> list[tuple[str, str]]:
    """The query string's names and values, decoded, in the order they were sent."""
    query = request.query_params
    return [(name, value) for name in query for value in query.getlist(name)]
