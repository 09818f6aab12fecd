"""Azure's client meets every rule of the reference, in Azure's own error envelope."""

from typing import Any

import pytest
import requests
from azure.ai.inference import ChatCompletionsClient
from azure.ai.inference.models import UserMessage
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)

from tests.live import LiveServer, told

HELLO: Any = [{"role": "user", "content": "hi"}]
FUNCTION = {"type": "function", "function": {"name": "f"}}


def schema(**changes: Any) -> dict[str, Any]:
    """A response format with a JSON schema."""
    definition = {"name": "n", "schema": {}, **changes}
    return {"type": "json_schema", "json_schema": {key: value for key, value in definition.items() if value != "-"}}


def call(**changes: Any) -> list[Any]:
    """Messages in which an assistant calls a tool."""
    tool_call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, **changes}
    return [*HELLO, {"role": "assistant", "tool_calls": [{k: v for k, v in tool_call.items() if v is not None}]}]


def audio(**changes: Any) -> list[Any]:
    """A message with sound."""
    return [
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"} | changes}]}
    ]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": {}}, "messages"),
    ({"temperature": 1.5}, "temperature"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": "0.5"}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"top_p": 1.01}, "top_p"),
    ({"frequency_penalty": 2.1}, "frequency_penalty"),
    ({"presence_penalty": -2.1}, "presence_penalty"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 2**31}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"seed": 2**63}, "seed"),
    ({"seed": 1.5}, "seed"),
    ({"stop": "x"}, "stop"),
    ({"stop": []}, "stop"),
    ({"stop": [1]}, "stop[0]"),
    ({"stream": "true"}, "stream"),
    ({"model": 1}, "model"),
    ({"modalities": ["video"]}, "modalities[0]"),
    ({"modalities": "text"}, "modalities"),
    ({"tools": []}, "tools"),
    ({"tools": [{"type": "x", "function": {"name": "f"}}]}, "tools[0].type"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "function", "function": {"name": "f" * 65}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ({"tool_choice": "maybe"}, "tool_choice"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"response_format": schema(name="-")}, "response_format.json_schema.name"),
    ({"response_format": schema(name="ok\n")}, "response_format.json_schema.name"),
    ({"response_format": schema(name="x" * 65)}, "response_format.json_schema.name"),
    ({"response_format": schema(schema="-")}, "response_format.json_schema.schema"),
    ({"response_format": schema(schema=[])}, "response_format.json_schema.schema"),
    ({"response_format": schema(strict="yes")}, "response_format.json_schema.strict"),
    ({"response_format": schema(description=1)}, "response_format.json_schema.description"),
    ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "system", "content": [{"type": "text", "text": "x"}]}]}, "messages[0].content"),
    ({"messages": [{"role": "developer", "content": None}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "poem"}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"messages": [{"role": "assistant", "content": 1}]}, "messages[0].content"),
    ({"messages": [{"role": "assistant", "audio": {"id": 1}}]}, "messages[0].audio.id"),
    ({"messages": call(id=None)}, "messages[1].tool_calls[0].id"),
    ({"messages": call(type=None)}, "messages[1].tool_calls[0].type"),
    ({"messages": call(function={"name": "f"})}, "messages[1].tool_calls[0].function.arguments"),
    ({"messages": audio(format="ogg")}, "messages[0].content[0].input_audio.format"),
    ({"messages": audio(data=None)}, "messages[0].content[0].input_audio.data"),
]


@pytest.mark.parametrize(("changes", "target"), REFUSED, ids=[f"{t}-{i}" for i, (_, t) in enumerate(REFUSED)])
def test_what_the_reference_forbids_is_400_with_its_target(
    azure: ChatCompletionsClient, changes: dict[str, Any], target: str
) -> None:
    with pytest.raises(HttpResponseError) as raised:
        azure.complete({"messages": HELLO, **changes})
    response = raised.value.response
    assert (raised.value.status_code, raised.value.error.code) == (400, "BadRequest")
    assert raised.value.error.target == target
    assert raised.value.error.message in raised.value.message
    assert response.headers["x-ms-error-code"] == "BadRequest"
    assert response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 1, "top_p": 0, "max_tokens": 0, "seed": -(2**63)},
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": "required", "response_format": schema(strict=True, description="d")},
        {"modalities": ["text"], "stop": ["a"], "model": "m"},
        {"temperature": None, "stop": None, "tools": None, "response_format": None, "stream": None},
        {"messages": call()},
        {"messages": [{"role": "assistant", "content": None}, {"role": "tool", "tool_call_id": "c", "content": None}]},
        {"messages": [{"role": "developer", "content": ""}]},
        {"messages": audio(format="mp3")},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u", "detail": "low"}}]}
            ]
        },
    ],
)
def test_what_the_reference_allows_is_taken(azure: ChatCompletionsClient, changes: dict[str, Any]) -> None:
    assert azure.complete({"messages": HELLO, **changes}).choices


def test_a_modality_that_the_model_lacks_is_422_with_the_keys_that_sample_code_reads(
    azure: ChatCompletionsClient,
) -> None:
    with pytest.raises(HttpResponseError) as raised:
        azure.complete({"messages": HELLO, "modalities": ["text", "audio"]})
    body = raised.value.response.json()
    assert raised.value.status_code == 422
    assert raised.value.error.code == "UnprocessableContent"
    assert raised.value.error.target == "modalities"
    assert (body["status"], body["code"], body["message"]) == (422, "parameter_not_supported", body["error"]["message"])
    assert body["detail"] == [{"loc": ["body", "modalities"], "input": ["text", "audio"]}]


@pytest.mark.parametrize(
    ("version", "code"),
    [
        ("", "MissingApiVersionParameter"),
        (None, "MissingApiVersionParameter"),
        ("2023-01-01", "UnsupportedApiVersionValue"),
    ],
)
@pytest.mark.parametrize("path", ["chat/completions", "info"])
def test_the_api_version_is_required_and_checked(live: LiveServer, path: str, version: str | None, code: str) -> None:
    method = "GET" if path == "info" else "POST"
    params = {} if version is None else {"api-version": version}
    response = requests.request(
        method, f"{live.origin}/models/{path}", params=params, json={"messages": HELLO}, headers={"api-key": live.key}
    )
    assert response.status_code == 400
    assert response.json()["error"]["code"] == response.headers["x-ms-error-code"] == code


def test_a_not_a_number_that_python_writes_is_400(azure: ChatCompletionsClient) -> None:
    for changes in ({"temperature": float("nan")}, {"messages": [UserMessage("half \ud83d")]}):
        with pytest.raises(HttpResponseError) as raised:
            azure.complete(**{"messages": HELLO, **changes})
        assert raised.value.status_code == 400


@pytest.mark.parametrize(
    ("upstream", "status", "code", "error"),
    [
        (400, 400, "BadRequest", HttpResponseError),
        (401, 502, "BadGateway", HttpResponseError),
        (403, 403, "Forbidden", HttpResponseError),
        (404, 404, "NotFound", ResourceNotFoundError),
        (409, 409, "Conflict", ResourceExistsError),
        (413, 413, "RequestEntityTooLarge", HttpResponseError),
        (422, 422, "UnprocessableContent", HttpResponseError),
        (429, 429, "TooManyRequests", HttpResponseError),
        (500, 500, "InternalServerError", HttpResponseError),
        (502, 502, "BadGateway", HttpResponseError),
        (503, 503, "ServiceUnavailable", HttpResponseError),
    ],
)
def test_an_upstreams_status_becomes_azures_exception(
    azure: ChatCompletionsClient, upstream: int, status: int, code: str, error: type[HttpResponseError]
) -> None:
    with pytest.raises(error) as raised:
        azure.complete(messages=told(fail={"status": upstream, "headers": {"retry-after": "3"}}))
    assert (raised.value.status_code, raised.value.error.code) == (status, code)
    assert raised.value.response.headers["x-ms-error-code"] == code
    assert ("Retry-After" in raised.value.response.headers) == (status in {429, 503})


def test_a_wrong_key_is_an_authentication_error(live: LiveServer) -> None:
    with (
        ChatCompletionsClient(f"{live.origin}/models", AzureKeyCredential("wrong")) as client,
        pytest.raises(ClientAuthenticationError) as raised,
    ):
        client.complete(messages=HELLO)
    assert raised.value.error.code == "Unauthorized"


def test_an_unknown_route_is_azures_404(live: LiveServer) -> None:
    response = requests.post(f"{live.origin}/models/embeddings", json={}, headers={"api-key": live.key})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NotFound")
    assert response.headers["x-ms-error-code"] == "NotFound"
