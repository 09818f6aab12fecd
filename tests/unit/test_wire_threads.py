"""The hash chain that links the turns of a conversation."""

from typing import Any

import pytest

from conversations.wire.threads import MAX_PREFIXES, answer_hashes_of, chain_of

QUESTION = {"role": "user", "content": "What is it?"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}


def answered(message: dict[str, Any]) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message}]}


def is_continued(message: dict[str, Any], sent_back: dict[str, Any], project_pk: int = 1) -> bool:
    answers = answer_hashes_of(chain_of(1, [QUESTION]).tip, answered(message))
    return answers == chain_of(project_pk, [QUESTION, sent_back, QUESTION]).prefixes


@pytest.mark.parametrize(
    ("message", "sent_back"),
    [
        ({"role": "assistant", "content": "A."}, {"content": "A.", "role": "assistant"}),
        (
            {"role": "assistant", "content": "A.", "refusal": None, "annotations": []},
            {"role": "assistant", "content": "A."},
        ),
        (
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
        ),
        ({"role": "assistant", "tool_calls": [CALL]}, {"role": "assistant", "tool_calls": [CALL | {"index": 0}]}),
        ({"role": "assistant", "content": "A."}, {"role": "assistant", "content": [{"type": "text", "text": "A."}]}),
        ({"role": "assistant", "audio": {"id": "a", "data": "x"}}, {"role": "assistant", "audio": {"id": "a"}}),
        ({"role": "assistant", "content": "\ud800"}, {"role": "assistant", "content": "\ud800"}),
    ],
)
def test_an_answer_that_is_sent_back_is_recognised_however_it_is_written(
    message: dict[str, Any], sent_back: dict[str, Any]
) -> None:
    assert is_continued(message, sent_back)


@pytest.mark.parametrize(
    "sent_back",
    [
        {"role": "assistant", "content": "A"},
        {"role": "assistant", "content": "A.", "name": "x"},
        {"role": "assistant", "content": "A.", "tool_calls": [CALL]},
    ],
)
def test_another_answer_is_not(sent_back: dict[str, Any]) -> None:
    assert not is_continued({"role": "assistant", "content": "A."}, sent_back)


def test_another_project_is_another_chain() -> None:
    message = {"role": "assistant", "content": "A."}
    assert is_continued(message, message)
    assert not is_continued(message, message, project_pk=2)


def test_what_was_said_before_counts() -> None:
    answer = {"role": "assistant", "content": "A."}
    one, other = (chain_of(1, [{"role": "system", "content": text}, answer]).prefixes for text in ("x", "y"))
    assert one != other


def test_each_choice_has_its_hash_and_equal_ones_have_one() -> None:
    messages = [{"role": "assistant", "content": text} for text in ("A", "B", "A")]
    answer = {"choices": [{"message": message} for message in messages] + [{"message": None}, "x"]}
    assert len(answer_hashes_of(chain_of(1, []).tip, answer)) == 2


@pytest.mark.parametrize("answer", [{}, {"choices": None}, {"choices": []}, {"choices": "x"}, {"choices": [{}]}])
def test_an_answer_without_messages_has_no_hash(answer: dict[str, Any]) -> None:
    assert answer_hashes_of(b"tip", answer) == []


def test_a_very_long_conversation_keeps_its_last_answers() -> None:
    messages = [{"role": "assistant", "content": str(n)} for n in range(MAX_PREFIXES + 1)]
    assert chain_of(1, messages).prefixes == chain_of(1, messages[:1] + messages[1:]).prefixes
    assert len(chain_of(1, messages).prefixes) == MAX_PREFIXES
