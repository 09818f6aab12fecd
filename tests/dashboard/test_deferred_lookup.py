"""The lookup of deferred conversations: the one field of the Korean document, and its result table."""

import pytest
from django.utils import timezone

from conversations.dashboard.reading.fields import DEFERRED_FIELDS
from conversations.dashboard.views.lookup import poll_interval
from conversations.models import ChatRequest
from tests.dashboard.conftest import HTMX
from tests.factories import make_completed, make_failed, make_request, make_response_body


@pytest.fixture
def look(reader):
    def get(request_id, **more):
        return reader.get("/deferred/", {"request_id": request_id}, **more)

    return get


class TestDeferredLookup:
    def test_only_readers_may_look(self, refuses):
        refuses("/deferred/")

    def test_the_page_has_the_one_field(self, reader):
        page = reader.get("/deferred/").content.decode()
        assert 'name="request_id"' in page
        assert "Deferred conversation lookup" in page

    def test_in_korean_it_reads_as_documented(self, reader):
        reader.cookies.load({"django_language": "ko"})
        page = reader.get("/deferred/").content.decode()
        for text in ("지연된 대화 조회", "대화 ID", "대화 지연 생성시 획득한 request id 입력"):
            assert text in page

    def test_every_documented_field_has_a_row(self, look, project):
        record = make_completed(project, mode="deferred", stored=False)
        rows = {row.path: row for row in look(record.request_id).context["record"].deferred_rows}
        assert set(rows) == {field.path.replace("choices[].", "choices[0].") for field in DEFERRED_FIELDS}
        assert rows["request_id"].value == record.request_id
        assert rows["choices[0].message.content"].value == "말을 주고받는 일입니다."
        assert rows["usage.prompt_tokens"].value == "13"
        assert rows["choices[0].message.refusal"].kind == "null"
        assert rows["usage.prompt_tokens_details.cached_tokens"].kind == "absent"

    def test_the_conversation_and_the_exact_json_stand_beside_the_table(self, look, project):
        record = make_completed(project, mode="deferred")
        response = look(record.request_id)
        page = response.content.decode()
        assert "You are terse." in page
        assert "data-copy-from" in page
        assert response.context["record"].deferred_json.content.endswith(
            f'"request_id":"{record.request_id}"}}'.encode()
        )

    def test_a_pending_one_shows_its_state_and_asks_again_by_itself(self, look, project):
        record = make_request(project, state="running", attempt_number=2)
        page = look(record.request_id).content.decode()
        assert "2 attempts" in page
        assert 'hx-trigger="every 2s"' in page
        assert f'<a id="refresh" href="/deferred/?request_id={record.request_id}"' in page

    def test_the_fragment_stops_asking_when_the_result_is_there(self, look, project):
        record = make_completed(project, mode="deferred")
        page = look(record.request_id, headers=HTMX).content.decode()
        assert "hx-trigger" not in page
        assert "<title>✓" in page
        assert "The result is ready." in page

    def test_polls_grow_rarer(self, reader, project):
        record = make_request(project)
        for polls, interval in (("4", 2), ("5", 5), ("12", 15), ("999999999", 2), ("²", 2)):
            page = reader.get("/deferred/", {"request_id": record.request_id, "polls": polls}).content.decode()
            assert f"every {interval}s" in page
        assert [poll_interval(n) for n in (0, 5, 12)] == [2, 5, 15]

    def test_a_failed_one_says_why_in_words(self, look, project):
        response = look(make_failed(project).request_id)
        page = response.content.decode()
        for text in ("The upstream answered with an error of its own.", "Slow down.", "429", "rate_limit_exceeded"):
            assert text in page

    @pytest.mark.parametrize("state", [ChatRequest.State.CANCELLED, ChatRequest.State.EXPIRED])
    def test_other_ends_are_shown_too(self, look, project, state):
        record = make_request(project, state=state, finished_at=timezone.now())
        assert look(record.request_id).status_code == 200

    def test_a_read_once_result_stays_visible_after_it_was_fetched(self, look, project):
        project.deferred_read_once = True
        project.save()
        record = make_completed(project, mode="deferred", fetched_at=timezone.now())
        assert "말을 주고받는 일입니다." in look(record.request_id).content.decode()

    def test_a_response_id_leads_to_the_page_for_it(self, look, project):
        record = make_completed(project, response_body=make_response_body(id="chatcmpl-1"))
        response = look("chatcmpl-1")
        assert response.status_code == 404
        assert "This is a response ID." in response.content.decode()
        assert 'href="/stored/?response_id=chatcmpl-1"' in response.content.decode()
        assert "This conversation was not deferred." in look(record.request_id).content.decode()

    def test_missing_ones_are_404_with_a_reason(self, look):
        response = look("req_unknown")
        assert response.status_code == 404
        assert "Nothing was ever seen with this ID." in response.content.decode()

    def test_another_s_record_was_never_seen(self, outsider, project):
        record = make_request(project)
        assert outsider.get("/deferred/", {"request_id": record.request_id}).status_code == 404

    def test_bad_ids_are_never_an_error_of_ours(self, look):
        for bad in ("\0", "<b>", "x" * 9_000, "req_'; DROP TABLE x"):
            assert look(bad).status_code in (200, 404)
