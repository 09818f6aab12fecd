"""``POST /v1/chat/completions``, on the whole program."""

import json
from typing import Any

import pytest
import requests

from tests.live import LiveServer
from tests.posting import (
    FAILURES,
    MALFORMED,
    MAX_REQUEST_BYTES,
    SECONDS,
    Poster,
    call,
    server,  # noqa: F401
    server_without_upstream,  # noqa: F401
    straight,
    told,
)
from tests.scripted_upstream import ScriptedUpstream

PATH = "/v1/chat/completions"
FIXED = {"id": "up-1", "created": 1_700_000_000}


@pytest.fixture
def v1(server: LiveServer) -> Poster:  # noqa: F811
    """The route, with a key of the project ``support``."""
    return Poster(server, PATH, {"authorization": f"Bearer {server.key}"})


def assert_refused(response: requests.Response, status: int, code: str) -> dict[str, Any]:
    """An error in OpenAI's envelope, whole and uncached; the error."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
    assert response.headers["x-request-id"].startswith("req_")
    assert response.headers["cache-control"] == "no-store"
    assert status in {429, 503} or "retry-after" not in response.headers
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    return error


class TestWorks:
    """200 and what comes with it."""

    def test_the_answer_is_the_upstream_s_byte_for_byte(self, v1: Poster, scripted_upstream: ScriptedUpstream) -> None:
        body = told(FIXED | {"content": "대화", "top_extra": {"x": 1e22}, "message_extra": {"y": [1]}}, seed=2**63 - 1)
        response = v1.post(body)
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
        assert response.content == straight(scripted_upstream, body)
        assert v1.record(response) == ("completed", "", "plain")

    def test_the_upstream_gets_the_very_body_less_what_is_ours(
        self, v1: Poster, scripted_upstream: ScriptedUpstream
    ) -> None:
        rest = b'"messages" : [{"role":"user","content":"less-ours \\u0000"}],"x":1E2 , "model":"m"}'
        v1.post(b'{ "store":true,"metadata":{"a":"b"}, "deferred" : false,' + rest)
        (received,) = scripted_upstream.calls_for("less-ours")
        assert received.body == b"{ " + rest

    def test_the_client_s_headers_stay_here(self, v1: Poster, scripted_upstream: ScriptedUpstream) -> None:
        v1.post(call("own-headers"), headers={"cookie": "a=b", "x-forwarded-host": "evil"})
        (received,) = scripted_upstream.calls_for("own-headers")
        assert received.header("authorization") is None
        assert received.header("cookie") is None
        assert received.header("x-forwarded-host") is None

    def test_every_answer_has_a_request_id_of_its_own(self, v1: Poster) -> None:
        first, second = v1.post(call()), v1.post(call())
        assert first.headers["x-request-id"] != second.headers["x-request-id"]

    def test_a_stored_completion_can_be_read_on_the_very_next_request(self, v1: Poster) -> None:
        created = v1.post(call(store=True, metadata={"ticket": "4711"}))
        url = f"{v1.server.origin}{PATH}/{created.json()['id']}"
        read = requests.get(url, headers=v1.headers, timeout=SECONDS).json()
        assert (read["request_id"], read["metadata"]) == (created.headers["x-request-id"], {"ticket": "4711"})

    @pytest.mark.parametrize("members", [{}, {"store": False}, {"store": None}, {"metadata": {"a": "b"}}])
    def test_what_is_not_stored_is_not_found(self, v1: Poster, members: dict[str, Any]) -> None:
        created = v1.post(call(**members))
        url = f"{v1.server.origin}{PATH}/{created.json()['id']}"
        assert_refused(requests.get(url, headers=v1.headers, timeout=SECONDS), 404, "not_found")

    def test_a_stream_is_events_and_ends_with_done(self, v1: Poster) -> None:
        response = v1.post(call("one two three four", stream=True, store=True))
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert "content-length" not in response.headers
        assert response.content.endswith(b"data: [DONE]\n\n")
        assert v1.record(response) == ("completed", "", "stream")

    def test_sse_is_not_chosen_by_accept(self, v1: Poster) -> None:
        response = v1.post(call(), headers={"accept": "text/event-stream"})
        assert response.headers["content-type"] == "application/json"
        streamed = v1.post(call(stream=True), headers={"accept": "application/json"})
        assert streamed.headers["content-type"].startswith("text/event-stream")

    def test_a_deferred_call_is_answered_with_its_request_id_and_nothing_else(self, v1: Poster) -> None:
        response = v1.post(told({"delay": 60}, deferred=True))
        assert response.json() == {"request_id": response.headers["x-request-id"]}
        assert v1.record(response) == ("queued", "", "deferred")

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    def test_the_scheme_s_case_does_not_matter(self, v1: Poster, scheme: str) -> None:
        assert v1.post(call(), headers={"authorization": f"{scheme} {v1.server.key}"}).status_code == 200

    @pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/vnd.x+json", "text/a+JSON"])
    def test_any_json_media_type_will_do(self, v1: Poster, media_type: str) -> None:
        assert v1.post(call(), headers={"content-type": media_type}).status_code == 200

    def test_a_body_of_the_largest_size_comes_in_also_in_chunks(self, v1: Poster) -> None:
        body = json.dumps(call()).encode()
        filled = body + b" " * (MAX_REQUEST_BYTES - len(body))
        assert v1.post(filled).status_code == 200
        assert v1.post(iter([filled[:999], filled[999:]])).status_code == 200


class TestRefuses:
    """What never reaches the upstream, and leaves no record."""

    @pytest.fixture(autouse=True)
    def _leaves_nothing(self, v1: Poster, scripted_upstream: ScriptedUpstream) -> Any:
        recorded, received = v1.recorded(), len(scripted_upstream.received)
        yield
        assert (v1.recorded(), len(scripted_upstream.received)) == (recorded, received)

    @pytest.mark.parametrize(
        "authorization",
        [
            None,
            "",
            "Bearer",
            "Bearer ",
            "Bearer dw_" + "0" * 44,
            "Bearer sk-other",
            "Basic {key}",
            "{key}",
            "Bearer {key}x",
            "Bearer {key} {key}",
            "Bearer ' OR pg_sleep(8)--",
            "Bearer " + "k" * 20_000,
        ],
    )
    def test_without_a_right_key_nobody_passes(self, v1: Poster, authorization: str | None) -> None:
        sent = authorization and authorization.replace("{key}", v1.server.key)
        for body in (json.dumps(call()).encode(), b"{"):
            assert_refused(v1.post(body, headers={"authorization": sent}), 401, "invalid_api_key")

    def test_azure_s_header_does_not_open_this_door(self, v1: Poster) -> None:
        headers = {"authorization": None, "api-key": v1.server.key}
        assert_refused(v1.post(call(), headers=headers), 401, "invalid_api_key")

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_other_methods_are_not_allowed(self, v1: Poster, method: str) -> None:
        assert_refused(v1.send(method), 405, "method_not_allowed")

    @pytest.mark.parametrize("kind", MALFORMED)
    def test_what_is_no_json_object_is_refused(self, v1: Poster, kind: str) -> None:
        assert_refused(v1.post(MALFORMED[kind]), 400, "invalid_json")

    @pytest.mark.parametrize(
        ("changes", "param", "code"),
        [
            ({"model": None}, "model", "missing_required_parameter"),
            ({"model": "a\0"}, "model", "invalid_value"),
            ({"messages": []}, "messages", "invalid_value"),
            ({"messages": "hi"}, "messages", "invalid_type"),
            ({"temperature": 2.1}, "temperature", "out_of_range"),
            ({"temperature": "1"}, "temperature", "invalid_type"),
            ({"max_tokens": 0}, "max_tokens", "out_of_range"),
            ({"stream": "yes"}, "stream", "invalid_type"),
            ({"deferred": 1}, "deferred", "invalid_type"),
            ({"deferred": True, "stream": True}, "deferred", "invalid_value"),
            ({"store": "true"}, "store", "invalid_type"),
            ({"metadata": {"a": 1}}, "metadata.a", "invalid_type"),
            ({"metadata": {str(i): "" for i in range(17)}}, "metadata", "invalid_value"),
            ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ],
    )
    def test_what_breaks_a_rule_is_refused_by_its_name(
        self, v1: Poster, changes: dict[str, Any], param: str, code: str
    ) -> None:
        assert assert_refused(v1.post(call() | changes), 400, code)["param"] == param

    @pytest.mark.parametrize(
        "media_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"]
    )
    def test_what_is_not_declared_as_json_is_refused(self, v1: Poster, media_type: str | None) -> None:
        assert_refused(v1.post(call(), headers={"content-type": media_type}), 415, "unsupported_media_type")

    def test_one_byte_too_many_is_refused(self, v1: Poster) -> None:
        body = b" " * (MAX_REQUEST_BYTES + 1)
        assert_refused(v1.post(body), 413, "request_too_large")
        assert_refused(v1.post(iter([body])), 413, "request_too_large")


class TestUpstreamFails:
    """Each failure with its status, its record, and whether to try again."""

    @pytest.mark.parametrize(("directive", "status", "reason"), FAILURES)
    def test_a_failure_has_its_status_and_its_record(
        self, v1: Poster, directive: dict[str, Any], status: int, reason: str
    ) -> None:
        response = v1.post(told(directive, store=True))
        assert_refused(response, status, response.json()["error"]["code"])
        assert v1.record(response) == ("failed", reason, "plain")
        assert status < 500 or response.headers["x-should-retry"] == "false"

    def test_the_upstream_s_own_words_are_passed_on(self, v1: Poster) -> None:
        fail = {"status": 400, "message": "n is too big", "type": "odd", "param": "n", "code": "too_big"}
        error = assert_refused(v1.post(told({"fail": fail})), 400, "too_big")
        assert error == {"message": "n is too big", "type": "odd", "param": "n", "code": "too_big"}

    def test_a_rate_limit_says_when_to_come_back(self, v1: Poster) -> None:
        response = v1.post(told({"fail": {"status": 429, "headers": {"Retry-After": "6.2"}}}))
        assert response.headers["retry-after"] == "7"
        assert "x-should-retry" not in response.headers

    @pytest.mark.parametrize(("directive", "status", "reason"), [row for row in FAILURES if "cut" not in row[0]])
    def test_a_stream_that_fails_before_it_starts_is_no_stream(
        self, v1: Poster, directive: dict[str, Any], status: int, reason: str
    ) -> None:
        response = v1.post(told(directive | {"plain": True}, stream=True))
        assert_refused(response, status, response.json()["error"]["code"])
        assert v1.record(response) == ("failed", reason, "stream")


class TestWithoutUpstream:
    """Nobody said where the model is."""

    @pytest.fixture
    def bare(self, server_without_upstream: LiveServer) -> Poster:  # noqa: F811
        """The route of a server without an upstream."""
        return Poster(server_without_upstream, PATH, {"authorization": f"Bearer {server_without_upstream.key}"})

    @pytest.mark.parametrize("members", [{}, {"stream": True}, {"deferred": True}, {"store": True}])
    def test_a_call_is_told_what_to_set(self, bare: Poster, members: dict[str, Any]) -> None:
        response = bare.post(call(**members))
        error = assert_refused(response, 503, "upstream_not_configured")
        assert "UPSTREAM_BASE_URL" in error["message"]
        assert response.headers["x-should-retry"] == "false"
        assert "retry-after" not in response.headers
        assert bare.recorded() == 0

    def test_a_wrong_call_is_refused_all_the_same(self, bare: Poster) -> None:
        assert_refused(bare.post(b"{"), 400, "invalid_json")
        assert_refused(bare.post(call(), headers={"authorization": None}), 401, "invalid_api_key")

    def test_everything_else_works(self, bare: Poster) -> None:
        assert bare.send("GET").json()["data"] == []
