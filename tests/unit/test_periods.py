"""Ranges of time by the calendar of a zone."""

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.dashboard.periods import (
    COMMON_ZONES,
    MAX_BUCKETS,
    RANGES,
    STEPS,
    chosen_period,
    is_zone,
    named_period,
    read_day,
)

SEOUL, NEW_YORK = ZoneInfo("Asia/Seoul"), ZoneInfo("America/New_York")
NOW = dt.datetime(2026, 11, 21, 19, 48, tzinfo=dt.UTC)
DAYS = st.dates(dt.date(1990, 1, 1), dt.date(2199, 12, 31))


@pytest.mark.parametrize(
    ("name", "since", "until"),
    [
        ("24h", "2026-11-21T05:00+09:00", "2026-11-22T05:00+09:00"),
        ("7d", "2026-11-16T00:00+09:00", "2026-11-23T00:00+09:00"),
        ("30d", "2026-10-24T00:00+09:00", "2026-11-23T00:00+09:00"),
        ("month", "2026-11-01T00:00+09:00", "2026-12-01T00:00+09:00"),
        ("last_month", "2026-10-01T00:00+09:00", "2026-11-01T00:00+09:00"),
        ("12m", "2025-12-01T00:00+09:00", "2026-12-01T00:00+09:00"),
    ],
)
def test_a_named_range_ends_with_the_reader_s_own_hour_day_or_month(name, since, until):
    period = named_period(name, NOW, SEOUL)
    assert (period.since, period.until) == (dt.datetime.fromisoformat(since), dt.datetime.fromisoformat(until))


@pytest.mark.parametrize("name", RANGES)
def test_the_range_before_ends_where_this_one_begins(name):
    period = named_period(name, NOW, SEOUL)
    assert period.before().until == period.since
    assert abs((period.since - period.before().since) - (period.until - period.since)) <= dt.timedelta(3)


@given(DAYS, DAYS, st.sampled_from(COMMON_ZONES), st.sampled_from(STEPS))
def test_buckets_follow_one_another_without_gap_and_fill_the_range(first, last, zone, step):
    period = chosen_period(first, last, ZoneInfo(zone))
    assert period.usual_step() in period.steps()
    if step in period.steps():
        buckets = list(period.buckets(step))
        assert (buckets[0].since, buckets[-1].until) == (period.since, period.until)
        assert all(one.until == other.since for one, other in pairwise(buckets))
        assert len(buckets) <= MAX_BUCKETS + 24


def test_a_day_of_25_hours_has_25_hours():
    day = chosen_period(dt.date(2026, 11, 1), dt.date(2026, 11, 1), NEW_YORK)
    assert len(list(day.buckets("hour"))) == 25


def test_weeks_begin_on_monday_and_the_first_may_be_shorter():
    weeks = list(chosen_period(dt.date(2026, 11, 4), dt.date(2026, 11, 20), SEOUL).buckets("week"))
    assert [str(week.since.date()) for week in weeks] == ["2026-11-04", "2026-11-09", "2026-11-16"]


def test_two_days_in_the_wrong_order_are_meant_the_other_way_round():
    period = chosen_period(dt.date(2026, 11, 20), dt.date(2026, 11, 4), SEOUL)
    assert (period.since.date(), period.last_day, period.days) == (dt.date(2026, 11, 4), dt.date(2026, 11, 20), 17)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "2026-11-01T00:00", "１"])
def test_what_is_no_day_is_none(text):
    assert read_day(text) is None


def test_only_names_of_the_database_are_zones():
    assert all(map(is_zone, COMMON_ZONES))
    assert not any(map(is_zone, ["", "Mars/Olympus", "../../etc/passwd", "Asia/Seoul\0"]))
