"""GET ``/api/completions/`` and one of them."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from django.test import Client

from conversations.models import Project
from tests.api.conftest import assert_error
from tests.factories import make_completed, make_request, make_response_body

PATH = "/api/completions/"


def test_only_what_was_answered_is_listed_the_newest_first(holder: Client, project: Project) -> None:
    ids = [make_completed(project).completion.response_id for _ in range(2)]
    make_request(project)
    assert [shown["response_id"] for shown in holder.get(PATH).json()["data"]] == ids[::-1]


def test_a_completion_carries_its_request(holder: Client, project: Project) -> None:
    request = make_completed(project, stored=False, content_kept=False)
    shown = holder.get(f"{PATH}{request.completion.response_id}/").json()
    assert (shown["matches"], shown["request"]["request_id"]) == (1, request.request_id)
    assert (shown["finish_reasons"], shown["usage"]["source"]) == (["stop"], "upstream")
    assert shown["request"]["expires_at"].endswith("Z")


def test_of_several_with_one_id_the_newest_is_shown_and_all_are_counted(holder: Client, project: Project) -> None:
    requests = [make_completed(project, response_body=make_response_body(id="twice")) for _ in range(2)]
    shown = holder.get(f"{PATH}twice/").json()
    assert (shown["matches"], shown["request"]["request_id"]) == (2, requests[1].request_id)


def test_the_list_is_narrowed_and_paged_like_requests(holder: Client, project: Project) -> None:
    make_completed(project, metadata={"a": "1"})
    make_completed(project)
    assert len(holder.get(PATH, {"metadata[a]": "1"}).json()["data"]) == 1
    page = holder.get(PATH, {"limit": 1}).json()
    assert len(holder.get(PATH, {"cursor": page["next_cursor"]}).json()["data"]) == 1
    assert_error(holder.get(PATH, {"cursor": "x"}), 400, "invalid_value")


@pytest.mark.parametrize("response_id", ["a/b", "50%", "답변", "a b"])
def test_an_upstreams_own_id_is_found_as_it_is(holder: Client, project: Project, response_id: str) -> None:
    make_completed(project, response_body=make_response_body(id=response_id))
    assert holder.get(f"{PATH}{quote(response_id, safe='')}/").json()["response_id"] == response_id


@pytest.mark.parametrize("response_id", ["%00", "chatcmpl-none", "%ff"])
def test_a_completion_that_was_never_seen_is_404(holder: Client, response_id: str) -> None:
    assert_error(holder.get(f"{PATH}{response_id}/"), 404, "not_found")


def test_another_projects_completion_is_unknown(other_holder: Client, project: Project) -> None:
    request = make_completed(project)
    assert other_holder.get(PATH).json()["data"] == []
    assert_error(other_holder.get(f"{PATH}{request.completion.response_id}/"), 404, "not_found")


def test_other_methods_and_strangers_are_refused(refuses: Callable[..., None]) -> None:
    refuses(PATH, ["post", "put", "patch", "delete", "options"])
    refuses(f"{PATH}x/", ["post", "put", "patch", "delete", "options"])
