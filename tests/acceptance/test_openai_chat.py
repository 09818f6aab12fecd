"""OpenAI's client sends chats and gets them whole."""

import json
import uuid

import requests
from openai import OpenAI

from tests.live import LiveServer, told
from tests.scripted_upstream import ScriptedUpstream

HELLO = [{"role": "user", "content": "안녕하세요"}]
TOOL_CALLS = [{"id": "call_a", "name": "weather", "arguments": '{"city":"서울"}'}]


def test_a_plain_call_is_answered_and_carries_its_request_id(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="scripted", messages=HELLO)
    assert completion.choices[0].message.content == "You said: 안녕하세요"
    assert completion._request_id is not None
    assert completion._request_id.startswith("req_")


def test_every_call_has_a_request_id_of_its_own(client: OpenAI) -> None:
    ids = {client.chat.completions.create(model="scripted", messages=HELLO)._request_id for _ in range(3)}
    assert len(ids) == 3


def test_a_plain_answer_has_no_request_id_in_its_body(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="scripted", messages=HELLO, extra_body={"deferred": False})
    assert "request_id" not in completion.to_dict()


def test_only_what_is_ours_is_kept_from_the_upstream(client: OpenAI) -> None:
    extra = {"deferred": None, "vendor_switch": {"deep": [1]}}
    completion = client.chat.completions.create(
        model="scripted", messages=told(echo_keys=True), store=True, metadata={"a": "b"}, extra_body=extra
    )
    assert json.loads(completion.choices[0].message.content or "") == ["messages", "model", "vendor_switch"]


def test_vendor_fields_of_an_answer_survive(client: OpenAI) -> None:
    messages = told(reasoning_content="hm", top_extra={"citations": ["u"]}, choice_extra={"mood": 1})
    completion = client.chat.completions.create(model="scripted", messages=messages)
    assert completion.to_dict()["citations"] == ["u"]
    assert completion.choices[0].message.to_dict()["reasoning_content"] == "hm"
    assert completion.choices[0].to_dict()["mood"] == 1


def test_tool_calls_come_whole(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="scripted", messages=told(tool_calls=TOOL_CALLS))
    (call,) = completion.choices[0].message.tool_calls or []
    assert completion.choices[0].finish_reason == "tool_calls"
    assert call.to_dict()["function"] == {"name": "weather", "arguments": '{"city":"서울"}'}


def test_several_choices_keep_their_order(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="scripted", messages=HELLO, n=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]


def test_an_answer_without_an_id_gets_one_and_is_found_by_it(client: OpenAI) -> None:
    lacking = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}
    completion = client.chat.completions.with_raw_response.create(
        model="scripted", messages=told(body=json.dumps(lacking)), store=True
    )
    answer = completion.http_response.json()
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "scripted"
    assert client.chat.completions.retrieve(answer["id"]).choices[0].message.content == "hi"


def test_the_client_names_neither_upstream_nor_its_headers(
    live: LiveServer, client: OpenAI, scripted_upstream: ScriptedUpstream
) -> None:
    nonce = uuid.uuid4().hex
    client.chat.completions.create(
        model="scripted", messages=told(nonce=nonce), extra_headers={"Cookie": "a=b", "X-Forwarded-Host": "evil"}
    )
    (call,) = scripted_upstream.calls_for(nonce)
    assert call.header("authorization") != f"Bearer {live.key}"
    assert call.header("cookie") is None
    assert call.header("x-forwarded-host") is None


def test_an_upstreams_headers_stay_behind(lenient: OpenAI) -> None:
    headers = [["Set-Cookie", "a=b"], ["x-request-id", "theirs"], ["Access-Control-Allow-Origin", "*"]]
    answer = lenient.chat.completions.with_raw_response.create(model="scripted", messages=told(headers=headers))
    assert "set-cookie" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-request-id"].startswith("req_")


def test_models_are_listed(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["scripted"]
    assert client.models.retrieve("scripted").id == "scripted"


def test_an_answer_of_many_megabytes_comes_whole(lenient: OpenAI) -> None:
    content = "가" * 3_000_000
    answer = lenient.chat.completions.create(model="scripted", messages=told(content=content), store=True)
    assert answer.choices[0].message.content == content
    assert lenient.chat.completions.retrieve(answer.id).choices[0].message.content == content


def test_the_bearer_scheme_has_no_case(live: LiveServer) -> None:
    body = {"model": "scripted", "messages": HELLO}
    headers = {"Authorization": f"bEARER {live.key}"}
    assert requests.post(f"{live.origin}/v1/chat/completions", json=body, headers=headers).status_code == 200
