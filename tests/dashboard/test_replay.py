"""The tab and the events of a record's replay."""

import json

import pytest

from conversations.models import Body
from conversations.wire.chunks import Fold
from conversations.wire.sse import EventParser
from tests.factories import make_completed, make_request, make_response_body


@pytest.fixture
def show(reader):
    return lambda record: reader.get(f"/requests/{record.request_id}", {"tab": "replay"})


def test_the_tab_lists_each_chunk_with_its_delta(show, project):
    page = show(make_completed(project))
    chunks = page.context["record"].chunks
    assert [chunk.number for chunk in chunks] == list(range(1, len(chunks) + 1))
    assert (chunks[1].text, chunks[-2].finish_reason) == ('{"content":"말을 "}', "stop")
    assert "{&quot;content&quot;:&quot;말을 &quot;}" in page.content.decode()
    assert '"total_tokens":31' in chunks[-1].text


def test_the_rest_address_is_told_where_there_is_one(show, project):
    assert "stream=true&amp;include_usage=true" in show(make_completed(project)).content.decode()
    assert "stream=true" not in show(make_completed(project, stored=False, content_kept=True)).content.decode()


def test_the_events_add_up_to_the_answer(reader, project):
    record = make_completed(project)
    response = reader.get(f"/requests/{record.request_id}/replay")
    assert response["Content-Type"] == "text/event-stream"
    assert response["Content-Disposition"].startswith("attachment;")
    *chunks, end = [event.data for event in EventParser().feed(response.getvalue())]
    fold = Fold()
    for chunk in chunks:
        fold.add(json.loads(chunk))
    assert fold.completion()["choices"][0]["message"]["content"] == "말을 주고받는 일입니다."
    assert end == b"[DONE]"


def test_hostile_deltas_are_inert(show, project):
    choice = {"index": 0, "message": {"content": "<script>alert(1)</script>\u202e\0"}, "finish_reason": "<b>"}
    page = show(make_completed(project, response_body=make_response_body(choices=[choice]))).content.decode()
    assert "<script>alert" not in page
    assert "⟨U+202E⟩" in page


def test_a_long_answer_is_listed_in_part(show, project):
    choice = {"index": 0, "message": {"role": "assistant", "content": "word " * 5_000}, "finish_reason": "stop"}
    page = show(make_completed(project, response_body=make_response_body(choices=[choice]))).content.decode()
    assert "These are the first 500" in page
    assert page.count("<tr>") == 501


@pytest.mark.parametrize("answer", [b"[]", b'{"choices":7}', b"\xff", b'{"choices":[1]}', b"[" * 20_000])
def test_what_cannot_be_replayed_says_so(show, reader, project, answer):
    record = make_completed(project)
    Body.objects.filter(pk=record.pk).update(response_body=answer)
    assert "There is no answer that could be replayed." in show(record).content.decode()
    assert reader.get(f"/requests/{record.request_id}/replay").status_code == 404


def test_what_is_not_there_yet_or_was_not_kept_says_so(show, reader, project):
    pending, bare = make_request(project), make_completed(project, stored=False, content_kept=False)
    assert "There is no answer that could be replayed." in show(pending).content.decode()
    assert "was not kept" in show(bare).content.decode()
    assert reader.get(f"/requests/{pending.request_id}/replay").status_code == 404
