"""GET ``/v1/chat/completions/{response_id}/messages``."""

from collections.abc import Callable

import pytest
from django.test import Client

from conversations.models import Project
from tests.api.conftest import assert_error
from tests.factories import make_completed, make_request_body, make_response_body

PATH = "/v1/chat/completions/chatcmpl-1/messages"
PARTS = [{"type": "text", "text": "무엇?"}]
MESSAGES = [
    {"role": "system", "content": "Be terse."},
    {"role": "user", "content": PARTS},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function"}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "7", "name": "f"},
]


@pytest.fixture(autouse=True)
def stored(project: Project) -> None:
    sent = make_request_body(messages=MESSAGES)
    make_completed(project, request_body=sent, response_body=make_response_body(id="chatcmpl-1"))


def test_every_input_message_is_listed_in_order(holder: Client) -> None:
    page = holder.get(PATH).json()
    assert [shown["id"] for shown in page["data"]] == [f"chatcmpl-1-{n}" for n in range(4)]
    assert (page["object"], page["first_id"], page["last_id"]) == ("list", "chatcmpl-1-0", "chatcmpl-1-3")
    assert page["has_more"] is False


def test_parts_move_to_content_parts_and_other_keys_pass(holder: Client) -> None:
    _, user, assistant, tool = holder.get(PATH).json()["data"]
    assert (user["content"], user["content_parts"]) == (None, PARTS)
    assert assistant["tool_calls"] == MESSAGES[2]["tool_calls"]
    assert (tool["name"], tool["tool_call_id"], tool["content_parts"]) == ("f", "call_1", None)


def test_pages_go_either_way(holder: Client) -> None:
    page = holder.get(PATH, {"limit": 2, "after": "chatcmpl-1-0"}).json()
    assert ([shown["id"][-1] for shown in page["data"]], page["has_more"]) == (["1", "2"], True)
    page = holder.get(PATH, {"order": "desc", "after": "chatcmpl-1-2"}).json()
    assert ([shown["id"][-1] for shown in page["data"]], page["has_more"]) == (["1", "0"], False)


def test_the_page_after_the_last_is_empty(holder: Client) -> None:
    page = holder.get(PATH, {"after": "chatcmpl-1-3"}).json()
    assert (page["data"], page["first_id"], page["last_id"], page["has_more"]) == ([], None, None, False)


def test_an_unknown_cursor_is_404_and_a_bad_limit_400(holder: Client) -> None:
    assert_error(holder.get(PATH, {"after": "chatcmpl-1-4"}), 404, "not_found")
    assert holder.get(PATH, {"limit": "0"}).status_code == 400


def test_another_projects_messages_are_unknown(other_holder: Client) -> None:
    assert_error(other_holder.get(PATH), 404, "not_found")


def test_other_methods_and_strangers_are_refused(refuses: Callable[..., None]) -> None:
    refuses(PATH, ["post", "put", "patch", "delete", "options"])
