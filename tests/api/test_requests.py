"""GET ``/api/requests/``, one of them, and its exact bodies."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations.models import ChatRequest, Project
from tests.api.conftest import assert_error
from tests.factories import days_ago, make_completed, make_failed, make_request, make_request_body, make_response_body

PATH = "/api/requests/"


def listed(client: Client, query: dict[str, Any] | str = "") -> list[str]:
    response = client.get(f"{PATH}?{query}") if isinstance(query, str) else client.get(PATH, query)
    assert response.status_code == 200
    return [shown["request_id"] for shown in response.json()["data"]]


def test_a_request_says_all_that_is_known_but_no_content(holder: Client, project: Project) -> None:
    request = make_completed(project, request_body=make_request_body(user="kim", metadata={"team": "a"}))
    shown = holder.get(f"{PATH}{request.request_id}/").json()
    assert (shown["project"], shown["user"], shown["metadata"]) == ("support", "kim", {"team": "a"})
    assert (shown["state"], shown["error"], shown["api_key"]["name"]) == ("completed", None, "tests")
    assert shown["completion"]["response_id"] == request.completion.response_id
    assert shown["completion"]["usage"]["total_tokens"] == 31
    assert shown["completion"]["usage"]["cached_tokens"] is None
    assert shown["received_at"].endswith("Z")
    assert "말을" not in str(shown)


def test_a_request_without_an_answer_has_no_completion(holder: Client, project: Project) -> None:
    shown = holder.get(f"{PATH}{make_request(project).request_id}/").json()
    assert (shown["completion"], shown["response_body"], shown["finished_at"]) == (None, None, None)


def test_a_failure_is_told_as_the_client_heard_it(holder: Client, project: Project) -> None:
    shown = holder.get(f"{PATH}{make_failed(project).request_id}/").json()
    assert shown["reason"] == "upstream_error_status"
    assert (shown["error"]["status"], shown["error"]["message"]) == (429, "Slow down.")


def test_the_list_is_the_newest_first_and_pages_give_every_request_once(holder: Client, project: Project) -> None:
    moment = days_ago(1)
    ids = [make_request(project, received_at=moment).request_id for _ in range(3)]
    ids += [make_request(project).request_id for _ in range(4)]
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while query:
        page = holder.get(PATH, query).json()
        seen += [shown["request_id"] for shown in page["data"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        query = {"limit": 2, "cursor": page["next_cursor"]} if page["has_more"] else {}
    assert seen == ids[::-1]


def test_a_cursor_outlives_its_record(holder: Client, project: Project) -> None:
    oldest = make_request(project)
    make_request(project)
    cursor = holder.get(PATH, {"limit": 1}).json()["next_cursor"]
    ChatRequest.objects.exclude(pk=oldest.pk).update(deleted_at=days_ago(0))
    assert listed(holder, {"cursor": cursor}) == [oldest.request_id]


@pytest.mark.parametrize("cursor", ["x", "\0", "WzEsMl0:a:b", "9" * 10_000, "[]", "é:é:é"])
def test_a_cursor_that_was_not_made_here_is_400(holder: Client, cursor: str) -> None:
    assert assert_error(holder.get(PATH, {"cursor": cursor}), 400, "invalid_value")["param"] == "cursor"


def test_a_cursor_leads_into_no_other_project(holder: Client, other_holder: Client, project: Project) -> None:
    for _ in range(3):
        make_request(project)
    cursor = holder.get(PATH, {"limit": 1}).json()["next_cursor"]
    assert listed(other_holder, {"cursor": cursor}) == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=failed", {"failed"}),
        ("state=failed&state=queued", {"failed", "waiting"}),
        ("mode=plain", {"stored", "plain"}),
        ("mode=deferred&state=queued", {"waiting"}),
        ("surface=azure", {"plain"}),
        ("model=gpt-5", {"plain"}),
        ("stored=true", {"stored"}),
        ("stored=false&user=kim", {"waiting"}),
        ("metadata[team]=a", {"stored"}),
        ("metadata%5Bteam%5D=b", set()),
        ("metadata[api_key__digest]=a", set()),
        ("since=2020-01-01", {"failed", "waiting", "stored", "plain"}),
        ("until=2020-01-01T00:00:00Z", set()),
        ("key=dw_", {"failed", "waiting", "stored", "plain"}),
        ("key=dw_%25", set()),
        ("key=zz", set()),
        ("api_key__digest__startswith=a&project__slug=x", {"failed", "waiting", "stored", "plain"}),
    ],
)
def test_the_list_is_narrowed_by(holder: Client, project: Project, api_key: str, query: str, found: set[str]) -> None:
    plain = make_request_body(model="gpt-5", store=False)
    made = {
        "failed": make_failed(project, stored=False),
        "waiting": make_request(project, stored=False, end_user="kim"),
        "stored": make_completed(project, metadata={"team": "a"}),
        "plain": make_completed(project, stored=False, request_body=plain, surface="azure"),
    }
    assert set(listed(holder, query)) == {made[name].request_id for name in found}


def test_a_search_by_key_prefix_finds_its_own_requests(holder: Client, project: Project, api_key: str) -> None:
    request = make_request(project)
    assert listed(holder, {"key": api_key[:11]}) == listed(holder, {"key": api_key}) == [request.request_id]


@pytest.mark.parametrize(
    "query",
    [
        "state=done",
        "mode=batch",
        "surface=grpc",
        "stored=maybe",
        "since=yesterday",
        "since=2026-13-01",
        "until=0001-01-01T00:00:00%2B14:00",
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=%D9%A3",
        "user=%00",
        "model=a%00",
        "key=%00",
        "metadata[a]=%00",
        "metadata[%00]=a",
    ],
)
def test_a_malformed_query_is_400(holder: Client, query: str) -> None:
    error = assert_error(holder.get(f"{PATH}?{query}"), 400, "invalid_value")
    assert error["param"] == query.partition("=")[0].partition("[")[0]


def test_deleted_expired_and_foreign_requests_are_unknown(
    holder: Client, project: Project, other_project: Project
) -> None:
    hidden = [
        make_request(project, deleted_at=days_ago(0)),
        make_request(project, received_at=days_ago(31)),
        make_request(other_project),
    ]
    assert listed(holder) == []
    for request in hidden:
        for ending in ("/", "/request-body", "/response-body"):
            assert_error(holder.get(f"{PATH}{request.request_id}{ending}"), 404, "not_found")


@pytest.mark.parametrize("request_id", ["%00", "req_x", "%ff", "a%2Fb", "x" * 5000])
def test_a_request_that_was_never_seen_is_404(holder: Client, request_id: str) -> None:
    assert_error(holder.get(f"{PATH}{request_id}/"), 404, "not_found")


def test_an_administrator_sees_the_requests_of_every_project(
    signed_in: Client, project: Project, other_project: Project
) -> None:
    assert len([make_request(project), make_request(other_project)]) == len(listed(signed_in))


def test_bodies_are_the_exact_bytes_and_never_a_page(holder: Client, project: Project) -> None:
    sent = b'{"model" : "m", "messages":[], "seed": 1e2, "seed":4944116822809979520, "x":"\\u0000"}\n'
    answer = b' {"id":"r","model":"m","created":1,"choices":[], "x":"<script>\\ud800"}'
    request = make_completed(project, request_body=sent, response_body=answer)
    for name, content in [("request", sent), ("response", answer)]:
        response = holder.get(f"{PATH}{request.request_id}/{name}-body")
        assert (response.status_code, response.content) == (200, content)
        assert response["Content-Disposition"] == f'attachment; filename="{request.request_id}.{name}.json"'
        assert (response["X-Content-Type-Options"], response["Content-Security-Policy"]) == ("nosniff", "sandbox")
        assert (response["Cache-Control"], response["Content-Type"]) == ("no-store", "application/json")


def test_what_a_failed_upstream_sent_is_not_called_json(holder: Client, project: Project) -> None:
    request = make_failed(project)
    request.body.response_body = b"<html>\xff"
    request.body.save()
    response = holder.get(f"{PATH}{request.request_id}/response-body")
    assert (response.content, response["Content-Type"]) == (b"<html>\xff", "application/octet-stream")


def test_content_that_was_not_kept_is_404_and_has_no_address(holder: Client, project: Project) -> None:
    request = make_completed(project, stored=False, content_kept=False)
    shown = holder.get(f"{PATH}{request.request_id}/").json()
    assert (shown["request_body"], shown["response_body"]) == (None, None)
    assert_error(holder.get(f"{PATH}{request.request_id}/request-body"), 404, "not_found")
    assert_error(holder.get(f"{PATH}{request.request_id}/response-body"), 404, "not_found")


def test_a_body_is_where_the_request_says(holder: Client, project: Project) -> None:
    request = make_completed(project, response_body=make_response_body(id="한글"))
    shown = holder.get(f"{PATH}{request.request_id}/").json()
    assert holder.get(shown["response_body"]).json()["id"] == "한글"
    assert holder.get(shown["request_body"]).json()["model"] == "grok-4"


@pytest.mark.parametrize("path", [PATH, "/api/completions/"])
def test_a_list_reads_no_body_and_twenty_cost_as_many_queries_as_ten(
    holder: Client, project: Project, path: str
) -> None:
    for _ in range(21):
        make_completed(project)
    counts = []
    for limit in (10, 20):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert len(holder.get(path, {"limit": limit}).json()["data"]) == limit
        assert not any("conversations_body" in query["sql"] for query in queries)
        counts.append(len(queries))
    assert counts == [2, 2]  # the key, the rows


def test_other_methods_and_strangers_are_refused(refuses: Callable[..., None]) -> None:
    for ending in ("", "req_1/", "req_1/request-body", "req_1/response-body"):
        refuses(PATH + ending, ["post", "put", "patch", "delete", "options"])
