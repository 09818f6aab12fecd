"""OpenAI's client streams chats: every kind of chunk arrives, and what it spells is what is stored."""

import base64
import json
import time
import uuid
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI

from tests.live import LiveServer, told, wait_until

MESSAGES = [{"role": "user", "content": "안녕하세요"}]
AUDIO = {"id": "audio_1", "data": base64.b64encode(b"RIFFsound").decode(), "transcript": "Hello", "expires_at": 99}
TOOL_CALLS = [
    {"id": "call_a", "name": "weather", "arguments": '{"city": "서울"}'},
    {"id": "call_b", "name": "time", "arguments": "{}"},
]


def read_events(live: LiveServer, **body: Any) -> tuple[requests.Response, list[str]]:
    """The raw events of a stream."""
    sent = {"model": "scripted", "stream": True, **body}
    headers = {"Authorization": f"Bearer {live.key}"}
    response = requests.post(f"{live.origin}/v1/chat/completions", json=sent, headers=headers)
    return response, response.content.decode().split("\n\n")


def test_a_stream_spells_what_is_stored_under_its_id(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="scripted", messages=MESSAGES, stream=True, store=True))
    stored = client.chat.completions.retrieve(chunks[0].id)
    assert stored.choices[0].message.content == "You said: 안녕하세요"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "You said: 안녕하세요"
    assert {(chunk.id, chunk.created, chunk.model) for chunk in chunks} == {(stored.id, stored.created, stored.model)}


def test_the_first_chunk_is_out_while_the_upstream_still_writes(client: OpenAI) -> None:
    began = time.monotonic()
    messages = told(pieces=["a", "b", "c"], piece_delay=0.25)
    stream = client.chat.completions.create(model="scripted", messages=messages, stream=True)
    next(iter(stream))
    first = time.monotonic() - began
    assert first < 0.7
    list(stream)
    assert time.monotonic() - began > first + 0.6


def test_usage_is_stored_though_the_client_did_not_ask_for_it(live: LiveServer, client: OpenAI) -> None:
    _, events = read_events(live, messages=MESSAGES, store=True)
    assert "usage" not in "".join(events)
    stored = client.chat.completions.retrieve(json.loads(events[0].removeprefix("data: "))["id"])
    assert stored.usage is not None
    assert stored.usage.total_tokens == stored.usage.prompt_tokens + stored.usage.completion_tokens > 0


def test_usage_comes_in_a_chunk_of_its_own_when_asked_for(live: LiveServer) -> None:
    _, events = read_events(live, messages=MESSAGES, stream_options={"include_usage": True})
    *chunks, last, done, end = events
    assert (done, end) == ("data: [DONE]", "")
    assert all(json.loads(chunk.removeprefix("data: "))["usage"] is None for chunk in chunks)
    assert json.loads(last.removeprefix("data: "))["choices"] == []


def test_an_upstream_that_always_sends_usage_is_silenced(live: LiveServer) -> None:
    _, events = read_events(live, messages=told(content="hi", usage_always=True))
    assert "usage" not in "".join(events)


def test_a_stream_is_one_line_of_data_an_event_chunked_and_never_compressed(live: LiveServer) -> None:
    response, events = read_events(live, messages=told(content="a\u2028b\u0085c\nd"))
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Encoding" not in response.headers
    assert response.headers["x-request-id"].startswith("req_")
    assert all(event.startswith("data: ") and "\n" not in event and "\r" not in event for event in events[:-1])


def test_accept_does_not_choose_between_stream_and_json(live: LiveServer) -> None:
    headers = {"Authorization": f"Bearer {live.key}", "Accept": "text/event-stream"}
    body = {"model": "scripted", "messages": MESSAGES}
    response = requests.post(f"{live.origin}/v1/chat/completions", json=body, headers=headers)
    assert response.headers["Content-Type"] == "application/json"


def test_choices_interleave_and_are_stored_apart(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="scripted", messages=MESSAGES, stream=True, store=True, n=2))
    texts = ["", ""]
    for chunk in chunks:
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    stored = client.chat.completions.retrieve(chunks[0].id)
    assert chunks[0].choices[0].index == 0
    assert [choice.message.content for choice in stored.choices] == texts == ["You said: 안녕하세요"] * 2


@pytest.mark.parametrize(
    "directive",
    [
        {"tool_calls": TOOL_CALLS},
        {"refusal": "I cannot help with that."},
        {"content": "so", "reasoning_content": "let me think", "logprobs": True},
        {"content": "a\u2028b🧵\u0000c", "slice": 3},
        {"audio": AUDIO},
    ],
    ids=["tool calls", "refusal", "reasoning and logprobs", "odd characters in slices", "audio"],
)
def test_a_streamed_message_is_stored_as_a_plain_one_is(client: OpenAI, directive: dict[str, Any]) -> None:
    plain = client.chat.completions.create(model="scripted", messages=told(**directive)).choices[0].to_dict()
    chunks = list(client.chat.completions.create(model="scripted", messages=told(**directive), stream=True, store=True))
    stored = client.chat.completions.retrieve(chunks[0].id).choices[0].to_dict()
    for key, value in plain["message"].items():  # type: ignore[attr-defined]
        assert stored["message"][key] == value, key  # type: ignore[index]
    assert stored["finish_reason"] == plain["finish_reason"]
    assert len((stored["logprobs"] or {}).get("content") or []) == (1 if directive.get("logprobs") else 0)  # type: ignore[attr-defined]


@pytest.mark.parametrize("directive", [{"tool_calls": TOOL_CALLS}, {"refusal": "No."}, {"content": "하나 둘"}])
def test_openais_own_accumulator_takes_the_stream(lenient: OpenAI, directive: dict[str, Any]) -> None:
    with lenient.chat.completions.stream(model="scripted", messages=told(**directive)) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.content == directive.get("content")
    assert message.refusal == directive.get("refusal")
    assert [call.function.name for call in message.tool_calls or []] == [
        call["name"] for call in directive.get("tool_calls", [])
    ]


def test_an_upstream_that_does_not_stream_is_streamed_by_us(client: OpenAI) -> None:
    messages = told(content="하나 둘 셋", plain=True)
    chunks = list(client.chat.completions.create(model="scripted", messages=messages, stream=True, store=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "하나 둘 셋"
    assert client.chat.completions.retrieve(chunks[0].id).choices[0].message.content == "하나 둘 셋"


def test_a_quiet_stream_is_kept_open_with_comments(live: LiveServer, client: OpenAI) -> None:
    directive = {"pieces": ["ab"], "piece_delay": 0.4}
    _, events = read_events(live, messages=told(**directive))
    assert ": ping" in events
    stream = client.chat.completions.create(model="scripted", messages=told(**directive), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "ab"


@pytest.mark.parametrize(
    "failure",
    [
        {"error_event": [2, {"message": "out of memory", "type": "server_error", "param": None, "code": "oom"}]},
        {"cut": {"after": 2, "how": "reset"}},
        {"cut": {"after": 2, "how": "end"}},
        {"insert": [[2, "data: {broken\n\n"]]},
    ],
    ids=["error event", "reset", "clean end", "broken JSON"],
)
def test_a_stream_that_fails_in_the_middle_raises_and_is_recorded_as_failed(
    live: LiveServer, client: OpenAI, failure: dict[str, Any]
) -> None:
    model = f"scripted-{uuid.uuid4().hex}"
    stream = client.chat.completions.create(
        model=model, messages=told(content="one two three", **failure), stream=True, store=True
    )
    with pytest.raises(openai.APIError) as raised:
        list(stream)
    assert raised.value.message
    rows = live.query("SELECT state, reason FROM conversations_chatrequest WHERE model = %s", model)
    assert [state for state, _ in rows] == ["failed"]
    assert rows[0][1]
    assert client.chat.completions.list(model=model).data == []


def test_a_failed_stream_ends_with_an_error_and_a_cut_body(live: LiveServer) -> None:
    body = {"model": "scripted", "stream": True, "messages": told(content="one two", cut={"after": 2, "how": "reset"})}
    headers = {"Authorization": f"Bearer {live.key}"}
    received: list[bytes] = []
    with (
        requests.post(f"{live.origin}/v1/chat/completions", json=body, headers=headers, stream=True) as response,
        pytest.raises(requests.exceptions.ChunkedEncodingError),
    ):
        received.extend(response.iter_content(None))
    last = b"".join(received).decode().strip().split("\n\n")[-1]
    assert set(json.loads(last.removeprefix("data: "))["error"]) == {"message", "type", "param", "code"}
    assert "[DONE]" not in b"".join(received).decode()


@pytest.mark.parametrize(
    ("failure", "error", "status"),
    [
        ({"fail": {"status": 429, "message": "slow down"}}, openai.RateLimitError, 429),
        ({"fail": {"status": 400, "message": "bad", "code": "context_length_exceeded"}}, openai.BadRequestError, 400),
        ({"cut": {"after": "nothing", "how": "reset"}}, openai.InternalServerError, 502),
        ({"error_event": [0, {"message": "no", "code": 503}]}, openai.InternalServerError, 503),
    ],
)
def test_what_fails_before_the_first_chunk_is_a_plain_error(
    client: OpenAI, failure: dict[str, Any], error: type[openai.APIStatusError], status: int
) -> None:
    with pytest.raises(error) as raised:
        client.chat.completions.create(model="scripted", messages=told(content="hi", **failure), stream=True)
    assert raised.value.status_code == status
    assert raised.value.response.headers["content-type"] == "application/json"
    assert raised.value.request_id is not None


def test_a_stream_whose_client_goes_away_is_read_to_its_end(live: LiveServer, client: OpenAI) -> None:
    messages = told(pieces=list("abcdef"), piece_delay=0.1)
    stream = client.chat.completions.create(model="scripted", messages=messages, stream=True, store=True)
    response_id = next(iter(stream)).id
    stream.close()
    wait_until(lambda: live.query("SELECT 1 FROM conversations_completion WHERE response_id = %s", response_id))
    assert client.chat.completions.retrieve(response_id).choices[0].message.content == "abcdef"
