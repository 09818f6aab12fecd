"""What the OpenAPI schema says about each operation: a decorator for each, named like the operation."""

from collections.abc import Callable
from typing import Any, cast

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from conversations.api import serializers, shapes
from conversations.search import MODES, STATES, SURFACES
from conversations.services.usage import GROUPINGS

JSON = "application/json"

_ERRORS = {
    400: "The request is wrong.",
    401: "No API key, or a wrong one.",
    404: "Unknown, deleted, expired or another project's.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "Valid, but the model cannot.",
    429: "Too many requests.",
    502: "The upstream failed.",
    503: "The database or the upstream cannot be reached, or no upstream is configured.",
    504: "The upstream took too long.",
}
_READING = (401, 404, 503)
_LISTING = (400, 401, 404, 503)
_CHANGING = (400, 401, 404, 413, 415, 503)
_ASKING = (401, 502, 503, 504)
_CALLING = (400, 401, 404, 413, 415, 422, 429, 502, 503, 504)


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """An API key as a bearer token."""

    target_class = "conversations.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """HTTP's bearer scheme."""
        return {"type": "http", "scheme": "bearer"}


class AzureKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """An API key in Azure's header or as a bearer token."""

    target_class = "conversations.api.authentication.AzureKeyAuthentication"
    name = ["azureKey", "azureBearer"]

    def get_security_requirement(self, auto_schema: AutoSchema) -> Any:
        """Either of them."""
        return [{"azureKey": []}, {"azureBearer": []}]

    def get_security_definition(self, auto_schema: AutoSchema) -> Any:
        """Azure's own header, and HTTP's bearer scheme."""
        return [{"type": "apiKey", "in": "header", "name": "api-key"}, {"type": "http", "scheme": "bearer"}]


class NamedShapeComponent(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """A vendor's shape as a component of the schema, and those inside it."""

    target_class = "conversations.api.shapes.NamedShape"

    def get_name(self, auto_schema: AutoSchema, direction: Any) -> str | None:
        """The component's name."""
        return str(self.target.name)

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> Any:
        """The component's schema."""
        return self._resolve(self.target.shape, auto_schema, direction)

    def _resolve(self, shape: Any, auto_schema: AutoSchema, direction: Any) -> Any:
        if isinstance(shape, shapes.NamedShape):
            return auto_schema.resolve_serializer(cast("Any", shape), direction).ref
        if isinstance(shape, dict):
            return {key: self._resolve(value, auto_schema, direction) for key, value in shape.items()}
        if isinstance(shape, list):
            return [self._resolve(value, auto_schema, direction) for value in shape]
        return shape


def _operation[View: Callable[..., Any]](
    operation_id: str,
    summary: str,
    tag: str,
    answer: Any,
    *,
    errors: tuple[int, ...] = _READING,
    others: dict[Any, Any] | None = None,
    **details: Any,
) -> Callable[[View], View]:
    envelope = shapes.AZURE_ERROR if tag == AZURE else shapes.OPENAI_ERROR
    responses: dict[Any, Any] = {(200, details.pop("content_type", JSON)): answer}
    responses |= {(code, JSON): OpenApiResponse(envelope, _ERRORS[code]) for code in errors}
    return extend_schema(
        operation_id=operation_id, summary=summary, tags=[tag], responses=responses | (others or {}), **details
    )


def _query(name: str, description: str, **details: Any) -> OpenApiParameter:
    return OpenApiParameter(name, details.pop("type", OpenApiTypes.STR), description=description, **details)


OPENAI, AZURE, RECORDS = "OpenAI and xAI", "Azure AI Model Inference", "Records"

_METADATA = OpenApiParameter(
    "metadata",
    {"type": "object", "additionalProperties": {"type": "string"}, "example": {}},
    style="deepObject",
    explode=True,
    description="metadata[key]=value, any number of them: a record must have all of these pairs.",
)
_LIMIT = OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20})
_PAGING = [
    _query("after", "The last ID of the page before."),
    _LIMIT,
    _query("order", "By the time of creation.", enum=["asc", "desc"], default="asc"),
]
_API_VERSION = _query("api-version", "2024-05-01-preview", required=True)
_EXTRA_PARAMETERS = _query(
    "extra-parameters",
    "What becomes of parameters that Azure does not know.",
    location=OpenApiParameter.HEADER,
    enum=["error", "drop", "pass-through"],
)
_SEARCH = [
    _query("state", "One or more states.", enum=STATES, many=True),
    _query("mode", "How the client wanted its answer.", enum=MODES, many=True),
    _query("surface", "The door that it came through.", enum=SURFACES, many=True),
    _query("model", "The model that was asked for, exactly."),
    _query("user", "The user that the client named, exactly."),
    _query("key", "The beginning of an API key."),
    _query("stored", "Whether the client asked with store: true.", type=OpenApiTypes.BOOL),
    _METADATA,
    _query("since", "Received at this time or later: a date or a time, UTC unless it says otherwise."),
    _query("until", "Received before this time."),
    _query("cursor", "next_cursor of the page before."),
    _LIMIT,
]
_EVENTS = {
    (200, "text/event-stream"): OpenApiResponse(OpenApiTypes.STR, "When a stream is asked for: chunks as events.")
}

create_completion = _operation(
    "create_chat_completion",
    "Send a chat: plain, streamed, stored or deferred",
    OPENAI,
    shapes.COMPLETION_OR_ACCEPTED,
    errors=_CALLING,
    others=_EVENTS,
    description="The body goes to the upstream as it came. With deferred: true the answer is a request_id.",
    request={JSON: shapes.CHAT_CALL},
)
list_stored = _operation(
    "list_stored_completions",
    "List stored completions",
    OPENAI,
    shapes.STORED_COMPLETIONS,
    errors=_LISTING,
    parameters=[*_PAGING, _query("model", "The model that answered, exactly."), _METADATA],
)
retrieve_stored = _operation(
    "retrieve_stored_completion",
    "Get a stored completion, whole or as the stream it would have been",
    OPENAI,
    shapes.STORED_COMPLETION,
    errors=(400, 401, 404, 422, 503),
    others=_EVENTS,
    parameters=[
        _query("stream", "Whether it comes as chunks, in server-sent events.", type=OpenApiTypes.BOOL, default=False),
        _query("include_usage", "Whether the stream ends with the usage.", type=OpenApiTypes.BOOL, default=False),
    ],
)
update_stored = _operation(
    "update_stored_completion",
    "Replace a stored completion's metadata",
    OPENAI,
    shapes.STORED_COMPLETION,
    errors=_CHANGING,
    request={JSON: shapes.METADATA_UPDATE},
)
delete_stored = _operation("delete_stored_completion", "Delete a stored completion", OPENAI, shapes.DELETED)
list_messages = _operation(
    "list_stored_messages",
    "List a stored completion's input messages",
    OPENAI,
    shapes.STORED_MESSAGES,
    errors=_LISTING,
    parameters=_PAGING,
)
fetch_deferred = _operation(
    "fetch_deferred_completion",
    "Get a deferred completion",
    OPENAI,
    shapes.DEFERRED_COMPLETION,
    errors=(*_READING, 502, 504),
    others={202: OpenApiResponse(description="Not ready yet. The body is empty.")},
)
list_models = _operation("list_models", "List the upstream's models", OPENAI, shapes.MODELS, errors=_ASKING)
retrieve_model = _operation("retrieve_model", "Get a model", OPENAI, shapes.MODEL, errors=(404, *_ASKING))
create_azure_completion = _operation(
    "create_azure_chat_completion",
    "Send a chat: plain or streamed",
    AZURE,
    shapes.COMPLETION,
    errors=_CALLING,
    others=_EVENTS,
    description="The body goes to the upstream as it came, less what extra-parameters drops.",
    request={JSON: shapes.AZURE_CALL},
    parameters=[_API_VERSION, _EXTRA_PARAMETERS],
)
show_model_info = _operation(
    "show_model_info",
    "Name the model",
    AZURE,
    shapes.MODEL_INFO,
    errors=(400, *_ASKING),
    parameters=[_API_VERSION],
)
list_requests = _operation(
    "list_requests",
    "List requests, the newest first",
    RECORDS,
    serializers.RequestPageSerializer,
    errors=(400, 401, 503),
    parameters=_SEARCH,
)
retrieve_request = _operation("retrieve_request", "Get a request", RECORDS, serializers.RequestSerializer)
download_request_body = _operation(
    "download_request_body", "Get the exact bytes that a client sent", RECORDS, OpenApiTypes.BINARY
)
download_response_body = _operation(
    "download_response_body",
    "Get the exact bytes that came back",
    RECORDS,
    OpenApiTypes.BINARY,
    others={(200, "application/octet-stream"): OpenApiTypes.BINARY},
)
list_completions = _operation(
    "list_completions",
    "List completions, the newest first",
    RECORDS,
    serializers.CompletionPageSerializer,
    errors=(400, 401, 503),
    parameters=_SEARCH,
)
retrieve_completion = _operation(
    "retrieve_completion", "Get a completion", RECORDS, serializers.FoundCompletionSerializer
)
look_up = _operation(
    "look_up",
    "Find the record of any ID",
    RECORDS,
    serializers.LookupSerializer,
    errors=_LISTING,
    parameters=[_query("id", "A request ID, response ID or tool call ID, or a text that holds one.", required=True)],
)
review_usage = _operation(
    "review_usage",
    "Sum tokens by day, model or key",
    RECORDS,
    serializers.UsageReviewSerializer,
    errors=(400, 401, 503),
    parameters=[
        _query("group_by", "What to group by.", enum=GROUPINGS, default="day"),
        _query("from", "The first day (UTC); 29 days before the last unless told.", type=OpenApiTypes.DATE),
        _query("to", "The last day (UTC), included; today unless told.", type=OpenApiTypes.DATE),
    ],
)
