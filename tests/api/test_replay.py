"""GET ``/v1/chat/completions/{response_id}?stream=true``: a stored completion as the stream it would have been."""

import json
from typing import Any

import pytest
from django.test import Client
from openai.types.chat import ChatCompletionChunk

from conversations.models import Body, Project
from conversations.wire.chunks import Fold
from conversations.wire.sse import EventParser
from tests.api.conftest import assert_error
from tests.factories import make_completed, make_response_body

CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"order": "A-1042", "n": 12}'}}
ENTRY = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
CHOICES: list[dict[str, Any]] = [
    {"index": 0, "message": {"role": "assistant", "content": "Hi there,\n대화"}, "finish_reason": "stop"},
    {
        "index": 1,
        "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
        "finish_reason": "tool_calls",
    },
    {
        "index": 2,
        "message": {"role": "assistant", "content": "Hi", "refusal": None, "reasoning_content": "Let me see"},
        "finish_reason": "stop",
        "logprobs": {"content": [ENTRY], "refusal": None},
    },
]


def replay(client: Client, response_id: str, **query: str) -> list[bytes]:
    response = client.get(f"/v1/chat/completions/{response_id}", {"stream": "true"} | query)
    assert (response.status_code, response["Content-Type"]) == (200, "text/event-stream")
    return [event.data for event in EventParser().feed(b"".join(response.streaming_content))]


def test_the_chunks_add_up_to_the_completion(holder: Client, project: Project) -> None:
    answer = make_response_body(choices=CHOICES)
    make_completed(project, response_body=answer)
    *chunks, end = replay(holder, answer["id"], include_usage="true")
    fold = Fold()
    for chunk in chunks:
        ChatCompletionChunk.model_validate(json.loads(chunk), strict=True)
        fold.add(json.loads(chunk))
    added_up = fold.completion()
    assert added_up is not None
    assert end == b"[DONE]"
    assert added_up["usage"] == answer["usage"]
    for sent, folded in zip(CHOICES, added_up["choices"], strict=True):
        assert folded["message"].items() >= sent["message"].items()
        assert (folded["finish_reason"], folded["logprobs"]) == (sent["finish_reason"], sent.get("logprobs"))


def test_usage_comes_only_when_it_is_asked_for(holder: Client, project: Project) -> None:
    response_id = make_completed(project).completion.response_id
    assert not any(b'"usage"' in chunk for chunk in replay(holder, response_id))
    assert json.loads(replay(holder, response_id, include_usage="true")[-2])["usage"]["total_tokens"] == 31


@pytest.mark.parametrize("query", ["stream=1", "stream=", "include_usage=yes&stream=true", "include_usage=x"])
def test_a_flag_that_is_none_is_400(holder: Client, project: Project, query: str) -> None:
    response_id = make_completed(project).completion.response_id
    assert_error(holder.get(f"/v1/chat/completions/{response_id}?{query}"), 400, "invalid_type")


def test_stream_false_is_the_completion_itself(holder: Client, project: Project) -> None:
    response_id = make_completed(project).completion.response_id
    assert holder.get(f"/v1/chat/completions/{response_id}?stream=false").json()["id"] == response_id


def test_unknown_unstored_and_foreign_ones_are_404(holder: Client, other_holder: Client, project: Project) -> None:
    unstored, stored = make_completed(project, stored=False), make_completed(project)
    for client, request in ((holder, unstored), (other_holder, stored)):
        path = f"/v1/chat/completions/{request.completion.response_id}?stream=true"
        assert_error(client.get(path), 404, "not_found")
    assert_error(holder.get("/v1/chat/completions/chatcmpl-none?stream=true"), 404, "not_found")


@pytest.mark.parametrize(
    "choices",
    [
        '[{"message":{}}]',
        '[{"message":{"content":7,"tool_calls":{"a":1},"audio":[]},"index":"x","logprobs":3}]',
        '[{"message":{"tool_calls":[1,{"function":2}]},"index":true,"logprobs":{"content":7}}, 5]',
        '[{"message":{"content":"\\ud800"},"index":-1,"logprobs":{"content":[1,{"token":2}]}}]',
    ],
)
def test_an_answer_of_odd_shapes_is_streamed_all_the_same(holder: Client, project: Project, choices: str) -> None:
    request = make_completed(project)
    Body.objects.filter(pk=request.pk).update(response_body=b'{"id":"a","choices":%b}' % choices.encode())
    chunks = replay(holder, request.completion.response_id)
    assert [json.loads(chunk)["object"] for chunk in chunks[:-1]]
    assert chunks[-1] == b"[DONE]"


@pytest.mark.parametrize("answer", [b"{}", b"nothing", b'{"choices":7}', b'{"choices":[1,{"message":2}]}'])
def test_an_answer_without_a_choice_is_422(holder: Client, project: Project, answer: bytes) -> None:
    request = make_completed(project)
    Body.objects.filter(pk=request.pk).update(response_body=answer)
    path = f"/v1/chat/completions/{request.completion.response_id}?stream=true"
    assert_error(holder.get(path), 422, "unsupported_parameter")
