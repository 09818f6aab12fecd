"""GET ``/api/usage/``."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from conversations.models import ApiKey, ChatRequest, Project
from conversations.services.keys import create_api_key
from conversations.services.usage import TOKEN_COLUMNS
from tests.api.conftest import assert_error
from tests.factories import days_ago, make_completed, make_failed, make_response_body

PATH = "/api/usage/"


def make_used(project: Project, tokens: int | None, at: str, **columns: Any) -> ChatRequest:
    counts = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
    answer = make_response_body(usage=None if tokens is None else counts)
    return make_completed(project, response_body=answer, received_at=dt.datetime.fromisoformat(at), **columns)


def review(client: Client, **query: str) -> dict[str, Any]:
    return client.get(PATH, {"from": "2026-01-01", "to": "2026-01-31"} | query).json()


def test_days_are_utc_days_and_both_ends_count(holder: Client, project: Project) -> None:
    make_used(project, 1, "2025-12-31T23:59:59.999999Z")
    make_used(project, 2, "2026-01-01T00:00:00Z")
    make_used(project, 4, "2026-01-01T08:59:59+09:00")
    make_used(project, 8, "2026-01-31T23:59:59.999999Z")
    make_used(project, 16, "2026-02-01T00:00:00Z")
    found = review(holder)
    assert [(group["day"], group["prompt_tokens"]) for group in found["groups"]] == [
        ("2026-01-01", 2),
        ("2026-01-31", 8),
    ]
    assert (found["total"]["total_tokens"], found["total"]["requests"]) == (10, 2)


def test_groups_add_up_to_the_total_whatever_they_are(holder: Client, project: Project) -> None:
    for n in range(9):
        request = make_used(project, n, f"2026-01-0{n % 3 + 1}T00:00:00Z")
        ChatRequest.objects.filter(pk=request.pk).update(api_key=ApiKey.objects.first() if n % 2 else None)
    for grouping in ("day", "model", "key"):
        found = review(holder, group_by=grouping)
        for column in ("requests", "completions", "missing", "prompt_tokens", "total_tokens"):
            assert sum(group[column] for group in found["groups"]) == found["total"][column]


def test_what_is_missing_is_counted_and_never_shown_as_zero(holder: Client, project: Project) -> None:
    make_used(project, None, "2026-01-01T00:00:00Z")
    make_failed(project, received_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    (group,) = review(holder)["groups"]
    assert (group["requests"], group["completions"], group["missing"]) == (2, 1, 1)
    assert [group[column] for column in TOKEN_COLUMNS] == [None] * len(TOKEN_COLUMNS)


def test_one_known_count_beside_a_missing_one_is_the_sum(holder: Client, project: Project) -> None:
    make_used(project, None, "2026-01-01T00:00:00Z")
    make_used(project, 5, "2026-01-01T00:00:00Z")
    (group,) = review(holder)["groups"]
    assert (group["prompt_tokens"], group["completion_tokens"], group["cached_tokens"]) == (5, 0, None)


def test_sums_beyond_64_bits_are_exact(holder: Client, project: Project) -> None:
    for _ in range(2):
        make_used(project, 2**63 - 1, "2026-01-01T00:00:00Z")
    assert review(holder)["total"]["prompt_tokens"] == 2**64 - 2


def test_groups_by_model_name_the_model_that_answered(holder: Client, project: Project) -> None:
    make_used(project, 1, "2026-01-01T00:00:00Z")
    make_failed(project, received_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    groups = review(holder, group_by="model")["groups"]
    assert [(group["model"], group["completions"]) for group in groups] == [("grok-4", 0), ("grok-4-0709", 1)]
    assert not {"day", "key", "project"} & set(groups[0])


def test_groups_by_key_name_it_by_prefix(signed_in: Client, project: Project, other_project: Project) -> None:
    keys = [create_api_key(each, "robot")[0] for each in (project, other_project)]
    for key in keys:
        make_used(key.project, 3, "2026-01-01T00:00:00Z", api_key=key)
    groups = review(signed_in, group_by="key")["groups"]
    shown = {(group["key"]["prefix"], group["key"]["name"], group["project"]) for group in groups}
    assert shown == {(key.prefix, "robot", key.project.slug) for key in keys}


def test_deleting_and_expiring_change_no_sum(holder: Client, project: Project) -> None:
    make_used(project, 7, "2026-01-01T00:00:00Z", deleted_at=days_ago(0))
    assert review(holder)["total"]["prompt_tokens"] == 7


def test_another_projects_usage_is_not_counted(other_holder: Client, project: Project) -> None:
    make_used(project, 7, "2026-01-01T00:00:00Z")
    found = review(other_holder)
    assert (found["groups"], found["total"]["requests"], found["total"]["prompt_tokens"]) == ([], 0, None)


def test_thirty_days_up_to_today_are_reviewed_unless_told(holder: Client, project: Project) -> None:
    make_completed(project)
    found = holder.get(PATH).json()
    first, last = (dt.date.fromisoformat(found[name]) for name in ("first_day", "last_day"))
    assert (last - first).days == 29
    assert found["total"]["requests"] == 1


@pytest.mark.parametrize(
    "query",
    [
        {"group_by": "user"},
        {"group_by": "\0"},
        {"from": "yesterday"},
        {"to": "2026-02-30"},
        {"from": "\0"},
        {"from": "2026-02-01", "to": "2026-01-01"},
    ],
)
def test_a_malformed_query_is_400(holder: Client, query: dict[str, str]) -> None:
    assert assert_error(holder.get(PATH, query), 400, "invalid_value")["param"] in query


@pytest.mark.parametrize("query", [{"to": "0001-01-01"}, {"from": "0001-01-01", "to": "9999-12-31"}])
def test_the_ends_of_the_calendar_can_be_asked_for(holder: Client, query: dict[str, str]) -> None:
    assert holder.get(PATH, query).status_code == 200


def test_other_methods_and_strangers_are_refused(refuses: Callable[..., None]) -> None:
    refuses(PATH, ["post", "put", "patch", "delete", "options"])
