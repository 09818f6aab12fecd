"""Bytes at the door, sent without any SDK: what is refused, what is kept exactly, and what every answer carries."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.live import LiveServer
from tests.scripted_upstream import ScriptedUpstream

DOORS = ["/v1/chat/completions", "/models/chat/completions?api-version=2024-05-01-preview"]
MESSAGES = b'"messages":[{"role":"user","content":"hi"}]'


@pytest.fixture
def session(live: LiveServer) -> Iterator[requests.Session]:
    """Requests with a key that both surfaces take."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {live.key}"
        yield session


def send(session: requests.Session, url: str, body: Any, content_type: str = "application/json") -> requests.Response:
    """A POST of exactly these bytes."""
    return session.post(url, data=body, headers={"Content-Type": content_type}, timeout=30)


def with_text(text: bytes) -> bytes:
    """A call with these bytes inside the message's string."""
    return b'{"model":"m","messages":[{"role":"user","content":"' + text + b'"}]}'


HOSTILE = {
    "empty": b"",
    "spaces": b"  \n",
    "an array": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "not JSON": b"{model: 1}",
    "a trailing comma": b'{"model":"m",' + MESSAGES + b",}",
    "two documents": b"{}{}",
    "NaN": b'{"model":"m","temperature":NaN,' + MESSAGES + b"}",
    "Infinity": b'{"model":"m","x":-Infinity,' + MESSAGES + b"}",
    "1e400": b'{"model":"m","x":1e400,' + MESSAGES + b"}",
    "5000 digits": b'{"model":"m","x":' + b"9" * 5000 + b"," + MESSAGES + b"}",
    "a BOM": b"\xef\xbb\xbf" + with_text(b"hi"),
    "UTF-16": with_text(b"hi").decode().encode("utf-16"),
    "invalid UTF-8": with_text(b"\xff"),
    "an encoded surrogate": with_text(b"\xed\xa0\x80"),
    "a lone surrogate": with_text(b"\\ud83d"),
    "reversed surrogates": with_text(b"\\udd75\\ud83d"),
    "a raw NUL": with_text(b"\0"),
    "depth 201": b'{"model":"m",' + MESSAGES + b',"x":' + b"[" * 200 + b"]" * 200 + b"}",
    "depth 100000": b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "unclosed depth": b'{"x":' + b"[" * 100_000,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("body", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_json_is_400_and_never_reaches_the_upstream(
    live: LiveServer, session: requests.Session, scripted_upstream: ScriptedUpstream, door: str, body: bytes
) -> None:
    before = len(scripted_upstream.received)
    response = send(session, live.origin + door, body)
    assert response.status_code == 400
    assert response.json()["error"]["message"]
    assert "Retry-After" not in response.headers
    assert len(scripted_upstream.received) == before


@pytest.mark.parametrize("body", [*HOSTILE.values(), b"[" * 300], ids=[*HOSTILE, "brackets"])
def test_hostile_json_is_400_for_an_update_too(live: LiveServer, session: requests.Session, body: bytes) -> None:
    response = send(session, f"{live.origin}/v1/chat/completions/chatcmpl-x", body)
    assert response.status_code in {400, 404}
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "body",
    [
        with_text(b"\\u0000 \xef\xbf\xbe \xf0\x9f\xa7\xb5 \\ud83e\\uddf5 \\/ \\u00e9"),
        b'{"model":"first","model":"m",' + MESSAGES + b"," + MESSAGES + b"}",
        b'{"model":"m",' + MESSAGES + b',"x":' + b"[" * 199 + b"]" * 199 + b"}",
        b'\n{ "model" : "m" ,\t' + MESSAGES + b', "x": -0.0, "y": [1E2, 1e-400, 1.50, 18446744073709551617] }\r\n',
    ],
    ids=["odd characters", "duplicate keys", "depth 200", "odd numbers and spaces"],
)
def test_what_is_odd_but_json_reaches_the_upstream_byte_for_byte(
    live: LiveServer, session: requests.Session, scripted_upstream: ScriptedUpstream, body: bytes
) -> None:
    response = send(session, f"{live.origin}/v1/chat/completions", body)
    assert response.status_code == 200, response.text
    assert scripted_upstream.received[-1].body == body


def test_every_byte_of_a_stored_call_is_kept(
    live: LiveServer, session: requests.Session, scripted_upstream: ScriptedUpstream
) -> None:
    nonce = uuid.uuid4().hex.encode()
    body = b'{ "model":"m", "seed": 4944116822809979520, "temperature": 1.0,"top_p":1e0, "vendor": 1e22,\n'
    body += b'"messages":[{"role":"user","content":"\\u0000 %b"}], "store": true , "tools": []}' % nonce
    created = send(session, f"{live.origin}/v1/chat/completions", body)
    request_id, response_id = created.headers["x-request-id"], created.json()["id"]
    (call,) = scripted_upstream.calls_for(nonce.decode())
    stored = session.get(f"{live.origin}/v1/chat/completions/{response_id}").content
    assert call.body == body.replace(b', "store": true ', b"")
    assert session.get(f"{live.origin}/api/requests/{request_id}/request-body").content == body
    assert session.get(f"{live.origin}/api/requests/{request_id}/response-body").content == created.content
    assert b'"seed":4944116822809979520' in stored
    assert b'"temperature":1.0' in stored
    assert b'"top_p":1e0' in stored


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
@pytest.mark.parametrize("door", DOORS)
def test_what_is_not_declared_as_json_is_415(
    live: LiveServer, session: requests.Session, door: str, content_type: str
) -> None:
    response = send(session, live.origin + door, with_text(b"hi"), content_type)
    assert response.status_code == 415
    assert response.json()["error"]["code"] in {"unsupported_media_type", "UnsupportedMediaType"}


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/vnd.x+json", "Application/JSON"]
)
def test_every_json_type_is_taken(live: LiveServer, session: requests.Session, content_type: str) -> None:
    assert send(session, f"{live.origin}/v1/chat/completions", with_text(b"hi"), content_type).status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413(live: LiveServer, session: requests.Session, chunked: bool) -> None:
    piece = b" " * 2**20
    for path, mebibytes in (("/v1/chat/completions", 33), ("/v1/chat/completions/chatcmpl-x", 2)):
        body = (piece for _ in range(mebibytes)) if chunked else piece * mebibytes
        response = send(session, live.origin + path, body)
        assert response.status_code == 413
        assert response.json()["error"]["code"] == "request_too_large"


def test_a_body_just_below_the_limit_is_taken(live: LiveServer, session: requests.Session) -> None:
    body = b'{"model":"m",' + MESSAGES + b',"padding":"' + b"x" * (31 * 2**20) + b'"}'
    assert send(session, f"{live.origin}/v1/chat/completions", body).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/chat/completions", {"GET", "POST"}),
        ("DELETE", "/v1/chat/completions", {"GET", "POST"}),
        ("PATCH", "/v1/chat/completions/chatcmpl-x", {"GET", "POST", "DELETE"}),
        ("POST", "/v1/chat/completions/chatcmpl-x/messages", {"GET"}),
        ("POST", "/v1/chat/deferred-completion/x", {"GET"}),
        ("DELETE", "/v1/models", {"GET"}),
        ("GET", "/models/chat/completions?api-version=2024-05-01-preview", {"POST"}),
        ("POST", "/models/info?api-version=2024-05-01-preview", {"GET"}),
        ("POST", "/api/requests/", {"GET"}),
    ],
)
def test_another_method_is_405_with_the_methods_that_are_allowed(
    live: LiveServer, session: requests.Session, method: str, path: str, allowed: set[str]
) -> None:
    response = session.request(method, live.origin + path, json={})
    assert response.status_code == 405
    assert allowed <= set(response.headers["Allow"].split(", ")) <= allowed | {"HEAD", "OPTIONS"}
    assert response.json()["error"]["code"] in {"method_not_allowed", "MethodNotAllowed"}
    assert response.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/nothing", "/v1/chat/completions/", "/models/nothing", "/api/nothing", "/v2"]
)
def test_every_answer_has_a_request_id_of_its_own(live: LiveServer, session: requests.Session, path: str) -> None:
    answers = [session.get(live.origin + path) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.headers["x-request-id"] for answer in answers}) == 2


def test_a_body_that_is_declared_on_a_get_or_delete_does_not_matter(
    live: LiveServer, session: requests.Session
) -> None:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    assert session.get(f"{live.origin}/v1/chat/completions", headers=headers).status_code == 200
    assert session.delete(f"{live.origin}/v1/chat/completions/x", headers=headers).status_code == 404


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "text/event-stream", "image/*;q=x"])
def test_no_answer_depends_on_accept(live: LiveServer, session: requests.Session, accept: str) -> None:
    response = session.get(f"{live.origin}/v1/chat/completions", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"


def test_usage_of_what_is_not_stored_is_counted(live: LiveServer) -> None:
    headers = {"Authorization": f"Bearer {live.other_key}"}

    def total() -> int:
        return int(requests.get(f"{live.origin}/api/usage/", headers=headers).json()["total"]["total_tokens"] or 0)

    before = total()
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    created = requests.post(f"{live.origin}/v1/chat/completions", json=body, headers=headers).json()
    assert total() - before == created["usage"]["total_tokens"] > 0
    assert requests.get(f"{live.origin}/v1/chat/completions/{created['id']}", headers=headers).status_code == 404


def test_a_lookup_of_any_id_leads_to_the_record(live: LiveServer, session: requests.Session) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "store": True}
    created = session.post(f"{live.origin}/v1/chat/completions", json=body)
    request_id, response_id = created.headers["x-request-id"], created.json()["id"]
    for pasted in (
        request_id,
        response_id,
        f'"{response_id}"',
        f"x-request-id: {request_id}",
        json.dumps(created.json()),
    ):
        found = session.get(f"{live.origin}/api/lookup/", params={"id": pasted})
        assert found.json()["request"]["request_id"] == request_id, pasted
