"""One record at its permanent address."""

import base64
import json
import re
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.dashboard.views.requests import TABS
from conversations.models import Attempt, Body
from tests.factories import days_ago, make_completed, make_failed, make_request, make_request_body, make_response_body

WAV = b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 24
OWN_PATHS = ["", ".json", "/request.json", "/response.json", "/attachments/choices/0", "/thread", "/replay"]
OWN_PATHS += ["/nodes/request", "/as/curl"]
HOSTILE_MESSAGES = [
    None,
    [],
    {},
    "x",
    [None, 1, "x", [], {}, {"role": 1, "content": 2}, {"role": "user", "content": {"a": 1}}],
    [
        {
            "role": "user",
            "content": [None, 1, {"type": "text"}, {"type": "image_url", "image_url": {"url": "http://[x"}}],
        }
    ],
    [{"role": "assistant", "content": None, "tool_calls": [1, {}, {"function": 2}], "function_call": {"name": 1}}],
    [{"role": "tool", "tool_call_id": "x", "content": [{"type": "input_audio", "input_audio": {"data": 1}}]}],
]
HOSTILE_ANSWERS = [
    b'{"id":"a","choices":{}}',
    b'{"id":"a","choices":[1,null,{},{"message":3},{"index":0,"message":{"role":[],"content":7}}]}',
    b'{"id":"a","choices":[{"index":0,"message":{"content":"\\u0000\\ud800 \\u202e<script>alert(1)</script>"}}]}',
    b'{"id":"a","choices":[{"message":{"audio":{"data":5,"transcript":6}},"finish_reason":[]}],"usage":[]}',
    b'{"id":"a","created":1e400,"choices":' + b"[" * 4_000 + b"]" * 4_000 + b"}",
    b'{"id":"a","created":99999999999999999999,"choices":NaN}',
    b"\xff\xfe not json at all \0",
]


@pytest.fixture
def show(reader):
    def get(record, tab=""):
        return reader.get(f"/requests/{record.request_id}", {"tab": tab} if tab else {})

    return get


class TestRequestDetail:
    def test_only_readers_may_look(self, refuses, project):
        refuses(f"/requests/{make_completed(project).request_id}")

    def test_the_facts_stand_on_top(self, show, project):
        record = make_completed(project, received_at=days_ago(1))
        page = show(record).content.decode()
        for text in (record.request_id, record.completion.response_id, "grok-4-0709", "1 day ago", "UTC", "support"):
            assert text in page

    @pytest.mark.parametrize("tab", TABS)
    def test_each_tab_has_an_address(self, show, project, tab):
        page = show(make_completed(project), tab).content.decode()
        assert page.count('aria-current="page"') == 1

    def test_an_unknown_tab_is_the_conversation(self, show, project):
        assert show(make_completed(project), "<b>").context["tab"] == "conversation"

    def test_tool_calls_are_paired_with_their_results(self, show, project):
        call = {"id": "call_1", "type": "function", "function": {"name": "find_order", "arguments": '{"n":1}'}}
        messages = [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "in transit"},
            {"role": "tool", "tool_call_id": "call_9", "content": "nobody asked"},
        ]
        response = show(make_completed(project, request_body=make_request_body(messages=messages)))
        turns = response.context["record"].turns
        assert [turn.role for turn in turns] == ["assistant", "tool", "assistant"]
        assert turns[0].calls[0].result.parts[0].text == "in transit"
        assert "nobody asked" in response.content.decode()

    def test_instructions_are_folded_and_refusals_are_named(self, show, project):
        choice = {"index": 0, "message": {"role": "assistant", "content": None, "refusal": "I will not."}}
        page = show(make_completed(project, response_body=make_response_body(choices=[choice]))).content.decode()
        assert "<b>Refused</b> I will not." in page
        assert '<details class="fold"><summary dir="auto">You are terse.' in page

    def test_the_finish_reason_is_told_in_words(self, show, project):
        assert "the answer is complete" in show(make_completed(project)).content.decode()

    def test_content_that_was_not_kept_says_why(self, show, project):
        record = make_completed(project, content_kept=False, stored=False)
        for tab in TABS:
            assert show(record, tab).status_code == 200
        assert "The content of this conversation was not kept." in show(record).content.decode()
        assert "neither store nor deferred" in show(record, "response").content.decode()

    def test_fields_are_told_from_the_columns_when_the_content_was_not_kept(self, show, project):
        record = make_completed(project, content_kept=False, stored=False)
        rows = {row.path: row.value for row in show(record, "fields").context["record"].rows}
        assert (rows["id"], rows["usage.total_tokens"]) == (record.completion.response_id, "31")

    def test_what_is_not_documented_is_shown_as_well(self, show, project):
        record = make_completed(project, response_body=make_response_body(citations=["https://example.org"]))
        assert "citations" in {row.path for row in show(record, "fields").context["record"].other_rows}

    def test_the_timeline_has_every_attempt(self, show, project):
        record = make_failed(project, received_at=days_ago(1), queued_at=days_ago(1))
        Attempt.objects.create(request=record, number=1, worker="host:1", finished_at=timezone.now(), outcome="retried")
        page = show(record, "timeline").content.decode()
        for text in ("Received", "Queued", "Attempt 1 started", "host:1", "Attempt 1: to be tried again", "failed"):
            assert text in page

    def test_a_failure_has_its_reason_and_what_the_upstream_sent(self, show, project):
        record = make_failed(project)
        Body.objects.filter(pk=record.pk).update(response_body=b"<html>Bad gateway")
        assert "The upstream answered with an error of its own." in show(record).content.decode()
        assert "&lt;html&gt;Bad gateway" in show(record, "response").content.decode()

    def test_an_unfinished_record_renews_itself_and_a_finished_one_does_not(self, show, project):
        assert 'hx-trigger="every 5s"' in show(make_request(project)).content.decode()
        assert "hx-trigger" not in show(make_completed(project)).content.decode()

    @pytest.mark.parametrize(
        ("columns", "reason"),
        [({"deleted_at": days_ago(1)}, "was deleted"), ({"received_at": days_ago(40)}, "has expired")],
    )
    def test_what_is_gone_is_404_and_says_so(self, show, project, columns, reason):
        response = show(make_completed(project, **columns))
        assert response.status_code == 404
        assert reason in response.content.decode()

    def test_another_s_record_does_not_exist(self, outsider, reader, project):
        record = make_completed(project)
        for path in OWN_PATHS:
            assert outsider.get(f"/requests/{record.request_id}{path}").status_code == 404

    @pytest.mark.parametrize("bad", ["x", "%00", "req_%0", "%F0%9F%92%A9", "x" * 4_000, "%E2%80%AE"])
    def test_bad_ids_are_404(self, reader, bad):
        assert reader.get(f"/requests/{bad}").status_code == 404

    @pytest.mark.parametrize("messages", HOSTILE_MESSAGES)
    def test_hostile_requests_are_inert(self, show, project, messages):
        record = make_completed(project)
        Body.objects.filter(pk=record.pk).update(request_body=json.dumps({"messages": messages}).encode())
        for tab in TABS:
            assert show(record, tab).status_code == 200

    @pytest.mark.parametrize("answer", HOSTILE_ANSWERS)
    def test_hostile_answers_are_inert(self, show, reader, project, answer):
        record = make_completed(project, mode="deferred")
        Body.objects.filter(pk=record.pk).update(response_body=answer)
        for tab in TABS:
            response = show(record, tab)
            assert response.status_code == 200
            assert b"<script>alert" not in response.content
        assert reader.get("/deferred/", {"request_id": record.request_id}).status_code == 200
        assert reader.get("/stored/", {"response_id": record.completion.response_id}).status_code == 200

    def test_a_megabyte_is_shown_in_part_and_said_to_be(self, show, project):
        choice = {"index": 0, "message": {"role": "assistant", "content": "[" * 2**20}}
        record = make_completed(project, response_body=make_response_body(choices=[choice]))
        assert "Only the beginning of 1048576 characters is shown." in show(record).content.decode()
        page = show(record, "response")
        assert "This is only the beginning" in page.content.decode()
        assert len(page.content) < 400_000

    def test_a_long_talk_shows_both_its_ends(self, show, project):
        messages = [{"role": "user", "content": f"message {n}"} for n in range(500)]
        page = show(make_completed(project, request_body=make_request_body(messages=messages))).content.decode()
        assert "300 messages are not shown here" in page
        assert all(f'id="m-{n}"' in page for n in (0, 99, 400, 499))

    def test_a_page_costs_few_queries(self, reader, project):
        record = make_completed(project)
        with CaptureQueriesContext(connection) as queries:
            reader.get(f"/requests/{record.request_id}")
        assert len(queries) <= 5


class TestConversation:
    PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 24

    @pytest.fixture
    def show_parts(self, show, project):
        def make(*parts):
            messages = [{"role": "user", "content": list(parts)}]
            return show(make_completed(project, request_body=make_request_body(messages=messages))).content.decode()

        return make

    @staticmethod
    def picture(url):
        return {"type": "image_url", "image_url": {"url": url}}

    def test_each_message_and_result_has_an_address(self, show, project):
        call = {"id": "call_1", "type": "function", "function": {"name": "find_order", "arguments": "{}"}}
        messages = [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "in transit"},
        ]
        page = show(make_completed(project, request_body=make_request_body(messages=messages))).content.decode()
        for anchor in ("m-0", "m-1", "c-0"):
            assert page.count(f'id="{anchor}"') == 1
            assert f'href="#{anchor}"' in page

    def test_arguments_and_results_are_indented_and_the_switch_shows_them_as_they_came(self, reader, show, project):
        call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"n":1.0}'}}
        messages = [{"role": "assistant", "tool_calls": [call], "content": "**bold**"}]
        record = make_completed(project, request_body=make_request_body(messages=messages))
        (turn, *_) = show(record).context["record"].turns
        assert (turn.calls[0].arguments.kind, turn.parts[0].kind) == ("coloured", "markdown")
        reader.cookies.load({"reading": "plain"})
        (turn, *_) = show(record).context["record"].turns
        assert (turn.calls[0].arguments.text, turn.parts[0].text) == ('{"n":1.0}', "**bold**")

    def test_choices_stand_side_by_side(self, show, project):
        choices = [{"index": n, "message": {"role": "assistant", "content": f"answer {n}"}} for n in range(3)]
        page = show(make_completed(project, response_body=make_response_body(choices=choices))).content.decode()
        assert '<div class="choices" role="group" aria-label="3 choices">' in page
        assert all(f'id="c-{n}"' in page for n in range(3))
        assert 'class="choices"' not in show(make_completed(project)).content.decode()

    def test_a_picture_is_shown_from_its_own_bytes(self, show_parts):
        page = show_parts(self.picture("data:image/svg+xml;base64," + base64.b64encode(self.PNG).decode()))
        assert re.search(r'<img class="picture" src="/requests/req_\w+/attachments/messages/0/0"', page)
        assert "image/png" in page

    def test_a_picture_elsewhere_is_a_link_and_never_loaded(self, show_parts):
        page = show_parts(self.picture("https://example.org/a.png"), self.picture("http://x/?a=<b>"))
        assert '<a href="https://example.org/a.png" rel="noopener noreferrer nofollow">' in page
        assert "<img" not in page

    @pytest.mark.parametrize(
        "url",
        [
            "data:image/svg+xml;base64," + base64.b64encode(b"<svg onload=alert(1)>").decode(),
            "data:image/svg+xml,<svg onload=alert(1)>",
            "data:text/html;base64," + base64.b64encode(b"<script>alert(1)</script>").decode(),
            "javascript:alert(1)",
            "data:image/png;base64,%%%",
            "",
        ],
    )
    def test_what_only_says_that_it_is_a_picture_is_none(self, show_parts, url):
        page = show_parts(self.picture(url))
        assert "<img" not in page
        assert "<svg onload" not in page
        assert 'href="javascript' not in page

    def test_tokens_have_their_heat_and_alternatives(self, show, project):
        other = {"token": "<b>Ho", "logprob": -2.5, "bytes": None}
        entries = [
            {"token": "Hi", "logprob": -0.01, "top_logprobs": []},
            {"token": "\n", "logprob": -3, "top_logprobs": [other]},
        ]
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "logprobs": {"content": entries}}
        page = show(make_completed(project, response_body=make_response_body(choices=[choice])))
        heat = page.context["record"].answers[0].heat
        assert [(token.text, token.level, token.share) for token in heat.tokens] == [
            ("Hi", 0, "99.0 %"),
            ("⏎\n", 5, "5.0 %"),
        ]
        assert "&lt;b&gt;Ho <i>8.2 %</i>" in page.content.decode()

    @pytest.mark.parametrize(
        "logprobs",
        [
            7,
            [],
            {"content": 7},
            {"content": [None, 1, {}, {"token": 1, "logprob": 1}, {"token": "x", "logprob": True}]},
            {"content": [{"token": "x", "logprob": 10**400, "top_logprobs": {"a": 1}}], "refusal": "x"},
            {"content": [{"token": "\ud800\u202e", "logprob": -1e300, "top_logprobs": [1, {}]}] * 5_000},
        ],
    )
    def test_odd_log_probabilities_are_no_fault(self, show, project, logprobs):
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "logprobs": logprobs}
        body = json.dumps(make_response_body(choices=[choice])).encode()
        record = make_completed(project)
        Body.objects.filter(pk=record.pk).update(response_body=body)
        assert show(record).status_code == 200

    @pytest.mark.parametrize("tab", TABS)
    @pytest.mark.parametrize("content", ["[" * 20_000, "[" * 20_000 + "]" * 20_000, "대화 **x** `y` " * 80_000])
    def test_hostile_and_huge_content_takes_no_second_and_no_megabyte(self, show, project, tab, content):
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": content}}
        messages = [{"role": "assistant", "tool_calls": [call] * 3}, {"role": "user", "content": content}]
        record = make_completed(
            project,
            request_body=make_request_body(messages=messages),
            response_body=make_response_body(choices=[choice]),
        )
        show(make_completed(project), tab)
        before = time.thread_time()
        page = show(record, tab)
        assert time.thread_time() - before < 1
        assert len(page.content) < 1_500_000


class TestDownloads:
    def test_only_readers_may_look(self, refuses, project):
        record = make_completed(project)
        for path in OWN_PATHS:
            refuses(f"/requests/{record.request_id}{path}")

    def test_bodies_come_byte_for_byte_and_are_no_page(self, reader, project):
        sent, answered = b'{"model":"m",  "messages":[]}', b'{"id":"a","model":"m","created":1, "choices":[1.0]}'
        record = make_completed(project, request_body=sent, response_body=answered)
        for path, content in (("/response.json", answered), ("/request.json", sent)):
            response = reader.get(f"/requests/{record.request_id}{path}")
            assert response.content == content
            assert response["Content-Type"] == "application/json"
            assert response["Content-Disposition"].startswith("attachment;")
            assert response["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in response["Content-Security-Policy"]

    def test_what_is_no_json_is_not_called_so(self, reader, project):
        record = make_failed(project)
        Body.objects.filter(pk=record.pk).update(response_body=b"<html>")
        assert reader.get(f"/requests/{record.request_id}/response.json")["Content-Type"] == "application/octet-stream"

    def test_a_body_that_was_not_kept_is_404(self, reader, project):
        record = make_completed(project, content_kept=False, stored=False)
        for path in ("/response.json", "/request.json"):
            assert reader.get(f"/requests/{record.request_id}{path}").status_code == 404


class TestAttachments:
    @pytest.fixture
    def record(self, project):
        encoded = base64.b64encode(WAV).decode()
        part = {"type": "input_audio", "input_audio": {"data": encoded, "format": "wav"}}
        audio = {"id": "audio_1", "data": encoded, "transcript": "Good morning", "expires_at": 1}
        choice = {"index": 0, "message": {"role": "assistant", "content": None, "audio": audio}}
        return make_completed(
            project,
            request_body=make_request_body(messages=[{"role": "user", "content": [part]}]),
            response_body=make_response_body(choices=[choice]),
        )

    def test_the_page_plays_its_own_sounds_and_shows_the_transcript(self, show, record):
        page = show(record).content.decode()
        assert f'src="/requests/{record.request_id}/attachments/messages/0/0"' in page
        assert f'src="/requests/{record.request_id}/attachments/choices/0"' in page
        assert "Good morning" in page

    @pytest.mark.parametrize("place", ["choices/0", "messages/0/0"])
    def test_sounds_are_served_as_what_they_are(self, reader, record, place):
        response = reader.get(f"/requests/{record.request_id}/attachments/{place}")
        assert (response.content, response["Content-Type"]) == (WAV, "audio/wav")

    @pytest.mark.parametrize(
        "place", ["choices/1", "messages/0/9", "x", "choices/-1", "choices/²", "messages/0", "a/b/c/d"]
    )
    def test_there_is_no_sound_elsewhere(self, reader, record, place):
        assert reader.get(f"/requests/{record.request_id}/attachments/{place}").status_code == 404


class TestCompletionDetail:
    def test_only_readers_may_look(self, refuses):
        refuses("/completions/chatcmpl-unknown")

    @pytest.mark.parametrize("response_id", ["chatcmpl-1", "a/b", "50%é ?"])
    def test_it_leads_to_the_one_record(self, reader, project, response_id):
        record = make_completed(project, response_body=make_response_body(id=response_id))
        response = reader.get("/completions/" + response_id.replace("%", "%25").replace("?", "%3F").replace(" ", "%20"))
        assert (response.status_code, response["Location"]) == (302, f"/requests/{record.request_id}")

    def test_several_are_listed(self, reader, project):
        for _ in range(2):
            make_completed(project, response_body=make_response_body(id="chatcmpl-same"))
        assert "2 conversations have this ID." in reader.get("/completions/chatcmpl-same").content.decode()

    def test_unknown_ones_are_404(self, reader, outsider, project):
        make_completed(project, response_body=make_response_body(id="chatcmpl-1"))
        assert reader.get("/completions/chatcmpl-2").status_code == 404
        assert reader.get("/completions/%00").status_code == 404
        assert outsider.get("/completions/chatcmpl-1").status_code == 404
