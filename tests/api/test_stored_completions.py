"""GET ``/v1/chat/completions``."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from conversations.models import Project
from conversations.services import stored_completions
from tests.api.conftest import assert_error
from tests.factories import days_ago, make_completed, make_request, make_request_body, make_response_body

PATH = "/v1/chat/completions"


def make_named(project: Project, name: str, created: int = 1, **request_members: Any) -> str:
    answer = make_response_body(id=name, created=created)
    make_completed(project, response_body=answer, request_body=make_request_body(**request_members))
    return name


def listed(client: Client, **query: Any) -> list[str]:
    return [shown["id"] for shown in client.get(PATH, query).json()["data"]]


def test_an_empty_list_has_all_five_keys(holder: Client) -> None:
    assert holder.get(PATH).json() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


def test_a_listed_completion_is_the_retrieved_one(holder: Client, project: Project) -> None:
    make_named(project, "a", metadata={"k": "v"}, seed=2**62)
    assert holder.get(PATH).json()["data"] == [holder.get(f"{PATH}/a").json()]


def test_the_order_is_by_creation_and_then_by_arrival(holder: Client, project: Project) -> None:
    for name, created in [("late", 9), ("tie-1", 5), ("tie-2", 5), ("early", 1)]:
        make_named(project, name, created)
    assert listed(holder) == ["early", "tie-1", "tie-2", "late"]
    assert listed(holder, order="desc") == ["late", "tie-2", "tie-1", "early"]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_give_every_record_once(holder: Client, project: Project, order: str, limit: int) -> None:
    names = [make_named(project, f"c{n}", created=n // 3) for n in range(7)]
    seen: list[str] = []
    query = {"limit": limit, "order": order}
    while (page := holder.get(PATH, query).json())["data"]:
        seen += [shown["id"] for shown in page["data"]]
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
        assert page["has_more"] == (len(seen) < len(names))
        query["after"] = page["last_id"]
    assert seen == (names if order == "asc" else names[::-1])


def test_a_deleted_cursor_still_works(holder: Client, project: Project) -> None:
    names = [make_named(project, f"c{n}") for n in range(3)]
    assert holder.delete(f"{PATH}/{names[1]}").status_code == 200
    assert listed(holder, after=names[1]) == [names[2]]
    assert listed(holder, after=names[1], order="desc") == [names[0]]


def test_pages_end_where_an_upstream_repeats_an_id(holder: Client, project: Project) -> None:
    for created, name in enumerate(["twice", "between", "twice", "last"]):
        make_named(project, name, created)
    assert listed(holder, after="twice") == ["last"]
    assert listed(holder, after="twice", order="desc") == []


def test_a_foreign_and_an_unknown_cursor_are_told_the_same(
    holder: Client, project: Project, other_project: Project
) -> None:
    make_named(other_project, "foreign")
    make_completed(project, stored=False, response_body=make_response_body(id="unstored"))
    cursors = ("foreign", "unstored", "never-seen")
    answers = {holder.get(PATH, {"after": cursor}).content.replace(cursor.encode(), b"ID") for cursor in cursors}
    assert len(answers) == 1
    assert_error(holder.get(PATH, {"after": "foreign"}), 404, "not_found")


def test_only_what_is_stored_completed_and_readable_is_listed(
    holder: Client, project: Project, other_project: Project
) -> None:
    make_named(project, "mine")
    make_named(other_project, "theirs")
    make_request(project)
    make_completed(project, stored=False)
    make_completed(project, received_at=days_ago(31))
    assert listed(holder) == ["mine"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"metadata[team]": "a"}, ["one", "two"]),
        ({"metadata[team]": "a", "metadata[n]": "2"}, ["two"]),
        ({"metadata[team]": "A"}, []),
        ({"metadata[k]]": "bracket"}, ["three"]),
        ({"metadata[empty]": ""}, ["three"]),
        ({"metadata[proj ect]": "a&b"}, ["three"]),
        ({"metadata[project__slug]": "support"}, []),
        ({"metadata[__class__]": "x", "metadata[]": "x"}, []),
        ({"model": "grok-4-0709"}, ["one", "two", "three"]),
        ({"model": "grok"}, []),
        ({"unknown": "ignored"}, ["one", "two", "three"]),
    ],
)
def test_filters_match_exactly(holder: Client, project: Project, query: dict[str, str], found: list[str]) -> None:
    make_named(project, "one", 1, metadata={"team": "a", "n": "1"})
    make_named(project, "two", 2, metadata={"team": "a", "n": "2"})
    make_named(project, "three", 3, metadata={"k]": "bracket", "empty": "", "proj ect": "a&b"})
    assert listed(holder, **query) == found


def test_filters_hold_across_pages(holder: Client, project: Project) -> None:
    for n in range(4):
        make_named(project, f"c{n}", n, metadata={"odd": str(n % 2)})
    assert listed(holder, **{"metadata[odd]": "1", "after": "c1", "limit": 1}) == ["c3"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "x"},
        {"limit": "٣"},
        {"limit": "1.0"},
        {"limit": "9" * 5000},
        {"order": "up"},
        {"after": "\0"},
        {"model": "a\0"},
        {"metadata[a]": "\0"},
        {"metadata[\0]": "a"},
    ],
)
def test_a_malformed_query_is_400(holder: Client, project: Project, query: dict[str, str]) -> None:
    make_named(project, "one")
    response = holder.get(PATH, query)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_a_page_of_large_bodies_ends_early(holder: Client, project: Project, monkeypatch: Any) -> None:
    names = [make_named(project, f"c{n}", n) for n in range(3)]
    monkeypatch.setattr(stored_completions, "MAX_PAGE_BYTES", 700)
    page = holder.get(PATH).json()
    assert ([shown["id"] for shown in page["data"]], page["has_more"]) == (names[:1], True)


def test_twenty_records_cost_as_many_queries_as_ten(
    holder: Client, project: Project, django_assert_num_queries: Callable[..., Any]
) -> None:
    for n in range(20):
        make_named(project, f"c{n}", n)
    for limit in (10, 20):
        with django_assert_num_queries(4):  # the key, the rows, their sizes, their bodies
            assert len(holder.get(PATH, {"limit": limit}).json()["data"]) == limit


def test_other_methods_and_strangers_are_refused(refuses: Callable[..., None]) -> None:
    refuses(PATH, ["post", "put", "patch", "delete", "options"])
