"""OpenAI's client meets every error: its class, its envelope, its headers, and how often it is tried again."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI

from tests.live import LiveServer, free_port, told
from tests.scripted_upstream import ScriptedUpstream

HELLO: Any = [{"role": "user", "content": "안녕하세요"}]


@contextlib.contextmanager
def persistent(live: LiveServer) -> Iterator[OpenAI]:
    """The client as it comes, with its two retries."""
    with OpenAI(base_url=f"{live.origin}/v1", api_key=live.key) as client:
        yield client


@pytest.mark.parametrize(
    ("upstream", "status", "error", "code"),
    [
        (400, 400, openai.BadRequestError, "invalid_value"),
        (401, 502, openai.InternalServerError, "bad_gateway"),
        (403, 403, openai.PermissionDeniedError, "forbidden"),
        (404, 404, openai.NotFoundError, "not_found"),
        (408, 504, openai.InternalServerError, "backend_unavailable"),
        (409, 409, openai.ConflictError, "conflict"),
        (413, 413, openai.APIStatusError, "request_too_large"),
        (422, 422, openai.UnprocessableEntityError, "unsupported_parameter"),
        (429, 429, openai.RateLimitError, "rate_limit_exceeded"),
        (500, 500, openai.InternalServerError, "internal_error"),
        (502, 502, openai.InternalServerError, "bad_gateway"),
        (503, 503, openai.InternalServerError, "backend_unavailable"),
        (504, 504, openai.InternalServerError, "backend_unavailable"),
        (529, 502, openai.InternalServerError, "bad_gateway"),
        (302, 502, openai.InternalServerError, "bad_gateway"),
    ],
)
def test_an_upstreams_status_becomes_the_clients_exception(
    lenient: OpenAI, upstream: int, status: int, error: type[openai.APIStatusError], code: str
) -> None:
    failure = {"status": upstream, "headers": {"retry-after": "7", "location": "http://127.0.0.1:9/"}}
    with pytest.raises(error) as raised:
        lenient.chat.completions.create(model="scripted", messages=told(fail=failure))
    response = raised.value.response
    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert (raised.value.type or "").endswith("_error")
    assert (raised.value.request_id or "").startswith("req_")
    assert response.headers["content-type"] == "application/json"
    assert response.headers.get("retry-after") == ("7" if status in {429, 503} else None)


def test_an_upstreams_own_words_reach_the_client(lenient: OpenAI) -> None:
    said = {"message": "The model 'x' does not exist.", "param": "model", "code": "model_not_found"}
    failure = {"status": 404, "type": "invalid_request_error", **said}
    with pytest.raises(openai.NotFoundError) as raised:
        lenient.chat.completions.create(model="x", messages=told(fail=failure))
    assert raised.value.body == {**said, "type": "invalid_request_error"}


@pytest.mark.parametrize(
    "body",
    [{"code": "invalid-argument", "error": "Bad model"}, {"detail": "Bad model"}, {"message": "Bad model"}],
    ids=["xAI", "FastAPI", "bare"],
)
def test_every_vendors_error_arrives_in_openais_envelope(lenient: OpenAI, body: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="Bad model") as raised:
        lenient.chat.completions.create(model="x", messages=told(fail={"status": 400, "body": body}))
    assert raised.value.code
    assert raised.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    "directive",
    [
        {"body": "<html>hi</html>", "content_type": "text/html"},
        {"body": "[]"},
        {"body": "{"},
        {"body": "{}"},
        {"body": '{"choices": []}'},
        {"body": ""},
        {"cut": {"after": 10, "how": "reset"}},
        {"cut": {"after": "nothing", "how": "fin"}},
        {"raw_base64": "SFRUUC8xLjEgMjAwIA=="},
        {"body": '{"error": {"message": "no"}}'},
    ],
)
def test_an_answer_that_is_no_completion_is_a_bad_gateway_that_is_not_tried_again(
    live: LiveServer, scripted_upstream: ScriptedUpstream, directive: dict[str, Any]
) -> None:
    nonce = uuid.uuid4().hex
    with persistent(live) as client, pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model="scripted", messages=told(nonce=nonce, **directive))
    assert (raised.value.status_code, raised.value.code) == (502, "bad_gateway")
    assert len(scripted_upstream.calls_for(nonce)) == 1


@pytest.mark.parametrize("status", [500, 502, 504, 409])
def test_what_may_have_run_is_not_sent_again(
    live: LiveServer, scripted_upstream: ScriptedUpstream, status: int
) -> None:
    nonce = uuid.uuid4().hex
    with persistent(live) as client, pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="scripted", messages=told(nonce=nonce, fail={"status": status}))
    calls = len(scripted_upstream.calls_for(nonce))
    assert calls == (3 if status == 409 else 1)
    assert raised.value.response.headers.get("x-should-retry") == (None if status == 409 else "false")


def test_a_client_that_is_told_to_wait_comes_back_and_succeeds(
    live: LiveServer, scripted_upstream: ScriptedUpstream
) -> None:
    nonce = uuid.uuid4().hex
    failure = {"status": 429, "headers": {"retry-after": "1"}}
    with persistent(live) as client:
        completion = client.chat.completions.create(
            model="scripted", messages=told(nonce=nonce, flaky=1, fail=failure, content="at last")
        )
    first, second = scripted_upstream.calls_for(nonce)
    assert completion.choices[0].message.content == "at last"
    assert second.at - first.at >= 1


@pytest.mark.parametrize("key", ["wrong", "dw_" + "0" * 44, "' OR pg_sleep(8)--", "x" * 10_000])
def test_a_wrong_key_is_an_authentication_error(live: LiveServer, key: str) -> None:
    with OpenAI(base_url=f"{live.origin}/v1", api_key=key) as client:
        for call in (lambda: client.chat.completions.create(model="m", messages=HELLO), client.chat.completions.list):
            with pytest.raises(openai.AuthenticationError) as raised:
                call()
            assert raised.value.code == "invalid_api_key"
            assert raised.value.request_id


def test_no_key_is_an_authentication_error_before_the_body_is_looked_at(live: LiveServer) -> None:
    response = requests.post(f"{live.origin}/v1/chat/completions", data=b"{", headers={"Content-Type": "text/plain"})
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "0.5"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 1.1}, "top_p"),
        ({"frequency_penalty": -2.1}, "frequency_penalty"),
        ({"presence_penalty": 2.1}, "presence_penalty"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"n": 0}, "n"),
        ({"seed": 1.5}, "seed"),
        ({"stop": 3}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"store": 1}, "store"),
        ({"deferred": "true"}, "deferred"),
        ({"deferred": True, "stream": True}, "deferred"),
        ({"metadata": {"k": 1}}, "metadata"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"user": 5}, "user"),
        ({"model": "a\0b"}, "model"),
    ],
)
def test_a_wrong_parameter_is_named(lenient: OpenAI, changes: dict[str, Any], param: str) -> None:
    sent = {"model": "scripted", "messages": HELLO, **changes}
    with pytest.raises(openai.BadRequestError) as raised:
        lenient.post("/chat/completions", body=sent, cast_to=object)
    assert (raised.value.param or "").startswith(param)
    assert raised.value.type == "invalid_request_error"
    assert raised.value.code


@pytest.mark.parametrize(
    "changes", [{"temperature": 2}, {"stop": "x"}, {"stop": ["x"]}, {"max_tokens": 1}, {"temperature": 0}]
)
def test_what_openai_allows_is_allowed(lenient: OpenAI, changes: dict[str, Any]) -> None:
    assert lenient.chat.completions.create(model="scripted", messages=HELLO, **changes).choices


@pytest.fixture(scope="module")
def unreachable() -> Iterator[LiveServer]:
    """A server whose upstream nobody listens on."""
    with LiveServer(f"http://127.0.0.1:{free_port()}/v1", worker=False) as server:
        yield server


def test_an_upstream_that_cannot_be_reached_is_tried_again(unreachable: LiveServer) -> None:
    with persistent(unreachable) as client, pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model="scripted", messages=HELLO)
    assert (raised.value.status_code, raised.value.code) == (503, "backend_unavailable")
    assert raised.value.response.headers["x-should-retry"] == "true"
    assert len(unreachable.query("SELECT 1 FROM conversations_chatrequest WHERE state = 'failed'")) == 3


def test_without_an_upstream_everything_but_the_calls_works(live: LiveServer) -> None:
    with LiveServer("", worker=False) as server, OpenAI(base_url=f"{server.origin}/v1", api_key=server.key) as client:
        with pytest.raises(openai.InternalServerError, match="UPSTREAM_BASE_URL") as raised:
            client.chat.completions.create(model="scripted", messages=HELLO)
        assert client.chat.completions.list().data == []
    assert (raised.value.status_code, raised.value.code) == (503, "upstream_not_configured")
