"""Which models there are: ``/v1/models``, and Azure's ``/models/info``."""

from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request

from conversations.api import schema
from conversations.api.views.base import AzureView, OpenAIView, json_answer
from conversations.errors import MethodNotAllowedError
from conversations.services.models_list import get_model, list_models, name_default_model
from conversations.wire import azure
from conversations.wire.json_door import encode


class Models(OpenAIView):
    """The upstream's models."""

    @schema.list_models
    def get(self, request: Request) -> HttpResponse:
        """All of them."""
        return json_answer(encode({"object": "list", "data": list_models()}))


class Model(OpenAIView):
    """One of the upstream's models."""

    @schema.retrieve_model
    def get(self, request: Request, model_id: str) -> HttpResponse:
        """What the upstream says about it."""
        return json_answer(encode(get_model(model_id)))


class ModelInfo(AzureView):
    """The model behind the Azure surface."""

    @schema.show_model_info
    def get(self, request: Request) -> HttpResponse:
        """Its name, type and provider."""
        azure.check_api_version(request.query_params.get("api-version"))
        return json_answer(azure.model_info(name_default_model(), settings.UPSTREAM_PROVIDER))


class AzureChatCompletions(AzureView):
    """Where Azure's clients send their chats."""

    @schema.create_azure_completion
    def post(self, request: Request) -> HttpResponse:
        """Answered by the gateway, which this half of the program does not hold."""
        raise MethodNotAllowedError("Chat completions are created by the gateway, which does not run here.")
