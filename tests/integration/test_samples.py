"""The sample conversations: recorded like real ones, marked, found, and removed without a trace."""

import json

import pytest

from conversations.models import ChatRequest, Completion, Project
from conversations.services.deferred_results import fetch_deferred_result
from conversations.services.sample_conversations import RIEMANN, sample_conversations
from conversations.services.samples import load_samples, remove_samples
from conversations.services.stored_completions import get_stored_completion, list_stored_messages
from conversations.wire.openai import read_list_query
from tests.factories import make_completed

SEEDS = {"kgousajxgzyhugvqekuswuqbk", "kgousajxgzyhugvqekuswuqbk-audio", "kgousajxgzyhugvqekuswuqbk-tool"}
SEEDS |= {"chatcmpl-123", "chatcmpl-B0sampleStored0000000000000", "335b92e4-afa5-48e7-b99c-b9a4eabc1c8e"}


@pytest.fixture
def samples(transactional_db: None, project: Project, api_key: str) -> list[ChatRequest]:
    """All of them, as loaded."""
    load_samples()
    return list(ChatRequest.objects.filter(is_sample=True).order_by("pk"))


def test_every_sample_is_loaded_marked_and_complete(samples: list[ChatRequest], project: Project) -> None:
    assert len(samples) == len(sample_conversations()) == 6
    assert {sample.state for sample in samples} == {"completed"}
    assert {sample.project_id for sample in samples} == {project.pk}
    assert {completion.response_id for completion in Completion.objects.all()} == SEEDS


def test_the_samples_cover_both_surfaces_and_every_mode(samples: list[ChatRequest]) -> None:
    assert {sample.surface for sample in samples} == {"openai", "azure"}
    assert {sample.mode for sample in samples} == {"plain", "stream", "deferred"}


def test_every_sample_has_its_content_and_its_usage(samples: list[ChatRequest]) -> None:
    for sample in samples:
        assert json.loads(bytes(sample.body.request_body))["messages"]
        assert json.loads(bytes(sample.body.response_body or b""))["choices"]
    assert Completion.objects.filter(usage_source="upstream").count() >= 5


def test_a_stored_sample_is_served_like_any_other(samples: list[ChatRequest], project: Project) -> None:
    riemann = json.loads(get_stored_completion(project, "kgousajxgzyhugvqekuswuqbk"))
    assert riemann["choices"][0]["message"]["content"] == RIEMANN
    messages = json.loads(list_stored_messages(project, riemann["id"], read_list_query([])))
    assert [message["role"] for message in messages["data"]] == ["user"]


def test_the_streamed_sample_is_the_fold_of_its_chunks(samples: list[ChatRequest]) -> None:
    completion = Completion.objects.select_related("request__body").get(response_id="chatcmpl-123")
    body = json.loads(bytes(completion.request.body.response_body or b""))
    message = body["choices"][0]["message"]
    assert (body["object"], message["role"]) == ("chat.completion", "assistant")
    assert message["content"].startswith("Hello!")
    assert message["content"].endswith("today?")


def test_the_deferred_sample_can_be_fetched(samples: list[ChatRequest], project: Project) -> None:
    (deferred,) = [sample for sample in samples if sample.mode == "deferred"]
    result = fetch_deferred_result(project, deferred.request_id)
    assert result is not None
    assert json.loads(result)["request_id"] == deferred.request_id
    assert deferred.attempts.get().outcome == "completed"


def test_removing_them_leaves_real_conversations(samples: list[ChatRequest], project: Project) -> None:
    real = make_completed(project)
    assert remove_samples() == 6
    assert list(ChatRequest.objects.all()) == [real]
    assert list(Completion.objects.values_list("pk", flat=True)) == [real.pk]
    assert remove_samples() == 0
