"""Readers of what an upstream sent: right on good shapes, silent on any other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.wire import reading
from conversations.wire.usage import Usage, usage_of

ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "created": 5,
    "model": "m",
    "choices": [
        {"finish_reason": "stop", "message": {"content": "hi", "tool_calls": [{"id": "a"}, {"id": "b"}]}},
        {"finish_reason": "length", "message": {"content": None, "refusal": "no", "audio": {"transcript": "la"}, "tool_calls": [{"id": "a"}]}},
    ],
}  # fmt: skip


def test_an_answer_is_read() -> None:
    assert reading.response_id_of(ANSWER) == "chatcmpl-1"
    assert (reading.model_of(ANSWER, "x"), reading.created_of(ANSWER, 0)) == ("m", 5)
    assert reading.finish_reasons_of(ANSWER) == ["stop", "length"]
    assert reading.tool_call_ids_of(ANSWER) == ["a", "b"]
    assert reading.answer_text(ANSWER) == "hi\nno\nla"


@pytest.mark.parametrize("value", [None, "", 7, "a" * 257, "a\0b", "\ud83d", ["a"]])
def test_an_id_that_cannot_be_looked_up_is_none(value: object) -> None:
    assert reading.response_id_of({"id": value}) is None


@pytest.mark.parametrize("value", [None, True, 1.5, "5", -1, 2**63])
def test_a_time_that_is_none_is_replaced(value: object) -> None:
    assert reading.created_of({"created": value}, 9) == 9


def test_the_last_text_of_the_user_is_read_from_strings_and_parts() -> None:
    parts = [{"type": "text", "text": "a\0"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    messages = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": "x"},
    ]
    assert reading.last_user_text(messages) == "a\ufffd\nb"
    assert reading.last_user_text(messages[:1]) == "first"
    assert reading.last_user_text([]) == ""


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["id", "choices", "message", "content", "text", "tool_calls", "finish_reason", "audio", "role", "usage", "prompt_tokens",
         "prompt_tokens_details", "cached_tokens", "model", "created"]
    ), inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["id", "choices", "usage", "model", "created"]), JSON_VALUES), JSON_VALUES)
def test_no_shape_makes_a_reader_fail_and_every_text_can_be_stored(answer: dict[str, Any], messages: Any) -> None:
    texts = [
        reading.answer_text(answer),
        reading.last_user_text(messages),
        reading.model_of(answer, ""),
        reading.response_id_of(answer) or "",
        *reading.finish_reasons_of(answer),
        *reading.tool_call_ids_of(answer),
    ]
    assert all("\0" not in text and text.encode() is not None for text in texts)
    assert usage_of(answer).source in {"upstream", "missing"}


USAGE = {
    "prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 2**63 - 1,
    "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2, "text_tokens": 3, "audio_tokens": 4, "image_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 7, "accepted_prediction_tokens": None},
    "num_sources_used": 0.5,
}  # fmt: skip


def test_every_count_of_a_usage_is_read() -> None:
    assert usage_of({"usage": USAGE}) == Usage(10, 0, 2**63 - 1, 1, 2, 6, 3, 4, 5, 7, source="upstream", flawed=False)


@pytest.mark.parametrize("value", [-1, 1.5, 1e30, "12", True, 2**63, [], float("nan")])
def test_a_count_that_cannot_be_one_is_left_out_and_flagged(value: object) -> None:
    usage = usage_of({"usage": {"prompt_tokens": value, "completion_tokens": 1}})
    assert (usage.prompt_tokens, usage.completion_tokens, usage.source, usage.flawed) == (None, 1, "upstream", True)


@pytest.mark.parametrize(
    ("answer", "flawed"),
    [({}, False), ({"usage": None}, False), ({"usage": {}}, False), ({"usage": []}, True), ({"usage": "12"}, True),
     ({"usage": {"prompt_tokens_details": 1}}, True), ({"usage": {"prompt_tokens": -1}}, True)],
)  # fmt: skip
def test_usage_that_cannot_be_read_is_missing(answer: dict[str, Any], flawed: bool) -> None:
    usage = usage_of(answer)
    assert (usage.source, usage.flawed, usage.prompt_tokens) == ("missing", flawed, None)
