"""The list of conversations."""

import datetime as dt
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from conversations.dashboard.views import conversations as view
from conversations.errors import SearchTooBroadError
from conversations.models import ApiKey, ChatRequest, Completion, SearchText
from conversations.wire.grams import grams_of
from tests.factories import days_ago, make_completed, make_failed, make_request, make_response_body


def part(target):
    """What htmx sends when it asks for one element."""
    return {"HX-Request": "true", "HX-Target": target, "HX-Current-URL": "http://testserver/conversations/"}


def listed(reader, path="/conversations/", **query):
    """The rows of a page."""
    return [row.pk for row in reader.get(path, query).context["conversations"]]


def give_up(*_args, **_options):
    """A search that goes on for too long."""
    raise SearchTooBroadError


def say(record, text):
    """Make a record findable by its text, as the worker does it."""
    SearchText.objects.create(request=record, said=text, grams=grams_of(text))


class TestConversations:
    def test_only_readers_may_look(self, reader, outsider, client):
        assert client.get("/conversations/")["Location"].startswith("/login/?next=")
        assert reader.post("/conversations/", headers={"X-CSRFToken": "x"}).status_code in (403, 405)
        page = reader.get("/conversations/")
        assert {"private", "no-store"} <= set(page["Cache-Control"].split(", "))
        assert {"HX-Request", "HX-Target"} <= set(page["Vary"].split(", "))

    def test_who_may_see_no_project_sees_none(self, outsider, project):
        record = make_completed(project)
        for target in ("", "browse", "more", "live", "facets", "volume", "peek"):
            page = outsider.get("/conversations/", {"peek": record.request_id}, headers=part(target)).content.decode()
            assert "대화란 무엇인가?" not in page

    def test_a_row_tells_everything_about_its_conversation(self, reader, project, api_key):
        usage = {"prompt_tokens": 1300, "completion_tokens": 18, "total_tokens": 1318}
        usage["prompt_tokens_details"] = {"cached_tokens": 640}
        at = timezone.now() - dt.timedelta(minutes=3)
        record = make_completed(
            project,
            response_body=make_response_body(usage=usage),
            mode="stream",
            surface="azure",
            received_at=at,
            finished_at=at + dt.timedelta(seconds=2.5),
        )
        Completion.objects.filter(pk=record.pk).update(cost="0.0031")
        page = reader.get("/conversations/").content.decode()
        texts = ("3 min ago", at.strftime("%m-%d %H:%M:%S UTC"), "grok-4-0709", "stream", "/models", "stored")
        for text in (*texts, "1,300", "640", "18", "$0.0031", "2.50 s", "support · tests", "대화란 무엇인가?"):
            assert text in page
        for an_id in (record.request_id, record.completion.response_id):
            assert f'data-copy="{an_id}"' in page

    def test_what_is_not_known_is_a_dash_and_nothing_is_a_zero(self, reader, project):
        make_completed(project, response_body={"id": "a", "model": "m", "created": 1, "choices": []})
        make_request(project)
        page = reader.get("/conversations/").content.decode()
        assert page.count('data-label="Input">–<') == page.count('data-label="Cost">–<') == 2
        assert 'data-label="Duration">–<' in page

    def test_a_missing_usage_is_never_zero_and_zero_never_missing(self, reader, project):
        zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        make_completed(project, response_body=make_response_body(usage=zero))
        assert reader.get("/conversations/").content.decode().count('data-label="Input">0<') == 1

    def test_pages_follow_one_another_without_gap_or_repeat(self, reader, project, monkeypatch):
        monkeypatch.setattr(view, "PAGE", 3)
        records = [make_completed(project, received_at=days_ago(n / 10)).pk for n in range(8)]
        seen, path = [], "/conversations/"
        while path:
            page = reader.get(path)
            seen += [row.pk for row in page.context["conversations"]]
            path = page.context["next_address"]
        assert seen == records

    def test_five_pages_come_by_themselves_and_then_there_is_a_button(self, reader, project, monkeypatch):
        monkeypatch.setattr(view, "PAGE", 1)
        for _ in range(8):
            make_completed(project)
        address = reader.get("/conversations/").context["more_address"]
        automatic = []
        for _ in range(6):
            page = reader.get(address, headers=part("more"))
            automatic.append('hx-trigger="intersect once"' in page.content.decode())
            address = page.context["more_address"]
        assert automatic == [True, True, True, False, False, False]

    @pytest.mark.parametrize("cursor", ["x", "e30:1:x", "\0"])
    def test_a_forged_cursor_is_refused_in_words(self, reader, project, cursor):
        response = reader.get("/conversations/", {"cursor": cursor})
        assert response.status_code == 400
        assert "This list cannot be shown" in response.content.decode()

    @pytest.mark.parametrize(
        ("query", "chip"),
        [
            ({"state": "failed"}, "failed"),
            ({"mode": "deferred"}, "deferred"),
            ({"stored": "no"}, "no"),
            ({"error_code": "rate_limit_exceeded"}, "rate_limit_exceeded"),
            ({"metadata": "team=support"}, "support"),
            ({"metadata[team]": "support"}, "support"),
            ({"user": "u-1"}, "u-1"),
            ({"since": "24h"}, "Last 24 hours"),
        ],
    )
    def test_a_filter_narrows_the_list_and_is_a_chip_that_removes_it(self, reader, project, query, chip):
        other = make_completed(project, received_at=days_ago(2))
        record = make_failed(project, stored=False, metadata={"team": "support"}, end_user="u-1")
        page = reader.get("/conversations/", query)
        assert [row.pk for row in page.context["conversations"]] == [record.pk]
        [shown] = page.context["browsing"].chips()
        assert str(shown.value) == chip
        assert listed(reader, shown.address) == [record.pk, other.pk]

    def test_a_chip_takes_only_its_own_value_away(self, reader, project):
        page = reader.get("/conversations/?state=failed&state=expired&q=x")
        addresses = {str(chip.value): chip.address for chip in page.context["browsing"].chips()}
        assert parse_qs(urlsplit(addresses["failed"]).query) == {"state": ["expired"], "q": ["x"]}

    def test_empty_fields_of_a_form_are_no_filters(self, reader, project):
        make_completed(project)
        page = reader.get("/conversations/?q=&since=&model=&min_tokens=&metadata=", headers=part("browse"))
        assert page.context["browsing"].chips() == []
        assert page["HX-Push-Url"] == "/conversations/"

    @pytest.mark.parametrize(
        "query", ["state=nope", "since=yesterday", "min_tokens=-1", "metadata=x", "q=%00", "has=x", "q=" + "x" * 501]
    )
    def test_a_value_that_cannot_be_one_is_a_400_in_words_with_a_way_on(self, reader, query):
        response = reader.get(f"/conversations/?{query}")
        assert response.status_code == 400
        page = response.content.decode()
        assert "a filter has a value that it cannot have" in page
        assert re.search(r"req_[0-9a-f]{32}", page)
        assert 'href="/conversations/"' in page

    def test_a_search_that_takes_too_long_says_how_to_narrow_it(self, reader, project, monkeypatch):
        make_completed(project)
        monkeypatch.setattr(view, "list_requests", give_up)
        response = reader.get("/conversations/?q=a")
        assert response.status_code == 400
        assert "put words that belong together in quotes" in response.content.decode()

    @pytest.mark.parametrize(("word", "mark"), [("RIEMANN", "Riemann"), ("무엇", "무엇"), ("合同", "合同")])
    def test_words_that_were_said_are_found_and_marked(self, reader, project, word, mark):
        record, other = make_completed(project), make_completed(project)
        say(record, f"{'x ' * 400} The Riemann <b> 대화란 무엇인가 合同条款")
        say(other, "nothing")
        page = reader.get("/conversations/", {"q": word})
        assert [row.pk for row in page.context["conversations"]] == [record.pk]
        assert f"<mark>{mark}</mark>" in page.content.decode()
        assert "&lt;b&gt;" in page.content.decode()

    def test_hostile_columns_are_inert(self, reader, project):
        attack = '<script>alert(1)</script>\u202e" hx-get="/x'
        key = ApiKey.objects.create(project=project, name=attack, prefix="dw_x", digest=b"x")
        record = make_failed(project, preview=attack, model=attack, end_user=attack, error_code=attack, api_key=key)
        say(record, attack)
        query = {"q": "alert", "user": attack}
        for target in ("", "browse", "more", "facets", "live", "peek"):
            page = reader.get("/conversations/", query | {"peek": record.request_id}, headers=part(target))
            assert "<script>alert" not in page.content.decode()
            assert '" hx-get="/x' not in page.content.decode()

    def test_first_run_and_no_match_are_different_things(self, reader, project):
        assert "No conversation has come in yet" in reader.get("/conversations/").content.decode()
        make_completed(project)
        page = reader.get("/conversations/?state=failed&user=u").content.decode()
        assert "No conversation matches." in page
        assert "Without State: failed" in page

    def test_twenty_rows_cost_as_many_queries_as_ten_and_read_no_body(self, reader, project):
        costs = []
        for _ in range(2):
            for _ in range(10):
                say(make_completed(project), "word")
            with CaptureQueriesContext(connection) as queries:
                assert reader.get("/conversations/?q=word").status_code == 200
            costs.append(len(queries))
            assert not any("conversations_body" in query["sql"] for query in queries)
            assert not any("COUNT(" in query["sql"] for query in queries)
        assert costs[0] == costs[1]

    @pytest.mark.parametrize(
        ("language", "words"),
        [("ko", ("마지막 사용자 메시지", "대화 ID", "검색")), ("zh-hans", ("最后一条用户消息", "搜索"))],
    )
    def test_pages_are_in_their_reader_s_language_and_no_other(self, reader, project, language, words):
        make_completed(project, preview="", content_kept=False)
        reader.cookies.load({"django_language": language})
        page = reader.get("/conversations/?state=completed&panel=counts").content.decode()
        assert all(word in page for word in words)
        assert "Search" not in page
        shown = page.replace('<b lang="ko">대화</b>', "").replace("한국어", "")
        assert language == "ko" or not re.search("[가-힣]", shown)


class TestFacets:
    def test_values_are_counted_and_each_turns_its_filter_on_or_off(self, reader, project):
        failed, done = make_failed(project), make_completed(project)
        response = reader.get("/conversations/?state=failed&state=completed", headers=part("facets"))
        [group] = [group for group in response.context["choice_groups"] if group.name == "state"]
        counts = {str(choice.value): (choice.count, choice.chosen) for choice in group.choices}
        assert counts == {"failed": (1, True), "completed": (1, True)}
        addresses = {str(choice.value): choice.address for choice in group.choices}
        assert listed(reader, addresses["failed"]) == [done.pk]
        assert listed(reader, addresses["completed"]) == [failed.pk]
        assert response.content.decode().strip().startswith('<div id="facets"')

    def test_counts_beyond_the_cap_say_so(self, reader, project, monkeypatch):
        monkeypatch.setattr("conversations.services.facets.MAX_COUNTED", 2)
        for _ in range(3):
            make_completed(project)
        assert '<span class="count">2+</span>' in reader.get("/conversations/", headers=part("facets")).content.decode()

    def test_without_a_script_the_counts_come_in_the_page_itself(self, reader, project):
        make_completed(project)
        address = reader.get("/conversations/?panel=open").context["browsing"].counts_address
        page = reader.get(address).content.decode()
        assert '<span class="count">1</span>' in page
        assert 'class="chart columns"' in page
        assert 'hx-trigger="load"' not in page


class TestVolume:
    def test_every_bar_is_the_range_whose_conversations_it_counts(self, reader, project):
        for hours in (1, 1.1, 30, 31, 80):
            make_completed(project, received_at=timezone.now() - dt.timedelta(hours=hours))
        make_failed(project, received_at=timezone.now() - dt.timedelta(hours=30))
        volume = reader.get("/conversations/?mode=plain&mode=deferred", headers=part("volume")).context["volume"]
        filled = [bar for bar in volume.bars if bar.address]
        assert sum(sum(bar.counts) for bar in filled) == 6
        for bar in filled:
            assert len(listed(reader, bar.address)) == sum(bar.counts)
            assert "mode=plain" in bar.address

    def test_nothing_to_count_draws_nothing(self, reader, project):
        page = reader.get("/conversations/?state=failed", headers=part("volume")).content.decode()
        assert "<svg" not in page


class TestPeek:
    def test_a_conversation_is_shown_beside_the_list_with_its_neighbours_in_filtered_order(self, reader, project):
        oldest, middle, newest = (make_failed(project, received_at=days_ago(n)) for n in (3, 2, 1))
        make_completed(project, received_at=days_ago(1.5))
        query = {"state": "failed", "peek": middle.request_id}
        response = reader.get("/conversations/", query, headers=part("peek"))
        page = response.content.decode()
        assert page.strip().startswith('<aside id="peek"')
        assert (response.context["peek"]["newer"], response.context["peek"]["older"]) == (newest, oldest)
        assert f'href="/conversations/?state=failed&amp;peek={oldest.request_id}"' in page
        assert f'href="/requests/{middle.request_id}"' in page

    def test_its_address_is_a_page_and_its_row_is_marked(self, reader, project):
        record = make_completed(project)
        page = reader.get("/conversations/", {"peek": record.request_id}).content.decode()
        assert "<!doctype html>" in page
        assert "말을 주고받는 일입니다." in page
        assert re.search(rf'href="/requests/{record.request_id}"[^>]*aria-current="true"', page)

    @pytest.mark.parametrize("request_id", ["req_unknown", "<b>", "\ud7ff"])
    def test_what_is_not_there_is_said(self, reader, project, request_id):
        page = reader.get("/conversations/", {"peek": request_id}, headers=part("peek")).content.decode()
        assert "This conversation cannot be shown any more." in page
        assert escape(request_id) in page

    def test_closing_leaves_an_empty_place(self, reader, project):
        page = reader.get("/conversations/", headers=part("peek")).content.decode()
        assert re.search(r'<aside id="peek"[^>]* hidden', page)


class TestLive:
    def follow(self, reader, address):
        response = reader.get(address, headers=part("live"))
        return response, response.context["live_address"]

    def test_new_conversations_appear_on_top_and_only_once(self, reader, project):
        make_completed(project)
        address = reader.get("/conversations/?live=on").context["live_address"]
        record = make_completed(project)
        response, address = self.follow(reader, address)
        page = response.content.decode()
        assert page.count("<tr ") == 1
        assert 'hx-swap-oob="afterbegin:#rows"' in page
        assert f"row-{record.pk}" in page
        response, _ = self.follow(reader, address)
        assert "<tr " not in response.content.decode()

    def test_an_unfinished_row_is_replaced_when_it_ends(self, reader, project):
        record = make_request(project)
        address = reader.get("/conversations/?live=on").context["live_address"]
        response, address = self.follow(reader, address)
        assert "<tr " not in response.content.decode()
        ChatRequest.objects.filter(pk=record.pk).update(state="failed", finished_at=timezone.now())
        response, address = self.follow(reader, address)
        assert f'<tr id="row-{record.pk}" hx-swap-oob="true">' in response.content.decode()
        response, _ = self.follow(reader, address)
        assert "<tr " not in response.content.decode()

    def test_it_asks_less_often_while_nothing_happens(self, reader, project):
        make_completed(project)
        address = reader.get("/conversations/?live=on").context["live_address"]
        intervals = []
        for _ in range(14):
            response, address = self.follow(reader, address)
            intervals.append(response.context["interval"])
        assert intervals == sorted(intervals)
        assert (intervals[0], intervals[-1]) == (2, 15)
        make_completed(project)
        assert self.follow(reader, address)[0].context["interval"] == 2

    def test_a_list_that_was_empty_or_is_overrun_begins_anew(self, reader, project, monkeypatch):
        monkeypatch.setattr(view, "PAGE", 2)
        address = reader.get("/conversations/?live=on&q=").context["live_address"]
        for _ in range(4):
            make_completed(project)
        response, address = self.follow(reader, address)
        assert '<div id="table" hx-swap-oob="true">' in response.content.decode()
        response, _ = self.follow(reader, address)
        assert "hx-swap-oob" not in response.content.decode()

    def test_only_what_the_filters_let_through_is_followed(self, reader, project):
        make_failed(project)
        address = reader.get("/conversations/?live=on&state=failed").context["live_address"]
        make_completed(project)
        assert "<tr " not in self.follow(reader, address)[0].content.decode()

    @pytest.mark.parametrize("hostile", ["newest=x&unfinished=1.x.9999999999999999999&polls=-1", "unfinished=%00"])
    def test_a_forged_address_is_harmless(self, reader, project, hostile):
        make_completed(project)
        assert reader.get(f"/conversations/?live=on&{hostile}", headers=part("live")).status_code == 200

    def test_a_page_that_does_not_follow_asks_for_nothing(self, reader, project):
        make_completed(project)
        assert "every " not in reader.get("/conversations/").content.decode()
        assert 'hx-trigger="every 2s"' in reader.get("/conversations/?live=on").content.decode()
