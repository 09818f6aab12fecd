"""What ranges, steps, groups and columns of the usage page are called."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext, pgettext_lazy

from conversations.dashboard.periods import Bucket, Step
from conversations.dashboard.reading.rendering import visible
from conversations.models import ChatRequest

if TYPE_CHECKING:
    from django.utils.functional import Promise

type Words = Mapping[str, str | Promise]

RANGES: Words = {
    "24h": pgettext_lazy("period", "Last 24 hours"),
    "7d": pgettext_lazy("period", "Last 7 days"),
    "30d": pgettext_lazy("period", "Last 30 days"),
    "90d": pgettext_lazy("period", "Last 90 days"),
    "month": pgettext_lazy("period", "This month"),
    "last_month": pgettext_lazy("period", "Last month"),
    "12m": pgettext_lazy("period", "Last 12 months"),
}

STEPS: Words = {"hour": _("Hour"), "day": _("Day"), "week": _("Week"), "month": _("Month")}

GROUPS: Words = {
    "model": _("Model"),
    "key": _("API key"),
    "project": _("Project"),
    "user": _("User"),
    "service_tier": _("Service tier"),
    "surface": _("Surface"),
}

SPLITS: Words = {"kind": _("Input, cache, output"), "modality": _("Text, image, audio")}

LACKING: Words = {
    "model": _("No model"),
    "key": _("No API key"),
    "user": _("No user named"),
    "service_tier": _("No tier reported"),
}

FILTERS: Words = {
    "answered_by": _("Model"),
    "key": _("API key"),
    "project": _("Project"),
    "user": _("User"),
    "service_tier": _("Service tier"),
    "surface": _("Surface"),
}

_SURFACES: Words = dict(ChatRequest.Surface.choices)


def group_words(group: str, value: str) -> str:
    """A group's value as it is shown: a surface by its name, nothing as what is lacking, hidden characters visible."""
    if not value:
        return str(LACKING.get(group, ""))
    return str(_SURFACES.get(value, value)) if group == "surface" else visible(value)


def axis_words(bucket: Bucket, step: Step, *, is_short: bool) -> str:
    """A step below a chart, as short as its language allows; an hour by its time in a ``is_short`` range only."""
    if step == "month":
        return date_format(bucket.since, pgettext("date format, PHP style: a month", "M Y"))
    if step == "hour" and is_short:
        return f"{bucket.since:%H:%M}"
    return date_format(bucket.since, pgettext("date format, PHP style: a day", "M j"))


def step_words(bucket: Bucket, step: Step) -> str:
    """A step in a table: ``2026-11``, ``2026-11-02 – 11-08``, ``2026-11-02``, ``2026-11-02 14:00``."""
    if step == "hour":
        return f"{bucket.since:%Y-%m-%d %H:%M}"
    if step == "day":
        return f"{bucket.since:%Y-%m-%d}"
    last = (bucket.until - dt.timedelta(microseconds=1)).date()
    if step == "month" and bucket.since.day == 1 and (last + dt.timedelta(1)).day == 1:
        return f"{bucket.since:%Y-%m}"
    return f"{bucket.since:%Y-%m-%d} – {last:%m-%d}"
