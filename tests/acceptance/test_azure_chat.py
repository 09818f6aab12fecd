"""Azure's client sends chats, plain and streamed, through either credential and either loop."""

import json
import uuid
from typing import Any

import pytest
import requests
from azure.ai.inference import ChatCompletionsClient, load_client
from azure.ai.inference.aio import ChatCompletionsClient as AsyncChatCompletionsClient
from azure.ai.inference.models import (
    AssistantMessage,
    ChatCompletionsToolCall,
    ChatCompletionsToolDefinition,
    FunctionCall,
    FunctionDefinition,
    JsonSchemaFormat,
    SystemMessage,
    ToolMessage,
    UserMessage,
)
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from openai import OpenAI

from tests.live import LiveServer, say, told
from tests.scripted_upstream import ScriptedUpstream

HELLO = [UserMessage("안녕하세요")]
TOOL = ChatCompletionsToolDefinition(function=FunctionDefinition(name="weather", parameters={"type": "object"}))
VERSION = "api-version=2024-05-01-preview"


def test_a_plain_call_is_answered(azure: ChatCompletionsClient) -> None:
    completion = azure.complete(messages=[SystemMessage("Be terse."), *HELLO], model="scripted")
    assert completion.choices[0].message.content == "You said: 안녕하세요"
    assert completion.choices[0].finish_reason == "stop"
    assert isinstance(completion.created.year, int)
    assert completion.usage.total_tokens > 0


def test_the_documented_parameters_reach_the_upstream_as_they_were_sent(
    azure: ChatCompletionsClient, scripted_upstream: ScriptedUpstream
) -> None:
    nonce = uuid.uuid4().hex
    schema = JsonSchemaFormat(name="weather", schema={"type": "object"}, strict=True)
    sent: dict[str, Any] = {"temperature": 0.5, "top_p": 1, "frequency_penalty": -2.0, "presence_penalty": 2.0}
    sent |= {"max_tokens": 0, "seed": 2**63 - 1, "stop": ["x"], "tools": [TOOL], "tool_choice": "auto"}
    azure.complete(messages=[UserMessage(nonce)], response_format=schema, **sent)
    received = scripted_upstream.calls_for(nonce)[0].parsed()
    assert {**received, "tools": [TOOL]} == {
        **sent,
        "messages": [{"role": "user", "content": nonce}],
        "response_format": {"type": "json_schema", "json_schema": schema.as_dict()},
    } | {key: received[key] for key in received if key == "model"}


def test_a_whole_tool_conversation_is_taken(azure: ChatCompletionsClient) -> None:
    call = ChatCompletionsToolCall(id="call_a", function=FunctionCall(name="weather", arguments="{}"))
    messages = [*HELLO, AssistantMessage(tool_calls=[call]), ToolMessage("sunny", tool_call_id="call_a")]
    completion = azure.complete(
        messages=[*messages, UserMessage(say(tool_calls=[{"id": "c", "name": "f", "arguments": "{}"}]))]
    )
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.choices[0].message.tool_calls[0].function.name == "f"


def test_an_upstream_without_usage_still_gives_azures_client_one(azure: ChatCompletionsClient) -> None:
    completion = azure.complete(messages=told(content="hi", usage=None))
    assert completion.usage.total_tokens == 0


def test_vendor_fields_are_reached_by_subscript(azure: ChatCompletionsClient) -> None:
    completion = azure.complete(messages=told(content="hi", top_extra={"citations": ["u"]}))
    assert completion["citations"] == ["u"]


def test_a_stream_is_taken_by_azures_narrow_parser(azure: ChatCompletionsClient) -> None:
    with azure.complete(messages=told(content="하나\u2028둘\u0085셋"), stream=True) as stream:
        updates = list(stream)
    assert (
        "".join(update.choices[0].delta.content or "" for update in updates if update.choices) == "하나\u2028둘\u0085셋"
    )
    assert [update.choices[0].finish_reason for update in updates if update.choices][-1] == "stop"


def test_a_quiet_stream_is_kept_open_with_chunks_that_say_nothing(
    live: LiveServer, azure: ChatCompletionsClient
) -> None:
    directive = {"pieces": ["ab"], "piece_delay": 0.4}
    with azure.complete(messages=told(**directive), stream=True) as stream:
        assert "".join(update.choices[0].delta.content or "" for update in stream if update.choices) == "ab"
    body = {"messages": told(**directive), "stream": True}
    headers = {"api-key": live.key}
    raw = requests.post(f"{live.origin}/models/chat/completions?{VERSION}", json=body, headers=headers).text
    assert '"choices":[]' in raw
    assert all(line.startswith("data: ") for line in raw.split("\n") if line)


def test_usage_of_a_stream_comes_when_asked_for_in_azures_way(azure: ChatCompletionsClient) -> None:
    extras = {"stream_options": {"include_usage": True}}
    with azure.complete(messages=HELLO, stream=True, model_extras=extras) as stream:
        usages = [update.usage for update in stream if update.usage]
    assert [usage.total_tokens > 0 for usage in usages] == [True]


@pytest.mark.parametrize(
    "failure", [{"cut": {"after": 2, "how": "reset"}}, {"error_event": [2, {"message": "oom", "code": "oom"}]}]
)
def test_a_stream_that_fails_in_the_middle_raises(azure: ChatCompletionsClient, failure: dict[str, Any]) -> None:
    with azure.complete(messages=told(content="one two three", **failure), stream=True) as stream:
        first = next(stream)
        with pytest.raises(HttpResponseError):
            list(stream)
    assert first.choices[0].delta.role == "assistant"


def test_a_stream_that_fails_before_its_first_chunk_is_a_plain_error(azure: ChatCompletionsClient) -> None:
    with pytest.raises(HttpResponseError) as raised:
        azure.complete(messages=told(fail={"status": 429, "message": "slow down"}), stream=True)
    assert raised.value.status_code == 429
    assert raised.value.error.code == "TooManyRequests"


async def test_the_asynchronous_client_completes_and_streams(live: LiveServer) -> None:
    async with AsyncChatCompletionsClient(f"{live.origin}/models/", AzureKeyCredential(live.key)) as client:
        completion = await client.complete(messages=HELLO)
        stream = await client.complete(messages=HELLO, stream=True)
        texts = [update.choices[0].delta.content or "" async for update in stream if update.choices]
        assert completion.choices[0].message.content == "".join(texts) == "You said: 안녕하세요"


async def test_the_asynchronous_client_notices_a_cut_stream(live: LiveServer) -> None:
    async with AsyncChatCompletionsClient(f"{live.origin}/models", AzureKeyCredential(live.key)) as client:
        stream = await client.complete(messages=told(content="a b c d e", cut={"after": 2, "how": "fin"}), stream=True)
        with pytest.raises(HttpResponseError):
            [update async for update in stream]
        await stream.aclose()


def test_the_models_name_and_provider_are_told(live: LiveServer, azure: ChatCompletionsClient) -> None:
    told_info = azure.get_model_info()
    assert (told_info.model_name, told_info.model_type) == ("scripted", "chat_completion")
    assert isinstance(told_info.model_provider_name, str)
    with load_client(f"{live.origin}/models", AzureKeyCredential(live.key)) as client:
        assert isinstance(client, ChatCompletionsClient)


def test_several_choices_come_through_model_extras(
    azure: ChatCompletionsClient, scripted_upstream: ScriptedUpstream
) -> None:
    nonce = uuid.uuid4().hex
    completion = azure.complete(messages=told(nonce=nonce), model_extras={"n": 2, "safe_prompt": None})
    assert [choice.index for choice in completion.choices] == [0, 1]
    assert scripted_upstream.calls_for(nonce)[0].parsed()["n"] == 2


def test_passed_through_store_and_metadata_are_honoured_and_found_by_openais_client(
    azure: ChatCompletionsClient, client: OpenAI
) -> None:
    completion = azure.complete(messages=HELLO, model="m", model_extras={"store": True, "metadata": {"a": "b"}})
    stored = client.chat.completions.retrieve(completion.id)
    assert stored.to_dict()["metadata"] == {"a": "b"}
    assert stored.choices[0].message.content == "You said: 안녕하세요"


def test_passed_through_deferred_never_changes_the_answer(azure: ChatCompletionsClient) -> None:
    completion = azure.complete(messages=HELLO, model_extras={"deferred": True})
    assert completion.choices[0].message.content == "You said: 안녕하세요"


def test_dropped_extras_reach_nobody(
    azure: ChatCompletionsClient, client: OpenAI, scripted_upstream: ScriptedUpstream
) -> None:
    nonce = uuid.uuid4().hex
    body: Any = {"messages": told(nonce=nonce), "n": 2, "store": True, "deferred": True, "stream_options": 7}
    completion = azure.complete(body, headers={"extra-parameters": "drop"})
    assert len(completion.choices) == 1
    assert set(scripted_upstream.calls_for(nonce)[0].parsed()) <= {"messages", "model"}
    assert client.chat.completions.list(limit=1, order="desc", metadata={"nonce": nonce}).data == []
    assert client.get("/models", cast_to=object)


@pytest.mark.parametrize("header", [None, "error"])
def test_extras_are_refused_by_default_and_named(azure: ChatCompletionsClient, header: str | None) -> None:
    body: Any = {"messages": [{"role": "user", "content": "hi"}], "logit_bias": {}}
    headers = {"extra-parameters": header} if header else {}
    with pytest.raises(HttpResponseError, match="logit_bias") as raised:
        azure.complete(body, headers=headers)
    assert (raised.value.status_code, raised.value.error.code) == (400, "BadRequest")


@pytest.mark.parametrize("option", ["ignore", "allow", "Pass-Through2"])
def test_an_unknown_option_for_extras_is_refused_even_without_extras(azure: ChatCompletionsClient, option: str) -> None:
    with pytest.raises(HttpResponseError) as raised:
        azure.complete(messages=HELLO, headers={"extra-parameters": option})
    assert raised.value.status_code == 400


def test_unknown_keys_below_the_root_are_no_extras(azure: ChatCompletionsClient) -> None:
    body: Any = {"messages": [{"role": "user", "content": "hi", "vendor": 1}], "seed": None}
    assert azure.complete(body).choices


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"api-key": "KEY"}, 200),
        ({"Authorization": "Bearer KEY"}, 200),
        ({"api-key": "KEY", "Authorization": "Bearer wrong"}, 200),
        ({"api-key": "wrong", "Authorization": "Bearer KEY"}, 401),
        ({"api-key": "wrong"}, 401),
        ({}, 401),
    ],
)
def test_the_api_key_header_wins_over_the_bearer_token(live: LiveServer, headers: dict[str, str], status: int) -> None:
    sent = {name: value.replace("KEY", live.key) for name, value in headers.items()}
    body = {"messages": [{"role": "user", "content": "hi"}]}
    response = requests.post(f"{live.origin}/models/chat/completions?{VERSION}", json=body, headers=sent)
    assert response.status_code == status
    assert requests.get(f"{live.origin}/models/info?{VERSION}", headers=sent).status_code == status


def test_a_stored_azure_call_keeps_its_exact_bytes(live: LiveServer) -> None:
    body = b'{ "messages": [ {"role":"user","content":"\\u0000"} ], "store":true, "temperature": 1.0 }'
    headers = {"api-key": live.key, "extra-parameters": "pass-through", "Content-Type": "application/json"}
    url = f"{live.origin}/models/chat/completions?{VERSION}"
    created = requests.post(url, data=body, headers=headers)
    record = f"{live.origin}/api/requests/{created.headers['x-request-id']}"
    bearer = {"Authorization": f"Bearer {live.key}"}
    assert requests.get(f"{record}/request-body", headers=bearer).content == body
    assert json.loads(requests.get(f"{record}/", headers=bearer).content)["surface"] == "azure"
