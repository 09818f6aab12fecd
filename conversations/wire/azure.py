"""Azure AI Model Inference's chat completions as served under ``/models``: what differs from ``/v1``."""

from collections.abc import Collection, Mapping
from typing import Any

from conversations.errors import ApiVersionError, DaehwaError, ExtraParameterError
from conversations.wire import azure_rules, checks, openai
from conversations.wire.calls import ChatCall
from conversations.wire.json_door import JsonObject, encode, parse_answer, parse_object

API_VERSIONS = ("2024-05-01-preview", "2025-04-01")
"""The ``api-version`` values that are served."""

KNOWN_PARAMETERS = frozenset(
    {
        "messages",
        "frequency_penalty",
        "max_tokens",
        "modalities",
        "model",
        "presence_penalty",
        "response_format",
        "seed",
        "stop",
        "stream",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
    }
)
"""The root keys that Azure documents; every other one is an extra parameter."""

EXTRA_PARAMETERS_OPTIONS = ("error", "drop", "pass-through")

_CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "UnprocessableContent",
    429: "TooManyRequests",
    500: "InternalServerError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}
_NO_USAGE = b'{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}'


def check_api_version(value: str | None) -> None:
    """Raise ``ApiVersionError`` unless the query's ``api-version`` is one of ``API_VERSIONS``."""
    if not value:
        raise ApiVersionError(param="api-version")
    if value not in API_VERSIONS:
        message = f"The requested api-version is not supported. Supported versions: {', '.join(API_VERSIONS)}."
        raise ApiVersionError(message, param="api-version", code="UnsupportedApiVersionValue")


def read_call(body: bytes, extra_parameters: str | None, modalities: Collection[str] = ("text",)) -> ChatCall:
    """Validate a POST to ``/models/chat/completions``.

    ``extra_parameters`` is the header of that name: root keys that Azure does not know are refused (``error``,
    or no header), removed (``drop``), or forwarded (``pass-through``: then ``store``, ``metadata``, ``user`` and
    ``stream_options`` count as on ``/v1``). An answer is never deferred here. ``modalities`` are the model's.
    Raises ``BadRequestError`` (400) or ``UnsupportedParameterError`` (422).
    """
    passed_through = _passes_extras(extra_parameters)
    body_object = _without_extras(parse_object(body), extra_parameters)
    members = body_object.members
    model = checks.read_model(members.get("model"))
    messages = checks.read_messages(members.get("messages"))
    for position, message in enumerate(messages):
        azure_rules.check_message(message, f"messages[{position}]")
    azure_rules.check_parameters(members, modalities)
    extras: Mapping[str, Any] = members if passed_through else {}
    options = extras.get("stream_options")
    return ChatCall(
        body=body_object,
        model=model,
        stream=members.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        store=checks.read_flag(extras.get("store"), "store"),
        deferred=False,
        metadata=checks.read_metadata(extras.get("metadata")),
        end_user=openai.read_end_user(extras),
        messages=messages,
    )


def _passes_extras(option: str | None) -> bool:
    if option and option not in EXTRA_PARAMETERS_OPTIONS:
        message = f"Unexpected EXTRA_PARAMETERS option {option}, expected options are {list(EXTRA_PARAMETERS_OPTIONS)}."
        raise ExtraParameterError(message, param="extra-parameters")
    return option == "pass-through"


def _without_extras(body: JsonObject, option: str | None) -> JsonObject:
    extras = [key for key in body.members if key not in KNOWN_PARAMETERS]
    if not extras or option == "pass-through":
        return body
    if option == "drop":
        return parse_object(body.without(set(extras)))
    shown = [key[:64] for key in extras[:16]]
    message = (
        f"Extra parameters {shown} are not allowed when extra-parameters is not set or set to be 'error'. "
        "Set extra-parameters to 'pass-through' to pass to the model."
    )
    raise ExtraParameterError(message, param=shown[0])


def with_usage(body: bytes, members: Mapping[str, Any]) -> bytes:
    """The completion ``body`` (parsed: ``members``) with a ``usage`` of zeros where the upstream sent none.

    Azure requires one. The zeros are for the wire only; what is recorded says that the usage is missing.
    """
    return body if members.get("usage") is not None else parse_answer(body).with_members({"usage": _NO_USAGE})


def error_code(error: DaehwaError) -> str:
    """Azure's word for an error: the body's ``error.code`` and the ``x-ms-error-code`` header."""
    if isinstance(error, ApiVersionError):
        return error.code
    return _CODES.get(error.status, "BadRequest" if error.status < 500 else "InternalServerError")


def error_body(error: DaehwaError) -> bytes:
    """Azure's error envelope, with our own code in ``details``; a 422 has the root keys that Azure documents for it."""
    code = error_code(error)
    target = {} if error.param is None else {"target": error.param}
    envelope: dict[str, Any] = {"code": code, "message": error.message} | target
    if error.status == 422:
        place = ["body"] if error.param is None else ["body", error.param]
        detail = [{"loc": place, "input": getattr(error, "value", None)}]
        root = {"status": 422, "code": "parameter_not_supported", "message": error.message, "detail": detail}
        return encode({"error": envelope} | root)
    if error.code != code:
        envelope["details"] = [{"code": error.code, "message": error.message} | target]
    return encode({"error": envelope})


def error_headers(error: DaehwaError) -> dict[str, str]:
    """The headers of ``/v1`` and ``x-ms-error-code``."""
    return openai.error_headers(error) | {"x-ms-error-code": error_code(error)}


def model_info(model_name: str, provider: str) -> bytes:
    """The answer of ``GET /models/info``."""
    return encode({"model_name": model_name, "model_type": "chat_completion", "model_provider_name": provider})
