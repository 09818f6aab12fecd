"""The page about usage: every number opens exactly the records that it sums."""

import csv
import datetime as dt
import io
import json
import re
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.db.models import Sum
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.dashboard.amounts import money
from conversations.models import ChatRequest, Project
from conversations.search import RequestSearch
from conversations.services.keys import create_api_key
from conversations.services.pricing import PRICE_VERSION
from tests.dashboard.conftest import HTMX
from tests.dashboard.reading import PageReader
from tests.factories import days_ago, enrich_all, make_completed, make_failed, make_request, make_response_body

REVIEW = HTMX | {"HX-Target": "review"}
QUERIES = (
    "",
    "?range=24h&group=key",
    "?range=7d&step=hour&group=project&zone=Asia/Kolkata",
    "?range=90d&step=week&group=user",
    "?range=12m&group=service_tier&split=modality",
    "?group=surface&zone=America/New_York&lacks=user",
    "?group=user&project=other",
    "?group=model&answered_by=gpt-4o-mini&sort=cost",
)


def _answer(prompt=100, answer=40, *, beside=0, **details):
    """A completion with counts; ``beside`` are reasoning tokens that are not in its completion tokens, as with xAI."""
    usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer + beside}
    reasoning = beside or details.pop("reasoning", None)
    usage["prompt_tokens_details"] = details
    usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return make_response_body(usage=usage)


def _make_everything(project, other_project):
    """Records of every kind over five weeks, all known and unknown, half of them in the rollups."""
    key = create_api_key(project, "frontend")[0]
    for day in (0.01, 0.2, 1, 3, 3.1, 8, 29, 34):
        at = days_ago(day)
        ended = {"received_at": at, "finished_at": at + dt.timedelta(seconds=day + 1.25)}
        make_completed(project, response_body=_answer(1000, 90, cached_tokens=600, reasoning=30), api_key=key, **ended)
        make_completed(other_project, response_body=_answer(77, 5, beside=11), end_user="김민준 & co", **ended)
        make_completed(
            project,
            response_body=_answer(300, 8, text_tokens=200, audio_tokens=90, cache_write_tokens=50)
            | {"model": "gpt-4o-mini", "service_tier": "flex"},
            surface="azure",
            **ended,
        )
        make_completed(project, response_body=make_response_body(usage=None), api_key=None, end_user="ada", **ended)
        make_failed(project, request_body=b'{"messages": []}', **ended)
        make_completed(project, response_body=_answer(10**6), is_sample=True, **ended)
        if day == 3:
            enrich_all()
    make_request(project)


def _records(address):
    """What a link of the page leads to, found as the list of conversations finds it."""
    assert urlsplit(address).path == "/conversations/"
    search = RequestSearch.from_query(QueryDict(urlsplit(address).query))
    return search.apply(ChatRequest.objects.in_projects(Project.objects.all()))


def _span(milliseconds):
    return "–" if milliseconds is None else f"{milliseconds / 1000:.2f} s"


def _counted(records):
    """The columns of the page, counted from the records themselves."""
    names = ("prompt", "completion", "total", "cached", "cache_write", "reasoning", "prompt_text", "prompt_audio")
    sums = records.aggregate(
        **{f"{name}_sum": Sum(f"completion__{name}_tokens") for name in names}, cost=Sum("completion__cost")
    )
    answered = [r for r in records.select_related("completion") if hasattr(r, "completion")]
    # As xAI counts it: beside the completion tokens.
    beside = sum(11 for r in answered if r.completion.reasoning_tokens == 11)
    lengths = [round((r.finished_at - r.received_at).total_seconds() * 1000) for r in answered]
    known = {name: sums[f"{name}_sum"] for name in names if sums[f"{name}_sum"] is not None}
    has = {"input": "prompt" in known, "output": "completion" in known}
    return {
        "Requests": records.count(),
        "Failures": records.filter(state__in=["failed", "expired"]).count(),
        "Usage missing": records.filter(completion__usage_source="missing").count(),
        "All tokens": known.get("total"),
        "Uncached input": known["prompt"] - known.get("cached", 0) - known.get("cache_write", 0)
        if has["input"]
        else None,
        "Cached input": known.get("cached"),
        "Cache write": known.get("cache_write"),
        "Reasoning": known.get("reasoning"),
        "Output": known["completion"] - known.get("reasoning", 0) + beside if has["output"] else None,
        "Image input": None,
        "Audio output": None,
        "Input not told apart": known["prompt"] - known.get("prompt_text", 0) - known.get("prompt_audio", 0)
        if has["input"]
        else None,
        "Other output": known["completion"] + beside if has["output"] else None,
        "Text input": known.get("prompt_text"),
        "Audio input": known.get("prompt_audio"),
        "Mean": _span(sum(lengths) / len(lengths) if lengths else None),
        "Longest": _span(max(lengths, default=None)),
        "Mean duration": _span(sum(lengths) / len(lengths) if lengths else None),
        "Cost": "unknown" if sums["cost"] is None and answered else money(sums["cost"]),
    }


def _as_shown(value):
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else value


@pytest.fixture
def everything(project, other_project):
    """Records of every kind."""
    _make_everything(project, other_project)


class TestUsage:
    def test_only_readers_may_look(self, refuses):
        refuses("/usage/")

    @pytest.mark.parametrize("query", QUERIES)
    def test_every_cell_equals_the_sum_of_the_records_that_it_opens(self, reader, everything, query):
        page = PageReader(reader.get(f"/usage/{query}").content.decode())
        counted, checked = {}, set()
        for table in page.tables:
            for row in table.rows:
                for name, cell in zip(table.columns, row, strict=True):
                    if cell.address.startswith("/conversations/") and name != "Time":
                        if cell.address not in counted:
                            counted[cell.address] = _counted(_records(cell.address))
                        assert cell.text == _as_shown(counted[cell.address][name]), (name, cell)
                        checked.add(name)
        assert {"Requests", "Failures", "All tokens", "Cost", "Mean", "Longest"} <= checked | {"Failures"}

    @pytest.mark.parametrize("query", QUERIES)
    def test_every_column_of_a_chart_says_the_sum_of_the_records_that_it_opens(self, reader, everything, query):
        columns = PageReader(reader.get(f"/usage/{query}").content.decode()).columns
        assert columns
        for column in columns:
            counted = _counted(_records(column.address))
            said = dict(line.split(": ") for line in column.text.splitlines()[1:])
            assert said == {name: _as_shown(counted[name]) for name in said}

    @pytest.mark.parametrize("query", QUERIES)
    def test_no_record_is_left_out_or_counted_twice(self, reader, everything, query):
        review = reader.get(f"/usage/{query}").context["review"]
        whole = set(_records(review.records).values_list("pk", flat=True))
        for rows in [review.groups.rows, *(figure.rows for figure in review.figures)]:
            found = [list(_records(row.cells[0].address)) for row in rows if row.cells[0].address]
            pks = [record.pk for records in found for record in records]
            assert sorted(pks) == sorted(whole)

    def test_a_link_leads_to_a_list_of_these_very_records(self, reader, project):
        wanted = make_completed(project, response_body=_answer(7))
        make_completed(project, response_body=_answer(9) | {"model": "another"})
        page = PageReader(reader.get("/usage/").content.decode())
        cell = next(cell for row in page.tables[-1].rows for cell in row if cell.text == "7")
        listed = reader.get(cell.address)
        assert [row.pk for row in listed.context["conversations"]] == [wanted.pk]

    def test_samples_and_strangers_are_in_no_sum(self, reader, outsider, project):
        make_completed(project, is_sample=True)
        assert "No usage yet" in reader.get("/usage/").content.decode()
        make_completed(project)
        assert reader.get("/usage/").context["review"].sums.total.requests == 1
        assert "No usage yet" in outsider.get("/usage/").content.decode()

    def test_missing_usage_is_not_zero_and_an_unknown_price_is_not_free(self, reader, project):
        lacking = make_completed(project, response_body=make_response_body(usage=None, model="our-own"))
        enrich_all()
        facts = {str(fact.label): fact for fact in reader.get("/usage/").context["review"].facts}
        assert facts["All tokens"].cell.text == "–"
        assert facts["Cost"].cell.text == "unknown"
        assert facts["Usage reported"].cell.text == "0 %"
        assert facts["Usage reported"].notes[0].text == "1 missing"
        for note in (facts["Usage reported"].notes[0], facts["Cost"].notes[0]):
            assert [row.pk for row in reader.get(note.address).context["conversations"]] == [lacking.pk]

    def test_a_known_price_names_its_list_and_its_date(self, reader, project):
        make_completed(project, response_body=_answer() | {"model": "gpt-4o-mini"})
        enrich_all()
        page = reader.get("/usage/").content.decode()
        assert "$0.000039" in page
        assert PRICE_VERSION in page

    def test_the_range_before_stands_beside(self, reader, project):
        make_completed(project, response_body=_answer(100, 0))
        make_completed(project, response_body=_answer(50, 0), received_at=days_ago(40))
        fact = reader.get("/usage/").context["review"].facts[0]
        assert [note.text for note in fact.notes] == ["+100 % · 50 before"]
        assert _counted(_records(fact.notes[0].address))["All tokens"] == 50

    def test_days_are_those_of_the_reader_s_zone(self, reader, project):
        make_completed(project, received_at=dt.datetime(2026, 11, 3, 18, tzinfo=dt.UTC))
        address = "/usage/?from=2026-11-04&to=2026-11-04"
        assert "There was no request in this range" in reader.get(address).content.decode()
        page = reader.get(f"{address}&zone=Asia/Seoul").content.decode()
        assert page.count('value="2026-11-04" required') == 2
        assert "<b>2026-11-04 – 2026-11-04</b>" in page
        assert re.search(r"as of \d\d:\d\d:\d\d KST", page)
        assert "2026-11-04 03:00" in page
        assert "Asia/Seoul" in page

    def test_a_zone_chosen_in_the_form_is_kept_and_one_of_a_link_is_not(self, reader, project):
        assert "zone" not in reader.get("/usage/?zone=Asia/Seoul").cookies
        assert reader.get("/usage/?zone=Asia/Seoul&remember=zone").cookies["zone"].value == "Asia/Seoul"
        assert reader.get("/usage/").context["review"].query.period.zone.key == "Asia/Seoul"

    def test_a_form_sent_with_the_days_of_a_range_leads_to_the_range(self, reader, project):
        today = timezone.now().date()
        form = f"range=7d&from={today - dt.timedelta(6)}&to={today}&step=day&split=kind&zone=UTC&remember=zone"
        assert reader.get(f"/usage/?{form}")["Location"] == "/usage/?range=7d"
        assert reader.get(f"/usage/?{form.replace(str(today), '2026-01-01')}").status_code == 200

    def test_htmx_gets_the_review_alone_and_its_address(self, reader, everything):
        fragment = reader.get("/usage/?range=7d&step=day&split=kind&zone=UTC", headers=REVIEW)
        assert fragment.content.decode().lstrip().startswith('<div id="review"')
        assert fragment["HX-Push-Url"] == "/usage/?range=7d"

    @pytest.mark.parametrize("query", ["surface=fax", "lacks=nothing", "user=%00"])
    def test_a_filter_that_cannot_be_is_refused_in_words(self, reader, query):
        page = reader.get(f"/usage/?{query}")
        assert page.status_code == 400
        assert "a filter has a value that it cannot have" in page.content.decode()
        assert reader.get(f"/usage.csv?{query}").status_code == reader.get(f"/usage.json?{query}").status_code == 400

    @pytest.mark.parametrize(
        "query", ["range=9y", "step=decade", "group=mood", "split=x", "sort=-1", "zone=Mars", "from=x", "range=%00"]
    )
    def test_a_choice_that_is_not_there_is_said_and_not_obeyed(self, reader, project, query):
        make_completed(project)
        page = reader.get(f"/usage/?{query}")
        assert page.status_code == 200
        assert page.context["review"].query.notes
        assert '<p class="notice wait">' in page.content.decode()

    def test_the_states_say_what_to_do_next(self, reader, project):
        assert "How to send the first request" in reader.get("/usage/").content.decode()
        make_completed(project)
        page = reader.get("/usage/?user=nobody").content.decode()
        assert "There was no request in this range" in page
        assert "Without User nobody" in page

    def test_only_the_largest_groups_are_listed_until_all_are_asked_for(self, reader, project):
        for n in range(12):
            make_completed(project, response_body=_answer(1000 + n), end_user=f"user-{n}")
        few = reader.get("/usage/?group=user").context["review"].groups
        assert (len(few.rows), few.hidden, few.rows[0].label) == (10, 2, "user-11")
        assert len(reader.get("/usage/?group=user&all=yes").context["review"].groups.rows) == 12

    def test_hostile_names_are_inert(self, reader, project):
        hostile = "\"><script>alert(1)</script>\u202e'&lt;"
        make_completed(project, response_body=_answer() | {"model": hostile}, end_user=hostile)
        for query in ("", "?group=user"):
            page = reader.get(f"/usage/{query}").content.decode()
            assert "<script>alert" not in page
            assert "⟨U+202E⟩" in page
            narrowed = reader.get(reader.get(f"/usage/{query}").context["review"].groups.rows[0].address)
            assert narrowed.context["review"].sums.total.requests == 1

    def test_sums_beyond_64_bits_are_exact(self, reader, project):
        for _ in range(3):
            make_completed(project, response_body=_answer(2**63 - 100, 40))
        page = reader.get("/usage/").content.decode()
        assert f"{3 * (2**63 - 60):,}" in page
        assert "e+" not in page

    def test_nothing_is_styled_or_scripted_inside_the_page(self, reader, everything):
        page = reader.get("/usage/").content.decode()
        assert "style=" not in page
        assert "<script>" not in page

    def test_twice_the_groups_cost_as_many_queries_and_no_body_is_read(self, reader, project):
        costs = []
        for start in (0, 10):
            for n in range(start, start + 10):
                make_completed(project, response_body=_answer() | {"model": f"model-{n}"})
            with CaptureQueriesContext(connection) as queries:
                reader.get("/usage/?all=yes")
            costs.append(len(queries))
            assert not any("conversations_body" in query["sql"] for query in queries)
        assert costs[0] == costs[1]

    def test_the_page_speaks_the_reader_s_language(self, reader, everything):
        reader.cookies.load({"django_language": "ko"})
        page = reader.get("/usage/").content.decode()
        assert '<html lang="ko"' in page
        assert "Token usage" not in page


class TestUsageExports:
    @pytest.mark.parametrize("path", ["/usage.csv", "/usage.json"])
    def test_only_readers_may_look(self, refuses, path):
        refuses(path)

    @pytest.mark.parametrize("query", QUERIES)
    def test_csv_and_json_have_the_sums_of_the_page(self, reader, everything, query):
        total = reader.get(f"/usage/{query}").context["review"].sums.total
        exported = json.loads(reader.get(f"/usage.json{query}").content)
        lines = list(csv.DictReader(io.StringIO(reader.get(f"/usage.csv{query}").content.decode("utf-8-sig"))))
        assert exported["total"]["requests"] == total.requests
        for name in ("requests", "prompt_tokens", "total_tokens"):
            rows = sum(row[name] or 0 for row in exported["rows"])
            assert rows == sum(int(line[name] or 0) for line in lines) == (exported["total"][name] or 0)
        costs = [Decimal(row["cost_usd"]) for row in exported["rows"] if row["cost_usd"]]
        assert (sum(costs) if costs else None) == total.cost

    def test_rows_of_the_json_lead_to_their_records(self, reader, everything):
        for row in json.loads(reader.get("/usage.json?group=key").content)["rows"]:
            assert _counted(_records(row["conversations"]))["Requests"] == row["requests"]

    def test_what_is_unknown_is_empty_and_never_zero(self, reader, project):
        make_completed(project, response_body=make_response_body(usage=None))
        row = json.loads(reader.get("/usage.json").content)["rows"][0]
        line = next(csv.DictReader(io.StringIO(reader.get("/usage.csv").content.decode("utf-8-sig"))))
        assert (row["total_tokens"], row["cost_usd"], row["missing"], row["unpriced"]) == (None, None, 1, 1)
        assert (line["total_tokens"], line["cost_usd"], line["missing"]) == ("", "", "1")

    def test_no_cell_of_the_csv_is_a_formula(self, reader, project):
        make_completed(project, end_user='=HYPERLINK("http://evil")')
        assert "'=HYPERLINK" in reader.get("/usage.csv?group=user").content.decode()

    def test_the_json_says_what_it_sums(self, reader, everything):
        exported = json.loads(reader.get("/usage.json?zone=Asia/Seoul&surface=azure&group=key").content)
        assert (exported["time_zone"], exported["step"], exported["group_by"]) == ("Asia/Seoul", "day", "key")
        assert (exported["filters"], exported["price_list"]) == ({"surface": ["azure"]}, PRICE_VERSION)
