"""Requests that continue each other, read from any of their turns."""

from typing import Any

import pytest

from conversations.models import ChatRequest, Project
from conversations.services.threads import list_thread
from tests.factories import days_ago, make_completed, make_request, make_request_body, make_response_body

QUESTION = {"role": "user", "content": "What time is it in Seoul?"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "clock", "arguments": '{"city": "Seoul"}'}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "09:00"}
TOLD = {"role": "assistant", "content": "It is nine."}
THANKS = {"role": "user", "content": "Thanks!"}
BYE = {"role": "assistant", "content": "You are welcome."}


def turn(project: Project, messages: list[dict[str, Any]], *said: dict[str, Any], **columns: Any) -> ChatRequest:
    """A request with these messages, answered with one choice for each of ``said``."""
    choices = [{"index": n, "message": message, "finish_reason": "stop"} for n, message in enumerate(said)]
    body = make_request_body(messages=messages)
    return make_completed(project, request_body=body, response_body=make_response_body(choices=choices), **columns)


def conversation(project: Project) -> list[ChatRequest]:
    """Three turns, the first of which calls a tool."""
    one = turn(project, [QUESTION], CALLING | {"refusal": None})
    two = turn(project, [QUESTION, CALLING, RESULT], TOLD)
    three = turn(project, [QUESTION, CALLING, RESULT, TOLD, THANKS], BYE)
    return [one, two, three]


def fresh(request: ChatRequest) -> ChatRequest:
    return ChatRequest.objects.get(pk=request.pk)


def test_three_turns_are_read_from_any_of_them(project: Project) -> None:
    turns = conversation(project)
    turn(project, [THANKS], BYE)
    for each in turns:
        assert list_thread(fresh(each), [project]) == turns


def test_a_turn_that_waits_for_its_answer_knows_what_it_continues(project: Project) -> None:
    turns = conversation(project)
    messages = [QUESTION, CALLING, RESULT, TOLD, THANKS, BYE, QUESTION]
    waiting = make_request(project, request_body=make_request_body(messages=messages))
    assert list_thread(fresh(waiting), [project]) == [*turns, waiting]


def test_either_of_two_choices_can_be_continued(project: Project) -> None:
    asked = turn(project, [QUESTION], TOLD, BYE)
    later = [turn(project, [QUESTION, choice, THANKS], BYE) for choice in (TOLD, BYE)]
    assert list_thread(fresh(asked), [project]) == [asked, *later]
    assert list_thread(fresh(later[1]), [project]) == [asked, later[1]]


def test_another_projects_conversation_is_never_linked(project: Project, other_project: Project) -> None:
    ours, theirs = conversation(project), conversation(other_project)
    assert list_thread(fresh(ours[1]), [project, other_project]) == ours
    assert list_thread(fresh(theirs[0]), [project]) == [theirs[0]]


def test_of_equal_beginnings_the_one_before_is_taken(project: Project) -> None:
    turn(project, [QUESTION], TOLD)
    nearest = turn(project, [QUESTION], TOLD)
    later = turn(project, [QUESTION, TOLD, THANKS], BYE)
    turn(project, [QUESTION], TOLD)
    assert list_thread(fresh(later), [project]) == [nearest, later]


@pytest.mark.parametrize("hidden", [{"deleted_at": days_ago(0)}, {"received_at": days_ago(40)}])
def test_what_cannot_be_read_any_more_is_left_out(project: Project, hidden: dict[str, Any]) -> None:
    one, two, three = conversation(project)
    ChatRequest.objects.filter(pk=two.pk).update(**hidden)
    assert list_thread(fresh(three), [project]) == [one, three]


def test_content_that_is_not_kept_links_nothing(project: Project) -> None:
    turn(project, [QUESTION], TOLD, content_kept=False)
    later = turn(project, [QUESTION, TOLD, THANKS], BYE)
    assert list_thread(fresh(later), [project]) == [later]
