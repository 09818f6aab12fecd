"""Streams: out as they come in, added up, written down, and ended as what they are."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from conversations.errors import DaehwaError
from conversations.ids import new_request_id
from conversations.services.database import Pool
from conversations.services.recording import Caller, Recorder
from conversations.services.relaying import Relay
from conversations.upstream import UpstreamClient, UpstreamSettings
from conversations.wire import openai
from conversations.wire.sse import DONE
from tests.integration.conftest import Rows
from tests.live import say
from tests.scripted_upstream import ScriptedUpstream

type Open = Callable[..., Awaitable[Relay]]

FIXED = {"id": "up-1", "created": 1_700_000_000}
PATIENCE = 5.0
_nonces = itertools.count(1)


@pytest_asyncio.fixture
async def client(scripted_upstream: ScriptedUpstream) -> AsyncIterator[UpstreamClient]:
    """A client with short deadlines and a small cap."""
    settings = UpstreamSettings(
        base_url=scripted_upstream.url,
        first_byte_timeout=0.6,
        idle_timeout=0.6,
        total_timeout=1.5,
        max_answer_bytes=2**20,
    )
    async with UpstreamClient(settings) as opened:
        yield opened


@pytest.fixture
def running() -> set[asyncio.Task[None]]:
    """The tasks that are reading a stream."""
    return set()


@pytest.fixture
def start(client: UpstreamClient, recorder: Recorder, caller: Caller, running: set[asyncio.Task[None]]) -> Open:
    """Record a streamed call whose upstream does what the directive says, and relay it."""

    def watch(task: asyncio.Task[None]) -> None:
        running.add(task)
        task.add_done_callback(running.discard)

    async def opened(directive: dict[str, Any], store: bool = True, **members: Any) -> Relay:
        body = call_body(directive, store=store, **members)
        call = openai.read_call(body)
        record = await recorder.receive(
            call, caller, body=body, request_id=new_request_id(), surface="openai", mode="stream", lease=30
        )
        relay = Relay(client, recorder, record, call)
        await relay.open(watch)
        return relay

    return opened


def call_body(directive: dict[str, Any], **members: Any) -> bytes:
    message = {"role": "user", "content": say(**directive)}
    return json.dumps({"model": "m", "stream": True, "messages": [message], **members}).encode()


async def pieces_of(relay: Relay) -> list[bytes]:
    pieces = []
    while (piece := await relay.next_piece(PATIENCE)) is not None:
        pieces.append(piece)
    return pieces


async def straight_from(client: UpstreamClient, directive: dict[str, Any], **members: Any) -> bytes:
    """What the upstream itself sends to the same call."""
    async with client.stream(call_body(directive, **members)) as answer:
        return b"".join([piece async for piece in answer.read()])


def chunks_in(pieces: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(piece.removeprefix(b"data: ")) for piece in pieces if piece != DONE]


def said_in(pieces: list[bytes]) -> str:
    choices = [choice for chunk in chunks_in(pieces) for choice in chunk.get("choices", [])]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


SAID = [
    {"content": "안녕하세요, 무엇을 도와드릴까요?"},
    {"content": "one\u2028two\u2029three\x85four\x0bfive", "slice": 1},
    {"content": "사과", "slice": 3},
    {"tool_calls": [{"id": "call_1", "name": "f", "arguments": '{"a": "가나다라"}'}]},
    {"refusal": "안 됩니다"},
    {
        "content": "x",
        "reasoning_content": "생각",
        "top_extra": {"citations": ["u"], "x": 1e22},
        "message_extra": {"y": 2},
    },
    {"audio": {"id": "a", "data": "QUJDREVGRw==", "transcript": "소리", "expires_at": 7}},
    {"content": "", "finish_reason": "length"},
    {"content": "ok", "logprobs": True},
    {"content": "ok", "framing": "close"},
]


@pytest.mark.parametrize("directive", SAID)
@pytest.mark.parametrize("asked", [{}, {"stream_options": {"include_usage": True}}, {"n": 2}])
async def test_the_client_gets_the_very_bytes_that_the_upstream_would_have_sent_it(
    start: Open, client: UpstreamClient, directive: dict[str, Any], asked: dict[str, Any]
) -> None:
    pieces = await pieces_of(await start(FIXED | directive, **asked))
    assert b"".join(pieces) == await straight_from(client, FIXED | directive, **asked)


@pytest.mark.parametrize(
    "changes",
    [
        {"line_end": "\r\n"},
        {"line_end": "\r\n", "slice": 1},
        {"line_end": "\r"},
        {"insert": [[0, ": comment\n\n"], [1, "event: x\nid: 7\nretry: 5\n\n"], [2, "\n\n\ndata:\n\n"]]},
        {"done": False},
    ],
)
async def test_however_the_upstream_writes_its_events_the_client_gets_plain_ones(
    start: Open, client: UpstreamClient, changes: dict[str, Any]
) -> None:
    pieces = await pieces_of(await start(FIXED | {"content": "같은 말"} | changes))
    assert b"".join(pieces) == await straight_from(client, FIXED | {"content": "같은 말"})


@pytest.mark.parametrize("directive", SAID[:3])
async def test_what_is_stored_is_what_the_client_was_told(start: Open, rows: Rows, directive: dict[str, Any]) -> None:
    pieces = await pieces_of(await start(FIXED | directive))
    row = await rows.newest()
    stored = json.loads(row["response_body"])
    assert (row["state"], row["response_id"], stored["id"]) == ("completed", "up-1", "up-1")
    assert stored["choices"][0]["message"]["content"] == said_in(pieces) == directive["content"]


async def test_usage_is_stored_though_the_client_did_not_ask(start: Open, rows: Rows) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    pieces = await pieces_of(await start({"usage": usage}))
    assert not any("usage" in chunk for chunk in chunks_in(pieces))
    row = await rows.newest()
    assert (row["total_tokens"], json.loads(row["response_body"])["usage"]) == (7, usage)


async def test_a_stream_without_an_id_is_stored_under_the_one_that_the_client_was_told(start: Open, rows: Rows) -> None:
    pieces = await pieces_of(await start({"id": ""}))
    ids = {chunk["id"] for chunk in chunks_in(pieces)}
    assert ids == {(await rows.newest())["response_id"]}


async def test_the_first_piece_is_out_before_the_last_is_in(
    start: Open, rows: Rows, running: set[asyncio.Task[None]]
) -> None:
    began = time.monotonic()
    relay = await start({"pieces": ["a", "b", "c"], "piece_delay": 0.2})
    assert await relay.next_piece(PATIENCE)
    assert time.monotonic() - began < 0.3
    assert running
    await pieces_of(relay)
    assert time.monotonic() - began > 0.7
    row = await rows.newest()
    assert 0.5 < (row["finished_at"] - row["first_chunk_at"]).total_seconds() < 1.5


async def test_done_is_said_only_when_the_answer_can_be_read(start: Open, rows: Rows) -> None:
    relay = await start({"content": "ok"})
    while (piece := await relay.next_piece(PATIENCE)) != DONE:
        assert piece
    row = await rows.newest()
    assert (row["state"], row["response_body"] is not None) == ("completed", True)
    assert await relay.next_piece(PATIENCE) is None
    assert not relay.failed


async def test_an_answer_is_read_to_its_end_and_kept_when_nobody_listens(
    start: Open, rows: Rows, running: set[asyncio.Task[None]]
) -> None:
    relay = await start({"pieces": ["a", "b", "c"], "piece_delay": 0.1})
    await relay.next_piece(PATIENCE)
    await asyncio.gather(*running)
    row = await rows.newest()
    assert json.loads(row["response_body"])["choices"][0]["message"]["content"] == "abc"
    assert not running


async def test_silence_is_a_timeout_of_the_listener_and_not_the_end(start: Open) -> None:
    relay = await start({"pieces": ["a", "b"], "piece_delay": 0.2})
    await relay.next_piece(PATIENCE)
    with pytest.raises(TimeoutError):
        await relay.next_piece(0.05)
    heartbeat = json.loads(relay.heartbeat_chunk().removeprefix(b"data: "))
    pieces = await pieces_of(relay)
    assert (said_in(pieces), pieces[-1]) == ("ab", DONE)
    assert (heartbeat["id"], heartbeat["choices"]) == (chunks_in(pieces)[0]["id"], [])


async def test_a_whole_answer_to_a_streamed_call_is_streamed(start: Open, rows: Rows) -> None:
    pieces = await pieces_of(
        await start(FIXED | {"plain": True, "content": "모두 한번에", "usage": {"total_tokens": 3}})
    )
    assert (said_in(pieces), pieces[-1]) == ("모두 한번에", DONE)
    row = await rows.newest()
    assert (row["state"], row["response_id"], row["total_tokens"]) == ("completed", "up-1", 3)


BEFORE_THE_FIRST_CHUNK = [
    ({"cut": {"after": "nothing", "how": "fin"}}, "upstream_error", 502),
    ({"cut": {"after": "nothing", "how": "reset"}}, "upstream_error", 502),
    ({"cut": {"after": "nothing", "how": "hang"}}, "upstream_timeout", 504),
    ({"cut": {"after": "head", "how": "fin"}}, "stream_cut", 502),
    ({"cut": {"after": "head", "how": "end"}}, "stream_cut", 502),
    ({"cut": {"after": "head", "how": "hang"}}, "upstream_timeout", 504),
    ({"delay": 5}, "upstream_timeout", 504),
    ({"fail": {"status": 400, "code": "bad"}}, "upstream_error_status", 400),
    ({"fail": {"status": 429, "headers": {"Retry-After": "3"}}}, "upstream_error_status", 429),
    ({"fail": {"status": 503}}, "upstream_error_status", 503),
    ({"fail": {"status": 401}}, "upstream_error_status", 502),
    ({"fail": {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}}, "upstream_error", 502),
    ({"fail": {"status": 200, "body": "<html>"}}, "malformed_answer", 502),
    ({"error_event": [0, {"message": "No.", "code": 429}]}, "upstream_error_status", 429),
    ({"plain": True, "body": '{"error": {"message": "No.", "code": 429}}'}, "upstream_error_status", 429),
    ({"plain": True, "body": "{}"}, "malformed_answer", 502),
    ({"body": "data: {\n\n"}, "malformed_answer", 502),
    ({"body": "data: [DONE]\n\n"}, "stream_cut", 502),
    ({"body": ""}, "stream_cut", 502),
    ({"body": "Internal error"}, "stream_cut", 502),
    ({"size": 2**20 + 10}, "answer_too_large", 502),
    ({"slice": 1, "slice_delay": 0.3}, "upstream_timeout", 504),
]


@pytest.mark.parametrize(("directive", "reason", "status"), BEFORE_THE_FIRST_CHUNK)
async def test_a_failure_before_the_first_chunk_is_an_error_and_no_stream(
    start: Open, rows: Rows, directive: dict[str, Any], reason: str, status: int
) -> None:
    with pytest.raises(DaehwaError) as caught:
        await start(directive)
    assert caught.value.status == status
    row = await rows.newest()
    assert (row["state"], row["reason"], row["error_status"]) == ("failed", reason, status)


AFTER_TWO = {"pieces": ["a", "b", "c", "d"]}
IN_THE_MIDDLE = [
    ({"cut": {"after": 3, "how": "fin"}}, "stream_cut"),
    ({"cut": {"after": 3, "how": "reset"}}, "stream_cut"),
    ({"cut": {"after": 3, "how": "end"}}, "stream_cut"),
    ({"cut": {"after": 3, "how": "fin"}, "framing": "close"}, "stream_cut"),
    ({"cut": {"after": 3, "how": "hang"}}, "upstream_timeout"),
    ({"error_event": [3, {"message": "Overloaded.", "code": "busy"}]}, "upstream_error_status"),
    ({"insert": [[3, "data: {not json\n\n"]]}, "malformed_answer"),
    ({"insert": [[3, "data: [1]\n\n"]]}, "malformed_answer"),
    ({"insert": [[3, "data: \xff{\n\n"]]}, "malformed_answer"),
    ({"insert": [[3, "data: " + "x" * (2**20 + 1) + "\n\n"]]}, "answer_too_large"),
    ({"insert": [[3, "data: [DONE]\n\n"]]}, "stream_cut"),
    ({"finish_reason": None}, "stream_cut"),
]


@pytest.mark.parametrize(("directive", "reason"), IN_THE_MIDDLE)
async def test_a_failure_in_the_middle_is_said_and_not_done_and_keeps_what_came(
    start: Open, rows: Rows, directive: dict[str, Any], reason: str
) -> None:
    relay = await start(FIXED | AFTER_TWO | directive)
    pieces = await pieces_of(relay)
    *chunks, last = chunks_in(pieces)
    assert set(last["error"]) == {"message", "type", "param", "code"}
    assert relay.failed
    assert DONE not in pieces
    row = await rows.newest()
    assert (row["state"], row["reason"]) == ("failed", reason)
    partial = json.loads(row["response_body"])
    said = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert (partial["id"], partial["choices"][0]["message"]["content"]) == ("up-1", said)
    assert said in {"ab", "abcd"}


@pytest.mark.parametrize(
    ("directive", "reason"),
    [({"endless": True}, "answer_too_large"), ({"endless": True, "piece_delay": 0.1}, "upstream_timeout")],
)
async def test_an_endless_stream_is_ended(start: Open, rows: Rows, directive: dict[str, Any], reason: str) -> None:
    began = time.monotonic()
    relay = await start(directive)
    assert b'"error"' in (await pieces_of(relay))[-1]
    assert time.monotonic() - began < 3
    assert (await rows.newest())["reason"] == reason


async def test_a_cut_stream_whose_content_is_not_wanted_keeps_none_of_it(start: Open, rows: Rows) -> None:
    await pieces_of(await start(AFTER_TWO | {"cut": {"after": 3, "how": "fin"}}, store=False))
    row = await rows.newest()
    assert (row["state"], row["has_body"]) == ("failed", False)


async def test_a_stream_that_the_server_s_stop_interrupts_is_written_down_as_failed(
    start: Open, rows: Rows, running: set[asyncio.Task[None]]
) -> None:
    relay = await start({"pieces": ["a", "b"], "piece_delay": 0.5})
    await relay.next_piece(PATIENCE)
    for task in running:
        task.cancel()
    assert b'"error"' in (await pieces_of(relay))[-1]
    row = await rows.newest()
    assert (row["state"], row["reason"], row["error_status"]) == ("failed", "gateway_lost", 500)


async def test_an_answer_that_cannot_be_saved_ends_in_an_error(
    start: Open, pool: Pool, running: set[asyncio.Task[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.services.recording.SAVING_PATIENCE", 0.1)
    relay = await start({"pieces": ["a", "b"], "piece_delay": 0.1})
    (task,) = running
    await pool.close()
    *_, last = chunks_in(await pieces_of(relay))
    assert last["error"]["code"] == "backend_unavailable"
    assert relay.failed
    assert task.exception() is None
