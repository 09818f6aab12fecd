"""GET, POST and DELETE ``/v1/chat/completions/{response_id}``."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion_deleted import ChatCompletionDeleted

from conversations.models import Body, ChatRequest, Completion, Project
from tests.api.conftest import assert_error
from tests.factories import days_ago, make_completed, make_request_body, make_response_body


def path_of(response_id: str) -> str:
    return f"/v1/chat/completions/{quote(response_id, safe='')}"


def update(client: Client, response_id: str, body: Any, content_type: str = "application/json") -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body)
    return client.post(path_of(response_id), content, content_type=content_type)


def test_a_stored_completion_has_every_documented_key(holder: Client, project: Project) -> None:
    request = make_completed(project, request_body=make_request_body(metadata={"team": "a"}, user="kim", seed=7))
    response = holder.get(path_of(request.completion.response_id))
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    shown = response.json()
    assert shown["request_id"] == request.request_id
    assert (shown["metadata"], shown["input_user"], shown["seed"]) == ({"team": "a"}, "kim", 7)
    assert {"tool_choice", "top_p", "temperature", "tools", "response_format", "service_tier"} <= set(shown)
    ChatCompletion.model_validate(shown, strict=True)


def test_numbers_keep_their_digits(holder: Client, project: Project) -> None:
    sent = b'{"model":"m","messages":[],"store":true,"seed":4944116822809979520,"top_p":1e0}'
    request = make_completed(project, request_body=sent)
    shown = holder.get(path_of(request.completion.response_id)).content
    assert b'"seed":4944116822809979520' in shown
    assert b'"top_p":1e0' in shown


@pytest.mark.parametrize(
    "response_id", ["a/b", "a/messages/b", "50%", "%2F", "a b", "답변", "a?b#c", "a\nb", ".", "a/"]
)
def test_an_upstreams_own_id_is_found_as_it_is(holder: Client, project: Project, response_id: str) -> None:
    make_completed(project, response_body=make_response_body(id=response_id))
    assert holder.get(path_of(response_id)).json()["id"] == response_id
    assert holder.get(path_of(response_id) + "/messages").json()["first_id"] == f"{response_id}-0"


@pytest.mark.parametrize("method", ["get", "delete"])
@pytest.mark.parametrize("response_id", ["\0", "a\0b", "chatcmpl-none", "x" * 5000, "\u202e", "' OR 1=1"])
def test_an_id_that_was_never_seen_is_404(holder: Client, method: str, response_id: str) -> None:
    error = assert_error(getattr(holder, method)(path_of(response_id)), 404, "not_found")
    assert error["message"] == f"No chat completion found with ID '{response_id}'."


def test_unknown_deleted_foreign_expired_and_unstored_are_told_the_same(
    holder: Client, project: Project, other_project: Project
) -> None:
    requests = {
        "unstored": make_completed(project, stored=False),
        "foreign": make_completed(other_project),
        "deleted": make_completed(project),
        "expired": make_completed(project, received_at=days_ago(31)),
    }
    ids = {name: request.completion.response_id for name, request in requests.items()} | {"unknown": "chatcmpl-x"}
    assert holder.delete(path_of(ids["deleted"])).status_code == 200
    for method in (holder.get, holder.delete):
        answers = {method(path_of(i)).content.replace(i.encode(), b"ID") for i in ids.values()}
        assert len(answers) == 1
    assert all(update(holder, i, {"metadata": {}}).status_code == 404 for i in ids.values())
    assert all(holder.get(path_of(i) + "/messages").status_code == 404 for i in ids.values())


def test_of_two_records_with_one_id_the_newest_is_shown(holder: Client, project: Project) -> None:
    body = make_response_body(id="chatcmpl-twice")
    make_completed(project, response_body=body)
    newest = make_completed(project, response_body=body)
    assert holder.get(path_of("chatcmpl-twice")).json()["request_id"] == newest.request_id


def test_a_body_that_postgresql_could_not_read_is_shown_as_it_came(holder: Client, project: Project) -> None:
    answer = json.dumps(make_response_body()).replace("_50", "\\u0000\\ud800").encode()
    request = make_completed(project, response_body=answer)
    assert b"\\u0000\\ud800" in holder.get(path_of(request.completion.response_id)).content


def test_metadata_is_replaced_and_nothing_else_changes(holder: Client, project: Project) -> None:
    request = make_completed(project, request_body=make_request_body(metadata={"a": "1", "b": "2"}))
    before = holder.get(path_of(request.completion.response_id)).json()
    response = update(holder, request.completion.response_id, {"metadata": {"c": "3"}})
    assert response.json() == before | {"metadata": {"c": "3"}}
    assert holder.get(path_of(request.completion.response_id)).json() == response.json()


def test_null_metadata_is_empty_metadata(holder: Client, project: Project) -> None:
    request = make_completed(project, request_body=make_request_body(metadata={"a": "1"}))
    assert update(holder, request.completion.response_id, {"metadata": None}).json()["metadata"] == {}


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"[]",
        b"{",
        b"{}",
        b'{"metadata":{},"model":"m"}',
        b'{"metadata":{"a":1}}',
        b'{"metadata":{"a":"\\u0000"}}',
        b'{"metadata":{"\\u0000":"a"}}',
        b'{"metadata":{"a":"\\ud800"}}',
        b'{"metadata":NaN}',
        b"[" * 100_000,
        json.dumps({"metadata": {"k" * 65: "v"}}).encode(),
        json.dumps({"metadata": {"k": "v" * 513}}).encode(),
        json.dumps({"metadata": {str(n): "v" for n in range(17)}}).encode(),
    ],
)
def test_malformed_metadata_is_400(holder: Client, project: Project, body: bytes) -> None:
    request = make_completed(project)
    response = update(holder, request.completion.response_id, body)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert ChatRequest.objects.get().metadata == {}


def test_metadata_counts_characters_not_bytes(holder: Client, project: Project) -> None:
    request = make_completed(project)
    metadata = {"키" * 64: "값" * 512}
    assert update(holder, request.completion.response_id, {"metadata": metadata}).json()["metadata"] == metadata


def test_an_update_that_is_no_json_by_its_type_is_415(holder: Client, project: Project) -> None:
    request = make_completed(project)
    response = update(holder, request.completion.response_id, {"metadata": {}}, "text/plain")
    assert_error(response, 415, "unsupported_media_type")


def test_an_update_over_the_size_limit_is_413(holder: Client, project: Project, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = settings.MAX_REQUEST_BYTES = 1024
    request = make_completed(project)
    response = update(holder, request.completion.response_id, b" " * 1025)
    assert_error(response, 413, "request_too_large")


def test_a_delete_removes_the_content_and_keeps_the_usage(holder: Client, project: Project) -> None:
    request = make_completed(project, request_body=make_request_body(metadata={"a": "1"}, user="kim"))
    response_id = request.completion.response_id
    deleted = holder.delete(path_of(response_id), content_type="application/json").json()
    assert deleted == {"object": "chat.completion.deleted", "id": response_id, "deleted": True}
    ChatCompletionDeleted.model_validate(deleted, strict=True)
    assert not Body.objects.exists()
    request.refresh_from_db()
    assert (request.preview, request.metadata, request.end_user) == ("", {}, "")
    assert Completion.objects.get().total_tokens == 31


def test_a_second_delete_is_404(holder: Client, project: Project) -> None:
    response_id = make_completed(project).completion.response_id
    assert holder.delete(path_of(response_id)).status_code == 200
    assert_error(holder.delete(path_of(response_id)), 404, "not_found")


def test_another_project_changes_nothing(other_holder: Client, project: Project) -> None:
    request = make_completed(project, request_body=make_request_body(metadata={"a": "1"}))
    update(other_holder, request.completion.response_id, {"metadata": {}})
    other_holder.delete(path_of(request.completion.response_id))
    request.refresh_from_db()
    assert (request.deleted_at, request.metadata) == (None, {"a": "1"})


def test_other_methods_and_strangers_are_refused(refuses: Callable[..., None]) -> None:
    refuses(path_of("chatcmpl-x"), ["put", "patch", "options"])
