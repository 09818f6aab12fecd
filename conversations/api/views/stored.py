"""``/v1/chat/completions``: stored completions, as OpenAI serves them."""

from django.http import HttpResponse
from rest_framework.request import Request

from conversations.api import schema
from conversations.api.views.base import OpenAIView, json_answer
from conversations.errors import MethodNotAllowedError
from conversations.services import stored_completions
from conversations.wire import openai
from conversations.wire.json_door import check_media_type


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
    def get(self, request: Request, response_id: str) -> HttpResponse:
        """The completion as it came, with the request's parameters."""
        return json_answer(stored_completions.get_stored_completion(self.project, response_id))

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


def read_pairs(request: Request) -> list[tuple[str, str]]:
    """The query string's names and values, decoded, in the order they were sent."""
    query = request.query_params
    return [(name, value) for name in query for value in query.getlist(name)]
