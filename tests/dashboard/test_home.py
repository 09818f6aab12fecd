"""The first page."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.dashboard.conftest import HTMX
from tests.factories import days_ago, make_completed, make_failed, make_request


class TestHome:
    def test_only_readers_may_look(self, refuses):
        refuses("/")

    def test_newest_conversations_are_listed_with_their_ids(self, reader, project):
        record = make_completed(project)
        page = reader.get("/").content.decode()
        for text in ("대화란 무엇인가?", record.request_id, record.completion.response_id, "grok-4-0709", "31"):
            assert text in page
        assert f'href="/requests/{record.request_id}"' in page

    def test_the_newest_stands_first_and_twenty_are_enough(self, reader, project):
        records = [make_completed(project, received_at=days_ago(n / 10)) for n in range(22)]
        listed = [row.pk for row in reader.get("/").context["conversations"]]
        assert listed == [record.pk for record in records[:20]]

    def test_every_state_has_its_word(self, reader, project):
        make_request(project)
        make_failed(project)
        page = reader.get("/").content.decode()
        assert 'class="state-queued">queued<' in page
        assert 'class="state-failed">failed<' in page

    def test_samples_are_marked(self, reader, project):
        make_completed(project, is_sample=True)
        assert '<span class="chip">sample</span>' in reader.get("/").content.decode()

    def test_first_run_says_how_to_send_a_request_to_this_host(self, reader):
        page = reader.get("/", headers={"host": "localhost:9000"}).content.decode()
        assert "curl http://localhost:9000/v1/chat/completions" in page
        assert "<table" not in page

    def test_missing_usage_is_not_zero_and_zero_is_not_missing(self, reader, project):
        make_completed(project, response_body={"id": "a", "model": "m", "created": 1, "choices": []})
        zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        make_completed(project, response_body={"id": "b", "model": "m", "created": 1, "choices": [], "usage": zero})
        page = reader.get("/").content.decode()
        assert page.count('data-label="Tokens">–<') == 1
        assert page.count('data-label="Tokens">0<') == 1

    @pytest.mark.parametrize("gone", [{"deleted_at": days_ago(0)}, {"received_at": days_ago(31)}])
    def test_what_is_deleted_or_expired_is_not_listed(self, reader, project, gone):
        make_completed(project, **gone)
        assert reader.get("/").context["conversations"] == []

    def test_who_may_see_no_project_sees_none(self, outsider, project):
        make_completed(project)
        assert outsider.get("/").context["conversations"] == []

    def test_hostile_columns_are_inert(self, reader, project):
        make_completed(project, preview="<script>alert(1)</script>\u202e", model="<b>")
        page = reader.get("/").content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;⟨U+202E⟩" in page

    def test_twenty_rows_cost_as_many_queries_as_ten_and_read_no_body(self, reader, project):
        costs = []
        for _ in range(2):
            for _ in range(10):
                make_completed(project)
            with CaptureQueriesContext(
                connection,
            ) as queries:
                reader.get("/")
            costs.append(len(queries))
            assert not any("conversations_body" in query["sql"] for query in queries)
        assert costs[0] == costs[1]

    def test_pages_know_their_reader_s_language_and_theme(self, reader):
        reader.cookies.load({"django_language": "ko", "theme": "dark"})
        page = reader.get("/").content.decode()
        assert '<html lang="ko" data-theme="dark">' in page
        assert "지연된 대화 조회" in page

    def test_an_htmx_request_for_another_target_gets_the_whole_page(self, reader):
        assert "<!doctype html>" in reader.get("/", headers=HTMX | {"HX-Target": "main"}).content.decode()
