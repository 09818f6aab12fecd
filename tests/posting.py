"""Posts to the two chat completions routes of a running server, for the matrices of both."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.live import LiveServer, say
from tests.scripted_upstream import ScriptedUpstream

MAX_REQUEST_BYTES = 65_536
SECONDS = 10


@dataclass
class Poster:
    """One route of one server: ``post`` it a call, and look at what was recorded."""

    server: LiveServer
    path: str
    headers: dict[str, str] = field(default_factory=dict)

    def post(self, body: Any, *, headers: dict[str, str | None] | None = None, **options: Any) -> requests.Response:
        """The answer to a body: bytes and iterators are sent as they are, anything else as JSON."""
        raw = body if isinstance(body, bytes) or hasattr(body, "__next__") else json.dumps(body).encode()
        sent = {"content-type": "application/json", **self.headers, **(headers or {})}
        return requests.post(self.server.origin + self.path, data=raw, headers=sent, timeout=SECONDS, **options)

    def send(self, method: str) -> requests.Response:
        """The answer to another method."""
        return requests.request(method, self.server.origin + self.path, headers=self.headers, timeout=SECONDS)

    def recorded(self) -> int:
        """How many requests were recorded until now."""
        return int(self.server.query("SELECT count(*) FROM conversations_chatrequest")[0][0])

    def record(self, response: requests.Response) -> tuple[Any, ...]:
        """State, reason and mode of what a response belongs to."""
        sql = "SELECT state, reason, mode FROM conversations_chatrequest WHERE request_id = %s"
        (row,) = self.server.query(sql, response.headers["x-request-id"])
        return row


def call(text: str = "hi", **members: Any) -> dict[str, Any]:
    """A chat call."""
    return {"model": "m", "messages": [{"role": "user", "content": text}], **members}


def told(directive: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A chat call whose upstream does what the directive says."""
    return call(say(**directive), **members)


def straight(upstream: ScriptedUpstream, body: dict[str, Any]) -> bytes:
    """What the upstream itself answers."""
    return requests.post(f"{upstream.url}/chat/completions", json=body, timeout=SECONDS).content


@pytest.fixture(scope="module")
def server(scripted_upstream: ScriptedUpstream) -> Iterator[LiveServer]:
    """Both halves, with short deadlines and a small body limit; what is deferred stays queued."""
    limits = {"UPSTREAM_IDLE_TIMEOUT": "0.5", "UPSTREAM_TOTAL_TIMEOUT": "1.5", "UPSTREAM_FIRST_BYTE_TIMEOUT": "1"}
    sizes = {"MAX_REQUEST_BYTES": str(MAX_REQUEST_BYTES), "MAX_ANSWER_BYTES": "100000"}
    with LiveServer(scripted_upstream.url, worker=False, **limits, **sizes) as live:
        yield live


@pytest.fixture(scope="module")
def server_without_upstream() -> Iterator[LiveServer]:
    """Both halves, and nobody said where the model is."""
    with LiveServer("", worker=False) as live:
        yield live


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "spaces": b" \n ",
    "not JSON": b"hello",
    "half": b'{"model":',
    "trailing comma": b'{"model":"m",}',
    "an array": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "two objects": b"{}{}",
    "byte order mark": b'\xef\xbb\xbf{"model":"m"}',
    "invalid UTF-8": b'{"model":"\xff"}',
    "UTF-16": '{"model":"m"}'.encode("utf-16"),
    "NaN": b'{"temperature":NaN}',
    "Infinity": b'{"temperature":-Infinity}',
    "beyond a double": b'{"temperature":1e400}',
    "beyond an integer": b'{"seed":' + b"9" * 5000 + b"}",
    "half a surrogate pair": b'{"model":"\\ud83d"}',
    "nested too deeply": b'{"x":' + b"[" * 201 + b"]" * 201 + b"}",
    "a NUL byte": b'{"model":"\0"}',
}

# What the upstream does, the status that the client gets, and the reason that is recorded.
FAILURES: list[tuple[dict[str, Any], int, str]] = [
    ({"fail": {"status": 400, "message": "No.", "code": "bad", "param": "n"}}, 400, "upstream_error_status"),
    ({"fail": {"status": 401}}, 502, "upstream_error_status"),
    ({"fail": {"status": 404, "code": "model_not_found"}}, 404, "upstream_error_status"),
    ({"fail": {"status": 429, "headers": {"Retry-After": "7"}}}, 429, "upstream_error_status"),
    ({"fail": {"status": 500}}, 500, "upstream_error_status"),
    ({"fail": {"status": 503}}, 503, "upstream_error_status"),
    ({"fail": {"status": 200, "body": "<html>"}}, 502, "malformed_answer"),
    ({"fail": {"status": 301, "headers": {"Location": "http://127.0.0.1:1/"}}}, 502, "upstream_error"),
    ({"cut": {"after": "nothing", "how": "fin"}}, 502, "upstream_error"),
    ({"cut": {"after": "head", "how": "reset"}}, 502, "upstream_error"),
    ({"cut": {"after": 10, "how": "fin"}}, 502, "upstream_error"),
    ({"cut": {"after": 10, "how": "hang"}}, 504, "upstream_timeout"),
    ({"delay": 3}, 504, "upstream_timeout"),
    ({"body": "{"}, 502, "malformed_answer"),
    ({"body": "[]"}, 502, "malformed_answer"),
    ({"body": '{"choices": []}'}, 502, "malformed_answer"),
    ({"body": '{"error": {"message": "No.", "code": 429}}'}, 429, "upstream_error_status"),
    ({"size": 200_000}, 502, "answer_too_large"),
    ({"size": 200_000, "gzip": True}, 502, "answer_too_large"),
]
