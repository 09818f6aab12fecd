"""OpenAI's client lists, reads, changes and deletes what it stored."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI
from openai.types.chat import ChatCompletion

from tests.live import LiveServer, told

HELLO: Any = [{"role": "user", "content": "안녕하세요"}]
TOOL: Any = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "a\u0000b": 1e22}}}


@pytest.fixture
def model() -> str:
    """A model's name that no other test uses."""
    return f"scripted-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def store(client: OpenAI, model: str) -> Callable[..., ChatCompletion]:
    """Create a stored completion with this test's own model."""

    def create(**changes: Any) -> ChatCompletion:
        sent = {"model": model, "messages": HELLO, "store": True, **changes}
        return client.chat.completions.create(**sent)

    return create


def test_a_stored_completion_has_every_documented_key(store: Callable[..., ChatCompletion], client: OpenAI) -> None:
    created = store()
    stored = client.chat.completions.retrieve(created.id).to_dict()
    unused = dict.fromkeys(["tool_choice", "seed", "input_user", "tools", "response_format"])
    defaults = {"top_p": 1.0, "temperature": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
    rest = {"metadata": {}, "service_tier": "default", "request_id": created._request_id}
    assert stored == {**created.to_dict(), **unused, **defaults, **rest, "choices": stored["choices"]}
    message = created.choices[0].message.to_dict()
    assert stored["choices"][0]["message"] == {**message, "tool_calls": None, "function_call": None}  # type: ignore[index]


def test_parameters_are_quoted_as_they_were_sent(store: Callable[..., ChatCompletion], client: OpenAI) -> None:
    sent = {"temperature": 0, "top_p": 0.5, "seed": 4944116822809979520, "tools": [TOOL], "tool_choice": "auto"}
    sent |= {"user": "u-1", "metadata": {"a": "b"}, "presence_penalty": -1.5, "response_format": {"type": "text"}}
    stored = client.chat.completions.retrieve(store(**sent).id).to_dict()
    assert {**sent, "user": stored["input_user"]} == {**sent, **{key: stored[key] for key in sent if key != "user"}}


def test_what_is_not_stored_is_not_there(client: OpenAI, store: Callable[..., ChatCompletion], model: str) -> None:
    ids = [store(store=value).id for value in (False, None, openai.omit)]
    for response_id in ids:
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.retrieve(response_id)
    assert client.chat.completions.list(model=model).data == []


def test_a_list_is_in_the_order_of_creation_either_way(
    client: OpenAI, store: Callable[..., ChatCompletion], model: str
) -> None:
    ids = [store().id for _ in range(4)]
    assert [found.id for found in client.chat.completions.list(model=model)] == ids
    assert [found.id for found in client.chat.completions.list(model=model, order="asc")] == ids
    assert [found.id for found in client.chat.completions.list(model=model, order="desc")] == ids[::-1]


def test_pages_follow_each_other_without_gap_or_repetition(
    client: OpenAI, store: Callable[..., ChatCompletion], model: str
) -> None:
    ids = [store().id for _ in range(5)]
    page = client.chat.completions.list(model=model, limit=2)
    assert (page.has_more, [found.id for found in page.data]) == (True, ids[:2])
    assert page.to_dict()["first_id"] == ids[0]
    assert page.to_dict()["last_id"] == ids[1]
    assert [found.id for found in page] == ids


def test_everything_can_be_deleted_while_it_is_listed(
    client: OpenAI, store: Callable[..., ChatCompletion], model: str
) -> None:
    ids = [store(metadata={"run": "x"}).id for _ in range(5)]
    deleted = []
    for found in client.chat.completions.list(model=model, limit=2, metadata={"run": "x"}):
        assert client.chat.completions.delete(found.id).deleted is True
        deleted.append(found.id)
    assert deleted == ids
    assert client.chat.completions.list(model=model).data == []


def test_a_deleted_record_still_works_as_a_cursor(
    client: OpenAI, store: Callable[..., ChatCompletion], model: str
) -> None:
    first, second, third = (store().id for _ in range(3))
    client.chat.completions.delete(second)
    assert [found.id for found in client.chat.completions.list(model=model, after=second)] == [third]
    assert [found.id for found in client.chat.completions.list(model=model, after=second, order="desc")] == [first]


def test_an_empty_page_has_null_ids(client: OpenAI, model: str) -> None:
    page = client.chat.completions.list(model=model).to_dict()
    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize("key", ["k]", "k[", "proj ect", "a&b", "a=b", "a+b", "프로젝트", "k]]", "%5D"])
def test_any_metadata_key_filters(client: OpenAI, store: Callable[..., ChatCompletion], model: str, key: str) -> None:
    wanted = store(metadata={key: "a&b +%", "other": "x"}).id
    store(metadata={key: "A&b +%"})
    store(metadata={})
    assert [found.id for found in client.chat.completions.list(model=model, metadata={key: "a&b +%"})] == [wanted]


def test_all_metadata_pairs_must_match_and_an_empty_value_matches_only_itself(
    client: OpenAI, store: Callable[..., ChatCompletion], model: str
) -> None:
    empty, both = store(metadata={"a": ""}).id, store(metadata={"a": "1", "b": "2"}).id
    find = client.chat.completions.list
    assert [found.id for found in find(model=model, metadata={"a": ""})] == [empty]
    assert [found.id for found in find(model=model, metadata={"a": "1", "b": "2"})] == [both]
    assert find(model=model, metadata={"a": "1", "b": "3"}).data == []


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"extra_query": {"limit": "x"}}, {"order": "up"}])
def test_a_list_refuses_what_it_cannot_do(lenient: OpenAI, query: Any) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        lenient.chat.completions.list(**query)
    assert raised.value.param in {"limit", "order"}


def test_a_cursor_that_never_was_or_is_foreign_is_404(
    client: OpenAI, stranger: OpenAI, store: Callable[..., ChatCompletion]
) -> None:
    foreign = stranger.chat.completions.create(model="scripted", messages=HELLO, store=True).id
    for cursor in (foreign, "chatcmpl-never"):
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.list(after=cursor)


def test_an_update_replaces_the_metadata_and_nothing_else(client: OpenAI, store: Callable[..., ChatCompletion]) -> None:
    created = store(metadata={"a": "1", "b": "2"})
    before = client.chat.completions.retrieve(created.id).to_dict()
    updated = client.chat.completions.update(created.id, metadata={"c": "3"})
    assert updated.to_dict() == {**before, "metadata": {"c": "3"}}
    assert client.chat.completions.update(created.id, metadata=None).to_dict()["metadata"] == {}


@pytest.mark.parametrize(
    "body", [{}, {"metadata": {}, "model": "x"}, {"metadata": {"a": 1}}, {"metadata": []}, {"metadata": {"a": "\0"}}]
)
def test_an_update_of_anything_else_is_refused(
    live: LiveServer, store: Callable[..., ChatCompletion], body: dict[str, Any]
) -> None:
    url = f"{live.origin}/v1/chat/completions/{store().id}"
    response = requests.post(url, json=body, headers={"Authorization": f"Bearer {live.key}"})
    assert response.status_code == 400
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("metadata", "accepted"),
    [
        ({f"k{i}": "" for i in range(16)}, True),
        ({f"k{i}": "" for i in range(17)}, False),
        ({"열" * 64: "값" * 512}, True),
        ({"k" * 65: ""}, False),
        ({"k": "🧵" * 512}, True),
        ({"k": "v" * 513}, False),
        ({"k": None}, False),
        ({"k": True}, False),
        ({"k\0": ""}, False),
    ],
)
def test_metadata_has_sixteen_pairs_of_short_strings(
    lenient: OpenAI, model: str, metadata: Any, accepted: bool
) -> None:
    def create() -> ChatCompletion:
        return lenient.chat.completions.create(model=model, messages=HELLO, store=True, metadata=metadata)

    if accepted:
        assert lenient.chat.completions.retrieve(create().id).to_dict()["metadata"] == metadata
    else:
        with pytest.raises(openai.BadRequestError):
            create()


def test_metadata_without_store_is_kept_but_shows_no_content(live: LiveServer, client: OpenAI) -> None:
    created = client.chat.completions.create(model="scripted", messages=HELLO, metadata={"team": "a"})
    headers = {"Authorization": f"Bearer {live.key}"}
    record = requests.get(f"{live.origin}/api/requests/{created._request_id}/", headers=headers).json()
    body = requests.get(f"{live.origin}/api/requests/{created._request_id}/request-body", headers=headers)
    assert record["metadata"] == {"team": "a"}
    assert "안녕하세요" not in json.dumps(record, ensure_ascii=False)
    assert body.status_code == 404


def test_messages_are_listed_as_they_were_sent(lenient: OpenAI) -> None:
    parts = [
        {"type": "text", "text": "보세요"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
    ]
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    sent: Any = [
        {"role": "system", "content": "Be terse.", "name": "boss"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
    ]
    response_id = lenient.chat.completions.create(model="scripted", messages=sent, store=True).id
    listed = [message.to_dict() for message in lenient.chat.completions.messages.list(response_id, limit=3)]
    assert [message["id"] for message in listed] == [f"{response_id}-{i}" for i in range(4)]
    assert (listed[0]["name"], listed[0]["content_parts"]) == ("boss", None)
    assert (listed[1]["content"], listed[1]["content_parts"], listed[1]["name"]) == (None, parts, None)
    assert (listed[2]["tool_calls"], listed[3]["tool_call_id"]) == ([call], "c1")


def test_messages_have_an_order_and_cursors(lenient: OpenAI) -> None:
    sent: Any = [{"role": "user", "content": str(i)} for i in range(3)]
    response_id = lenient.chat.completions.create(model="scripted", messages=sent, store=True).id
    find = lenient.chat.completions.messages.list
    assert [message.content for message in find(response_id, order="desc")] == ["2", "1", "0"]
    assert [message.content for message in find(response_id, after=f"{response_id}-0")] == ["1", "2"]
    with pytest.raises(openai.NotFoundError):
        find(response_id, after=f"{response_id}-9")


def access(origin: str, key: str, response_id: str) -> Iterator[requests.Response]:
    """The four ways to reach a stored completion."""
    url = f"{origin}/v1/chat/completions/{response_id}"
    headers = {"Authorization": f"Bearer {key}"}
    yield requests.get(url, headers=headers)
    yield requests.get(f"{url}/messages", headers=headers)
    yield requests.post(url, json={"metadata": {}}, headers=headers)
    yield requests.delete(url, headers=headers)


def test_unknown_deleted_and_foreign_ids_give_the_same_404(
    live: LiveServer, client: OpenAI, stranger: OpenAI, store: Callable[..., ChatCompletion]
) -> None:
    foreign = stranger.chat.completions.create(model="scripted", messages=HELLO, store=True).id
    deleted, unstored = store().id, store(store=False).id
    client.chat.completions.delete(deleted)
    answers = []
    for response_id in ("chatcmpl-never", deleted, foreign, unstored):
        found = list(access(live.origin, live.key, response_id))
        assert [answer.status_code for answer in found] == [404] * 4
        answers.append([answer.text.replace(response_id, "ID") for answer in found])
    assert answers.count(answers[0]) == 4
    assert stranger.chat.completions.retrieve(foreign).id == foreign


@pytest.mark.parametrize("response_id", ["a/b c", "100%", "a%2Fb", "résumé?x=1#y", "x+y", "..a", "메시지"])
def test_an_upstreams_own_id_is_kept_and_found_as_it_came(lenient: OpenAI, response_id: str) -> None:
    unique = f"{uuid.uuid4().hex}{response_id}"
    created = lenient.chat.completions.create(model="scripted", messages=told(id=unique), store=True)
    assert created.id == unique
    assert lenient.chat.completions.retrieve(unique).id == unique
    assert lenient.chat.completions.messages.list(unique).data[0].id == f"{unique}-0"
    assert lenient.chat.completions.delete(unique).deleted is True


def test_two_projects_may_have_completions_with_one_id(lenient: OpenAI, stranger: OpenAI) -> None:
    same = f"chatcmpl-{uuid.uuid4().hex}"
    for owner, text in ((lenient, "ours"), (stranger, "theirs")):
        owner.chat.completions.create(model="scripted", messages=told(id=same, content=text), store=True)
    assert lenient.chat.completions.retrieve(same).choices[0].message.content == "ours"
    assert stranger.chat.completions.retrieve(same).choices[0].message.content == "theirs"


@pytest.mark.parametrize("tier", ["standard", None, "priority"])
def test_a_service_tier_that_strict_clients_refuse_is_stored_as_default(
    lenient: OpenAI, client: OpenAI, tier: str | None
) -> None:
    messages = told(top_extra={"service_tier": tier})
    response_id = lenient.chat.completions.create(model="scripted", messages=messages, store=True).id
    assert client.chat.completions.retrieve(response_id).service_tier == (
        "priority" if tier == "priority" else "default"
    )
