"""Lists, their filters, their neighbours and their counts, and what was said in any language."""

import csv
import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from conversations.errors import BadRequestError, NotFoundError, SearchTooBroadError
from conversations.models import ChatRequest, Project
from conversations.search import RequestSearch
from conversations.services.exporting import export_requests
from conversations.services.facets import MAX_COUNTED, count_facets, histogram
from conversations.services.listing import bounded, list_requests, neighbours
from conversations.services.saved_views import delete_view, list_views, save_view
from tests.factories import (
    days_ago,
    enrich_all,
    make_completed,
    make_failed,
    make_request,
    make_request_body,
    make_response_body,
)

TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"city":"\\uc11c\\uc6b8"}'}}


def search(query: str) -> RequestSearch:
    return RequestSearch.from_query(QueryDict(query))


def answer(**message: Any) -> dict[str, Any]:
    """A completion with this message."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return make_response_body(choices=[choice])


@pytest.fixture
def said(project: Project) -> dict[str, ChatRequest]:
    """Conversations in three languages, searchable."""
    texts = {
        "english": ("Where is the nearest harbour?", "Transport to Port-au-Prince leaves at noon. 100% sure_thing"),
        "korean": ("대화란 무엇인가요?", "서로 말을 주고받는 일입니다. 김밥"),
        "chinese": ("什么是机器学习？", "机器学习是人工智能的一个分支。"),
    }
    made = {}
    for name, (asked, told) in texts.items():
        body = make_request_body(messages=[{"role": "user", "content": asked}])
        made[name] = make_completed(project, request_body=body, response_body=answer(content=told))
    made["tool"] = make_completed(project, response_body=answer(content=None, tool_calls=[TOOL_CALL]))
    made["refusal"] = make_completed(project, response_body=answer(content=None, refusal="I must not, ＳＯＲＲＹ."))
    enrich_all()
    return made


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("harbour", {"english"}),
        ("HARB", {"english"}),
        ("port", {"english"}),
        ('"port-au-pri"', {"english"}),
        ("nearest noon", {"english"}),
        ("nearest 무엇", set()),
        ("대화", {"korean"} | {"tool", "refusal"}),
        ("무엇인가요", {"korean"}),
        ("밥", {"korean"}),
        ('"말을 주고"', {"korean"}),
        ("말을주고", set()),
        ("机器学习", {"chinese"}),
        ("智", {"chinese"}),
        ("学机", set()),
        ("서울", {"tool"}),
        ("find(", {"tool"}),
        ("sorry", {"refusal"}),
        ("100%", {"english"}),
        ("1%0", set()),
        ("sure_th", {"english"}),
        ("sure.th", set()),
        ('"', {"english", "korean", "chinese", "tool", "refusal"}),
        ("nothing of this", set()),
        ("\\", set()),
    ],
)
def test_what_was_said_is_found_by_words_and_parts(
    said: dict[str, ChatRequest], project: Project, text: str, found: set[str]
) -> None:
    page = list_requests([project], RequestSearch(q=text))
    assert {request.pk for request in page.requests} == {said[name].pk for name in found}


@pytest.mark.parametrize("nearby", [2, 3, 4, 50])
def test_what_is_nearby_is_looked_at_first_and_nothing_is_found_twice(
    said: dict[str, ChatRequest], project: Project, monkeypatch: pytest.MonkeyPatch, nearby: int
) -> None:
    monkeypatch.setattr("conversations.services.listing.NEARBY", nearby)
    wanted = [said[name] for name in ("refusal", "tool", "korean")]
    found, cursor = [], ""
    while True:
        page = list_requests([project], RequestSearch(q="대화"), limit=1, cursor=cursor)
        found += page.requests
        if not (cursor := page.next_cursor):
            break
    assert found == wanted
    assert neighbours(said["tool"], [project], RequestSearch(q="대화")) == (wanted[0], wanted[2])


def test_another_projects_words_are_not_found(said: dict[str, ChatRequest], other_project: Project) -> None:
    assert list_requests([other_project], RequestSearch(q="harbour")).requests == []


def test_a_search_that_takes_too_long_is_given_up_in_a_sentence(said: dict[str, ChatRequest], project: Project) -> None:
    slow = ChatRequest.objects.extra(where=["pg_sleep(5) IS NULL"])
    with pytest.raises(SearchTooBroadError, match="shorter time"), bounded(RequestSearch(q="x"), seconds=0.05):
        list(slow)
    assert list_requests([project], RequestSearch(q="harbour")).requests


def test_an_error_of_the_database_itself_is_not_called_a_search() -> None:
    with pytest.raises(ZeroDivisionError), bounded(RequestSearch()):
        _ = 1 / 0


@pytest.fixture
def varied(project: Project, other_project: Project) -> dict[str, ChatRequest]:
    """One record for each filter."""
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
    speech = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": ""}}]}]
    large = make_response_body(usage={"prompt_tokens": 1, "total_tokens": 900}, service_tier="flex")
    return {
        "failed": make_failed(project, end_user="kim"),
        "waiting": make_request(project, api_key=None, model="asked"),
        "large": make_completed(project, response_body=large, surface="azure", stored=False),
        "refused": make_completed(project, response_body=answer(refusal="No."), mode="stream"),
        "tool": make_completed(project, response_body=answer(tool_calls=[TOOL_CALL])),
        "image": make_completed(project, request_body=make_request_body(messages=image), metadata={"team": "a"}),
        "heard": make_completed(project, request_body=make_request_body(messages=speech)),
        "spoken": make_completed(project, response_body=answer(audio={"id": "a", "data": ""}), is_sample=True),
        "other": make_completed(other_project, received_at=days_ago(2)),
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=failed&state=queued", {"failed", "waiting"}),
        ("mode=stream", {"refused"}),
        ("surface=azure", {"large"}),
        ("model=asked", {"waiting"}),
        (
            "model=asked&model=grok-4",
            {"failed", "waiting", "large", "refused", "tool", "image", "heard", "spoken", "other"},
        ),
        ("answered_by=grok-4", {"failed"}),
        ("answered_by=asked", {"waiting"}),
        ("stored=no", {"large"}),
        ("project=other", {"other"}),
        ("user=kim", {"failed"}),
        ("lacks=key&model=asked", {"waiting"}),
        ("lacks=user&has=image", {"image"}),
        ("lacks=model", set()),
        ("service_tier=flex", {"large"}),
        ("lacks=service_tier&min_tokens=31", {"refused", "tool", "image", "heard", "spoken", "other"}),
        ("finish_reason=length", set()),
        ("finish_reason=length&finish_reason=stop&has=tool_calls", {"tool"}),
        ("metadata[team]=a", {"image"}),
        ("has=tool_calls", {"tool"}),
        ("has=audio", {"heard", "spoken"}),
        ("has=image", {"image"}),
        ("has=image&has=audio", set()),
        ("has=refusal", {"refused"}),
        ("min_tokens=900", {"large"}),
        ("error_code=rate_limit_exceeded", {"failed"}),
        ("sample=yes", {"spoken"}),
        ("until=24h", {"other"}),
        ("since=7d&until=1d", {"other"}),
        ("since=24h&user=kim", {"failed"}),
    ],
)
def test_a_list_is_narrowed_by(
    varied: dict[str, ChatRequest], project: Project, other_project: Project, query: str, found: set[str]
) -> None:
    page = list_requests([project, other_project], search(query), limit=50)
    assert {request.pk for request in page.requests} == {varied[name].pk for name in found}


def test_pages_stay_in_place_while_new_records_come_in(project: Project) -> None:
    old = [make_completed(project).pk for _ in range(5)]
    first = list_requests([project], RequestSearch(), limit=2)
    make_completed(project)
    second = list_requests([project], RequestSearch(), limit=2, cursor=first.next_cursor)
    assert [request.pk for request in (*first.requests, *second.requests)] == old[:0:-1]


def test_neighbours_are_the_next_ones_that_are_looked_for(project: Project) -> None:
    at = days_ago(1)
    rows = [make_completed(project, received_at=at, end_user=user) for user in ("a", "b", "a", "a")]
    newer, older = neighbours(rows[2], [project], RequestSearch(user="a"))
    assert (newer, older) == (rows[3], rows[0])
    assert neighbours(rows[1], [project], RequestSearch(user="a")) == (rows[2], rows[0])
    assert neighbours(rows[3], [project], RequestSearch())[0] is None


def test_facets_count_every_value_as_the_search_would_find_it(
    varied: dict[str, ChatRequest], project: Project, other_project: Project
) -> None:
    projects = [project, other_project]
    facets = count_facets(projects, RequestSearch())
    for name, counted in facets.items():
        for value, count, capped in counted:
            query = QueryDict(mutable=True)
            query[name] = value
            found = list_requests(projects, RequestSearch.from_query(query), limit=50).requests
            assert (len(found), capped) == (count, False), (name, value)
    assert {"state", "mode", "surface", "stored", "model", "project", "has", "error_code"} <= set(facets)


def test_facets_are_counted_within_a_bound(project: Project) -> None:
    request = make_request(project)
    copies = [ChatRequest(**_columns(request), request_id=f"req_{n}") for n in range(MAX_COUNTED)]
    ChatRequest.objects.bulk_create(copies)
    facets = count_facets([project], RequestSearch())
    assert facets["state"] == [("queued", MAX_COUNTED, True)]


def _columns(request: ChatRequest) -> dict[str, Any]:
    return {"project": request.project, "surface": "openai", "mode": "deferred", "state": "queued"}


def test_bars_are_ranges_of_time_whose_records_they_count(project: Project, other_project: Project) -> None:
    for days in (0.1, 1.5, 1.5, 9):
        make_completed(project, received_at=days_ago(days))
    make_failed(project, received_at=days_ago(3))
    make_request(project, received_at=days_ago(3))
    bars = histogram([project], RequestSearch())
    assert len(bars) <= 48
    for (start, end, counts), following in zip(bars, [*bars[1:], None], strict=True):
        found = list_requests([project], RequestSearch(since=start, until=end), limit=50).requests
        assert sum(counts.values()) == len(found)
        assert following is None or following[0] == end
    assert sum(sum(counts.values()) for _, _, counts in bars) == 6
    assert {group for _, _, counts in bars for group in counts} == {"completed", "failed", "pending"}


def test_a_histogram_of_a_range_is_that_range_and_of_nothing_is_empty(project: Project) -> None:
    make_completed(project, received_at=days_ago(2))
    since, until = days_ago(3), days_ago(1)
    bars = histogram([project], RequestSearch(since=since, until=until))
    assert (bars[0][0], bars[-1][1], sum(sum(counts.values()) for _, _, counts in bars)) == (since, until, 1)
    assert histogram([project], search("user=nobody")) == []


@pytest.mark.parametrize("query", ["", "q=대화&has=image", "model=grok-4&finish_reason=stop"])
def test_ten_rows_cost_as_many_queries_as_one_and_no_body(project: Project, query: str) -> None:
    counts = []
    for _ in range(2):
        make_completed(project)
        with CaptureQueriesContext(connection) as queries:
            list_requests([project], search(query))
            count_facets([project], search(query))
            histogram([project], search(query))
        assert not any("conversations_body" in each["sql"] for each in queries)
        counts.append(len(queries))
        for _ in range(9):
            make_completed(project)
    assert counts[0] == counts[1]


def test_an_export_has_every_record_once_in_order_and_no_formula(
    project: Project, other_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversations.services.exporting.BATCH", 2)
    rows = [make_completed(project, end_user=user) for user in ("=1+1", "@x", "-1", 'a,\n"b"', "김")]
    make_completed(other_project)
    lines = b"".join(export_requests([project], RequestSearch(), "csv")).decode("utf-8-sig")
    exported = list(csv.DictReader(io.StringIO(lines, newline="")))
    assert [row["request_id"] for row in exported] == [row.request_id for row in rows[::-1]]
    assert [row["end_user"] for row in exported] == ["김", 'a,\n"b"', "'-1", "'@x", "'=1+1"]
    documents = [
        json.loads(line) for line in b"".join(export_requests([project], RequestSearch(), "jsonl")).splitlines()
    ]
    assert [each["end_user"] for each in documents[-2:]] == ["@x", "=1+1"]
    assert list(documents[0]) == list(exported[0])
    assert documents[0]["total_tokens"] == 31


def test_an_empty_export_still_names_its_columns(project: Project) -> None:
    assert b"".join(export_requests([project], RequestSearch(), "csv")).startswith(
        b"\xef\xbb\xbfproject,key,request_id"
    )
    assert b"".join(export_requests([project], RequestSearch(), "jsonl")) == b""


def test_a_view_is_its_owners_unless_it_is_shared(admin_user: User) -> None:
    other = User.objects.create_user("other")
    mine = save_view(admin_user, name="Mine", query="state=failed")
    assert save_view(admin_user, name=" Mine ", query="state=queued", is_shared=True).pk == mine.pk
    save_view(other, name="Mine", query="")
    assert [(view.user, view.query) for view in list_views(admin_user)] == [(admin_user, "state=queued")]
    assert len(list_views(other)) == 2
    with pytest.raises(NotFoundError):
        delete_view(other, mine.pk)
    delete_view(admin_user, mine.pk)
    assert len(list_views(other)) == 1


@pytest.mark.parametrize(
    ("name", "query"), [("", ""), ("x" * 101, ""), ("a\nb", ""), ("a", "q=" + "x" * 5000), ("a", "\0")]
)
def test_a_view_that_cannot_be_kept_is_refused(admin_user: User, name: str, query: str) -> None:
    with pytest.raises(BadRequestError):
        save_view(admin_user, name=name, query=query)
