"""GET ``/v1/chat/deferred-completion/{request_id}``."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from openai.types.chat import ChatCompletion

from conversations.models import Body, ChatRequest, Project
from tests.api.conftest import assert_error
from tests.factories import days_ago, make_completed, make_failed, make_request

CODE = "deferred_completion_not_found"


def path_of(request_id: str) -> str:
    return f"/v1/chat/deferred-completion/{request_id}"


def make_ready(project: Project, **columns: Any) -> ChatRequest:
    return make_completed(project, mode="deferred", **columns)


@pytest.fixture
def read_once(project: Project) -> Project:
    Project.objects.filter(pk=project.pk).update(deferred_read_once=True)
    project.refresh_from_db()
    return project


@pytest.mark.parametrize("state", ["received", "queued", "running"])
def test_what_is_not_ready_is_202_without_body_or_type(holder: Client, project: Project, state: str) -> None:
    request = make_request(project, state=state)
    response = holder.get(path_of(request.request_id))
    assert (response.status_code, response.content) == (202, b"")
    assert "Content-Type" not in response
    request.refresh_from_db()
    assert request.fetched_at is None


def test_what_is_ready_has_its_request_id_and_can_be_read_again(holder: Client, project: Project) -> None:
    request = make_ready(project)
    first = holder.get(path_of(request.request_id))
    assert (first.status_code, first["Content-Type"]) == (200, "application/json")
    assert first.json() | {"request_id": request.request_id} == first.json()
    ChatCompletion.model_validate(first.json(), strict=True)
    assert holder.get(path_of(request.request_id)).content == first.content


def test_the_first_fetch_is_stamped_and_no_other(holder: Client, project: Project) -> None:
    request = make_ready(project)
    holder.get(path_of(request.request_id))
    stamped = ChatRequest.objects.get().fetched_at
    holder.get(path_of(request.request_id))
    assert stamped is not None
    assert ChatRequest.objects.get().fetched_at == stamped


def test_second_poll_of_a_read_once_result_is_404(holder: Client, read_once: Project) -> None:
    request = make_ready(read_once)
    assert holder.get(path_of(request.request_id)).status_code == 200
    assert_error(holder.get(path_of(request.request_id)), 404, CODE)
    assert Body.objects.get().response_body is not None


@pytest.mark.django_db(transaction=True)
def test_of_parallel_readers_of_a_read_once_result_exactly_one_gets_it(api_key: str, read_once: Project) -> None:
    def read(request_id: str) -> int:
        try:
            return Client(headers={"authorization": f"Bearer {api_key}"}).get(path_of(request_id)).status_code
        finally:
            connections.close_all()

    for _ in range(5):
        request = make_ready(read_once)
        with ThreadPoolExecutor(8) as readers:
            statuses = list(readers.map(read, [request.request_id] * 8))
        assert sorted(statuses) == [200] + [404] * 7


def test_a_read_once_result_is_gone_after_24_hours(holder: Client, read_once: Project) -> None:
    late = make_ready(read_once, finished_at=days_ago(1.001), received_at=days_ago(2))
    in_time = make_ready(read_once, finished_at=days_ago(0.999), received_at=days_ago(2))
    assert_error(holder.get(path_of(late.request_id)), 404, CODE)
    assert holder.get(path_of(in_time.request_id)).status_code == 200


def test_a_read_once_request_may_take_longer_than_24_hours(holder: Client, read_once: Project) -> None:
    request = make_request(read_once, received_at=days_ago(2))
    assert holder.get(path_of(request.request_id)).status_code == 202


def test_a_foreign_reader_consumes_nothing(holder: Client, other_holder: Client, read_once: Project) -> None:
    request = make_ready(read_once)
    assert_error(other_holder.get(path_of(request.request_id)), 404, CODE)
    assert holder.get(path_of(request.request_id)).status_code == 200


def test_a_head_request_consumes_nothing(holder: Client, read_once: Project) -> None:
    request = make_ready(read_once)
    assert holder.head(path_of(request.request_id)).status_code == 405
    assert holder.get(path_of(request.request_id)).status_code == 200


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_failure_is_told_again_and_again_and_not_to_be_retried(
    holder: Client, read_once: Project, status: int
) -> None:
    request = make_failed(read_once, error_status=status, error_param="model")
    for _ in range(3):
        response = holder.get(path_of(request.request_id))
        error = assert_error(response, status, "rate_limit_exceeded")
        assert response["x-should-retry"] == "false"
    assert error == {
        "message": "Slow down.",
        "type": "rate_limit_error",
        "param": "model",
        "code": "rate_limit_exceeded",
    }


def test_a_failure_without_words_is_still_an_error(holder: Client, project: Project) -> None:
    request = make_failed(project, error_status=None, error_type="", error_code="", error_message="", reason="lost")
    assert_error(holder.get(path_of(request.request_id)), 500, "lost")


def test_unknown_foreign_expired_plain_and_deleted_are_told_the_same(
    holder: Client, project: Project, other_project: Project
) -> None:
    requests = [
        make_ready(other_project),
        make_ready(project, received_at=days_ago(31)),
        make_ready(project, deleted_at=days_ago(0)),
        make_completed(project, mode="plain"),
        make_request(project, state="expired", finished_at=days_ago(0)),
    ]
    ids = [request.request_id for request in requests] + ["req_unknown"]
    assert len({holder.get(path_of(i)).content.replace(i.encode(), b"ID") for i in ids}) == 1
    assert_error(holder.get(path_of(ids[0])), 404, CODE)


@pytest.mark.parametrize("request_id", ["%00", "a%00b", "%ff", "%ED%A0%80", "a%2Fb", "x" * 5000, "..%2F", "%0a"])
def test_a_hostile_id_is_404(holder: Client, request_id: str) -> None:
    assert_error(holder.get(path_of(request_id)), 404, CODE)


def test_a_response_id_does_not_open_a_deferred_result(holder: Client, project: Project) -> None:
    assert_error(holder.get(path_of(make_ready(project).completion.response_id)), 404, CODE)


def test_a_stored_deferred_result_is_both(holder: Client, project: Project) -> None:
    request = make_ready(project)
    deferred = holder.get(path_of(request.request_id)).json()
    stored = holder.get(f"/v1/chat/completions/{request.completion.response_id}").json()
    assert (stored["id"], stored["request_id"]) == (deferred["id"], request.request_id)


def test_other_methods_and_strangers_are_refused(refuses: Callable[..., None]) -> None:
    refuses(path_of("req_1"), ["post", "put", "patch", "delete", "options"])
