"""The outbound client against the scripted upstream: what it sends, relays, refuses, and how long it waits."""

import asyncio
import base64
import json
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from conversations.errors import (
    AnswerTooLargeError,
    MalformedAnswerError,
    StreamCutError,
    UpstreamError,
    UpstreamNotConfiguredError,
    UpstreamStatusError,
    UpstreamTimeoutError,
    UpstreamUnavailableError,
)
from conversations.upstream import UpstreamClient, UpstreamSettings
from tests.scripted_upstream import Received, ScriptedUpstream

pytestmark = pytest.mark.asyncio

MEBIBYTE = 2**20
SHORT = {"connect_timeout": 0.5, "first_byte_timeout": 0.6, "idle_timeout": 0.6, "total_timeout": 1.5}


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


@pytest_asyncio.fixture
async def client(upstream: ScriptedUpstream) -> AsyncIterator[UpstreamClient]:
    settings = UpstreamSettings(base_url=upstream.url, api_key="sk-upstream")
    async with UpstreamClient(settings) as opened:
        yield opened


@pytest_asyncio.fixture
async def hasty(upstream: ScriptedUpstream) -> AsyncIterator[UpstreamClient]:
    """A client with short deadlines and a small cap."""
    settings = UpstreamSettings(base_url=upstream.url, max_answer_bytes=MEBIBYTE, **SHORT)
    async with UpstreamClient(settings) as opened:
        yield opened


def body(directive: dict[str, Any] | str, **request: Any) -> bytes:
    """A request whose last user message is the directive."""
    text = directive if isinstance(directive, str) else "@@" + json.dumps(directive)
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **request}).encode()


async def streamed(client: UpstreamClient, directive: dict[str, Any] | str) -> bytes:
    """All bytes of a stream."""
    async with client.stream(body(directive, stream=True)) as answer:
        return b"".join([piece async for piece in answer.read()])


async def until(condition: Callable[[], Any], seconds: float = 2) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


RAW_GARBAGE = {"raw_base64": base64.b64encode(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").decode()}
BAD_HEADER = {"raw_base64": base64.b64encode(b"HTTP/1.1 200 OK\r\nX-A: b\x00c\r\nContent-Length: 2\r\n\r\n{}").decode()}
HUGE_HEADER = {"headers": [["X-Huge", "a" * 100_000]]}
BAD_CHUNKING = {
    "raw_base64": base64.b64encode(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n").decode()
}
BAD_GZIP = {"headers": [["Content-Encoding", "gzip"]]}
BROTLI = {"headers": [["Content-Encoding", "br"]]}
SHORT_BODY = {"raw_base64": base64.b64encode(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}").decode()}

# fault, error in plain mode, error in a stream, status
FAULTS = [
    ({"cut": {"after": "nothing", "how": "fin"}}, UpstreamError, UpstreamError, 502),
    ({"cut": {"after": "nothing", "how": "reset"}}, UpstreamError, UpstreamError, 502),
    ({"cut": {"after": "nothing", "how": "hang"}}, UpstreamTimeoutError, UpstreamTimeoutError, 504),
    ({"cut": {"after": "head", "how": "fin"}}, UpstreamError, StreamCutError, 502),
    ({"cut": {"after": "head", "how": "reset"}}, UpstreamError, StreamCutError, 502),
    ({"cut": {"after": "head", "how": "hang"}}, UpstreamTimeoutError, UpstreamTimeoutError, 504),
    ({"cut": {"after": 2, "how": "fin"}}, UpstreamError, StreamCutError, 502),
    ({"cut": {"after": 2, "how": "reset"}}, UpstreamError, StreamCutError, 502),
    ({"cut": {"after": 2, "how": "hang"}}, UpstreamTimeoutError, UpstreamTimeoutError, 504),
    ({"slice": 1, "slice_delay": 0.1}, UpstreamTimeoutError, UpstreamTimeoutError, 504),
    ({"endless": True, "piece_delay": 0.15}, UpstreamTimeoutError, UpstreamTimeoutError, 504),
    ({"endless": True}, AnswerTooLargeError, AnswerTooLargeError, 502),
    ({"size": 2 * MEBIBYTE}, AnswerTooLargeError, AnswerTooLargeError, 502),
    ({"size": 2 * MEBIBYTE, "gzip": True}, AnswerTooLargeError, AnswerTooLargeError, 502),
    (RAW_GARBAGE, MalformedAnswerError, MalformedAnswerError, 502),
    (BAD_HEADER, MalformedAnswerError, MalformedAnswerError, 502),
    (HUGE_HEADER, MalformedAnswerError, MalformedAnswerError, 502),
    (BROTLI, MalformedAnswerError, MalformedAnswerError, 502),
    (BAD_CHUNKING, MalformedAnswerError, MalformedAnswerError, 502),
    (BAD_GZIP, UpstreamError, StreamCutError, 502),
    (SHORT_BODY, UpstreamError, UpstreamError, 502),
    ({"body": "<html>", "content_type": "text/html"}, MalformedAnswerError, MalformedAnswerError, 502),
    ({"fail": {"status": 204, "body": ""}}, UpstreamError, UpstreamError, 502),
    ({"fail": {"status": 202}}, UpstreamError, UpstreamError, 502),
    ({"fail": {"status": 302, "headers": {"Location": "/v1/models"}}}, UpstreamError, UpstreamError, 502),
    ({"fail": {"status": 500}}, UpstreamStatusError, UpstreamStatusError, 500),
    ({"fail": {"status": 503}}, UpstreamStatusError, UpstreamStatusError, 503),
    ({"fail": {"status": 599}}, UpstreamStatusError, UpstreamStatusError, 502),
]


@pytest.mark.parametrize("streams", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(("fault", "plain_error", "stream_error", "status"), FAULTS, ids=lambda v: str(v)[:60])
async def test_every_fault_has_its_error_and_is_never_retryable(
    hasty: UpstreamClient,
    fault: dict[str, Any],
    plain_error: type[UpstreamError],
    stream_error: type[UpstreamError],
    status: int,
    streams: bool,
) -> None:
    started = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        await (streamed(hasty, fault) if streams else hasty.complete(body(fault)))
    assert type(caught.value) is (stream_error if streams else plain_error)
    assert (caught.value.status, caught.value.retryable) == (status, False)
    assert "127.0.0.1" not in caught.value.message
    assert time.monotonic() - started < SHORT["total_timeout"] + 1


@pytest.mark.parametrize(
    "deadlines", [{"idle_timeout": 0.3}, {"total_timeout": 0.3}, {"first_byte_timeout": 0.3}], ids=str
)
async def test_each_deadline_holds_without_the_others(upstream: ScriptedUpstream, deadlines: dict[str, float]) -> None:
    silent_from = "nothing" if "first_byte_timeout" in deadlines else 2
    async with UpstreamClient(UpstreamSettings(base_url=upstream.url, **deadlines)) as client:
        with pytest.raises(UpstreamTimeoutError):
            await asyncio.wait_for(client.complete(body({"cut": {"after": silent_from, "how": "hang"}})), 5)


async def test_deadline_holds_although_more_is_already_there(upstream: ScriptedUpstream) -> None:
    settings = UpstreamSettings(base_url=upstream.url, total_timeout=0.5)
    endless = body({"endless": True}, stream=True)
    async with UpstreamClient(settings) as client, client.stream(endless) as answer:
        await answer.next_piece()
        await asyncio.sleep(0.6)
        with pytest.raises(UpstreamTimeoutError):
            await answer.next_piece()


async def test_refused_connection_is_unavailable_and_retryable(unused_tcp_port: int) -> None:
    async with UpstreamClient(UpstreamSettings(base_url=f"http://127.0.0.1:{unused_tcp_port}/v1")) as client:
        with pytest.raises(UpstreamUnavailableError) as caught:
            await client.complete(b"{}")
    assert (caught.value.status, caught.value.retryable) == (503, True)


async def test_unknown_host_is_unavailable() -> None:
    async with UpstreamClient(UpstreamSettings(base_url="http://upstream.invalid/v1")) as client:
        with pytest.raises(UpstreamUnavailableError, match="cannot be resolved"):
            await client.complete(b"{}")


async def test_plain_server_behind_https_is_unavailable() -> None:
    async def answer_in_plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer_in_plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with UpstreamClient(UpstreamSettings(base_url=f"https://127.0.0.1:{port}/v1")) as client:
            with pytest.raises(UpstreamUnavailableError, match="TLS"):
                await client.complete(b"{}")


async def test_connection_that_is_never_accepted_is_unavailable() -> None:
    # A full backlog makes Linux drop every further SYN.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first:
        first.connect(full.getsockname())
        settings = UpstreamSettings(base_url=f"http://127.0.0.1:{full.getsockname()[1]}/v1", **SHORT)
        async with UpstreamClient(settings) as client:
            with pytest.raises(UpstreamUnavailableError, match="in time"):
                await client.complete(b"{}")


async def test_no_upstream_is_not_configured() -> None:
    async with UpstreamClient(UpstreamSettings()) as client:
        with pytest.raises(UpstreamNotConfiguredError, match="UPSTREAM_BASE_URL"):
            await client.models()


@pytest.mark.parametrize("raw", ['{"id":"a", "x":1e22,"s":"\\u0000\u2028",\r\n"n":1.0}', "[not json", ""])
async def test_plain_answer_is_kept_byte_for_byte(client: UpstreamClient, raw: str) -> None:
    answer = await client.complete(body({"body": raw, "slice": 1}))
    assert (answer.body, answer.content_type, answer.status) == (raw.encode(), "application/json", 200)


@pytest.mark.parametrize("how", [{}, {"line_end": "\r\n"}, {"slice": 1}, {"framing": "close"}, {"gzip": True}], ids=str)
async def test_stream_is_kept_byte_for_byte(client: UpstreamClient, how: dict[str, Any]) -> None:
    fixed = {"content": "안녕\u2028하세요 🎉", "id": "chatcmpl-1", "created": 1}
    reference = await streamed(client, fixed)
    assert (await streamed(client, {**fixed, **how})).replace(b"\r\n", b"\n") == reference
    assert reference.count("\u2028".encode()) == 1


async def test_first_piece_arrives_before_the_last_is_sent(client: UpstreamClient) -> None:
    started = time.monotonic()
    async with client.stream(body({"pieces": ["a", "b", "c"], "piece_delay": 0.2}, stream=True)) as answer:
        pieces = [(time.monotonic() - started, piece) async for piece in answer.read()]
    assert len(pieces) >= 5
    assert pieces[0][0] < 0.2 < 0.8 < pieces[-1][0]


async def test_json_answer_to_a_stream_is_told_by_its_content_type(client: UpstreamClient) -> None:
    async with client.stream(body({"plain": True, "content": "hi"}, stream=True)) as answer:
        assert answer.content_type == "application/json"
        assert b'"chat.completion"' in (await answer.read_whole()).body


async def test_clean_end_in_mid_stream_looks_complete(client: UpstreamClient) -> None:
    cut = await streamed(client, {"pieces": ["a", "b"], "cut": {"after": 2, "how": "fin"}, "framing": "close"})
    assert cut.count(b"data: ") == 2


async def test_error_in_a_200_is_an_upstream_error(client: UpstreamClient) -> None:
    reported = '{"error": {"message": "No capacity.", "code": 529}}'
    with pytest.raises(UpstreamStatusError, match="No capacity") as caught:
        await client.complete(body({"body": reported}))
    assert (caught.value.status, caught.value.answer) == (502, reported.encode())


async def test_status_errors_carry_message_and_wait(client: UpstreamClient) -> None:
    fail = {"status": 429, "message": "Slow down.", "code": "tpm", "headers": {"Retry-After": "7"}}
    with pytest.raises(UpstreamStatusError, match="Slow down") as caught:
        await client.complete(body({"fail": fail}))
    assert (caught.value.retry_after, caught.value.code, caught.value.retryable) == (7, "tpm", None)
    assert b"Slow down" in caught.value.answer


async def test_huge_body_of_an_error_is_kept_only_in_part(client: UpstreamClient) -> None:
    with pytest.raises(UpstreamStatusError) as caught:
        await client.complete(body({"fail": {"status": 400, "body": "x" * (8 * MEBIBYTE)}}))
    assert len(caught.value.answer) == 64 * 2**10
    assert "xxx" not in caught.value.message


async def test_what_came_before_the_cut_is_kept_with_the_error(client: UpstreamClient) -> None:
    with pytest.raises(UpstreamError) as caught:
        await client.complete(body({"body": '{"id":"paid-for"}', "cut": {"after": 9, "how": "fin"}}))
    assert caught.value.answer == b'{"id":"pa'


async def test_redirect_is_not_followed(client: UpstreamClient, upstream: ScriptedUpstream) -> None:
    with pytest.raises(UpstreamError, match="redirect"):
        await client.complete(body({"fail": {"status": 307, "headers": {"Location": upstream.url + "/models"}}}))
    assert [call.path for call in upstream.received] == ["/v1/chat/completions"]


async def test_only_our_own_headers_are_sent(client: UpstreamClient, upstream: ScriptedUpstream) -> None:
    await client.complete(body("hi"), idempotency_key="abc")
    headers = {name.lower(): value for name, value in upstream.received[0].headers}
    del headers["host"], headers["content-length"]
    assert headers == {
        "authorization": "Bearer sk-upstream",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "idempotency-key": "abc",
        "user-agent": "daehwa",
    }


async def test_no_key_sends_no_authorization(upstream: ScriptedUpstream) -> None:
    async with UpstreamClient(UpstreamSettings(base_url=upstream.url)) as client:
        await client.models()
    assert upstream.received[0].header("authorization") is None


async def test_query_of_the_base_url_is_sent_with_every_call(upstream: ScriptedUpstream) -> None:
    async with UpstreamClient(UpstreamSettings(base_url=upstream.url + "/?api-version=1")) as client:
        await client.complete(body("hi"))
        await client.models()
    assert [c.path for c in upstream.received] == ["/v1/chat/completions?api-version=1", "/v1/models?api-version=1"]


async def test_cookies_are_not_kept(client: UpstreamClient, upstream: ScriptedUpstream) -> None:
    await client.complete(body({"headers": [["Set-Cookie", "tenant=a; Path=/"]]}))
    await client.complete(body("again"))
    assert upstream.received[1].header("cookie") is None


async def test_proxy_of_the_environment_is_ignored(
    upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_tcp_port}")
    async with UpstreamClient(UpstreamSettings(base_url=upstream.url)) as client:
        assert b'"scripted"' in await client.models()


async def test_only_harmless_headers_are_relayed(client: UpstreamClient) -> None:
    hostile = [["Set-Cookie", "a=b"], ["X-Accel-Redirect", "/etc"], ["Access-Control-Allow-Origin", "*"]]
    wanted = [["X-RateLimit-Remaining-Tokens", "9"], ["OpenAI-Version", "2020-10-01"], ["X-RateLimit-Bad", "é"]]
    answer = await client.complete(body({"headers": hostile + wanted}))
    assert answer.headers == {"x-ratelimit-remaining-tokens": "9", "openai-version": "2020-10-01"}


async def test_connection_is_reused_after_a_whole_answer(client: UpstreamClient, upstream: ScriptedUpstream) -> None:
    await client.complete(body("one"))
    await streamed(client, "two")
    await client.complete(body("three"))
    assert (upstream.connections, len(upstream.received)) == (1, 3)


async def test_leaving_a_stream_early_closes_its_connection(client: UpstreamClient, upstream: ScriptedUpstream) -> None:
    async with client.stream(body({"endless": True, "piece_delay": 0.05}, stream=True)) as answer:
        await answer.next_piece()
    call: Received = upstream.received[0]
    await until(call.disconnected.is_set)


async def test_cancelling_a_call_closes_its_connection(client: UpstreamClient, upstream: ScriptedUpstream) -> None:
    waiting = asyncio.create_task(client.complete(body({"delay": 30})))
    await until(lambda: upstream.received)
    waiting.cancel()
    await until(upstream.received[0].disconnected.is_set)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_caller_may_wait_longer_for_the_first_byte(hasty: UpstreamClient) -> None:
    answer = await hasty.complete(body({"delay": 0.8}), first_byte_timeout=1.4)
    assert answer.status == 200


async def test_dead_connection_is_not_used_again(client: UpstreamClient, upstream: ScriptedUpstream) -> None:
    await client.complete(body({"framing": "length"}))
    with pytest.raises(UpstreamError):
        await client.complete(body({"cut": {"after": "nothing", "how": "fin"}}))
    await client.complete(body("again"))
    assert len(upstream.received) == 3


async def test_body_of_many_megabytes_is_sent_as_it_is(client: UpstreamClient, upstream: ScriptedUpstream) -> None:
    sent = body("hi", user="x" * (5 * MEBIBYTE))
    await client.complete(sent)
    assert upstream.received[0].body == sent


@pytest.mark.parametrize("directive", [{"size": 100 * MEBIBYTE}, {"size": 200 * MEBIBYTE, "gzip": True}], ids=str)
@pytest.mark.parametrize("framing", ["chunked", "close"])
async def test_huge_answers_cost_little_more_than_the_cap(directive: dict[str, Any], framing: str) -> None:
    command = [sys.executable, "-m", "tests.scripted_upstream"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        async with UpstreamClient(UpstreamSettings(base_url=server.stdout.readline().strip())) as client:
            tracemalloc.start()
            with pytest.raises(AnswerTooLargeError):
                await client.complete(body({**directive, "framing": framing}))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        server.terminate()
    assert peak < 100 * MEBIBYTE


@pytest.mark.parametrize("address", ["ftp://a/v1", "api.openai.com/v1", "https://me:secret@host/v1", "http:///v1"])
async def test_address_that_is_not_plain_http_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="UPSTREAM_BASE_URL"):
        UpstreamSettings(base_url=address)


async def test_key_that_cannot_stand_in_a_header_is_refused_and_never_shown() -> None:
    with pytest.raises(ValueError, match="UPSTREAM_API_KEY") as caught:
        UpstreamSettings(api_key="sk-secret\n")
    assert "secret" not in str(caught.value) + repr(UpstreamSettings(api_key="sk-secret"))
