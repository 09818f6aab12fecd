"""A talk of several requests, read from any of its turns."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import days_ago, make_completed, make_request_body, make_response_body


@pytest.fixture
def say(project):
    """Say something after what was said before, and be answered."""

    def make(before, said, answer="answer", *, at=1.0, **columns):
        messages = [*before, {"role": "user", "content": said}]
        choice = {"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
        body = make_response_body(choices=[choice])
        record = make_completed(
            project,
            request_body=make_request_body(messages=messages),
            response_body=body,
            received_at=days_ago(at),
            **columns,
        )
        return record, [*messages, choice["message"]]

    return make


@pytest.fixture
def talk(say):
    """Three requests, each going on from the one before."""
    records, so_far = [], []
    for number in range(1, 4):
        record, so_far = say(so_far, f"question {number}", f"reply {number}", at=4 - number)
        records.append(record)
    return records


class TestThread:
    def test_only_readers_may_look(self, refuses, talk):
        refuses(f"/requests/{talk[0].request_id}/thread")

    def test_the_whole_talk_is_read_from_any_of_its_turns(self, reader, talk):
        pages = []
        for record in talk:
            page = reader.get(f"/requests/{record.request_id}/thread").content.decode()
            for number in (1, 2, 3):
                assert page.count(f'dir="auto">question {number}</div>') == 1
                assert page.count(f"<p>reply {number}</p>") == 1
            pages.append(page)
        assert all(page.count("this one") == 1 for page in pages)

    def test_a_turn_leads_to_the_one_before_and_after(self, reader, talk):
        page = reader.get(f"/requests/{talk[1].request_id}").content.decode()
        assert "Turn 2 of 3" in page
        assert f'rel="prev" href="/requests/{talk[0].request_id}"' in page
        assert f'rel="next" href="/requests/{talk[2].request_id}"' in page

    def test_a_talk_that_was_taken_up_twice_leads_to_both(self, reader, say, talk):
        before = [{"role": "user", "content": "question 1"}, {"role": "assistant", "content": "reply 1"}]
        other, _ = say(before, "another way", at=0.5)
        page = reader.get(f"/requests/{talk[0].request_id}").content.decode()
        assert page.count('rel="next"') == 2
        thread = reader.get(f"/requests/{talk[0].request_id}/thread").content.decode()
        assert "goes on from 1" in thread
        assert other.request_id in thread

    def test_a_talk_alone_has_no_thread(self, reader, project):
        record = make_completed(project)
        assert 'class="turning"' not in reader.get(f"/requests/{record.request_id}").content.decode()
        page = reader.get(f"/requests/{record.request_id}/thread")
        assert (page.status_code, "Nothing comes before" in page.content.decode()) == (200, True)

    def test_every_anchor_is_there_once(self, reader, talk):
        page = reader.get(f"/requests/{talk[2].request_id}/thread").content.decode()
        ids = re.findall(r' id="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        assert {"t1-m-0", "t3-m-4", "t2-c-0"} <= set(ids)

    def test_a_tab_costs_as_many_queries_in_a_long_thread(self, reader, say):
        so_far, counts = [], []
        for number in range(12):
            record, so_far = say(so_far, f"question {number}", at=20 - number)
            with CaptureQueriesContext(connection) as queries:
                reader.get(f"/requests/{record.request_id}")
            counts.append(len(queries))
        assert len(set(counts[1:])) == 1

    def test_a_turn_that_was_deleted_is_left_out(self, reader, say, talk):
        talk[1].deleted_at = days_ago(0)
        talk[1].save()
        page = reader.get(f"/requests/{talk[2].request_id}/thread").content.decode()
        assert "question 3" in page
        assert page.count('class="titled exchange') == 2
