"""The reading and changing routes as OpenAI's own client, at its strictest, sees them."""

import pytest
from openai import NotFoundError, OpenAI
from openai.types.chat import ChatCompletion
from pytest_django.live_server_helper import LiveServer

from conversations.models import Project
from tests.factories import make_completed, make_request, make_request_body, make_response_body


@pytest.fixture
def openai(live_server: LiveServer, api_key: str) -> OpenAI:
    return OpenAI(base_url=f"{live_server.url}/v1", api_key=api_key, _strict_response_validation=True, max_retries=0)


@pytest.fixture
def lenient(live_server: LiveServer, api_key: str) -> OpenAI:
    return OpenAI(base_url=f"{live_server.url}/v1", api_key=api_key, max_retries=0)


def make_numbered(project: Project, count: int) -> list[str]:
    ids = []
    for n in range(count):
        sent = make_request_body(metadata={"proj ect": "a&b", "odd": str(n % 2)})
        answer = make_response_body(id=f"chatcmpl-{n}", created=n, service_tier="standard")
        ids.append(make_completed(project, request_body=sent, response_body=answer).completion.response_id)
    return ids


def test_the_client_pages_through_everything(openai: OpenAI, project: Project) -> None:
    ids = make_numbered(project, 5)
    assert [shown.id for shown in openai.chat.completions.list(limit=2)] == ids
    assert [shown.id for shown in openai.chat.completions.list(limit=2, order="desc")] == ids[::-1]
    found = openai.chat.completions.list(limit=1, metadata={"proj ect": "a&b", "odd": "1"})
    assert [shown.id for shown in found] == ["chatcmpl-1", "chatcmpl-3"]


def test_the_client_deletes_while_it_pages(openai: OpenAI, project: Project) -> None:
    make_numbered(project, 5)
    for shown in openai.chat.completions.list(limit=2):
        assert openai.chat.completions.delete(shown.id).deleted
    assert list(openai.chat.completions.list()) == []


def test_the_client_retrieves_updates_and_deletes(openai: OpenAI, project: Project) -> None:
    (response_id,) = make_numbered(project, 1)
    assert openai.chat.completions.retrieve(response_id).service_tier == "default"
    updated = openai.chat.completions.update(response_id, metadata={"새": "값"})
    assert updated.metadata == {"새": "값"}  # type: ignore[attr-defined]
    assert updated._request_id
    openai.chat.completions.delete(response_id)
    with pytest.raises(NotFoundError) as missed:
        openai.chat.completions.retrieve(response_id)
    assert (missed.value.code, missed.value.request_id is not None) == ("not_found", True)


def test_the_client_lists_messages(lenient: OpenAI, project: Project) -> None:
    (response_id,) = make_numbered(project, 1)
    assert [m.id for m in lenient.chat.completions.messages.list(response_id, limit=1)] == [
        f"{response_id}-0",
        f"{response_id}-1",
    ]


def test_the_client_polls_a_deferred_completion(openai: OpenAI, lenient: OpenAI, project: Project) -> None:
    waiting, ready = make_request(project), make_completed(project, mode="deferred")
    assert lenient.get(f"/chat/deferred-completion/{waiting.request_id}", cast_to=ChatCompletion) == ""
    shown = openai.get(f"/chat/deferred-completion/{ready.request_id}", cast_to=ChatCompletion)
    assert shown.id == ready.completion.response_id
