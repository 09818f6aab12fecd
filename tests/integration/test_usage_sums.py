"""Sums of usage: exact whichever way they are cut, and proved against the records."""

import datetime as dt
import itertools
import random
from decimal import Decimal
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conversations.models import ApiKey, ChatRequest, Completion, Project, UsageRollup
from conversations.search import RequestSearch
from conversations.services.keys import create_api_key
from conversations.services.usage import (
    GROUPS,
    STEPS,
    TOKEN_COLUMNS,
    UTC,
    UsageReport,
    UsageSums,
    check_usage,
    sum_usage,
)
from tests.factories import enrich_all, make_completed, make_failed, make_request, make_response_body

START = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0) - dt.timedelta(days=3)
END = START + dt.timedelta(days=2)
ZONES = ("UTC", "Asia/Seoul", "Asia/Kolkata", "America/New_York")


@pytest.fixture
def traffic(project: Project, other_project: Project) -> list[Project]:
    """Two days of calls, half of them enriched."""
    chance = random.Random(7)
    keys = [create_api_key(project, "a")[0], create_api_key(project, "b")[0], None]
    for n in range(60):
        columns: dict[str, Any] = {
            "received_at": START + dt.timedelta(seconds=chance.randrange(2 * 86400)),
            "end_user": chance.choice(["", "kim", "이"]),
            "surface": chance.choice(["openai", "azure"]),
            "is_sample": n % 20 == 0,
            "api_key": chance.choice(keys),
        }
        owner = chance.choice([project, project, other_project])
        if owner == other_project:
            columns["api_key"] = None
        usage = {"prompt_tokens": n, "completion_tokens": 1, "total_tokens": n + 1}
        answer = make_response_body(
            usage=usage if n % 4 else None,
            model=chance.choice(["gpt-4o", "gpt-5", "unheard-of"]),
            service_tier=chance.choice(["", "flex"]),
        )
        if n % 7 == 0:
            make_failed(owner, **columns)
        else:
            make_completed(owner, response_body=answer, **columns)
        if n == 30:
            enrich_all()
    make_request(project, received_at=END - dt.timedelta(seconds=1))
    return [project, other_project]


def counted(projects: list[Project], search: RequestSearch) -> UsageSums:
    """The same, one record after the other."""
    total = UsageSums()
    found = search.apply(ChatRequest.objects.in_projects(projects)).select_related("completion")
    for request in found:
        completion: Any = getattr(request, "completion", None)
        waited = (request.finished_at - request.received_at) // dt.timedelta(microseconds=1) if completion else 0
        took = (waited + 500) // 1000  # as PostgreSQL rounds
        total += UsageSums(
            requests=1,
            completions=int(completion is not None),
            failures=int(request.state in {"failed", "expired"}),
            missing=int(completion is not None and completion.usage_source == "missing"),
            priced=int(completion is not None and completion.cost is not None),
            duration_ms=took,
            duration_max_ms=took,
            tokens={name: getattr(completion, name, None) for name in TOKEN_COLUMNS},
            cost=getattr(completion, "cost", None),
        )
    return total


def rollups_read(projects: list[Project], **query: Any) -> tuple[UsageReport, bool]:
    """The report, and whether rollups were read for it."""
    with CaptureQueriesContext(connection) as queries:
        report = sum_usage(projects, **query)
    return report, any("usagerollup" in each["sql"] for each in queries)


@pytest.mark.parametrize("group_by", [None, *GROUPS])
def test_every_cell_is_the_sum_of_the_records_that_its_search_finds(traffic: list[Project], group_by: Any) -> None:
    for step, zone in zip([None, *STEPS, *STEPS], itertools.cycle(ZONES), strict=False):
        report = sum_usage(traffic, since=START, until=END, group_by=group_by, step=step, zone=ZoneInfo(zone))
        whole = counted(traffic, RequestSearch(since=START, until=END, sample=False))
        assert report.total == whole
        for row in report.rows:
            assert counted(traffic, row.search) == row.sums, (step, zone, row.group)
            assert RequestSearch.from_query(row.search.to_query()) == row.search


@pytest.mark.parametrize("minutes", [(0, 0), (20, 40), (0, 59), (61, -61)])
def test_a_part_of_an_hour_is_summed_from_its_records(traffic: list[Project], minutes: tuple[int, int]) -> None:
    since, until = (at + dt.timedelta(minutes=n) for at, n in zip((START, END), minutes, strict=True))
    report, used = rollups_read(traffic, since=since, until=until)
    assert report.total == counted(traffic, RequestSearch(since=since, until=until, sample=False))
    assert used


@pytest.mark.parametrize(
    ("search", "from_rollups"),
    [
        (RequestSearch(user="kim"), True),
        (RequestSearch(answered_by=("gpt-5", "gpt-4o"), surface=("azure",)), True),
        (RequestSearch(project="other", service_tier="flex"), True),
        (RequestSearch(lacks=("key", "user")), True),
        (RequestSearch(lacks=("service_tier", "model")), True),
        (RequestSearch(state=("failed",)), False),
        (RequestSearch(model=("gpt-5",)), False),
        (RequestSearch(min_tokens=20), False),
        (RequestSearch(sample=True), False),
    ],
)
def test_what_no_rollup_tells_apart_is_summed_from_the_records(
    traffic: list[Project], search: RequestSearch, from_rollups: bool
) -> None:
    enrich_all()
    report, used = rollups_read(traffic, since=START, until=END, search=search)
    wanted = RequestSearch(**vars(search) | {"since": START, "until": END, "sample": False})
    assert report.total == (UsageSums() if search.sample else counted(traffic, wanted))
    assert used is from_rollups


def test_a_key_is_a_group_by_its_prefix(traffic: list[Project], project: Project) -> None:
    key = ApiKey.objects.get(name="a")
    row = next(
        row for row in sum_usage([project], since=START, until=END, group_by="key").rows if row.group == key.prefix
    )
    assert (row.key_name, row.project, row.search.key) == ("a", "support", (key.prefix,))


def test_the_time_before_stands_beside_it(project: Project) -> None:
    make_completed(project, received_at=START)
    report = sum_usage([project], since=END, until=END + (END - START))
    assert (report.total.requests, report.previous.requests) == (0, 1)
    assert sum_usage([project], since=END, until=END, previous_since=START).previous.requests == 1
    assert sum_usage([project], since=dt.datetime(1, 1, 2, tzinfo=dt.UTC), until=END).previous == UsageSums()


def test_steps_begin_by_the_clock_of_the_zone_also_when_it_changes(project: Project) -> None:
    zone = ZoneInfo("Europe/Berlin")
    since, until = (dt.datetime(2026, 10, day, tzinfo=zone) for day in (25, 26))
    for hour in range(25):
        make_completed(project, received_at=since.astimezone(dt.UTC) + dt.timedelta(hours=hour))
    enrich_all()
    days = sum_usage([project], since=since, until=until, step="day", zone=zone).rows
    hours = sum_usage([project], since=since, until=until, step="hour", zone=zone).rows
    weeks = sum_usage([project], since=since, until=until, step="week", zone=zone).rows
    assert [(row.start, row.end, row.sums.requests) for row in days] == [(since, until, 25)]
    assert [row.sums.requests for row in hours] == [1] * 25
    assert [(row.start, row.sums.requests) for row in weeks] == [(since, 25)]


def test_a_report_costs_as_many_queries_for_many_groups_as_for_few(traffic: list[Project]) -> None:
    with CaptureQueriesContext(connection) as queries:
        sum_usage(traffic, since=START, until=END, group_by="key", step="day")
    assert len(queries) == 3  # this period, the keys, the time before
    assert not any("conversations_body" in each["sql"] for each in queries)


def test_an_empty_sum_knows_nothing() -> None:
    nothing = UsageSums()
    assert (nothing.cost, nothing.duration_mean_ms, set(nothing.tokens.values())) == (None, None, {None})
    known = UsageSums(completions=2, missing=1, priced=1, duration_ms=10, cost=Decimal(1)) + nothing
    assert (known.reported, known.unpriced, known.duration_mean_ms, known.cost) == (1, 1, 5, 1)


def test_the_check_passes_where_sums_and_records_agree(traffic: list[Project]) -> None:
    enrich_all()
    printed = StringIO()
    call_command("check_usage", stdout=printed)
    assert "equal" in printed.getvalue()


@pytest.mark.parametrize("column", ["requests", "prompt_tokens", "cost", "duration_max_ms"])
def test_a_planted_difference_is_found_and_named(traffic: list[Project], column: str) -> None:
    enrich_all()
    planted = UsageRollup.objects.exclude(cost=None).exclude(prompt_tokens=None).earliest("pk")
    kept = getattr(planted, column)
    UsageRollup.objects.filter(pk=planted.pk).update(**{column: kept + 1})
    (found,) = check_usage()
    assert (found.differences, found.cell["model"]) == ({column: (kept + 1, kept)}, planted.model)
    printed = StringIO()
    with pytest.raises(CommandError, match="1 sums"):
        call_command("check_usage", stdout=printed)
    assert f"{column} is" in printed.getvalue()


def test_a_cell_too_many_and_one_too_few_are_found(traffic: list[Project]) -> None:
    enrich_all()
    gone = UsageRollup.objects.earliest("pk")
    UsageRollup.objects.filter(pk=gone.pk).update(end_user="nobody")
    found = {discrepancy.cell["end_user"]: discrepancy for discrepancy in check_usage()}
    assert (found["nobody"].counted, found[gone.end_user].kept) == (None, None)
    assert found[gone.end_user].differences["requests"] == (None, gone.requests)


def test_the_smallest_change_of_a_record_is_found(traffic: list[Project]) -> None:
    enrich_all()
    changed = Completion.objects.filter(usage_source="missing", request__is_sample=False).earliest("pk")
    Completion.objects.filter(pk=changed.pk).update(cached_tokens=0)
    (found,) = check_usage()
    assert found.differences == {"cached_tokens": (None, 0)}


def test_zones_of_half_hours_are_summed_from_the_records(traffic: list[Project]) -> None:
    enrich_all()
    assert rollups_read(traffic, since=START, until=END, step="day", zone=ZoneInfo("Asia/Kolkata"))[1] is False
    assert rollups_read(traffic, since=START, until=END, step="day", zone=UTC)[1] is True
