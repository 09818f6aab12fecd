"""The lookup of stored conversations: the one field of the Korean document, and its result table."""

import pytest

from conversations.dashboard.reading.fields import STORED_FIELDS
from tests.factories import make_completed, make_request_body, make_response_body


@pytest.fixture
def look(reader):
    def get(response_id):
        return reader.get("/stored/", {"response_id": response_id})

    return get


class TestStoredLookup:
    def test_only_readers_may_look(self, refuses):
        refuses("/stored/")

    def test_in_korean_it_reads_as_documented(self, reader, project):
        reader.cookies.load({"django_language": "ko"})
        record = make_completed(project)
        page = reader.get("/stored/", {"response_id": record.completion.response_id}).content.decode()
        for text in ("저장된 대화 조회", "응답 ID", "대화를 조회할 응답 ID", "이 요청의 고유 ID", "랜덤 시드 값"):
            assert text in page

    def test_every_documented_field_has_a_row(self, look, project):
        request_body = make_request_body(seed=4944116822809979520, user="u-1", metadata={"team": "a"}, temperature=0)
        record = make_completed(project, request_body=request_body)
        rows = {row.path: row for row in look(record.completion.response_id).context["record"].stored_rows}
        assert set(rows) == {field.path.replace("choices[].", "choices[0].") for field in STORED_FIELDS}
        assert rows["seed"].value == "4944116822809979520"
        assert rows["metadata"].value == '{"team":"a"}'
        assert (rows["temperature"].value, rows["top_p"].value) == ("0", "1.0")
        assert (rows["tools"].kind, rows["input_user"].value) == ("null", "u-1")

    def test_each_choice_has_rows_of_its_own(self, look, project):
        choice = make_response_body()["choices"][0]
        record = make_completed(project, response_body=make_response_body(choices=[choice, choice | {"index": 1}]))
        page = look(record.completion.response_id).content.decode()
        assert "choices[1].<wbr>message.<wbr>content" in page
        assert "2 choices" in page

    def test_what_was_not_stored_says_so_and_leads_to_its_record(self, look, project):
        record = make_completed(project, stored=False)
        response = look(record.completion.response_id)
        assert response.status_code == 404
        assert "This conversation was not stored." in response.content.decode()
        assert f'href="/requests/{record.request_id}"' in response.content.decode()

    def test_a_deferred_id_leads_to_the_page_for_it(self, look, project):
        record = make_completed(project, mode="deferred", stored=False)
        response = look(record.request_id)
        assert "This is a request ID." in response.content.decode()
        assert f'href="/deferred/?request_id={record.request_id}"' in response.content.decode()

    def test_the_newest_of_several_is_shown_and_the_others_are_named(self, look, project):
        make_completed(project, response_body=make_response_body(id="chatcmpl-same"))
        newest = make_completed(project, response_body=make_response_body(id="chatcmpl-same"))
        response = look("chatcmpl-same")
        assert response.context["record"].request.pk == newest.pk
        assert "1 more answer; this is the newest." in response.content.decode()

    def test_an_id_of_any_spelling_is_found(self, look, project):
        make_completed(project, response_body=make_response_body(id="a/b%2F?&é"))
        assert look("a/b%2F?&é").status_code == 200

    def test_another_s_record_was_never_seen(self, outsider, project):
        record = make_completed(project)
        assert outsider.get("/stored/", {"response_id": record.completion.response_id}).status_code == 404
