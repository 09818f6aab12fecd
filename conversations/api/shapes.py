"""The shapes of the vendors' protocols for the OpenAPI schema, where no serializer describes them."""

from dataclasses import dataclass
from typing import Any

type Shape = dict[str, Any]


@dataclass(frozen=True, eq=False)
class NamedShape:
    """A shape that stands in the schema once, under its name."""

    name: str
    shape: Shape


_STRING: Shape = {"type": "string"}
_INTEGER: Shape = {"type": "integer"}
_NUMBER: Shape = {"type": "number"}
_BOOLEAN: Shape = {"type": "boolean"}


def _record(required: str, **properties: Shape | NamedShape) -> Shape:
    shape: Shape = {"type": "object", "properties": properties, "additionalProperties": True}
    return shape | {"required": required.split()} if required else shape


def _array(items: Shape | NamedShape) -> Shape:
    return {"type": "array", "items": items}


def _constant(value: str) -> Shape:
    # Not a bare enum, of which the generator would make a component for each value.
    return {"allOf": [{"type": "string", "enum": [value]}]}


def _nullable(shape: Shape | NamedShape) -> Shape:
    return {"allOf": [shape], "nullable": True} if isinstance(shape, NamedShape) else shape | {"nullable": True}


METADATA = NamedShape(
    "Metadata",
    {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 512},
        "maxProperties": 16,
        "description": "At most 16 pairs; keys of at most 64 characters.",
    },
)

MESSAGE = NamedShape(
    "Message",
    _record(
        "role",
        role={"type": "string", "enum": ["system", "developer", "user", "assistant", "tool", "function"]},
        content={"nullable": True, "description": "A string, or an array of content parts."},
    ),
)

USAGE = NamedShape(
    "TokenUsage",
    _record(
        "prompt_tokens completion_tokens total_tokens",
        prompt_tokens=_INTEGER,
        completion_tokens=_INTEGER,
        total_tokens=_INTEGER,
        prompt_tokens_details=_nullable(_record("")),
        completion_tokens_details=_nullable(_record("")),
    ),
)

CHOICE = NamedShape(
    "Choice",
    _record(
        "index message finish_reason",
        index=_INTEGER,
        message=MESSAGE,
        finish_reason=_STRING,
        logprobs=_nullable(_record("")),
    ),
)

_COMPLETION_PROPERTIES: Shape = {
    "id": _STRING | {"description": "The response ID."},
    "object": _constant("chat.completion"),
    "created": _INTEGER | {"description": "Unix seconds."},
    "model": _STRING,
    "choices": _array(CHOICE),
    "usage": _nullable(USAGE),
    "service_tier": _nullable(_STRING),
    "system_fingerprint": _nullable(_STRING),
}

COMPLETION = NamedShape("ChatCompletion", _record("id object created model choices", **_COMPLETION_PROPERTIES))

DEFERRED_COMPLETION = NamedShape(
    "DeferredCompletion",
    _record("id object created model choices request_id", **_COMPLETION_PROPERTIES, request_id=_STRING),
)

STORED_COMPLETION = NamedShape(
    "StoredCompletion",
    _record(
        "id object created model choices request_id metadata",
        **_COMPLETION_PROPERTIES,
        request_id=_STRING | {"description": "The x-request-id of the request that created it."},
        metadata=METADATA,
        input_user=_nullable(_STRING),
        seed=_nullable(_INTEGER),
        temperature=_NUMBER,
        top_p=_NUMBER,
        presence_penalty=_NUMBER,
        frequency_penalty=_NUMBER,
        tools=_nullable(_array(_record(""))),
        tool_choice={"nullable": True},
        response_format=_nullable(_record("")),
    ),
)

STORED_MESSAGE = NamedShape(
    "StoredMessage",
    _record(
        "id role content",
        id=_STRING,
        role=_STRING,
        content=_nullable(_STRING),
        name=_nullable(_STRING),
        content_parts=_nullable(_array(_record(""))),
    ),
)

DELETED = NamedShape(
    "DeletedCompletion",
    _record("object id deleted", object=_constant("chat.completion.deleted"), id=_STRING, deleted=_BOOLEAN),
)

METADATA_UPDATE = NamedShape(
    "MetadataUpdate", {"type": "object", "properties": {"metadata": _nullable(METADATA)}, "required": ["metadata"]}
)

_SHARED_PARAMETERS: Shape = {
    "messages": _array(MESSAGE) | {"minItems": 1},
    "stream": _nullable(_BOOLEAN),
    "top_p": _nullable(_NUMBER | {"minimum": 0, "maximum": 1}),
    "frequency_penalty": _nullable(_NUMBER | {"minimum": -2, "maximum": 2}),
    "presence_penalty": _nullable(_NUMBER | {"minimum": -2, "maximum": 2}),
    "seed": _nullable(_INTEGER),
    "tools": _nullable(_array(_record("type"))),
    "tool_choice": {"nullable": True},
    "response_format": _nullable(_record("type")),
}

CHAT_CALL = NamedShape(
    "ChatCall",
    _record(
        "model messages",
        **_SHARED_PARAMETERS,
        model=_STRING,
        temperature=_nullable(_NUMBER | {"minimum": 0, "maximum": 2}),
        max_tokens=_nullable(_INTEGER | {"minimum": 1}),
        max_completion_tokens=_nullable(_INTEGER | {"minimum": 1}),
        n=_nullable(_INTEGER | {"minimum": 1}),
        stop={"nullable": True, "description": "A string, or an array of strings."},
        stream_options=_nullable(_record("", include_usage=_nullable(_BOOLEAN))),
        user=_nullable(_STRING),
        store=_nullable(_BOOLEAN | {"description": "Keep the content, and list it."}),
        metadata=_nullable(METADATA),
        deferred=_nullable(_BOOLEAN | {"description": "Answer with a request_id at once, and run in the background."}),
    ),
)

AZURE_CALL = NamedShape(
    "AzureChatCall",
    _record(
        "messages",
        **_SHARED_PARAMETERS,
        model=_STRING,
        temperature=_nullable(_NUMBER | {"minimum": 0, "maximum": 1}),
        max_tokens=_nullable(_INTEGER | {"minimum": 0}),
        stop=_nullable(_array(_STRING)),
        modalities=_nullable(_array({"type": "string", "enum": ["text", "audio"]})),
    ),
)

ACCEPTED = NamedShape("AcceptedCall", _record("request_id", request_id=_STRING))

COMPLETION_OR_ACCEPTED = NamedShape("ChatCompletionOrAcceptedCall", {"oneOf": [COMPLETION, ACCEPTED]})

MODEL = NamedShape(
    "Model",
    _record("id object created owned_by", id=_STRING, object=_constant("model"), created=_INTEGER, owned_by=_STRING),
)

MODELS = NamedShape("ModelPage", _record("object data", object=_constant("list"), data=_array(MODEL)))

MODEL_INFO = NamedShape(
    "ModelInfo",
    _record(
        "model_name model_type model_provider_name",
        model_name=_STRING,
        model_type=_constant("chat_completion"),
        model_provider_name=_STRING,
    ),
)

OPENAI_ERROR = NamedShape(
    "OpenAIError",
    _record(
        "error",
        error=_record(
            "message type param code",
            message=_STRING,
            type=_STRING,
            param=_nullable(_STRING),
            code=_nullable(_STRING),
        ),
    ),
)

AZURE_ERROR = NamedShape(
    "AzureError",
    _record(
        "error",
        error=_record(
            "code message", code=_STRING, message=_STRING, target=_nullable(_STRING), details=_array(_record(""))
        ),
    ),
)


def _page_of(item: NamedShape) -> NamedShape:
    page = _record(
        "object data first_id last_id has_more",
        object=_constant("list"),
        data=_array(item),
        first_id=_nullable(_STRING),
        last_id=_nullable(_STRING),
        has_more=_BOOLEAN,
    )
    return NamedShape(f"{item.name}Page", page)


STORED_COMPLETIONS = _page_of(STORED_COMPLETION)

STORED_MESSAGES = _page_of(STORED_MESSAGE)
