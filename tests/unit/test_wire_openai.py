"""OpenAI's shapes: calls validated, answers completed, stored completions quoted from the request's own bytes."""

import json
import urllib.parse
from typing import Any

import pytest
from openai._models import construct_type, validate_type
from openai.types.chat import ChatCompletion, ChatCompletionDeleted

from conversations.errors import (
    BadRequestError,
    DaehwaError,
    InternalError,
    InvalidKeyError,
    MalformedAnswerError,
    RateLimitError,
    StorageUnavailableError,
    UpstreamStatusError,
    UpstreamTimeoutError,
)
from conversations.wire import openai, xai
from conversations.wire.json_door import encode, parse_answer

USER = [{"role": "user", "content": "hi"}]


def body_with(**members: Any) -> bytes:
    return json.dumps({"model": "m", "messages": USER} | members).encode()


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"model": None}, "model", "missing_required_parameter"),
    ({"model": 7}, "model", "invalid_type"),
    ({"model": ""}, "model", "invalid_value"),
    ({"model": "a\0b"}, "model", "invalid_value"),
    ({"model": "m" * 257}, "model", "invalid_value"),
    ({"messages": None}, "messages", "missing_required_parameter"),
    ({"messages": {}}, "messages", "invalid_type"),
    ({"messages": []}, "messages", "invalid_value"),
    ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
    ({"messages": [*USER, {"content": "x"}]}, "messages[1].role", "missing_required_parameter"),
    ({"messages": [{"role": 1}]}, "messages[0].role", "invalid_type"),
    ({"temperature": 2.1}, "temperature", "out_of_range"),
    ({"temperature": -0.1}, "temperature", "out_of_range"),
    ({"temperature": "0.5"}, "temperature", "invalid_type"),
    ({"temperature": True}, "temperature", "invalid_type"),
    ({"top_p": 1.1}, "top_p", "out_of_range"),
    ({"frequency_penalty": -2.1}, "frequency_penalty", "out_of_range"),
    ({"presence_penalty": 3}, "presence_penalty", "out_of_range"),
    ({"max_tokens": 0}, "max_tokens", "out_of_range"),
    ({"max_tokens": 1.0}, "max_tokens", "invalid_type"),
    ({"max_completion_tokens": 0}, "max_completion_tokens", "out_of_range"),
    ({"n": 0}, "n", "out_of_range"),
    ({"n": True}, "n", "invalid_type"),
    ({"seed": "1"}, "seed", "invalid_type"),
    ({"stop": 1}, "stop", "invalid_type"),
    ({"stop": ["a", 1]}, "stop[1]", "invalid_type"),
    ({"stream": "true"}, "stream", "invalid_type"),
    ({"stream": 1}, "stream", "invalid_type"),
    ({"store": "yes"}, "store", "invalid_type"),
    ({"deferred": 1}, "deferred", "invalid_type"),
    ({"deferred": True, "stream": True}, "deferred", "invalid_value"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
    ({"stream_options": {}, "stream": False}, "stream_options", "invalid_value"),
    ({"stream_options": [], "stream": True}, "stream_options", "invalid_type"),
    ({"stream_options": {"include_usage": 1}, "stream": True}, "stream_options.include_usage", "invalid_type"),
    ({"metadata": []}, "metadata", "invalid_type"),
    ({"metadata": {str(i): "" for i in range(17)}}, "metadata", "invalid_value"),
    ({"metadata": {"k" * 65: ""}}, "metadata", "invalid_value"),
    ({"metadata": {"k": "v" * 513}}, "metadata.k", "invalid_value"),
    ({"metadata": {"k": 1}}, "metadata.k", "invalid_type"),
    ({"metadata": {"k": None}}, "metadata.k", "invalid_type"),
    ({"metadata": {"k": "\0"}}, "metadata.k", "invalid_value"),
    ({"metadata": {"\0": "v"}}, "metadata", "invalid_value"),
    ({"user": 7}, "user", "invalid_type"),
    ({"tools": {}}, "tools", "invalid_type"),
    ({"response_format": "json"}, "response_format", "invalid_type"),
]

ACCEPTED: list[dict[str, Any]] = [
    {},
    {"temperature": 2, "top_p": 0, "frequency_penalty": -2, "presence_penalty": 2.0},
    {"max_tokens": 1, "max_completion_tokens": 1, "n": 128, "seed": 4944116822809979520},
    {"stop": "x"},
    {"stop": ["x"]},
    {"metadata": {"한" * 64: "😀" * 512}},
    {"metadata": {str(i): "" for i in range(16)}},
    {"stream": True, "stream_options": {"include_usage": True, "vendor": 1}},
    {"messages": [{"role": "vendor", "content": "\0"}]},
    {"vendor": {"any": ["thing"]}, "safety_identifier": 7},
    {"deferred": True, "store": True},
    dict.fromkeys(
        ["temperature", "n", "stop", "stream", "store", "deferred", "metadata", "user", "tools", "stream_options"]
    ),
]


@pytest.mark.parametrize(("members", "param", "code"), REFUSED)
def test_a_call_that_breaks_a_rule_is_refused_by_name(members: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(BadRequestError) as refusal:
        openai.read_call(body_with(**members))
    assert (refusal.value.param, refusal.value.code) == (param, code)
    assert f"'{param}'" in refusal.value.message


@pytest.mark.parametrize("members", ACCEPTED)
def test_a_call_within_the_rules_comes_in_byte_for_byte(members: dict[str, Any]) -> None:
    body = body_with(**members)
    assert bytes(openai.read_call(body).body) == body


def test_a_call_tells_what_was_asked_for() -> None:
    call = openai.read_call(body_with(store=True, deferred=True, metadata={"a": "b"}, user="a\0b"))
    assert (call.model, call.stream, call.store, call.deferred) == ("m", False, True, True)
    assert (call.metadata, call.end_user, call.messages) == ({"a": "b"}, "a\ufffdb", USER)
    streamed = openai.read_call(body_with(stream=True, stream_options={"include_usage": True}))
    assert (streamed.stream, streamed.include_usage, streamed.store) == (True, True, False)


def test_the_upstream_gets_the_body_less_what_is_ours() -> None:
    call = openai.read_call(
        b'{"model":"m","store":true,"messages":[{"role":"user"}],"seed":1,"metadata":null,"x":1e22}'
    )
    assert call.body_without() == b'{"model":"m","messages":[{"role":"user"}],"seed":1,"x":1e22}'


# --- errors


def test_an_error_has_all_four_keys() -> None:
    assert json.loads(openai.error_body(InvalidKeyError())) == {
        "error": {
            "message": "Incorrect or missing API key.", "type": "invalid_request_error", "param": None, "code": "invalid_api_key",
        }
    }  # fmt: skip


def test_an_error_quotes_any_text() -> None:
    message = json.loads(openai.error_body(BadRequestError("\ud83d \0 한")))["error"]["message"]
    assert message == "\ud83d \0 한"


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (BadRequestError(retry_after=3), {}),
        (InternalError(retry_after=3), {}),
        (RateLimitError(retry_after=0.2), {"Retry-After": "1"}),
        (RateLimitError(), {}),
        (RateLimitError(retry_after=float("inf")), {}),
        (StorageUnavailableError(), {"x-should-retry": "true", "Retry-After": "1"}),
        (UpstreamTimeoutError(retry_after=9), {"x-should-retry": "false"}),
        (UpstreamStatusError(503, retry_after=-1, retryable=True), {"x-should-retry": "true", "Retry-After": "0"}),
    ],
)
def test_headers_say_whether_and_when_to_try_again(error: DaehwaError, headers: dict[str, str]) -> None:
    assert openai.error_headers(error) == headers


# --- answers

WHOLE = b'{ "id":"a", "object":"chat.completion","created":1,"model":"m","choices":[{"x":1.0}] }\n'


def completed(raw: bytes) -> bytes:
    return openai.complete_answer(parse_answer(raw), response_id="a", created=5, model="ours")


def test_an_answer_with_nothing_missing_goes_out_as_it_came() -> None:
    assert completed(WHOLE) == WHOLE


def test_an_answer_gets_the_root_members_that_it_lacks() -> None:
    assert completed(b'{"id":null,"choices":[{"x":1e22}],"model":"m"}') == (
        b'{"id":"a","choices":[{"x":1e22}],"model":"m","object":"chat.completion","created":5}'
    )


def test_an_answer_carries_the_id_that_it_is_kept_under() -> None:
    assert json.loads(completed(WHOLE.replace(b'"a"', b'"\\u0000"')))["id"] == "a"


@pytest.mark.parametrize(
    "members",
    [{}, {"choices": None}, {"choices": []}, {"choices": {}}, {"choices": ["x"]}, {"choices": [{}]}, {"choices": [{"message": "x"}]},
     {"choices": [{"message": {}}, {"message": None}]}, {"error": "x"}],
)  # fmt: skip
def test_an_answer_without_messages_is_malformed(members: dict[str, Any]) -> None:
    body = encode(members)
    with pytest.raises(MalformedAnswerError) as failure:
        openai.check_answer(parse_answer(body))
    assert failure.value.answer == body


def test_an_answer_with_messages_is_good() -> None:
    openai.check_answer(parse_answer(b'{"choices":[{"message":{}}]}'))


# --- stored completions

REQUEST = (
    b'{"model":"m","messages":[{"role":"user","content":"hi"}],"seed": 4944116822809979520,"temperature":0,'
    b'"tools":[ {"type":"function","function":{"name":"f","parameters":{"z":1.0,"a":1e22,"n":"\\u0000"}}} ],"user":"u","store":true}'
)
RESPONSE = (
    b'{"id":"chatcmpl-abc","object":"chat.completion","created":1738960610,"model":"m","x":-0.0,'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"hey","y":1.50},"finish_reason":"stop"}],'
    b'"usage":{"total_tokens":31,"completion_tokens":18,"prompt_tokens":13}}'
)
EXAMPLE_KEYS = {
    "object", "id", "model", "created", "request_id", "tool_choice", "usage", "seed", "top_p", "temperature", "presence_penalty",
    "frequency_penalty", "system_fingerprint", "input_user", "service_tier", "tools", "metadata", "choices", "response_format",
}  # fmt: skip


def stored(response: bytes = RESPONSE, request: bytes = REQUEST) -> bytes:
    return openai.stored_completion(
        response_body=response, request_body=request, request_id="req_1", metadata={"k": "v"}
    )


def test_a_stored_completion_has_every_key_of_the_example() -> None:
    shown = json.loads(stored())
    assert set(shown) == EXAMPLE_KEYS | {"x"}
    assert (shown["request_id"], shown["input_user"], shown["metadata"]) == ("req_1", "u", {"k": "v"})
    assert (shown["temperature"], shown["top_p"], shown["service_tier"]) == (0, 1.0, "default")
    assert (shown["tool_choice"], shown["response_format"], shown["system_fingerprint"]) == (None, None, None)
    message = {
        "role": "assistant",
        "content": "hey",
        "y": 1.5,
        "refusal": None,
        "tool_calls": None,
        "function_call": None,
    }
    assert shown["choices"] == [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]


def test_a_stored_completion_quotes_bytes() -> None:
    shown = stored()
    assert b'"seed":4944116822809979520' in shown
    assert (
        b'"tools":[ {"type":"function","function":{"name":"f","parameters":{"z":1.0,"a":1e22,"n":"\\u0000"}}} ]'
        in shown
    )
    assert b'"x":-0.0' in shown
    assert b'"y":1.50' in shown
    assert b'"top_p":1.0,"temperature":0,"presence_penalty":0.0' in shown


@pytest.mark.parametrize(
    "response",
    [
        RESPONSE,
        RESPONSE.replace(b'"x"', b'"service_tier":"standard","x"'),
        RESPONSE.replace(b'"x"', b'"service_tier":{},"metadata":null,"seed":"no","x"'),
        RESPONSE.replace(
            b'"content":"hey",', b'"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":""}}],'
        ),
        RESPONSE.replace(b'"index":0,', b"").replace(b'"role":"assistant",', b""),
    ],
)
def test_a_stored_completion_passes_openai_strict_validation(response: bytes) -> None:
    shown = validate_type(type_=ChatCompletion, value=json.loads(stored(response)))
    assert isinstance(shown, ChatCompletion)
    assert shown.service_tier == "default"


def test_a_choice_with_nothing_missing_is_shown_as_it_came() -> None:
    choices = (
        b'[ {"index":0,"logprobs":null,"finish_reason":"stop" , "message":{"role":"assistant","content":"a","refusal":null,'
        b'"tool_calls":null,"function_call":null}} ]'
    )
    assert choices in stored(b'{"service_tier":"fast","choices":' + choices + b"}")


def test_a_service_tier_that_clients_know_is_kept() -> None:
    assert json.loads(stored(b'{"service_tier":"flex","choices":[]}'))["service_tier"] == "flex"


def test_messages_are_listed_with_their_ids() -> None:
    request = (
        b'{"messages":[{"role":"system","content":"a","name":"n"},{"role":"user","content":[ {"type":"text","text":"\\u0000"} ]},'
        b'{"role":"assistant","tool_calls":[{"id":"c","n":1e22}]},{"role":"tool","tool_call_id":"c","content":"r","id":"own"}]}'
    )
    items = openai.stored_messages(request, "r")
    assert [item_id for item_id, _ in items] == ["r-0", "r-1", "r-2", "r-3"]
    assert [json.loads(raw) for _, raw in items] == [
        {"role": "system", "content": "a", "name": "n", "id": "r-0", "content_parts": None},
        {"role": "user", "content": None, "content_parts": [{"type": "text", "text": "\0"}], "id": "r-1", "name": None},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "n": 1e22}],
            "id": "r-2",
            "content": None,
            "name": None,
            "content_parts": None,
        },
        {"role": "tool", "tool_call_id": "c", "content": "r", "id": "r-3", "name": None, "content_parts": None},
    ]
    assert b'"content_parts":[ {"type":"text","text":"\\u0000"} ]' in items[1][1]
    assert b'"n":1e22' in items[2][1]


@pytest.mark.parametrize("request_body", [b"{}", b'{"messages":null}', b'{"messages":{}}', b'{"messages":["x"]}'])
def test_a_request_without_messages_lists_none(request_body: bytes) -> None:
    assert openai.stored_messages(request_body, "r") == []


def test_a_page_has_its_five_keys() -> None:
    assert openai.list_page([b'{"n":1e22}', b"{}"], "a", "b", True) == (
        b'{"object":"list","data":[{"n":1e22},{}],"first_id":"a","last_id":"b","has_more":true}'
    )
    assert openai.list_page([], None, None, False) == (
        b'{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'
    )


def test_a_deletion_is_confirmed() -> None:
    deleted = construct_type(type_=ChatCompletionDeleted, value=json.loads(openai.deleted_body('a"b')))
    assert deleted == ChatCompletionDeleted(id='a"b', object="chat.completion.deleted", deleted=True)


@pytest.mark.parametrize(
    ("body", "metadata"),
    [(b'{"metadata":null}', {}), (b'{"metadata":{}}', {}), (b'{"metadata":{"a":"b"}}', {"a": "b"})],
)
def test_metadata_is_replaced_as_a_whole(body: bytes, metadata: dict[str, str]) -> None:
    assert openai.read_metadata_update(body) == metadata


@pytest.mark.parametrize(
    "body", [b"{}", b'{"metadata":{},"model":"m"}', b'{"metadata":{"a":1}}', b'{"metadata":"a"}', b"[]", b""]
)
def test_nothing_but_metadata_can_be_changed(body: bytes) -> None:
    with pytest.raises(BadRequestError):
        openai.read_metadata_update(body)


# --- lists


def query(text: str) -> openai.ListQuery:
    return openai.read_list_query(urllib.parse.parse_qsl(text, keep_blank_values=True))


def test_a_list_has_defaults() -> None:
    assert query("") == openai.ListQuery(after=None, limit=20, order="asc", model=None, metadata={})


def test_a_list_query_is_read() -> None:
    text = "after=a%2Fb&limit=100&order=desc&model=m&x=1&metadata%5Bproj+ect%5D=a%26b&metadata[k]]=&metadata%5B[%5D=c"
    assert query(text) == openai.ListQuery("a/b", 100, "desc", "m", {"proj ect": "a&b", "k]": "", "[": "c"})


@pytest.mark.parametrize(
    ("text", "param"),
    [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=", "limit"), ("limit=-1", "limit"), ("limit=1.5", "limit"),
     ("limit=%D9%A1", "limit"), ("limit=" + "9" * 5000, "limit"), ("order=up", "order"), ("order=", "order"), ("model=%00", "model"),
     ("after=%00", "after"), ("metadata[a]=%00", "metadata"), ("metadata[%00]=a", "metadata")],
)  # fmt: skip
def test_a_list_query_that_breaks_a_rule_is_refused(text: str, param: str) -> None:
    with pytest.raises(BadRequestError) as refusal:
        query(text)
    assert refusal.value.param == param


# --- deferred


def test_a_deferred_post_is_answered_with_the_request_id_only() -> None:
    assert json.loads(xai.accepted_body("req_1")) == {"request_id": "req_1"}


def test_a_deferred_completion_is_the_answer_and_its_request_id() -> None:
    shown = xai.deferred_completion(response_body=RESPONSE, request_id="req_1")
    assert shown == RESPONSE[:-1] + b',"request_id":"req_1"}'
