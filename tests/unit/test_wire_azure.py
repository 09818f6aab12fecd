"""Azure's rules: every one of them refused by name, and the errors as its SDK reads them."""

import json
from typing import Any

import pytest
from azure.ai.inference.models import ChatCompletions
from azure.core.exceptions import ODataV4Format

from conversations.errors import (
    ApiVersionError,
    BadRequestError,
    DaehwaError,
    ExtraParameterError,
    InternalError,
    InvalidKeyError,
    NotFoundError,
    RateLimitError,
    UnsupportedParameterError,
    UpstreamStatusError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)
from conversations.wire import azure
from conversations.wire.calls import ChatCall

USER = {"role": "user", "content": "hi"}


def read(members: dict[str, Any], option: str | None = None) -> ChatCall:
    return azure.read_call(json.dumps({"messages": [USER]} | members).encode(), option)


def schema(**members: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}} | members}}


def said(message: Any) -> dict[str, Any]:
    return {"messages": [USER, message]}


def part(member: Any) -> dict[str, Any]:
    return said({"role": "user", "content": [{"type": "text", "text": "a"}, member]})


def called(**members: Any) -> dict[str, Any]:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}} | members
    return said({"role": "assistant", "tool_calls": [call]})


def tool(**members: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f"}} | members]}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"messages": None}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": []}, "messages"),
    ({"temperature": 1.01}, "temperature"),
    ({"temperature": -0.01}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"temperature": "0.5"}, "temperature"),
    ({"top_p": 1.01}, "top_p"),
    ({"frequency_penalty": 2.01}, "frequency_penalty"),
    ({"presence_penalty": -2.01}, "presence_penalty"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 2**31}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": 1.0}, "max_tokens"),
    ({"max_tokens": "1"}, "max_tokens"),
    ({"seed": 2**63}, "seed"),
    ({"seed": -(2**63) - 1}, "seed"),
    ({"seed": False}, "seed"),
    ({"stop": "x"}, "stop"),
    ({"stop": []}, "stop"),
    ({"stop": [1]}, "stop[0]"),
    ({"stream": "true"}, "stream"),
    ({"stream": 0}, "stream"),
    ({"model": 1}, "model"),
    ({"model": "\0"}, "model"),
    ({"modalities": "text"}, "modalities"),
    ({"modalities": ["video"]}, "modalities[0]"),
    ({"modalities": ["text", None]}, "modalities[1]"),
    ({"modalities": [["text"]]}, "modalities[0]"),
    ({"tools": []}, "tools"),
    ({"tools": {}}, "tools"),
    ({"tools": [None]}, "tools[0]"),
    (tool(type="custom"), "tools[0].type"),
    (tool(type=None), "tools[0].type"),
    (tool(function=None), "tools[0].function"),
    (tool(function={"name": None}), "tools[0].function.name"),
    (tool(function={"name": "a b"}), "tools[0].function.name"),
    (tool(function={"name": "f\n"}), "tools[0].function.name"),
    (tool(function={"name": "f" * 65}), "tools[0].function.name"),
    (tool(function={"name": "f", "description": 1}), "tools[0].function.description"),
    ({"tool_choice": "any"}, "tool_choice"),
    ({"tool_choice": 1}, "tool_choice"),
    ({"tool_choice": {"type": "x", "function": {"name": "f"}}}, "tool_choice.type"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
    ({"tool_choice": {"type": "function", "function": {}}}, "tool_choice.function.name"),
    ({"response_format": "text"}, "response_format"),
    ({"response_format": {}}, "response_format.type"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    (schema(name=None), "response_format.json_schema.name"),
    (schema(name="ok\n"), "response_format.json_schema.name"),
    (schema(name="이름"), "response_format.json_schema.name"),
    (schema(name="n" * 65), "response_format.json_schema.name"),
    (schema(schema=None), "response_format.json_schema.schema"),
    (schema(schema=[]), "response_format.json_schema.schema"),
    (schema(strict="no"), "response_format.json_schema.strict"),
    (schema(description=1), "response_format.json_schema.description"),
    (said("hi"), "messages[1]"),
    (said({"content": "hi"}), "messages[1].role"),
    (said({"role": "function", "content": "hi"}), "messages[1].role"),
    (said({"role": "system", "content": [{"type": "text", "text": "hi"}]}), "messages[1].content"),
    (said({"role": "system", "content": None}), "messages[1].content"),
    (said({"role": "developer"}), "messages[1].content"),
    (said({"role": "user"}), "messages[1].content"),
    (said({"role": "user", "content": 1}), "messages[1].content"),
    (said({"role": "assistant", "content": []}), "messages[1].content"),
    (said({"role": "tool", "content": "hi"}), "messages[1].tool_call_id"),
    (said({"role": "tool", "content": "hi", "tool_call_id": 1}), "messages[1].tool_call_id"),
    (said({"role": "tool", "content": [], "tool_call_id": "c"}), "messages[1].content"),
    (part("hi"), "messages[1].content[1]"),
    (part(None), "messages[1].content[1]"),
    (part({"text": "a"}), "messages[1].content[1].type"),
    (part({"type": "video_url"}), "messages[1].content[1].type"),
    (part({"type": "text"}), "messages[1].content[1].text"),
    (part({"type": "image_url"}), "messages[1].content[1].image_url"),
    (part({"type": "image_url", "image_url": "u"}), "messages[1].content[1].image_url"),
    (part({"type": "image_url", "image_url": {"url": 1}}), "messages[1].content[1].image_url.url"),
    (
        part({"type": "image_url", "image_url": {"url": "u", "detail": "max"}}),
        "messages[1].content[1].image_url.detail",
    ),
    (part({"type": "input_audio", "input_audio": {"format": "wav"}}), "messages[1].content[1].input_audio.data"),
    (
        part({"type": "input_audio", "input_audio": {"data": "", "format": "ogg"}}),
        "messages[1].content[1].input_audio.format",
    ),
    (part({"type": "input_audio", "input_audio": {"data": ""}}), "messages[1].content[1].input_audio.format"),
    (part({"type": "audio_url", "audio_url": {}}), "messages[1].content[1].audio_url.url"),
    (said({"role": "assistant", "audio": {}}), "messages[1].audio.id"),
    (said({"role": "assistant", "audio": "a"}), "messages[1].audio"),
    (said({"role": "assistant", "tool_calls": {}}), "messages[1].tool_calls"),
    (said({"role": "assistant", "tool_calls": ["c"]}), "messages[1].tool_calls[0]"),
    (called(id=None), "messages[1].tool_calls[0].id"),
    (called(type="x"), "messages[1].tool_calls[0].type"),
    (called(function="f"), "messages[1].tool_calls[0].function"),
    (called(function={"arguments": ""}), "messages[1].tool_calls[0].function.name"),
    (called(function={"name": "f", "arguments": {}}), "messages[1].tool_calls[0].function.arguments"),
]

ACCEPTED: list[dict[str, Any]] = [
    {"temperature": 1, "top_p": 0, "frequency_penalty": -2, "presence_penalty": 2, "max_tokens": 0, "seed": -(2**63)},
    {
        "max_tokens": 2**31 - 1,
        "seed": 2**63 - 1,
        "stop": ["<|endoftext|>"],
        "stream": True,
        "model": "m",
        "modalities": ["text"],
    },
    dict.fromkeys(azure.KNOWN_PARAMETERS - {"messages"}),
    tool(function={"name": "my-function_1", "description": "d", "parameters": {}, "vendor": 1}),
    {"tool_choice": "required"},
    {"tool_choice": {"type": "function", "function": {"name": "f"}}},
    {"response_format": {"type": "text"}},
    schema(strict=True, description="d"),
    schema(strict=None, description=None),
    said({"role": "developer", "content": "", "name": "n"}),
    said({"role": "assistant", "content": None, "audio": {"id": "a"}}),
    said({"role": "assistant", "audio": None, "tool_calls": None}),
    said({"role": "tool", "content": None, "tool_call_id": "c"}),
    called(),
    part({"type": "image_url", "image_url": {"url": "u", "detail": "low"}}),
    part({"type": "input_audio", "input_audio": {"data": "", "format": "mp3"}}),
    part({"type": "audio_url", "audio_url": {"url": "u", "vendor": 1}}),
]


@pytest.mark.parametrize(("members", "target"), REFUSED)
def test_a_call_that_breaks_a_rule_is_refused_by_name(members: dict[str, Any], target: str) -> None:
    with pytest.raises(BadRequestError) as refusal:
        read(members)
    envelope = json.loads(azure.error_body(refusal.value))["error"]
    assert (envelope["code"], envelope["target"]) == ("BadRequest", target)


@pytest.mark.parametrize("members", ACCEPTED)
def test_a_call_within_the_rules_comes_in_byte_for_byte(members: dict[str, Any]) -> None:
    assert json.loads(bytes(read(members).body)) == {"messages": [USER]} | members


def test_a_modality_that_the_model_lacks_is_422_and_names_what_was_sent() -> None:
    with pytest.raises(UnsupportedParameterError) as refusal:
        read({"modalities": ["text", "audio"]})
    assert json.loads(azure.error_body(refusal.value)) == {
        "error": {
            "code": "UnprocessableContent", "message": "One of the parameters contain invalid values.", "target": "modalities",
        },
        "status": 422,
        "code": "parameter_not_supported",
        "message": "One of the parameters contain invalid values.",
        "detail": [{"loc": ["body", "modalities"], "input": ["text", "audio"]}],
    }  # fmt: skip


def test_a_modality_that_the_model_has_comes_in() -> None:
    body = json.dumps({"messages": [USER], "modalities": ["text", "audio"]}).encode()
    assert azure.read_call(body, None, ("text", "audio")).model == ""


# --- extra parameters


@pytest.mark.parametrize("option", [None, "", "error"])
def test_an_extra_parameter_is_refused_by_default(option: str | None) -> None:
    with pytest.raises(ExtraParameterError, match="n") as refusal:
        read({"n": None}, option)
    assert "Extra parameters ['n'] are not allowed" in refusal.value.message
    assert refusal.value.param == "n"


def test_dropped_parameters_are_neither_forwarded_nor_interpreted() -> None:
    call = read({"store": True, "deferred": True, "metadata": 7, "user": 7, "n": 2, "temperature": 1}, "drop")
    assert json.loads(bytes(call.body)) == {"messages": [USER], "temperature": 1}
    assert (call.store, call.deferred, call.metadata, call.end_user) == (False, False, {}, "")


def test_parameters_passed_through_are_forwarded_and_store_counts() -> None:
    extras = {"store": True, "deferred": True, "metadata": {"a": "b"}, "user": "u", "n": 2}
    call = read(extras | {"stream": True, "stream_options": {"include_usage": True}}, "pass-through")
    assert json.loads(bytes(call.body))["n"] == 2
    assert (call.store, call.deferred, call.metadata, call.end_user, call.include_usage) == (
        True,
        False,
        {"a": "b"},
        "u",
        True,
    )


@pytest.mark.parametrize("option", ["ignore", "allow", "Drop"])
def test_an_unknown_option_is_refused_also_without_extras(option: str) -> None:
    with pytest.raises(ExtraParameterError, match=f"Unexpected EXTRA_PARAMETERS option {option}"):
        read({}, option)


def test_unknown_keys_below_the_root_are_no_extras() -> None:
    assert read({"messages": [USER | {"vendor": 1}]}).messages == [USER | {"vendor": 1}]


# --- versions, errors, answers


@pytest.mark.parametrize("version", azure.API_VERSIONS)
def test_a_served_version_comes_in(version: str) -> None:
    azure.check_api_version(version)


@pytest.mark.parametrize(
    ("version", "code"),
    [
        (None, "MissingApiVersionParameter"),
        ("", "MissingApiVersionParameter"),
        ("2023-01-01", "UnsupportedApiVersionValue"),
    ],
)
def test_another_version_is_refused(version: str | None, code: str) -> None:
    with pytest.raises(ApiVersionError) as refusal:
        azure.check_api_version(version)
    assert json.loads(azure.error_body(refusal.value))["error"]["code"] == code
    assert azure.error_headers(refusal.value)["x-ms-error-code"] == code
    assert ("2024-05-01-preview" in refusal.value.message) == (version == "2023-01-01")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadRequestError(), "BadRequest"),
        (InvalidKeyError(), "Unauthorized"),
        (NotFoundError(), "NotFound"),
        (RateLimitError(), "TooManyRequests"),
        (InternalError(), "InternalServerError"),
        (UpstreamUnavailableError(), "ServiceUnavailable"),
        (UpstreamTimeoutError(), "GatewayTimeout"),
        (UpstreamStatusError(418), "BadRequest"),
        (UpstreamStatusError(599), "InternalServerError"),
    ],
)
def test_the_code_in_the_header_is_that_of_the_body(error: DaehwaError, code: str) -> None:
    envelope = json.loads(azure.error_body(error))["error"]
    assert (envelope["code"], azure.error_headers(error)["x-ms-error-code"]) == (code, code)
    assert envelope["details"][0]["code"] == error.code


def test_azure_client_reads_the_error() -> None:
    error = ODataV4Format(
        json.loads(azure.error_body(BadRequestError("no", param="top_p", code="out_of_range")))["error"]
    )
    assert (error.code, error.message, error.target) == ("BadRequest", "no", "top_p")
    assert error.details[0].code == "out_of_range"


def test_an_upstream_422_has_the_root_keys_too() -> None:
    body = json.loads(azure.error_body(UpstreamStatusError(422, "no")))
    assert (body["status"], body["detail"]) == (422, [{"loc": ["body"], "input": None}])


def test_an_answer_without_usage_gets_zeros() -> None:
    raw = b'{"id":"a","created":1,"model":"m","choices":[{"index":0,"message":{"content":"x"}}]}'
    answer = ChatCompletions(json.loads(azure.with_usage(raw, json.loads(raw))))
    assert answer.usage is not None
    assert answer.usage.total_tokens == 0


def test_an_answer_with_usage_goes_out_as_it_came() -> None:
    raw = b'{ "usage":{"total_tokens":16} }'
    assert azure.with_usage(raw, json.loads(raw)) == raw


def test_model_info_has_its_three_keys() -> None:
    assert json.loads(azure.model_info("m", "Daehwa")) == {
        "model_name": "m", "model_type": "chat_completion", "model_provider_name": "Daehwa",
    }  # fmt: skip
