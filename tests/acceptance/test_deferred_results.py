"""Deferred conversations through requests and OpenAI's client: asked now, fetched later."""

import datetime as dt
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI
from openai.types.chat import ChatCompletion

from tests.acceptance.deferring import HELLO, Holder
from tests.live import LiveServer, told, wait_until
from tests.scripted_upstream import ScriptedUpstream


@pytest.fixture
def holder(live: LiveServer) -> Holder:
    """A holder of the usual key."""
    return Holder(live)


@pytest.fixture
def once(live: LiveServer) -> Holder:
    """A holder of a key of the project whose results are read once."""
    return Holder(live, live.read_once_key)


def test_a_deferred_answer_is_202_and_empty_until_it_is_ready(holder: Holder) -> None:
    request_id = holder.defer(told(content="done", delay=0.5))
    pending = holder.fetch(request_id)
    assert (pending.status_code, pending.content) == (202, b"")
    assert "json" not in pending.headers.get("Content-Type", "")
    assert pending.headers["x-request-id"].startswith("req_")
    ready = holder.wait(request_id)
    assert ready.json()["choices"][0]["message"]["content"] == "done"
    assert ready.json()["request_id"] == request_id


def test_a_deferred_call_does_not_wait_for_the_model(holder: Holder) -> None:
    body = {"model": "m", "messages": told(content="x", delay=5), "deferred": True}
    url = f"{holder.live.origin}/v1/chat/completions"
    assert requests.post(url, json=body, headers=holder.headers).elapsed < dt.timedelta(seconds=2)


def test_a_result_is_the_same_bytes_again_and_again(holder: Holder) -> None:
    request_id = holder.defer(told(content="x", top_extra={"citations": ["u"]}, reasoning_content="hm"))
    first = holder.wait(request_id)
    assert {holder.fetch(request_id).content for _ in range(3)} == {first.content}
    assert first.headers["Content-Type"] == "application/json"
    assert first.json()["citations"] == ["u"]
    assert first.json()["choices"][0]["message"]["reasoning_content"] == "hm"


def test_openais_client_defers_and_fetches(client: OpenAI, lenient: OpenAI) -> None:
    created: Any = lenient.chat.completions.create(
        model="scripted", messages=told(content="later", delay=0.4), extra_body={"deferred": True}
    )
    path = f"/chat/deferred-completion/{created.request_id}"
    assert lenient.get(path, cast_to=ChatCompletion) == ""
    wait_until(lambda: lenient.get(path, cast_to=ChatCompletion) != "")
    completion = client.get(path, cast_to=ChatCompletion)
    assert completion.choices[0].message.content == "later"
    assert completion.to_dict()["request_id"] == created.request_id


def test_exactly_one_of_many_parallel_readers_gets_a_read_once_result(live: LiveServer, once: Holder) -> None:
    request_id = once.defer()
    once.wait_for_state(request_id, "completed")
    with ThreadPoolExecutor(20) as readers:
        answers = list(readers.map(once.fetch, [request_id] * 20))
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 19
    missed = next(answer for answer in answers if answer.status_code == 404)
    assert missed.json()["error"]["code"] == "deferred_completion_not_found"
    record = requests.get(f"{live.origin}/api/requests/{request_id}/", headers=once.headers)
    assert record.json()["state"] == "completed"


def test_nobody_gets_a_read_once_result_a_day_later(live: LiveServer, once: Holder) -> None:
    request_id = once.defer()
    once.wait_for_state(request_id, "completed")
    sql = "UPDATE conversations_chatrequest SET finished_at = finished_at - interval '24 h' WHERE request_id = %s"
    live.query(f"{sql} RETURNING 1", request_id)
    assert once.fetch(request_id).status_code == 404


def test_a_foreign_question_is_404_and_consumes_nothing(live: LiveServer, once: Holder, holder: Holder) -> None:
    request_id = once.defer()
    once.wait_for_state(request_id, "completed")
    foreign = holder.fetch(request_id)
    unknown = holder.fetch("req_" + "0" * 32)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.text.replace(request_id, "ID") == unknown.text.replace("req_" + "0" * 32, "ID")
    assert once.fetch(request_id).status_code == 200


def test_a_call_that_was_not_deferred_is_not_there(holder: Holder) -> None:
    body = {"model": "m", "messages": HELLO, "deferred": False, "store": True}
    created = requests.post(f"{holder.live.origin}/v1/chat/completions", json=body, headers=holder.headers)
    assert "request_id" not in created.json()
    assert holder.fetch(created.headers["x-request-id"]).status_code == 404


@pytest.mark.parametrize(
    ("directive", "status", "code"),
    [
        ({"fail": {"status": 500, "message": "boom"}}, 500, "internal_error"),
        (
            {"fail": {"status": 400, "message": "too long", "code": "context_length_exceeded"}},
            400,
            "context_length_exceeded",
        ),
        ({"body": "{}"}, 502, "bad_gateway"),
        ({"cut": {"after": "nothing", "how": "reset"}}, 502, "bad_gateway"),
    ],
)
def test_a_failed_one_answers_as_the_plain_call_would_have(
    holder: Holder, lenient: OpenAI, scripted_upstream: ScriptedUpstream, directive: Any, status: int, code: str
) -> None:
    nonce = uuid.uuid4().hex
    request_id = holder.defer(told(nonce=nonce, **directive))
    failed = holder.wait(request_id)
    with pytest.raises(openai.APIStatusError) as plain:
        lenient.chat.completions.create(model="scripted", messages=told(**directive))
    assert (failed.status_code, failed.json()["error"]["code"]) == (status, code)
    assert failed.json()["error"] == plain.value.body
    assert failed.headers["x-should-retry"] == "false"
    assert len(scripted_upstream.calls_for(nonce)) == 1
    assert [holder.fetch(request_id).content for _ in range(2)] == [failed.content] * 2


def test_a_failed_read_once_result_is_not_consumed(once: Holder) -> None:
    request_id = once.defer(told(fail={"status": 400}))
    assert once.wait(request_id).status_code == 400
    assert once.fetch(request_id).status_code == 400


def test_an_upstream_that_asks_to_wait_is_asked_again(holder: Holder, scripted_upstream: ScriptedUpstream) -> None:
    nonce = uuid.uuid4().hex
    failure = {"status": 429, "headers": {"retry-after": "1"}}
    request_id = holder.defer(told(nonce=nonce, flaky=1, fail=failure, content="at last"))
    assert holder.wait(request_id).json()["choices"][0]["message"]["content"] == "at last"
    first, second = scripted_upstream.calls_for(nonce)
    assert second.at - first.at >= 1


def test_deferred_and_stored_is_one_completion_in_both_places(client: OpenAI, holder: Holder) -> None:
    request_id = holder.defer(store=True, metadata={"a": "b"})
    ready = holder.wait(request_id).json()
    stored = client.chat.completions.retrieve(ready["id"]).to_dict()
    assert stored["request_id"] == request_id
    assert stored["metadata"] == {"a": "b"}
    assert [m.id for m in client.chat.completions.list(metadata={"a": "b"}, order="desc", limit=1).data] == [
        ready["id"]
    ]


def test_a_deferred_one_that_is_not_stored_is_not_listed(client: OpenAI, holder: Holder) -> None:
    ready = holder.wait(holder.defer()).json()
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(ready["id"])


def test_a_stored_one_that_is_deleted_is_gone_as_a_deferred_one_too(client: OpenAI, holder: Holder) -> None:
    request_id = holder.defer(store=True)
    response_id = holder.wait(request_id).json()["id"]
    client.chat.completions.delete(response_id)
    assert holder.fetch(request_id).status_code == 404


def test_a_wrong_deferred_call_is_refused_at_once(holder: Holder) -> None:
    for changes in ({"temperature": 3}, {"stream": True}, {"deferred": "yes"}, {"messages": []}):
        body = {"model": "m", "messages": HELLO, "deferred": True, **changes}
        response = requests.post(f"{holder.live.origin}/v1/chat/completions", json=body, headers=holder.headers)
        assert response.status_code == 400


def test_many_at_once_all_end_once_with_their_own_answer(holder: Holder, scripted_upstream: ScriptedUpstream) -> None:
    nonces = [uuid.uuid4().hex for _ in range(40)]
    with ThreadPoolExecutor(10) as callers:
        ids = list(callers.map(lambda nonce: holder.defer(told(nonce=nonce, content=nonce)), nonces))
    answers = [holder.wait(request_id).json()["choices"][0]["message"]["content"] for request_id in ids]
    assert answers == nonces
    assert [len(scripted_upstream.calls_for(nonce)) for nonce in nonces] == [1] * 40


@pytest.fixture(scope="module")
def unattended(scripted_upstream: ScriptedUpstream) -> Iterator[LiveServer]:
    """A server without a worker."""
    with LiveServer(scripted_upstream.url, worker=False) as server:
        yield server


def test_what_is_deferred_while_no_worker_runs_waits_for_one(unattended: LiveServer) -> None:
    holder = Holder(unattended)
    ids = [holder.defer() for _ in range(3)]
    assert {holder.fetch(request_id).status_code for request_id in ids} == {202}
    unattended.start_worker()
    assert {holder.wait(request_id).status_code for request_id in ids} == {200}
