"""Both halves on one port under granian, looked at from a socket: sizes, cuts, silence, the end, and the logs."""

import json
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests

from tests import database
from tests.live import LiveServer, say, wait_until
from tests.scripted_upstream import ScriptedUpstream

MEBIBYTE = 2**20
V1 = "/v1/chat/completions"
MODELS = "/models/chat/completions?api-version=2024-05-01-preview"
BLOCK = b"x" * 65_536


@pytest.fixture(scope="module")
def live(scripted_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that takes one mebibyte, says something every 0.2 seconds and has a temporary directory of its own."""
    limits = {"MAX_REQUEST_BYTES": str(MEBIBYTE), "STREAM_HEARTBEAT_SECONDS": "0.2"}
    spool = str(tmp_path_factory.mktemp("spool"))
    with LiveServer(scripted_upstream.url, worker=False, TMPDIR=spool, **limits) as server:
        server.spool = Path(spool)  # type: ignore[attr-defined]
        yield server


def headers_of(live: LiveServer, *, key: str | None = None) -> dict[str, str]:
    return {"authorization": f"Bearer {key or live.key}", "content-type": "application/json"}


def body_of(directive: dict[str, Any], **members: Any) -> bytes:
    message = {"role": "user", "content": say(**directive)}
    return json.dumps({"model": "m", "messages": [message], **members}).encode()


def post(live: LiveServer, path: str, directive: dict[str, Any], **members: Any) -> requests.Response:
    """An answer that is read as it comes in."""
    raw = body_of(directive, **members)
    return requests.post(live.origin + path, data=raw, headers=headers_of(live), stream=True, timeout=20)


@contextmanager
def opened(
    live: LiveServer, path: str, framing: str, *, key: str = "", method: str = "POST"
) -> Iterator[socket.socket]:
    """A connection on which the head of a request was sent."""
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{framing}\r\n"
        connection.sendall((head + (f"Authorization: Bearer {key}\r\n" if key else "") + "\r\n").encode())
        yield connection


def status_of(connection: socket.socket) -> int:
    received = b""
    while b"\r\n" not in received:
        piece = connection.recv(4096)
        assert piece, "closed without an answer"
        received += piece
    return int(received.split()[1])


def until_cut(answer: requests.Response) -> Iterator[bytes]:
    """What comes before the chunked body breaks off, which it must."""
    try:
        yield from answer.iter_content(None)
    except requests.exceptions.ChunkedEncodingError:
        return
    pytest.fail("The body ended like a whole one.")


def memory_of(live: LiveServer) -> int:
    """Bytes that the server and its children hold."""
    assert live.server is not None
    server = psutil.Process(live.server.pid)
    return sum(process.memory_info().rss for process in [server, *server.children(recursive=True)])


def row_of(live: LiveServer, request_id: str) -> tuple[Any, ...]:
    sql = "SELECT state, reason FROM conversations_chatrequest WHERE request_id = %s"
    return live.query(sql, request_id)[0]


@pytest.mark.parametrize(
    ("method", "path", "status", "content_type"),
    [
        ("POST", V1, 400, "application/json"),
        ("POST", "/v1/chat%2Fcompletions", 400, "application/json"),
        ("GET", V1, 200, "application/json"),
        ("POST", f"{V1}/", 404, "application/json"),
        ("POST", f"{V1}/unknown", 400, "application/json"),
        ("GET", "/models/info?api-version=2024-05-01-preview", 200, "application/json"),
        ("GET", "/login/", 200, "text/html; charset=utf-8"),
        ("GET", "/static/daehwa.css", 200, 'text/css; charset="utf-8"'),
    ],
)
def test_each_route_is_served_by_its_half(
    live: LiveServer, method: str, path: str, status: int, content_type: str
) -> None:
    answer = requests.request(method, live.origin + path, data=b"{}", headers=headers_of(live), timeout=10)
    assert (answer.status_code, answer.headers["content-type"]) == (status, content_type)
    assert answer.headers["x-request-id"].startswith("req_") or path.startswith("/static")


@pytest.mark.parametrize("path", [V1, MODELS, f"{V1}/abc", "/login/"])
def test_a_body_that_is_announced_as_too_large_is_refused_before_it_is_sent(live: LiveServer, path: str) -> None:
    with opened(live, path, f"Content-Length: {MEBIBYTE + 1}", key=live.key) as connection:
        assert status_of(connection) == 413


@pytest.mark.parametrize("path", [V1, MODELS, f"{V1}/abc", "/login/"])
def test_a_chunked_body_is_refused_at_the_first_byte_too_many(live: LiveServer, path: str) -> None:
    with opened(live, path, "Transfer-Encoding: chunked", key=live.key) as connection:
        for _ in range(MEBIBYTE // len(BLOCK)):
            connection.sendall(b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK))
        connection.sendall(b"1\r\nx\r\n")  # and no end
        assert status_of(connection) == 413


@pytest.mark.parametrize("path", [V1, MODELS, f"{V1}/abc", "/login/", "/models/info", "/api/lookup/"])
@pytest.mark.parametrize("framing", ["Content-Length: 104857600", "Transfer-Encoding: chunked"])
def test_whoever_has_no_key_cannot_fill_memory_or_disk(live: LiveServer, path: str, framing: str) -> None:
    before, most, sent, spool = memory_of(live), 0, 0, live.spool  # type: ignore[attr-defined]
    block = b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if "chunked" in framing else BLOCK
    with opened(live, path, framing) as connection:
        try:
            while sent < 100 * MEBIBYTE:
                connection.sendall(block)
                sent += len(BLOCK)
                most = max(most, memory_of(live))
                assert os.listdir(spool) == []
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert sent < 16 * MEBIBYTE
    assert most - before < 16 * MEBIBYTE


def test_django_gets_chunked_bodies_whole(live: LiveServer) -> None:
    completion = post(live, V1, {"content": "ok"}, store=True).json()
    url, chunks = f"{live.origin}{V1}/{completion['id']}", [b'{"metadata"', b':{"a":"b"}}']
    answer = requests.post(url, data=iter(chunks), headers=headers_of(live), timeout=10)
    assert (answer.status_code, answer.json()["metadata"]) == (200, {"a": "b"})


def test_the_first_chunk_is_out_long_before_the_last(live: LiveServer) -> None:
    began = time.monotonic()
    answer = post(live, V1, {"pieces": ["a", "b", "c"], "piece_delay": 0.3}, stream=True)
    lines = answer.iter_lines()
    assert next(lines).startswith(b"data: {")
    assert time.monotonic() - began < 0.8
    assert list(lines)[-2:] == [b"data: [DONE]", b""]
    assert time.monotonic() - began > 1.2


def test_openai_s_clients_hear_comments_while_the_upstream_is_silent(live: LiveServer) -> None:
    streamed = post(live, V1, {"pieces": ["a"], "piece_delay": 0.45}, stream=True).content
    assert streamed.count(b": ping\n\n") >= 2
    assert streamed.endswith(b"data: [DONE]\n\n")


def test_azure_s_clients_hear_empty_chunks_while_the_upstream_is_silent(live: LiveServer) -> None:
    streamed = post(live, MODELS, {"pieces": ["a"], "piece_delay": 0.45}, stream=True).content
    lines = [line for line in streamed.split(b"\n") if line]
    assert all(line.startswith(b"data: ") for line in lines)
    chunks = [json.loads(line[6:]) for line in lines[:-1]]
    assert sum(chunk["choices"] == [] for chunk in chunks) >= 2
    assert len({chunk["id"] for chunk in chunks}) == 1


@pytest.mark.parametrize("path", [V1, MODELS])
def test_a_stream_that_fails_says_so_and_is_cut(live: LiveServer, path: str) -> None:
    answer = post(live, path, {"pieces": ["a", "b"], "cut": {"after": 2, "how": "fin"}}, stream=True)
    received = b"".join(until_cut(answer))
    *_, last, end = received.split(b"\n\n")
    assert (set(json.loads(last[6:])["error"]), end) == ({"message", "type", "param", "code"}, b"")
    assert b"[DONE]" not in received
    assert row_of(live, answer.headers["x-request-id"]) == ("failed", "stream_cut")


def test_a_client_that_leaves_a_stream_leaves_a_whole_answer_behind(live: LiveServer) -> None:
    answer = post(live, V1, {"pieces": ["a", "b", "c", "d"], "piece_delay": 0.1}, stream=True, store=True)
    next(answer.iter_lines())
    answer.close()
    request_id = answer.headers["x-request-id"]
    wait_until(lambda: row_of(live, request_id) == ("completed", ""), seconds=5)
    body = "SELECT response_body FROM conversations_body b JOIN conversations_chatrequest r ON r.id = b.request_id"
    ((kept,),) = live.query(f"{body} WHERE r.request_id = %s", request_id)
    assert json.loads(kept)["choices"][0]["message"]["content"] == "abcd"


def test_a_client_that_leaves_a_plain_call_leaves_an_answer_behind(live: LiveServer) -> None:
    raw = body_of({"delay": 0.5, "id": "left-behind"})
    with opened(live, V1, f"Content-Length: {len(raw)}", key=live.key) as connection:
        connection.sendall(raw)
        time.sleep(0.2)
    sql = "SELECT 1 FROM conversations_completion WHERE response_id = 'left-behind'"
    wait_until(lambda: live.query(sql), seconds=5)


def test_a_hundred_streams_at_once_are_all_whole_and_hold_no_connection(live: LiveServer) -> None:
    answers = [post(live, V1, {"pieces": ["a", "b"], "piece_delay": 0.5}, stream=True) for _ in range(100)]
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert live.query(sql)[0][0] <= 20
    assert all(answer.content.endswith(b"data: [DONE]\n\n") for answer in answers)


def test_the_end_waits_for_what_is_nearly_done_and_writes_down_what_is_not(live: LiveServer) -> None:
    idle = requests.Session()
    idle.get(f"{live.origin}/login/", timeout=10)
    short = post(live, V1, {"pieces": ["a", "b"], "piece_delay": 0.5}, stream=True)
    long = [post(live, path, {"pieces": ["a"] * 500, "piece_delay": 0.1}, stream=True) for path in (V1, MODELS)]
    raw = body_of({"delay": 60})
    with opened(live, V1, f"Content-Length: {len(raw)}", key=live.key) as plain:
        plain.sendall(raw)
        wait_until(
            lambda: live.query("SELECT 1 FROM conversations_chatrequest WHERE mode = 'plain' AND state = 'running'")
        )
        began = time.monotonic()
        assert live.server is not None
        live.server.terminate()
        assert short.content.endswith(b"data: [DONE]\n\n")
        assert live.server.wait(15) == 0
        assert time.monotonic() - began < 12
        assert status_of(plain) == 500
    for answer in long:
        assert b"".join(until_cut(answer)).endswith(b"}}\n\n")
        assert row_of(live, answer.headers["x-request-id"]) == ("failed", "gateway_lost")
    assert live.query("SELECT count(*) FROM conversations_chatrequest WHERE state = 'running'") == [(0,)]
    live.start_server()


def test_a_server_with_idle_connections_ends_within_15_seconds(live: LiveServer) -> None:
    idle = requests.Session()
    idle.get(f"{live.origin}/login/", timeout=10)
    assert live.server is not None
    live.server.terminate()
    assert live.server.wait(15) == 0
    live.start_server()


CANARY = "canary-4711-대화"


@pytest.fixture(scope="module")
def talkative(scripted_upstream: ScriptedUpstream) -> Iterator[LiveServer]:
    """A server and a worker that log whatever they can."""
    says_all = {
        "LOG_LEVEL": "DEBUG",
        "DEBUG": "on",
        "UPSTREAM_API_KEY": "canary-upstream-key",
        "PYTHONASYNCIODEBUG": "1",
    }
    with LiveServer(scripted_upstream.url, UPSTREAM_IDLE_TIMEOUT="0.5", **says_all) as server:
        yield server


FAULTS: list[dict[str, Any]] = [
    {"content": CANARY},
    {"body": CANARY},
    {"fail": {"status": 400, "message": CANARY, "code": CANARY}},
    {"fail": {"status": 500, "body": CANARY}},
    {"cut": {"after": 2, "how": "reset"}, "content": CANARY},
    {"insert": [[1, f"data: {CANARY}\n\n"]], "content": CANARY},
    {"id": f"{CANARY}\0", "content": f"\ud800{CANARY}\0", "usage": {"prompt_tokens": CANARY}, "created": CANARY},
]


def test_no_prompt_answer_or_key_is_in_any_log(talkative: LiveServer) -> None:
    server_log = database._data_dir / "postgres.log"
    for fault in FAULTS:
        for members in ({"store": True}, {"stream": True}, {"deferred": True}):
            post(talkative, V1, {"top_extra": {"x": CANARY}, **fault}, user=CANARY, metadata={"a": CANARY}, **members)
    wrong = {"authorization": f"Bearer {CANARY.encode().hex()}", "cookie": "sessionid=canary-session"}
    for path in (V1, f"{V1}/{CANARY}", f"/api/lookup/?id={CANARY}", f"/requests/{CANARY}/", f"/{CANARY}"):
        requests.request("POST", talkative.origin + path, data=CANARY.encode(), headers=wrong, timeout=10)
        requests.get(talkative.origin + path, headers=headers_of(talkative), timeout=10)
    wait_until(
        lambda: not talkative.query("SELECT 1 FROM conversations_chatrequest WHERE state IN ('queued', 'running')")
    )
    with _refusing_connections(talkative), ThreadPoolExecutor() as pool:
        posted = pool.submit(post, talkative, V1, {"content": CANARY}, store=True)
        read = pool.submit(requests.get, f"{talkative.origin}{V1}", headers=headers_of(talkative), timeout=20)
        assert (posted.result().status_code, read.result().status_code) == (503, 503)
    said = talkative.log_text + (server_log.read_text(errors="replace") if server_log.exists() else "")
    assert "DEBUG" in said
    secrets = ["canary", CANARY.encode().hex(), talkative.key, "sessionid"]
    assert [line for line in said.splitlines() if any(secret in line for secret in secrets)] == []


@contextmanager
def _refusing_connections(live: LiveServer) -> Iterator[None]:
    """The server's database is there and lets nobody in."""
    (name,) = live.query("SELECT current_database()")[0]
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as operator:
        operator.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        try:
            operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
            yield
        finally:
            operator.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
