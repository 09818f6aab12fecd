"""The box for any ID."""

import pytest

from tests.dashboard.conftest import HTMX
from tests.factories import days_ago, make_completed, make_request, make_response_body

TOOL_CALL = {
    "choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": [{"id": "call_77"}]}, "finish_reason": "x"}]
}


class TestLookup:
    def test_only_readers_may_look(self, refuses):
        refuses("/lookup/?id=req_unknown")

    @pytest.mark.parametrize(
        "shape", ["{}", '"{}"', "  {} ", "https://x.example/y?id={}", '{{"id": "{}"}}', "x-request-id: {}"]
    )
    def test_the_only_match_is_gone_to_at_once(self, reader, project, shape):
        record = make_completed(project)
        for an_id in (record.request_id, record.completion.response_id):
            response = reader.get("/lookup/", {"id": shape.format(an_id)})
            assert (response.status_code, response["Location"]) == (302, f"/requests/{record.request_id}")

    def test_a_tool_call_leads_to_its_conversation(self, reader, project):
        record = make_completed(project, response_body=make_response_body(**TOOL_CALL))
        assert reader.get("/lookup/", {"id": "call_77"})["Location"] == f"/requests/{record.request_id}"

    def test_htmx_is_sent_to_the_match_by_the_browser(self, reader, project):
        record = make_completed(project)
        response = reader.get("/lookup/", {"id": record.request_id}, headers=HTMX)
        assert (response.status_code, response["HX-Redirect"]) == (200, f"/requests/{record.request_id}")

    def test_several_matches_are_listed_with_what_they_matched_on(self, reader, project):
        records = [make_completed(project, response_body=make_response_body(id="chatcmpl-same")) for _ in range(2)]
        page = reader.get("/lookup/", {"id": "chatcmpl-same"}).content.decode()
        assert "2 conversations have this ID." in page
        assert "Matched on: response ID" in page
        assert all(record.request_id in page for record in records)

    def test_a_miss_is_404_and_echoes_the_id_escaped(self, reader):
        response = reader.get("/lookup/", {"id": '"><script>alert(1)</script>'})
        assert response.status_code == 404
        assert "Nothing was ever seen with this ID." in response.content.decode()
        assert "<script>alert" not in response.content.decode()

    @pytest.mark.parametrize(
        ("columns", "reason"),
        [
            ({"deleted_at": days_ago(1)}, "This conversation was deleted."),
            ({"received_at": days_ago(31)}, "This conversation has expired."),
        ],
    )
    def test_a_miss_says_why(self, reader, project, columns, reason):
        record = make_completed(project, **columns)
        response = reader.get("/lookup/", {"id": record.request_id})
        assert response.status_code == 404
        assert reason in response.content.decode()

    def test_a_miss_for_htmx_is_the_fragment_alone(self, reader):
        page = reader.get("/lookup/", {"id": "req_unknown"}, headers=HTMX).content.decode()
        assert page.strip().startswith('<div id="result"')
        assert "<html" not in page

    @pytest.mark.parametrize("nothing", ["", "   ", "\u200b", "\0"])
    def test_no_id_at_all_asks_for_one(self, reader, nothing):
        response = reader.get("/lookup/", {"id": nothing})
        assert response.status_code == 200
        assert "There is no ID in that." in response.content.decode()

    def test_another_s_record_was_never_seen(self, outsider, project):
        record = make_request(project)
        response = outsider.get("/lookup/", {"id": record.request_id})
        assert response.status_code == 404
        assert "Nothing was ever seen with this ID." in response.content.decode()

    @pytest.mark.parametrize(
        "hostile", ["\0", "req_\0", "\ud800".encode("utf-8", "surrogatepass"), "x" * 9_999, "%" * 99]
    )
    def test_hostile_ids_are_never_an_error_of_ours(self, reader, hostile):
        assert reader.get("/lookup/", {"id": hostile}).status_code in (200, 404)
