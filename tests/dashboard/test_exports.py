"""The list as a file."""

import csv
import io
import json

import pytest

from conversations.errors import SearchTooBroadError
from tests.factories import make_completed, make_failed


def text_of(response):
    """A streamed file's text."""
    return b"".join(response.streaming_content).decode("utf-8-sig")


class TestConversationsExport:
    @pytest.mark.parametrize("path", ["/conversations.csv", "/conversations.jsonl"])
    def test_only_readers_may_have_it_and_nobody_keeps_it(self, client, reader, outsider, project, path):
        record = make_completed(project)
        assert client.get(path)["Location"].startswith("/login/?next=")
        assert record.request_id not in text_of(outsider.get(path))
        response = reader.get(path)
        assert {"private", "no-store"} <= set(response["Cache-Control"].split(", "))
        assert "attachment" in response["Content-Disposition"]
        assert response["X-Content-Type-Options"] == "nosniff"

    def test_both_have_exactly_the_rows_of_the_page_that_leads_there(self, reader, project):
        make_completed(project)
        record = make_failed(project)
        browsing = reader.get("/conversations/?state=failed").context["browsing"]
        rows = list(csv.DictReader(io.StringIO(text_of(reader.get(browsing.csv)))))
        lines = [json.loads(line) for line in text_of(reader.get(browsing.jsonl)).splitlines()]
        assert [row["request_id"] for row in rows] == [line["request_id"] for line in lines] == [record.request_id]

    def test_more_rows_than_one_batch_are_all_there_once(self, reader, project, monkeypatch):
        monkeypatch.setattr("conversations.services.exporting.BATCH", 2)
        wanted = {make_completed(project).request_id for _ in range(7)}
        lines = [json.loads(line)["request_id"] for line in text_of(reader.get("/conversations.jsonl")).splitlines()]
        assert len(lines) == 7
        assert set(lines) == wanted

    def test_a_filter_that_cannot_be_one_is_refused(self, reader):
        assert reader.get("/conversations.csv?state=nope").status_code == 400

    @pytest.mark.parametrize("path", ["/conversations.csv?q=a", "/conversations.jsonl?q=a"])
    def test_what_is_too_broad_fails_before_a_file_is_promised(self, reader, project, monkeypatch, path):
        def give_up(*_args, **_options):
            raise SearchTooBroadError

        monkeypatch.setattr("conversations.services.exporting.list_requests", give_up)
        assert reader.get(path).status_code == 400

    def test_other_formats_are_no_pages(self, reader):
        assert reader.get("/conversations.xml").status_code == 404
