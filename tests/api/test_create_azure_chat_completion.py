"""``POST /models/chat/completions``, on the whole program."""

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

ROUTE = "/models/chat/completions"
PATH = f"{ROUTE}?api-version=2024-05-01-preview"
FIXED = {"id": "up-1", "created": 1_700_000_000}
PASS_THROUGH = {"extra-parameters": "pass-through"}
DROP = {"extra-parameters": "drop"}


@pytest.fixture
def models(server: LiveServer) -> Poster:  # noqa: F811
    """The route, with a key of the project ``support`` in both headers, as Azure's clients send it."""
    return Poster(server, PATH, {"authorization": f"Bearer {server.key}", "api-key": server.key})


def assert_refused(response: requests.Response, status: int, code: str) -> dict[str, Any]:
    """An error in Azure's envelope, with its code in the header, too; the error."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
    assert response.headers["x-request-id"].startswith("req_")
    assert response.headers["cache-control"] == "no-store"
    assert status in {429, 503} or "retry-after" not in response.headers
    error: dict[str, Any] = response.json()["error"]
    assert error["message"]
    assert error["code"] == code == response.headers["x-ms-error-code"]
    return error


class TestWorks:
    """200 and what comes with it."""

    def test_the_answer_is_the_upstream_s_byte_for_byte(
        self, models: Poster, scripted_upstream: ScriptedUpstream
    ) -> None:
        body = told(FIXED | {"content": "대화", "top_extra": {"x": 1e22}})
        response = models.post(body)
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
        assert response.content == straight(scripted_upstream, body)
        assert models.record(response) == ("completed", "", "plain")

    def test_an_answer_without_usage_gets_one_of_zeros_and_the_record_says_that_it_is_missing(
        self, models: Poster
    ) -> None:
        response = models.post(told({"usage": None}))
        assert response.json()["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        sql = "SELECT usage_source, total_tokens FROM conversations_completion WHERE response_id = %s"
        assert models.server.query(sql, response.json()["id"]) == [("missing", None)]

    @pytest.mark.parametrize(
        ("api_key", "bearer", "status"), [("{key}", "x", 200), ("", "{key}", 200), ("x", "{key}", 401)]
    )
    def test_the_api_key_header_wins(self, models: Poster, api_key: str, bearer: str, status: int) -> None:
        key = models.server.key
        sent = {"api-key": api_key.replace("{key}", key), "authorization": "Bearer " + bearer.replace("{key}", key)}
        assert models.post(call(), headers=sent).status_code == status

    def test_a_model_need_not_be_named(self, models: Poster) -> None:
        assert models.post({"messages": call()["messages"]}).status_code == 200

    def test_a_stream_is_nothing_but_data_lines_and_ends_with_done(self, models: Poster) -> None:
        response = models.post(
            told({"content": "one two three", "insert": [[1, ": ping\n\n"]], "line_end": "\r\n"}, stream=True)
        )
        lines = [line for line in response.content.split(b"\n") if line]
        assert all(line.startswith(b"data: ") for line in lines)
        assert (lines[-1], b"\r" in response.content) == (b"data: [DONE]", False)
        assert models.record(response) == ("completed", "", "stream")

    def test_extras_pass_through_and_store_is_honoured(
        self, models: Poster, scripted_upstream: ScriptedUpstream
    ) -> None:
        body = call("azure-extras", store=True, metadata={"a": "b"}, safe_mode=True, n=2)
        response = models.post(body, headers=PASS_THROUGH)
        (received,) = scripted_upstream.calls_for("azure-extras")
        assert set(received.parsed()) == {"model", "messages", "safe_mode", "n"}
        url = f"{models.server.origin}/v1/chat/completions/{response.json()['id']}"
        read = requests.get(url, headers=models.headers, timeout=SECONDS).json()
        assert (len(read["choices"]), read["metadata"]) == (2, {"a": "b"})

    def test_extras_that_are_dropped_do_nothing(self, models: Poster, scripted_upstream: ScriptedUpstream) -> None:
        response = models.post(call("azure-drop", store=True, deferred=True, n=2), headers=DROP)
        (received,) = scripted_upstream.calls_for("azure-drop")
        assert set(received.parsed()) == {"model", "messages"}
        assert len(response.json()["choices"]) == 1
        url = f"{models.server.origin}/v1/chat/completions/{response.json()['id']}"
        assert requests.get(url, headers=models.headers, timeout=SECONDS).status_code == 404

    def test_a_call_is_never_deferred_here(self, models: Poster) -> None:
        response = models.post(call(deferred=True), headers=PASS_THROUGH)
        assert response.json()["choices"]
        assert models.record(response) == ("completed", "", "plain")

    def test_usage_at_the_end_of_a_stream_is_for_those_who_pass_it_through(self, models: Poster) -> None:
        body = call(stream=True, stream_options={"include_usage": True})
        assert b'"total_tokens"' in models.post(body, headers=PASS_THROUGH).content
        assert b'"total_tokens"' not in models.post(body, headers=DROP).content


class TestRefuses:
    """What never reaches the upstream, and leaves no record."""

    @pytest.fixture(autouse=True)
    def _leaves_nothing(self, models: Poster, scripted_upstream: ScriptedUpstream) -> Any:
        recorded, received = models.recorded(), len(scripted_upstream.received)
        yield
        assert (models.recorded(), len(scripted_upstream.received)) == (recorded, received)

    @pytest.mark.parametrize("key", [None, "", "dw_" + "0" * 44, "{key}x", "Bearer {key}", "' OR 1=1--"])
    def test_without_a_right_key_nobody_passes(self, models: Poster, key: str | None) -> None:
        sent = key and key.replace("{key}", models.server.key)
        for path in (PATH, ROUTE):
            poster = Poster(models.server, path)
            response = poster.post(b"{", headers={"api-key": sent, "authorization": sent})
            assert_refused(response, 401, "Unauthorized")

    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
    def test_other_methods_are_not_allowed(self, models: Poster, method: str) -> None:
        assert_refused(models.send(method), 405, "MethodNotAllowed")

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("", "MissingApiVersionParameter"),
            ("?api-version=", "MissingApiVersionParameter"),
            ("?api_version=2024-05-01-preview", "MissingApiVersionParameter"),
            ("?api-version=2023-01-01", "UnsupportedApiVersionValue"),
        ],
    )
    def test_the_api_version_is_required(self, models: Poster, query: str, code: str) -> None:
        poster = Poster(models.server, ROUTE + query, models.headers)
        assert_refused(poster.post(call()), 400, code)

    @pytest.mark.parametrize("kind", MALFORMED)
    def test_what_is_no_json_object_is_refused(self, models: Poster, kind: str) -> None:
        assert_refused(models.post(MALFORMED[kind]), 400, "BadRequest")

    @pytest.mark.parametrize(
        ("changes", "target"),
        [
            ({"temperature": 1.5}, "temperature"),
            ({"max_tokens": -1}, "max_tokens"),
            ({"stop": "end"}, "stop"),
            ({"messages": None}, "messages"),
            ({"n": 2}, "n"),
            ({"store": True}, "store"),
            ({"stream": 1}, "stream"),
        ],
    )
    def test_what_breaks_a_rule_is_refused_by_its_name(
        self, models: Poster, changes: dict[str, Any], target: str
    ) -> None:
        assert assert_refused(models.post(call() | changes), 400, "BadRequest")["target"] == target

    def test_what_the_model_cannot_do_is_unprocessable(self, models: Poster) -> None:
        response = models.post(call(modalities=["text", "audio"]))
        assert_refused(response, 422, "UnprocessableContent")
        (detail,) = response.json()["detail"]
        assert detail == {"loc": ["body", "modalities"], "input": ["text", "audio"]}

    @pytest.mark.parametrize("option", ["ignore", "allow"])
    def test_an_unknown_option_for_extras_is_refused(self, models: Poster, option: str) -> None:
        assert_refused(models.post(call(), headers={"extra-parameters": option}), 400, "BadRequest")

    def test_what_is_not_declared_as_json_is_refused(self, models: Poster) -> None:
        assert_refused(models.post(call(), headers={"content-type": "text/plain"}), 415, "UnsupportedMediaType")

    def test_one_byte_too_many_is_refused(self, models: Poster) -> None:
        body = b" " * (MAX_REQUEST_BYTES + 1)
        assert_refused(models.post(body), 413, "RequestEntityTooLarge")
        assert_refused(models.post(iter([body])), 413, "RequestEntityTooLarge")


CODES = {400: "BadRequest", 404: "NotFound", 429: "TooManyRequests", 500: "InternalServerError", 502: "BadGateway"}
CODES |= {503: "ServiceUnavailable", 504: "GatewayTimeout"}


class TestUpstreamFails:
    """Each failure with its status, its record, and whether to try again."""

    @pytest.mark.parametrize(("directive", "status", "reason"), FAILURES)
    def test_a_failure_has_its_status_and_its_record(
        self, models: Poster, directive: dict[str, Any], status: int, reason: str
    ) -> None:
        response = models.post(told(directive))
        assert_refused(response, status, CODES[status])
        assert models.record(response) == ("failed", reason, "plain")

    def test_a_rate_limit_says_when_to_come_back(self, models: Poster) -> None:
        response = models.post(told({"fail": {"status": 429, "headers": {"Retry-After": "6.2"}}}))
        assert response.headers["retry-after"] == "7"

    def test_a_stream_that_fails_before_it_starts_is_no_stream(self, models: Poster) -> None:
        response = models.post(told({"fail": {"status": 400, "code": "bad", "message": "No."}}, stream=True))
        error = assert_refused(response, 400, "BadRequest")
        assert error["details"] == [{"code": "bad", "message": "No."}]
        assert models.record(response) == ("failed", "upstream_error_status", "stream")


class TestWithoutUpstream:
    """Nobody said where the model is."""

    @pytest.mark.parametrize("members", [{}, {"stream": True}])
    def test_a_call_is_told_what_to_set(
        self,
        server_without_upstream: LiveServer,  # noqa: F811
        members: dict[str, Any],
    ) -> None:
        bare = Poster(server_without_upstream, PATH, {"api-key": server_without_upstream.key})
        error = assert_refused(bare.post(json.dumps(call(**members)).encode()), 503, "ServiceUnavailable")
        assert error["details"][0]["code"] == "upstream_not_configured"
        assert "UPSTREAM_BASE_URL" in error["message"]
        assert bare.recorded() == 0
