"""Looking many IDs up at once."""

import csv
import io

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations.services.bulk_lookup import MAX_IDS
from tests.factories import days_ago, make_completed, make_failed, make_response_body

PATH = "/lookup/many/"


@pytest.fixture
def asker(admin_user):
    """A signed-in browser whose forms are its own."""
    browser = Client()
    browser.force_login(admin_user)
    return browser


def ask(asker, ids, **more):
    """Look IDs up; the rows as (pasted, what it matched on or why it is missing)."""
    rows = asker.post(PATH, {"ids": ids} | more).context["result"].rows
    return [(row.pasted, row.matched_on or row.miss) for row in rows]


class TestBulkLookup:
    def test_only_readers_may_look_and_only_with_a_form_of_ours(self, client, reader, project):
        assert client.get(PATH)["Location"].startswith("/login/?next=")
        assert reader.post(PATH, {"ids": "x"}).status_code == 403
        page = reader.get(PATH)
        assert {"private", "no-store"} <= set(page["Cache-Control"].split(", "))

    def test_every_kind_of_id_is_found_in_the_order_in_which_it_was_pasted(self, asker, project):
        call = [{"index": 0, "message": {"role": "assistant", "tool_calls": [{"id": "call_7"}]}, "finish_reason": "x"}]
        first, second = make_completed(project), make_completed(project)
        make_completed(project, response_body=make_response_body(choices=call))
        ids = f'call_7\n"{second.completion.response_id}", req_nope;x-request-id: {first.request_id}'
        assert ask(asker, ids) == [
            ("call_7", "tool_call_id"),
            (second.completion.response_id, "response_id"),
            ("req_nope", "never_seen"),
            (first.request_id, "request_id"),
        ]

    def test_an_id_inside_a_url_or_json_is_found_and_repeats_are_one(self, asker, project):
        an_id = make_completed(project).request_id
        pasted = f'https://x.example/requests/{an_id}\n{{"request_id": "{an_id}"}}\n{an_id} {an_id}'
        assert {matched for _pasted, matched in ask(asker, pasted)} == {"request_id"}

    def test_what_is_gone_is_missing_with_its_reason(self, asker, project):
        deleted = make_completed(project, deleted_at=days_ago(1)).request_id
        expired = make_completed(project, received_at=days_ago(31)).request_id
        assert ask(asker, f"{deleted} {expired}") == [(deleted, "deleted"), (expired, "expired")]

    def test_a_tool_call_of_a_deleted_conversation_is_missing_with_its_reason(self, asker, project):
        call = [{"index": 0, "message": {"role": "assistant", "tool_calls": [{"id": "call_7"}]}, "finish_reason": "x"}]
        make_completed(project, response_body=make_response_body(choices=call), deleted_at=days_ago(1))
        assert ask(asker, "call_7") == [("call_7", "deleted")]

    def test_another_s_record_was_never_seen(self, outsider, project):
        record = make_completed(project, deleted_at=days_ago(1))
        assert ask(outsider, record.request_id) == [(record.request_id, "never_seen")]

    def test_an_id_of_several_records_leads_to_the_newest_and_says_how_many(self, asker, project):
        records = [make_completed(project, response_body=make_response_body(id="chatcmpl-same")) for _ in range(3)]
        response = asker.post(PATH, {"ids": "chatcmpl-same"})
        [row] = response.context["result"].rows
        assert (row.request, row.times) == (records[-1], 3)
        assert "3 records" in response.content.decode()

    def test_more_than_can_be_looked_up_are_counted(self, asker, project):
        ids = " ".join(f"req_{number}" for number in range(MAX_IDS + 3))
        response = asker.post(PATH, {"ids": ids})
        assert len(response.context["result"].rows) == MAX_IDS
        assert "3 more IDs were not looked up" in response.content.decode()

    def test_many_ids_cost_as_few_queries_as_one_and_read_no_body(self, asker, project):
        records = [make_completed(project) for _ in range(12)]
        costs = []
        for asked in (records[:1], records):
            with CaptureQueriesContext(connection) as queries:
                ask(asker, " ".join(record.request_id for record in asked))
            costs.append(len(queries))
            assert not any("conversations_body" in query["sql"] for query in queries)
        assert costs[0] == costs[1] < 12

    def test_the_csv_has_a_line_for_each_id_and_no_formula(self, asker, project):
        record = make_failed(project, model="=HYPERLINK()")
        response = asker.post(PATH, {"ids": f"{record.request_id}\n=cmd|x", "csv": "1"})
        assert "attachment" in response["Content-Disposition"]
        found, missing = csv.DictReader(io.StringIO(response.content.decode()))
        assert (found["found"], found["state"], found["model"]) == ("yes", "failed", "'=HYPERLINK()")
        assert (missing["pasted"], missing["found"], missing["matched_on"]) == ("'=cmd|x", "no", "never_seen")
        assert all(None not in row and None not in row.values() for row in (found, missing))

    def test_htmx_gets_the_result_alone(self, asker, project):
        headers = {"HX-Request": "true", "HX-Target": "bulk_result"}
        page = asker.post(PATH, {"ids": "x"}, headers=headers).content.decode()
        assert page.strip().startswith('<section id="bulk_result"')

    @pytest.mark.parametrize(
        "hostile", ["", " , ;\n", "\0", "req_\0", "<script>alert(1)</script>", "%" * 5_000, "\ud7ff"]
    )
    def test_hostile_text_is_harmless(self, asker, hostile):
        response = asker.post(PATH, {"ids": hostile})
        assert response.status_code == 200
        assert "<script>alert" not in response.content.decode()
