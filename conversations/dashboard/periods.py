"""Ranges of time that a reader can review, cut into steps by the calendar of the reader's own zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from django.utils.dateparse import parse_date

type Step = Literal["hour", "day", "week", "month"]

STEPS: tuple[Step, ...] = ("hour", "day", "week", "month")

RANGES = ("24h", "7d", "30d", "90d", "month", "last_month", "12m")
"""The ranges with a name; ``30d`` is the one without being asked for."""

MAX_BUCKETS = 190
"""Most steps of one range: a week of hours, half a year of days."""

COMMON_ZONES = (
    "UTC",
    "America/Los_Angeles",
    "America/Denver",
    "America/Chicago",
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Paris",
    "Europe/Berlin",
    "Europe/Istanbul",
    "Africa/Johannesburg",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Singapore",
    "Asia/Shanghai",
    "Asia/Taipei",
    "Asia/Seoul",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Pacific/Auckland",
)
"""The zones that are proposed; any other name of the tz database is taken as well."""

MAX_DAYS = 15 * 365
"""Longest range, in days."""

_FIRST, _LAST = dt.date(1990, 1, 1), dt.date(2199, 12, 31)
_DAYS = {"7d": 7, "30d": 30, "90d": 90}


@dataclass(frozen=True)
class Bucket:
    """One step of a range: from ``since`` (included) to ``until`` (not included)."""

    since: dt.datetime
    until: dt.datetime


@dataclass(frozen=True)
class Period:
    """From ``since`` (included) to ``until`` (not included), by the days of ``zone``.

    ``name`` is one of ``RANGES``, or "" for two days that the reader chose.
    """

    name: str
    since: dt.datetime
    until: dt.datetime
    zone: ZoneInfo

    @property
    def first_day(self) -> dt.date:
        """The first day that has a part in the range."""
        return self.since.date()

    @property
    def last_day(self) -> dt.date:
        """The last day that has a part in the range."""
        return (self.until - dt.timedelta(microseconds=1)).date()

    @property
    def days(self) -> int:
        """How many days have a part in the range."""
        return (self.last_day - self.since.date()).days + 1

    def before(self) -> Period:
        """The range of the same length that ends where this one begins: by hours, days or months as it was chosen."""
        if self.name == "24h":
            return Period("", _add_hours(self.since, -24), self.since, self.zone)
        months = {"month": 1, "last_month": 1, "12m": 12}.get(self.name)
        first = self.since.date()
        start = _add_months(first, -months) if months else first - dt.timedelta(self.days)
        return Period("", _midnight(start, self.zone), self.since, self.zone)

    def steps(self) -> tuple[Step, ...]:
        """The steps that the range may be cut into: not too many of them, and more than a part of one."""
        lengths = {"hour": 24.0, "day": 1.0, "week": 1 / 7, "month": 1 / 30}
        fitting = tuple(step for step in STEPS if self.days * lengths[step] <= MAX_BUCKETS)
        return tuple(step for step in fitting if step == fitting[0] or self.days * lengths[step] > 1)

    def usual_step(self) -> Step:
        """The step for who asks for none: hours in a day or two, months in more than a quarter."""
        if self.days <= 2:
            return "hour"
        return "day" if self.days <= 92 else "month"

    def buckets(self, step: Step) -> Iterator[Bucket]:
        """The range cut at the calendar's steps; its first and last piece may be shorter."""
        start = self.since
        # Two moments of one zone would be compared by the clock on the wall, which stands still once a year.
        while start.timestamp() < self.until.timestamp():
            end = min(_next_start(start, step, self.zone), self.until, key=dt.datetime.timestamp)
            yield Bucket(start, end)
            start = end


@cache
def is_zone(name: str) -> bool:
    """Whether the tz database knows a zone of this name."""
    return name in available_timezones()


def named_period(name: str, now: dt.datetime, zone: ZoneInfo) -> Period:
    """One of ``RANGES``, up to the end of this hour, day or month. Raises ``KeyError`` for another name."""
    local = now.astimezone(zone)
    if name == "24h":
        until = _add_hours(local.replace(minute=0, second=0, microsecond=0), 1)
        return Period(name, _add_hours(until, -24), until, zone)
    today = local.date()
    if name in _DAYS:
        first, after = today - dt.timedelta(_DAYS[name] - 1), today + dt.timedelta(1)
    else:
        months_back, months = {"month": (0, 1), "last_month": (1, 1), "12m": (11, 12)}[name]
        first = _add_months(today.replace(day=1), -months_back)
        after = _add_months(first, months)
    return Period(name, _midnight(first, zone), _midnight(after, zone), zone)


def chosen_period(first: dt.date, last: dt.date, zone: ZoneInfo) -> Period:
    """From one day to another, both included, in either order; the last ``MAX_DAYS`` of them."""
    first, last = sorted(min(max(day, _FIRST), _LAST) for day in (first, last))
    first = max(first, last - dt.timedelta(MAX_DAYS - 1))
    return Period("", _midnight(first, zone), _midnight(last + dt.timedelta(1), zone), zone)


def read_day(text: str) -> dt.date | None:
    """A day such as ``2026-11-01``; None for anything else."""
    try:
        return parse_date(text.strip())
    except ValueError:
        return None


def _midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), zone)


def _add_hours(at: dt.datetime, hours: int) -> dt.datetime:
    # By the clock that knows no summer time.
    return (at.astimezone(dt.UTC) + dt.timedelta(hours=hours)).astimezone(at.tzinfo)


def _add_months(first: dt.date, months: int) -> dt.date:
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return dt.date(year, month + 1, 1)


def _next_start(start: dt.datetime, step: Step, zone: ZoneInfo) -> dt.datetime:
    if step == "hour":
        return _add_hours(start, 1)
    day = start.date()
    if step == "week":
        return _midnight(day + dt.timedelta(7 - day.weekday()), zone)
    if step == "month":
        return _midnight(_add_months(day.replace(day=1), 1), zone)
    return _midnight(day + dt.timedelta(1), zone)
