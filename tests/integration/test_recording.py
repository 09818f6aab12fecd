"""What is written down of a request and its answer, read back from the tables."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from conversations.errors import MalformedAnswerError, RateLimitError
from conversations.ids import new_request_id
from conversations.services.answering import check_answer
from conversations.services.database import GroupCommit, Pool
from conversations.services.recording import PREVIEW_LENGTH, Caller, Mode, Record, Recorder
from conversations.wire import openai
from tests.factories import make_response_body
from tests.integration.conftest import Rows

STORED = b'{"model":"m","store":true,"messages":[{"role":"user","content":"hi"}]}'
ORDINARY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'


async def receive(recorder: Recorder, caller: Caller, body: bytes, mode: Mode = "plain") -> Record:
    """Write down a call to ``/v1``."""
    request_id = new_request_id()
    call = openai.read_call(body)
    return await recorder.receive(call, caller, body=body, request_id=request_id, surface="openai", mode=mode, lease=30)


async def complete(recorder: Recorder, record: Record, body: bytes) -> bool:
    """Write down an upstream's bytes as they came, where they are a completion."""
    answer = check_answer(body, openai.read_call(ORDINARY))
    return await recorder.complete(record, answer.members, answer.body)


def answer(**changes: Any) -> bytes:
    """An upstream's completion."""
    return json.dumps(make_response_body(**changes)).encode()


@pytest.mark.parametrize(
    "body",
    [
        b' {"messages":[{"content":"\\u0000 \xed\x95\x9c","role":"user"}] , "model":"m","store":true}\n',
        b'{"model":"m","store":false,"store":true,"seed":4944116822809979520,"messages":[{"role":"user"}]}',
        b'{"model":"m","x":1e22,"y":1E2,"z":-0.0,"a":1.50,"deferred":true,"messages":[{"role":"user","content":"\\/"}]}',
    ],
)
async def test_a_request_is_kept_as_the_bytes_that_came_in(
    recorder: Recorder, caller: Caller, rows: Rows, body: bytes
) -> None:
    record = await receive(recorder, caller, body)
    assert (await rows.of(record.pk))["request_body"] == body


@pytest.mark.parametrize(
    "member",
    [
        b'"x":"\\ud83d"',
        b'"x":"\\u0000"',
        b'"x":1e22,"x":1E400',
        b'"x":' + b"9" * 5000,
        b'"x":NaN',
        b'"x":"\xff\xfe"',
        b'"x":"\xe2\x80\xa8"',
        b'"x":' + b"[" * 900 + b"]" * 900,
        b'"x" :\t1 ',
    ],
)
async def test_an_answer_is_kept_as_the_bytes_that_the_upstream_sent(
    recorder: Recorder, caller: Caller, rows: Rows, member: bytes
) -> None:
    sent = answer()[:-1] + b"," + member + b"}"
    record = await receive(recorder, caller, STORED)
    assert await complete(recorder, record, sent)
    row = await rows.of(record.pk)
    assert (row["state"], row["response_body"]) == ("completed", sent)


JSON_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | JSON_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(JSON_TEXT, inner, max_size=4),
    max_leaves=12,
)
SPACE = st.sampled_from(["", " ", "\n\t", "  \r\n"])


@hypothesis.settings(
    max_examples=60, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(
    content=JSON_TEXT | st.none() | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": JSON_TEXT})),
    extra=st.dictionaries(st.from_regex(r"x_[a-z]{1,6}", fullmatch=True), JSON_VALUE, max_size=4),
    ascii_only=st.booleans(),
    space=SPACE,
    raw=st.binary(max_size=60),
)
async def test_whatever_is_valid_is_kept_byte_for_byte_and_whatever_the_upstream_says_to_it(
    recorder: Recorder,
    caller: Caller,
    rows: Rows,
    content: Any,
    extra: dict[str, Any],
    ascii_only: bool,
    space: str,
    raw: bytes,
) -> None:
    call = {"model": "m", "store": True, "messages": [{"role": "user", "content": content}], **extra}
    asked = (space + json.dumps(call, ensure_ascii=ascii_only, separators=("," + space, ":" + space))).encode()
    said = raw.replace(b'"', b"").replace(b"\\", b"")
    answered = answer(content=content, **extra)[:-1] + b',"raw":"' + said + b'"' + space.encode() + b"}"
    record = await receive(recorder, caller, asked)
    assert await complete(recorder, record, answered)
    row = await rows.of(record.pk)
    assert (row["request_body"], row["response_body"]) == (asked, answered)


@pytest.mark.parametrize(
    ("body", "keeps_content", "mode", "kept"),
    [
        (ORDINARY, False, "plain", False),
        (ORDINARY, False, "stream", False),
        (ORDINARY, True, "plain", True),
        (STORED, False, "plain", True),
        (STORED, False, "stream", True),
        (ORDINARY[:-1] + b',"deferred":true}', False, "deferred", True),
        (ORDINARY[:-1] + b',"metadata":{"a":"b"}}', False, "plain", False),
    ],
)
async def test_content_is_kept_when_the_client_or_the_project_says_so_and_usage_always(
    recorder: Recorder, caller: Caller, rows: Rows, body: bytes, keeps_content: bool, mode: Mode, kept: bool
) -> None:
    record = await receive(recorder, replace(caller, keeps_content=keeps_content), body, mode)
    await rows.execute("UPDATE conversations_chatrequest SET state = 'running' WHERE id = %(pk)s", pk=record.pk)
    assert await complete(recorder, record, answer())
    row = await rows.of(record.pk)
    assert (row["content_kept"], row["has_body"], bool(row["preview"])) == (kept, kept, kept)
    assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == (13, 18, 31)


async def test_metadata_is_kept_also_without_content(recorder: Recorder, caller: Caller, rows: Rows) -> None:
    record = await receive(
        recorder, caller, ORDINARY[:-1] + b',"metadata":{"ticket":"\\u00e9 4711"},"user":"u\\u0000"}'
    )
    row = await rows.of(record.pk)
    assert (row["metadata"], row["end_user"], row["stored"]) == ({"ticket": "é 4711"}, "u\ufffd", False)


async def test_the_preview_is_the_start_of_the_last_user_message(
    recorder: Recorder, caller: Caller, rows: Rows
) -> None:
    text = "\0대" + "화" * 300
    messages = [{"role": "user", "content": "first"}, {"role": "user", "content": text}, {"role": "assistant"}]
    record = await receive(recorder, caller, json.dumps({"model": "m", "store": True, "messages": messages}).encode())
    preview = (await rows.of(record.pk))["preview"]
    assert preview == "\ufffd" + text[1:PREVIEW_LENGTH]


async def test_a_plain_request_runs_at_once_under_a_lease(recorder: Recorder, caller: Caller, rows: Rows) -> None:
    row = await rows.of((await receive(recorder, caller, ORDINARY)).pk)
    assert (row["state"], row["queued_at"], row["jobs"]) == ("running", None, 0)
    assert row["started_at"] is not None
    assert 25 < row["lease_left"] <= 30


async def test_a_deferred_request_waits_with_exactly_one_job(recorder: Recorder, caller: Caller, rows: Rows) -> None:
    row = await rows.of((await receive(recorder, caller, ORDINARY[:-1] + b',"deferred":true}', "deferred")).pk)
    assert (row["state"], row["started_at"], row["lease_left"], row["jobs"]) == ("queued", None, None, 1)
    assert row["queued_at"] is not None


async def test_an_end_has_a_time_and_no_lease(recorder: Recorder, caller: Caller, rows: Rows) -> None:
    record = await receive(recorder, caller, STORED)
    await recorder.complete(record, json.loads(answer()), answer(), since_first_chunk=2.5)
    row = await rows.of(record.pk)
    assert row["lease_expires_at"] is None
    assert 2.4 < (row["finished_at"] - row["first_chunk_at"]).total_seconds() < 2.6


async def test_the_facts_of_an_answer_are_columns(recorder: Recorder, caller: Caller, rows: Rows) -> None:
    calls = [{"id": f"call_{i}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in (1, 2)]
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": calls}, "finish_reason": "tool_calls"}
    record = await receive(recorder, caller, STORED)
    await complete(recorder, record, answer(id="up-1", model="m-2", choices=[choice], service_tier="flex", created=7))
    row = await rows.of(record.pk)
    assert (row["response_id"], row["answered_by"], row["created"], row["service_tier"]) == ("up-1", "m-2", 7, "flex")
    assert (row["finish_reasons"], row["tool_call_ids"]) == (["tool_calls"], ["call_1", "call_2"])


@pytest.mark.parametrize("sent", [None, 7, "", "a" * 300, "a\0b", "\ud800"])
async def test_an_answer_without_a_usable_id_gets_one_that_its_body_says_too(
    recorder: Recorder, caller: Caller, rows: Rows, sent: object
) -> None:
    record = await receive(recorder, caller, STORED)
    await complete(recorder, record, answer(id=sent))
    row = await rows.of(record.pk)
    assert row["response_id"].startswith("chatcmpl-")
    assert json.loads(row["response_body"])["id"] == row["response_id"]


async def test_answers_with_the_same_response_id_are_all_kept(recorder: Recorder, caller: Caller, rows: Rows) -> None:
    records = [await receive(recorder, caller, STORED) for _ in range(2)]
    assert [await complete(recorder, record, answer(id="twice")) for record in records] == [True, True]
    assert [(await rows.of(record.pk))["response_id"] for record in records] == ["twice", "twice"]


@pytest.mark.parametrize(
    ("usage", "counts", "source", "flawed"),
    [
        (None, (None, None, None), "missing", False),
        ({"prompt_tokens": -1, "completion_tokens": 2}, (None, 2, None), "upstream", True),
        ({"prompt_tokens": 1e30}, (None, None, None), "missing", True),
        ({"prompt_tokens": "NaN", "total_tokens": 5}, (None, None, 5), "upstream", True),
        ({"prompt_tokens": 2**63, "completion_tokens": 2**63 - 1}, (None, 2**63 - 1, None), "upstream", True),
        ({"prompt_tokens": True}, (None, None, None), "missing", True),
        ([1], (None, None, None), "missing", True),
        ({"total_tokens": 1, "prompt_tokens_details": "x"}, (None, None, 1), "upstream", True),
    ],
)
async def test_usage_that_cannot_be_true_is_flagged_and_left_out(
    recorder: Recorder, caller: Caller, rows: Rows, usage: object, counts: tuple[object, ...], source: str, flawed: bool
) -> None:
    record = await receive(recorder, caller, STORED)
    assert await complete(recorder, record, answer(usage=usage))
    row = await rows.of(record.pk)
    assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == counts
    assert (row["usage_source"], row["usage_flawed"]) == (source, flawed)


HOSTILE = [
    {"created": 2**70},
    {"created": "soon"},
    {"model": "m" * 5000},
    {"model": "\0\ud800"},
    {"service_tier": "\0" * 300},
    {"choices": [{"index": 0, "message": {"tool_calls": [{"id": "\0"}, {"id": 7}, 3]}, "finish_reason": "x" * 500}]},
    {"choices": [{"index": 0, "message": {"tool_calls": [{"id": f"{i}" * 200} for i in range(9)]}}] * 200},
]


@pytest.mark.parametrize("changes", HOSTILE)
async def test_whatever_an_answer_says_of_itself_it_is_kept(
    recorder: Recorder, caller: Caller, rows: Rows, changes: dict[str, Any]
) -> None:
    record = await receive(recorder, caller, STORED)
    assert await complete(recorder, record, answer(**changes))
    row = await rows.of(record.pk)
    assert (row["state"], row["response_body"]) == ("completed", answer(**{"id": row["response_id"]} | changes))


async def test_completing_twice_changes_nothing(recorder: Recorder, caller: Caller, rows: Rows) -> None:
    record = await receive(recorder, caller, STORED)
    assert await complete(recorder, record, answer(id="first"))
    before = await rows.of(record.pk)
    assert not await complete(recorder, record, answer(id="second"))
    assert not await recorder.fail(record, RateLimitError())
    assert {**await rows.of(record.pk), "lease_left": None} == before


async def test_twenty_parallel_ends_leave_one(recorder: Recorder, pool: Pool, caller: Caller, rows: Rows) -> None:
    record = await receive(recorder, caller, STORED)
    recorders = [Recorder(GroupCommit(pool)) for _ in range(20)]
    ends = [complete(each, record, answer(id=f"end-{i}")) for i, each in enumerate(recorders)]
    saved = await asyncio.gather(*ends)
    assert sum(saved) == 1
    assert (await rows.of(record.pk))["response_id"] == f"end-{saved.index(True)}"


async def test_a_stale_attempt_changes_nothing(recorder: Recorder, caller: Caller, rows: Rows) -> None:
    record = await receive(recorder, caller, STORED)
    await rows.execute("UPDATE conversations_chatrequest SET attempt_number = 2 WHERE id = %(pk)s", pk=record.pk)
    assert not await complete(recorder, replace(record, attempt=1), answer())
    assert not await recorder.fail(replace(record, attempt=1), RateLimitError())
    row = await rows.of(record.pk)
    assert (row["state"], row["response_body"], row["response_id"]) == ("running", None, None)


async def test_the_answer_to_a_request_that_was_deleted_meanwhile_is_counted_and_not_kept(
    recorder: Recorder, caller: Caller, rows: Rows
) -> None:
    record = await receive(recorder, caller, STORED)
    await rows.execute("UPDATE conversations_chatrequest SET deleted_at = now() WHERE id = %(pk)s", pk=record.pk)
    assert await complete(recorder, record, answer())
    row = await rows.of(record.pk)
    assert (row["state"], row["response_body"], row["total_tokens"]) == ("completed", None, 31)


async def test_the_failure_of_a_deleted_request_keeps_no_text(recorder: Recorder, caller: Caller, rows: Rows) -> None:
    record = await receive(recorder, caller, STORED)
    await rows.execute("UPDATE conversations_chatrequest SET deleted_at = now() WHERE id = %(pk)s", pk=record.pk)
    assert await recorder.fail(record, MalformedAnswerError("quotes", answer=b"content"))
    row = await rows.of(record.pk)
    assert (row["state"], row["error_message"], row["response_body"]) == ("failed", "", None)


async def test_a_failure_has_a_reason_and_what_the_client_was_told(
    recorder: Recorder, caller: Caller, rows: Rows
) -> None:
    record = await receive(recorder, caller, STORED)
    error = MalformedAnswerError("a\0b \ud800", answer=b"\xff half", param="\0", code="odd\ud800")
    assert await recorder.fail(record, error)
    row = await rows.of(record.pk)
    assert (row["state"], row["reason"], row["error_status"]) == ("failed", "malformed_answer", 502)
    assert (row["error_message"], row["error_param"], row["error_code"]) == ("a\ufffdb \ufffd", "\ufffd", "odd\ufffd")
    assert (row["response_body"], row["response_id"]) == (b"\xff half", None)


async def test_a_failure_keeps_no_answer_where_content_is_not_kept(
    recorder: Recorder, caller: Caller, rows: Rows
) -> None:
    record = await receive(recorder, caller, ORDINARY)
    assert await recorder.fail(record, MalformedAnswerError(answer=b"half"), partial=b'{"partial":1}')
    assert not (await rows.of(record.pk))["has_body"]
