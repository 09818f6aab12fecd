"""Chunks: folded by five rules whatever the order, unfolded as OpenAI streams, relayed byte for byte."""

import base64
import json
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from conversations.wire import openai
from conversations.wire.chunks import Fold, StreamRewriter, unfold, with_usage_asked
from conversations.wire.json_door import encode, parse_answer, parse_object


def folded(*chunks: dict[str, Any]) -> dict[str, Any]:
    fold = Fold()
    for chunk in chunks:
        fold.add(chunk)
    completion = fold.completion()
    assert completion is not None
    return completion


def chunk(delta: dict[str, Any] | None = None, index: int = 0, **choice: Any) -> dict[str, Any]:
    return {"id": "c", "created": 1, "model": "m", "choices": [{"index": index, "delta": delta or {}} | choice]}


END = chunk(finish_reason="stop")


def message_of(*deltas: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = folded(*map(chunk, deltas), END)["choices"][0]["message"]
    return message


def calls_of(*fragments: dict[str, Any]) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = message_of(*({"tool_calls": [fragment]} for fragment in fragments))["tool_calls"]
    return calls


# --- folding


def test_top_level_keys_hold_by_rule() -> None:
    first = {
        "id": None,
        "created": None,
        "model": "m",
        "usage": {"total_tokens": 1},
        "obfuscation": "x",
        "citations": None,
    }
    second = {
        "id": "a",
        "created": 1,
        "model": "n",
        "usage": {"total_tokens": 2},
        "citations": ["u"],
        "system_fingerprint": "f",
    }
    third = {"id": "b", "created": 2, "usage": None, "system_fingerprint": None, "object": "chat.completion.chunk"}
    completion = folded(first, second, third, END)
    del completion["choices"]
    assert completion == {
        "id": "a", "object": "chat.completion", "created": 1, "model": "m", "citations": ["u"],
        "system_fingerprint": "f", "usage": {"total_tokens": 2},
    }  # fmt: skip


def test_an_empty_opening_id_gives_way_to_the_real_one() -> None:
    completion = folded(
        {"id": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [1]}, chunk(), END
    )
    assert (completion["id"], completion["created"], completion["model"]) == ("c", 1, "m")
    assert completion["prompt_filter_results"] == [1]


def test_an_error_ends_the_fold() -> None:
    fold = Fold()
    for part in (chunk({"content": "a"}), {"error": {"message": "no"}}, END):
        fold.add(part)
    assert fold.error == {"message": "no"}
    assert fold.completion() is None


@pytest.mark.parametrize(
    "chunks",
    [[], [{"choices": []}], [chunk({"content": "a"})], [chunk(finish_reason="stop"), chunk({"content": "a"}, index=1)]],
)
def test_a_stream_without_every_finish_reason_is_no_completion(chunks: list[dict[str, Any]]) -> None:
    fold = Fold()
    for part in chunks:
        fold.add(part)
    assert fold.completion() is None


def test_what_there_is_of_a_cut_stream_can_be_read() -> None:
    fold = Fold()
    for part in (chunk({"content": "a"}), chunk({"content": "b"}), {"error": "cut"}):
        fold.add(part)
    assert fold.so_far()["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "ab", "refusal": None}}
    ]


def test_choices_are_kept_by_index_and_sorted() -> None:
    completion = folded(
        chunk({"content": "b"}, index=1),
        chunk({"content": "a"}),
        chunk({"content": "B"}, index=1, finish_reason="length"),
        END,
    )
    assert [
        (choice["index"], choice["message"]["content"], choice["finish_reason"]) for choice in completion["choices"]
    ] == [
        (0, "a", "stop"),
        (1, "bB", "length"),
    ]


def test_other_choice_keys_merge_and_the_last_value_holds() -> None:
    completion = folded(chunk(filters={"a": 1}, x=1), chunk(filters={"b": 2}, x=2, y=None), END)
    choice = completion["choices"][0]
    assert (choice["filters"], choice["x"], choice["y"]) == ({"a": 1, "b": 2}, 2, None)


def test_logprobs_are_joined() -> None:
    parts = [
        {"content": [{"token": "a"}], "refusal": None},
        None,
        {"content": [{"token": "b"}], "refusal": [{"token": "n"}]},
    ]
    completion = folded(*(chunk({"content": "x"}, logprobs=logprobs) for logprobs in parts), END)
    assert completion["choices"][0]["logprobs"] == {
        "content": [{"token": "a"}, {"token": "b"}],
        "refusal": [{"token": "n"}],
    }


def test_null_overwrites_nothing_and_what_is_missing_has_a_default() -> None:
    assert message_of({"content": "a", "x": 1}, {"content": None, "x": None}) == {
        "role": "assistant", "content": "a", "refusal": None, "x": 1,
    }  # fmt: skip


def test_identities_that_are_repeated_are_not_doubled() -> None:
    fragment = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{"}}
    assert calls_of(fragment, fragment | {"function": {"name": "f", "arguments": "}"}}) == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]
    assert message_of({"role": "assistant"}, {"role": "assistant"})["role"] == "assistant"


def test_of_identities_the_first_value_holds_unless_it_is_empty() -> None:
    assert calls_of(
        {"index": 0, "id": "", "type": "function"}, {"index": 0, "id": "a", "type": ""}, {"index": 0, "id": "b"}
    ) == [{"id": "a", "type": "function"}]


def test_a_chunk_is_not_changed_by_those_that_follow() -> None:
    first = chunk({"annotations": [1], "x": {"y": ["z"]}}, logprobs={"content": [{"token": "a"}]})
    before = json.dumps(first)
    folded(first, chunk({"annotations": [2], "x": {"y": [3]}}, logprobs={"content": [{"token": "b"}]}), END)
    assert json.dumps(first) == before


def test_numbers_and_booleans_are_never_summed() -> None:
    message = message_of(
        {"audio": {"expires_at": 5}, "n": 1, "b": True}, {"audio": {"expires_at": 5}, "n": 2, "b": True}
    )
    assert (message["audio"]["expires_at"], message["n"], message["b"]) == (5, 2, True)


def test_unknown_strings_append_and_a_change_of_type_wins() -> None:
    message = message_of(
        {"reasoning_content": "a", "x": "1"}, {"reasoning_content": "b", "x": {"y": 1}}, {"x": {"z": "2"}}
    )
    assert (message["reasoning_content"], message["x"]) == ("ab", {"y": 1, "z": "2"})


def test_lists_merge_by_index_or_are_joined() -> None:
    message = message_of(
        {"annotations": [{"url": "a"}], "parts": [{"index": 1, "text": "b"}], "mixed": [1]},
        {
            "annotations": [{"url": "b"}],
            "parts": [{"index": 0, "text": "a"}, {"index": 1, "text": "B"}],
            "mixed": [{"index": 0}],
        },
    )
    assert message["annotations"] == [{"url": "a"}, {"url": "b"}]
    assert message["parts"] == [{"index": 0, "text": "a"}, {"index": 1, "text": "bB"}]
    assert message["mixed"] == [1, {"index": 0}]


def test_tool_calls_are_sorted_and_lose_their_index() -> None:
    assert calls_of({"index": 1, "id": "b"}, {"index": 0, "id": "a"}) == [{"id": "a"}, {"id": "b"}]


def test_tool_calls_without_index_go_by_id_and_else_to_the_last() -> None:
    assert calls_of({"id": "a", "x": "1"}, {"id": "b", "x": "2"}, {"id": "a", "x": "3"}, {"x": "4"}) == [
        {"id": "a", "x": "13"},
        {"id": "b", "x": "24"},
    ]


def test_audio_fragments_that_were_padded_apart_become_one_base64_text() -> None:
    pieces = [b"a", b"bc", b"def", b"g"]
    deltas = [{"audio": {"data": base64.b64encode(piece).decode()}} for piece in pieces]
    assert base64.b64decode(message_of(*deltas)["audio"]["data"], validate=True) == b"abcdefg"


def test_audio_fragments_that_are_no_base64_are_kept_as_they_came() -> None:
    assert message_of({"audio": {"data": "a="}}, {"audio": {"data": "!"}})["audio"]["data"] == "a=!"


def test_halves_of_an_emoji_in_two_chunks_become_the_emoji() -> None:
    halves = [
        parse_answer(b'{"choices":[{"index":0,"delta":{"content":"\\u%b"}}]}' % half) for half in (b"d83d", b"de00")
    ]
    completion = folded(*(half.members for half in halves), END)
    assert json.loads(encode(completion))["choices"][0]["message"]["content"] == "😀"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["choices", "delta", "index", "id", "tool_calls", "function", "audio", "data", "logprobs", "content", "message", "error", "usage"]
    ), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.lists(st.dictionaries(st.sampled_from(["choices", "id", "usage", "x"]), JSON_VALUES), max_size=6))
def test_no_chunk_makes_the_fold_fail_or_is_changed_by_it(chunks: list[dict[str, Any]]) -> None:
    before = json.dumps(chunks)
    fold = Fold()
    for part in chunks:
        fold.add(part)
    assert json.dumps(fold.completion()) is not None
    assert json.dumps(chunks) == before


def test_chunks_nested_too_deeply_end_the_fold() -> None:
    body = b'{"choices":[{"index":0,"delta":' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}]}"
    fold = Fold()
    fold.add(parse_answer(body).members)
    assert fold.error is not None


def test_a_long_stream_takes_linear_time() -> None:
    started = time.process_time()
    fold = Fold()
    for _ in range(100_000):
        fold.add(chunk({"content": "word " * 4}, logprobs={"content": [{"token": "word"}]}))
    fold.add(END)
    assert fold.completion() is not None
    assert time.process_time() - started < 3


# --- unfolding

TOKENS = st.lists(st.text(min_size=1, max_size=4), max_size=5)


@st.composite
def messages(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    """A message and its log probabilities."""
    tokens = draw(TOKENS)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": draw(st.sampled_from(["".join(tokens), None])),
        "refusal": None,
    }
    if draw(st.booleans()):
        message["refusal"] = draw(st.text(max_size=10))
    if draw(st.booleans()):
        message["reasoning_content"] = draw(st.text(max_size=10))
    if draw(st.booleans()):
        message["tool_calls"] = [
            {
                "id": f"call_{i}",
                "type": "function",
                "function": {"name": "f g", "arguments": draw(st.text(max_size=60))},
            }
            for i in range(draw(st.integers(0, 3)))
        ]
    if draw(st.booleans()):
        encoded = base64.b64encode(draw(st.binary(max_size=8)) * draw(st.sampled_from([1, 800]))).decode()
        message["audio"] = {"id": "audio 1", "transcript": draw(st.text(max_size=9)), "data": encoded, "expires_at": 7}
    if draw(st.booleans()):
        message |= {"annotations": [{"type": "url_citation"}], "name": "two words", "flag": True, "nothing": None}
    entries = st.sampled_from(
        [None, [{"token": token, "logprob": -0.5, "bytes": None, "top_logprobs": []} for token in tokens]]
    )
    logprobs = draw(st.none() | st.fixed_dictionaries({"content": entries, "refusal": st.none()}))
    return message, logprobs


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    choices = []
    for index in range(draw(st.integers(1, 3))):
        message, logprobs = draw(messages())
        reason = draw(st.sampled_from(["stop", "length", "tool_calls"]))
        choices.append({"index": index, "message": message, "finish_reason": reason, "logprobs": logprobs})
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "system_fingerprint": None,
        "citations": ["u"], "choices": choices, "usage": usage,
    }  # fmt: skip


@given(completions(), st.randoms(use_true_random=False))
def test_a_completion_survives_being_streamed_in_any_interleaving(
    completion: dict[str, Any], rng: random.Random
) -> None:
    chunks = unfold(completion, include_usage=True)
    queues = [
        [part for part in chunks if part["choices"] and part["choices"][0]["index"] == choice["index"]]
        for choice in completion["choices"]
    ]
    mixed = []
    while any(queues):
        mixed.append(rng.choice([queue for queue in queues if queue]).pop(0))
    assert folded(*mixed, chunks[-1]) == completion


@given(completions())
def test_openai_client_adds_the_chunks_up_to_the_same_message(completion: dict[str, Any]) -> None:
    state = ChatCompletionStreamState()
    for part in unfold(completion, include_usage=True):
        state.handle_chunk(ChatCompletionChunk.model_validate(part))
    theirs = state.current_completion_snapshot
    for mine, other in zip(completion["choices"], theirs.choices, strict=True):
        assert (other.message.content or "") == (mine["message"]["content"] or "")
        assert (other.message.refusal or "") == (mine["message"]["refusal"] or "")
        assert [call.function.arguments for call in other.message.tool_calls or []] == [  # type: ignore[union-attr]
            call["function"]["arguments"] for call in mine["message"].get("tool_calls", [])
        ]
        assert other.finish_reason == mine["finish_reason"]
    assert theirs.usage is not None
    assert theirs.usage.total_tokens == 3


COMPLETION = {
    "id": "c", "created": 1, "model": "m", "system_fingerprint": "fp",
    "choices": [{"index": i, "finish_reason": "stop", "message": {"content": "안녕 세상", "refusal": None}} for i in (1, 0)],
    "usage": {"total_tokens": 3},
}  # fmt: skip


def test_chunks_come_in_the_order_of_openai() -> None:
    deltas = [
        (part["choices"][0]["index"], part["choices"][0]["delta"]) for part in unfold(COMPLETION, include_usage=False)
    ]
    role = {"role": "assistant", "content": "", "refusal": None}
    assert deltas == [
        (0, role), (1, role), (0, {"content": "안녕 "}), (1, {"content": "안녕 "}), (0, {"content": "세상"}), (1, {"content": "세상"}),
        (0, {}), (1, {}),
    ]  # fmt: skip


def test_usage_is_streamed_only_where_it_was_asked_for() -> None:
    assert all("usage" not in part for part in unfold(COMPLETION, include_usage=False))
    *parts, last = unfold(COMPLETION, include_usage=True)
    assert all(part["usage"] is None for part in parts)
    assert (last["choices"], last["usage"]) == ([], {"total_tokens": 3})


def test_audio_is_cut_where_each_piece_decodes_alone() -> None:
    encoded = base64.b64encode(bytes(10_000)).decode()
    audio = {"id": "audio_1", "transcript": "Hello you", "data": encoded, "expires_at": 9}
    choice = {"index": 0, "finish_reason": "stop", "message": {"content": None, "audio": audio}}
    parts = [
        part["choices"][0]["delta"].get("audio", {}) for part in unfold({"choices": [choice]}, include_usage=False)
    ]
    pieces = [part["data"] for part in parts if "data" in part]
    assert len(pieces) > 1
    assert b"".join(base64.b64decode(piece, validate=True) for piece in pieces) == bytes(10_000)
    assert [part for part in parts if part and "data" not in part] == [
        {"id": "audio_1", "transcript": "Hello "}, {"transcript": "you"}, {"expires_at": 9},
    ]  # fmt: skip


# --- relaying


def rewriter(*, include_usage: bool = False) -> StreamRewriter:
    return StreamRewriter(fallback_id="chatcmpl-ours", created=5, model="m", include_usage=include_usage)


def relayed(raw: bytes, *, include_usage: bool = False) -> list[bytes]:
    return rewriter(include_usage=include_usage).rewrite(parse_answer(raw))


HEAD = b'{"id":"a","object":"chat.completion.chunk","created":1,"model":"m"'


def test_a_chunk_with_nothing_to_change_is_relayed_as_it_came() -> None:
    raw = HEAD + b', "choices":[{"index":0,"delta":{"content":"\\u0000","x":1.0e2}}] }'
    assert relayed(raw) == [raw]


def test_usage_that_was_not_asked_for_is_cut_out() -> None:
    assert relayed(HEAD + b',"usage":null,"choices":[{"index":0}]}') == [HEAD + b',"choices":[{"index":0}]}']
    assert relayed(HEAD + b',"choices":[{"index":0}],"usage":{"total_tokens":3}}') == [
        HEAD + b',"choices":[{"index":0}]}'
    ]
    assert relayed(HEAD + b',"choices":[],"usage":{"total_tokens":3}}') == []


def test_usage_that_was_asked_for_is_relayed() -> None:
    raw = HEAD + b',"choices":[],"usage":{"total_tokens":3}}'
    assert relayed(raw, include_usage=True) == [raw]


def test_a_chunk_without_choices_or_usage_is_relayed() -> None:
    raw = HEAD + b',"choices":[],"prompt_filter_results":[]}'
    assert relayed(raw) == [raw]


def test_a_chunk_is_one_line() -> None:
    assert relayed(HEAD + b',\r\n "choices":[\n{"index":0}]}') == [HEAD + b',   "choices":[ {"index":0}]}']


def test_a_stream_without_id_gets_ours_on_every_chunk() -> None:
    relay = rewriter()
    lines = [line for _ in range(2) for line in relay.rewrite(parse_answer(b'{"choices":[{"index":0}]}'))]
    added = b'"id":"chatcmpl-ours","object":"chat.completion.chunk","created":5,"model":"m"}'
    assert lines == [b'{"choices":[{"index":0}],' + added] * 2
    assert relay.response_id == "chatcmpl-ours"


def test_every_chunk_has_the_id_of_the_stream() -> None:
    relay = rewriter()
    relay.rewrite(parse_answer(HEAD + b',"choices":[{"index":0}]}'))
    (line,) = relay.rewrite(parse_answer(HEAD.replace(b'"a"', b'"b"') + b',"choices":[{"index":0}]}'))
    assert line == HEAD + b',"choices":[{"index":0}]}'


def test_an_opening_chunk_without_id_waits_for_the_id() -> None:
    relay = rewriter()
    assert relay.rewrite(parse_answer(b'{"id":"","object":"","created":0,"model":"","choices":[]}')) == []
    lines = relay.rewrite(parse_answer(HEAD + b',"choices":[{"index":0}]}'))
    assert [json.loads(line)["id"] for line in lines] == ["a", "a"]
    assert relay.response_id == "a"


CALL = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true%b}'


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        (b"", b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":null', b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":{}', b',"stream_options":{"include_usage":true}'),
        (b', "stream_options": { "x":1.0 }', b', "stream_options": { "x":1.0,"include_usage":true }'),
        (b',"stream_options":{"include_usage":false}', b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":{"include_usage": true}', b',"stream_options":{"include_usage": true}'),
        (b',"store":true,"seed":1e2', b',"seed":1e2,"stream_options":{"include_usage":true}'),
    ],
)
def test_the_upstream_is_asked_for_usage(sent: bytes, forwarded: bytes) -> None:
    call = openai.read_call(CALL.replace(b"%b", sent.replace(b"1e2", b"100")))
    assert with_usage_asked(call, dropped={"store"}) == CALL.replace(b"%b", forwarded.replace(b"1e2", b"100"))
    assert parse_object(with_usage_asked(call)).members["stream_options"]["include_usage"] is True
