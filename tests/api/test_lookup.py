"""GET ``/api/lookup/?id=…``."""

import json
from collections.abc import Callable

import pytest
from django.test import Client

from conversations.models import Project
from tests.api.conftest import assert_error
from tests.factories import days_ago, make_completed, make_request, make_request_body, make_response_body

PATH = "/api/lookup/"
CALL = {"id": "call_abc123", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHOICE = {"index": 0, "message": {"role": "assistant", "tool_calls": [CALL]}, "finish_reason": "tool_calls"}
ANSWER = make_response_body(id="chatcmpl-abc", choices=[CHOICE])


@pytest.mark.parametrize(
    ("pasted", "matched_on"),
    [
        ("req_abc", "request_id"),
        ("chatcmpl-abc", "response_id"),
        ("call_abc123", "tool_call_id"),
        ('  "chatcmpl-abc",\n', "response_id"),
        ('"id": "chatcmpl-abc",', "response_id"),
        ("x-request-id: req_abc", "request_id"),
        (json.dumps({"request_id": "req_abc", "state": "x"}), "request_id"),
        ("https://daehwa.example/requests/req_abc", "request_id"),
        ("https://api.example/v1/chat/completions/chatcmpl-abc/messages?limit=2", "response_id"),
        ("ERROR while reading chatcmpl-abc for user 7", "response_id"),
        ("chatcmpl\u2010abc\u200b", "response_id"),
    ],
)
def test_any_id_in_any_wrapping_leads_to_its_record(
    holder: Client, project: Project, pasted: str, matched_on: str
) -> None:
    make_completed(project, request_id="req_abc", response_body=ANSWER)
    found = holder.get(PATH, {"id": pasted}).json()
    assert (found["matched_on"], found["matches"]) == (matched_on, 1)
    assert found["request"]["request_id"] == "req_abc"
    assert found["id"] in {"req_abc", "chatcmpl-abc", "call_abc123"}


def test_of_several_records_the_newest_is_given(holder: Client, project: Project) -> None:
    requests = [make_completed(project, response_body=ANSWER) for _ in range(3)]
    found = holder.get(PATH, {"id": "call_abc123"}).json()
    assert (found["matches"], found["request"]["request_id"]) == (3, requests[-1].request_id)


@pytest.mark.parametrize("kept", [True, False])
def test_a_record_is_found_though_it_is_not_ready_or_its_content_not_kept(
    holder: Client, project: Project, kept: bool
) -> None:
    request = make_request(project) if kept else make_completed(project, stored=False, content_kept=False)
    assert holder.get(PATH, {"id": request.request_id}).json()["request"]["content_kept"] is kept


def test_a_miss_says_why_as_far_as_it_may_be_told(holder: Client, project: Project, other_project: Project) -> None:
    reasons = {
        make_completed(project, deleted_at=days_ago(0)).completion.response_id: "deleted",
        make_completed(project, received_at=days_ago(31)).request_id: "expired",
        make_completed(other_project).request_id: "never_seen",
        "req_unknown": "never_seen",
    }
    for pasted, reason in reasons.items():
        assert assert_error(holder.get(PATH, {"id": pasted}), 404, reason)["param"] == "id"


@pytest.mark.parametrize("pasted", ["", "  ", '""', "\u200b", "x" * 10_001, "\0"])
def test_what_holds_no_id_is_400(holder: Client, pasted: str) -> None:
    assert assert_error(holder.get(PATH, {"id": pasted}), 400, "invalid_value")["param"] == "id"


@pytest.mark.parametrize("pasted", ['{"id":"\\u0000"}', '{"id":"\\ud800"}', "';DROP_TABLE_x--", "%", "a" * 256])
def test_hostile_text_is_only_never_seen(holder: Client, project: Project, pasted: str) -> None:
    make_completed(project)
    assert_error(holder.get(PATH, {"id": pasted}), 404, "never_seen")


def test_a_long_log_is_looked_through_with_few_queries(
    holder: Client, project: Project, django_assert_max_num_queries: Callable[..., object]
) -> None:
    request = make_completed(project, request_body=make_request_body())
    log = " ".join([f"req_{n:032x}" for n in range(40)] + [request.request_id])
    with django_assert_max_num_queries(4):
        assert holder.get(PATH, {"id": log}).json()["id"] == request.request_id


def test_other_methods_and_strangers_are_refused(refuses: Callable[..., None]) -> None:
    refuses(PATH, ["post", "put", "patch", "delete", "options"])
