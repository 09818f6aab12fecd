"""The scripted upstream says what real clients accept, so that a failing test means a fault of ours."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState

from tests.scripted_upstream import ScriptedUpstream


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(api_key="sk-scripted") as server:
        yield server


@pytest.fixture
def sdk(upstream: ScriptedUpstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=upstream.url, api_key="sk-scripted", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


def ask(directive: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
    text = directive if isinstance(directive, str) else "@@" + json.dumps(directive)
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


AUDIO = {"id": "audio_1", "data": base64.b64encode(b"abcdefgh").decode(), "transcript": "Hi", "expires_at": 9}
CALLS = [{"id": f"call_{i}", "name": "f", "arguments": '{"a": 123456}'} for i in (0, 1)]
SAID = [
    {"pieces": ["안녕", "하세요\u2028"]},
    {"content": ""},
    {"tool_calls": CALLS},
    {"refusal": "I cannot."},
    {"content": "hi", "logprobs": True},
    {"usage": {"prompt_tokens": -1, "completion_tokens": 2, "total_tokens": 1}},
]


@pytest.mark.parametrize("said", SAID, ids=str)
@pytest.mark.parametrize("n", [1, 2])
def test_stream_folds_to_the_plain_answer(sdk: openai.OpenAI, said: dict[str, Any], n: int) -> None:
    fixed = {**said, "id": "chatcmpl-1", "created": 1}
    plain = sdk.chat.completions.create(**ask(fixed, n=n))
    state = ChatCompletionStreamState()
    for chunk in sdk.chat.completions.create(**ask(fixed, n=n), stream=True, stream_options={"include_usage": True}):
        state.handle_chunk(chunk)
    folded = state.get_final_completion()
    for ours, theirs in zip(plain.choices, folded.choices, strict=True):
        assert (ours.message.content or "", ours.finish_reason) == (theirs.message.content or "", theirs.finish_reason)
        assert (ours.message.refusal, ours.logprobs) == (theirs.message.refusal, theirs.logprobs)
        assert len(ours.message.tool_calls or []) == len(theirs.message.tool_calls or [])
    assert plain.usage is not None
    assert folded.usage is not None
    assert plain.usage.total_tokens == folded.usage.total_tokens or "usage" not in said


def test_audio_is_cut_at_three_byte_marks(sdk: openai.OpenAI) -> None:
    chunks = [c.model_dump() for c in sdk.chat.completions.create(**ask({"audio": AUDIO}), stream=True)]
    sounds = [(chunk["choices"][0]["delta"].get("audio") or {}).get("data") or "" for chunk in chunks]
    assert "".join(sounds) == AUDIO["data"]


def test_vendor_fields_reach_the_client(sdk: openai.OpenAI) -> None:
    extras = {"message_extra": {"mood": 1}, "choice_extra": {"stop_hit": 2}, "top_extra": {"citations": [3]}}
    answer = sdk.chat.completions.create(**ask({"reasoning_content": "Hm.", **extras})).model_dump()
    assert (answer["choices"][0]["message"]["mood"], answer["choices"][0]["stop_hit"]) == (1, 2)
    assert (answer["citations"], answer["choices"][0]["message"]["reasoning_content"]) == ([3], "Hm.")


def test_usage_can_be_left_out_or_sent_unasked(sdk: openai.OpenAI) -> None:
    assert sdk.chat.completions.create(**ask({"usage": None})).usage is None
    assert all("usage" not in c.model_fields_set for c in sdk.chat.completions.create(**ask("hi"), stream=True))
    assert list(sdk.chat.completions.create(**ask({"usage_always": True}), stream=True))[-1].usage is not None


def test_first_calls_fail_and_the_next_is_answered(sdk: openai.OpenAI, upstream: ScriptedUpstream) -> None:
    request = ask({"flaky": 2, "nonce": "n-1", "fail": {"status": 500}})
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            sdk.chat.completions.create(**request)
    assert sdk.chat.completions.create(**request).choices[0].message.content == "ok"
    assert (len(upstream.calls_for("n-1")), len(upstream.calls_for("n-2"))) == (3, 0)


def test_keys_that_arrived_are_echoed_and_logged(sdk: openai.OpenAI, upstream: ScriptedUpstream) -> None:
    answer = sdk.chat.completions.create(**ask({"echo_keys": True}, seed=1))
    assert json.loads(answer.choices[0].message.content or "") == ["messages", "model", "seed"]
    assert upstream.received[0].parsed()["seed"] == 1


def test_error_event_ends_the_stream(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(sdk.chat.completions.create(**ask({"error_event": [1, {"message": "Overloaded"}]}), stream=True))


def test_inserted_text_stands_before_its_event(sdk: openai.OpenAI) -> None:
    request = ask({"insert": [[1, ": ping\n\n"]], "done": False})
    with sdk.chat.completions.with_streaming_response.create(**request, stream=True) as answer:
        lines = answer.read().decode().split("\n\n")
    assert lines[1] == ": ping"
    assert "[DONE]" not in lines[-2]


def test_wrong_key_is_refused(upstream: ScriptedUpstream) -> None:
    with openai.OpenAI(base_url=upstream.url, api_key="sk-other") as client, pytest.raises(openai.AuthenticationError):
        client.models.list()
