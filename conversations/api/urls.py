"""Every route under ``/v1``, ``/models`` and ``/api``.

The gateway answers the POSTs to ``/v1/chat/completions`` and ``/models/chat/completions`` before they come here.
"""

from django.urls import path, re_path, register_converter
from django.urls.converters import StringConverter

from conversations.api.views import deferred, models, records, reference, stored, unknown, usage


class IdConverter(StringConverter):
    """Any ID: an upstream's own may hold slashes, spaces, even line ends."""

    regex = r"[\s\S]+"


register_converter(IdConverter, "id")

urlpatterns = [
    path("v1/chat/completions", stored.ChatCompletions.as_view(), name="v1_completions"),
    path(
        "v1/chat/completions/<id:response_id>/messages",
        stored.ChatCompletionMessages.as_view(),
        name="v1_completion_messages",
    ),
    path("v1/chat/completions/<id:response_id>", stored.ChatCompletion.as_view(), name="v1_completion"),
    path(
        "v1/chat/deferred-completion/<id:request_id>",
        deferred.DeferredCompletion.as_view(),
        name="v1_deferred_completion",
    ),
    path("v1/models", models.Models.as_view(), name="v1_models"),
    path("v1/models/<id:model_id>", models.Model.as_view(), name="v1_model"),
    path("models/info", models.ModelInfo.as_view(), name="azure_model_info"),
    path("models/chat/completions", models.AzureChatCompletions.as_view(), name="azure_completions"),
    path("api/requests/", records.Requests.as_view(), name="api_requests"),
    path("api/requests/<id:request_id>/request-body", records.RequestBody.as_view(), name="api_request_body"),
    path("api/requests/<id:request_id>/response-body", records.ResponseBody.as_view(), name="api_response_body"),
    path("api/requests/<id:request_id>/", records.RequestDetail.as_view(), name="api_request"),
    path("api/completions/", records.Completions.as_view(), name="api_completions"),
    path("api/completions/<id:response_id>/", records.CompletionDetail.as_view(), name="api_completion"),
    path("api/lookup/", records.Lookup.as_view(), name="api_lookup"),
    path("api/usage/", usage.Usage.as_view(), name="api_usage"),
    path("api/schema/", reference.Schema.as_view(), name="api_schema"),
    path("api/reference/", reference.Reference.as_view(), name="api_reference"),
    re_path(r"^v1(?:/[\s\S]*)?\Z", unknown.UnknownOpenAIAddress.as_view()),
    re_path(r"^models(?:/[\s\S]*)?\Z", unknown.UnknownAzureAddress.as_view()),
    re_path(r"^api(?:/[\s\S]*)?\Z", unknown.UnknownRestAddress.as_view()),
]
