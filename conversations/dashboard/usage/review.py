"""The page about usage: what it reviews, what else can be chosen, and the sums as facts, charts and tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from conversations.dashboard.periods import COMMON_ZONES, RANGES
from conversations.dashboard.usage import words
from conversations.dashboard.usage.cells import records
from conversations.dashboard.usage.facts import Compared, Fact
from conversations.dashboard.usage.figures import Figure, figures_of
from conversations.dashboard.usage.groups import GroupTable, groups_of
from conversations.dashboard.usage.query import FILTERS, GROUPS, SPLITS, UsageQuery, search_in
from conversations.dashboard.usage.sums import RangeSums, sum_range, sum_steps
from conversations.models import Project
from conversations.services.pricing import PRICE_VERSION
from conversations.services.usage import UsageSums


@dataclass(frozen=True)
class Choice:
    """Something to choose: its word in an address, its name, the address that chooses it, and whether it is chosen."""

    value: str
    label: str
    address: str
    is_chosen: bool


@dataclass(frozen=True)
class Chip:
    """A filter that is on: its name, its value in words, and the address without it."""

    label: str
    value: str
    address: str


class UsageReview:
    """What a page says about the sums of a range, with those of the range before it beside."""

    price_version = PRICE_VERSION
    zones = COMMON_ZONES

    def __init__(self, query: UsageQuery, now: RangeSums, before: Sequence[UsageSums]) -> None:
        self.query = query
        self.sums = now
        self.steps_before = before
        self.period_before = query.period.before()

    @property
    def is_empty(self) -> bool:
        """Whether there is no record to sum in this range."""
        return not self.sums.total.requests

    @cached_property
    def as_of(self) -> dt.datetime:
        """When this was summed, by the reader's clock."""
        return self.sums.as_of.astimezone(self.query.period.zone)

    @property
    def clock(self) -> str:
        """The time of ``as_of``; a template would write it by the server's clock."""
        return f"{self.as_of:%H:%M:%S %Z}"

    @cached_property
    def facts(self) -> list[Fact]:
        """The numbers that the page begins with."""
        return Compared(
            now=self.sums.total,
            search=search_in(self.query.search, self.query.period),
            before=sum(self.steps_before, UsageSums()),
            search_before=search_in(self.query.search, self.period_before),
        ).facts()

    @cached_property
    def figures(self) -> list[Figure]:
        """The charts, that of the tokens first."""
        return figures_of(self.query, self.sums, self.steps_before)

    @cached_property
    def groups(self) -> GroupTable:
        """The groups."""
        return groups_of(self.query, self.sums)

    @cached_property
    def ranges(self) -> list[Choice]:
        """The ranges with a name."""
        query = self.query
        return [
            Choice(name, str(words.RANGES[name]), query.in_range(name, self.as_of), name == query.period.name)
            for name in RANGES
        ]

    @cached_property
    def steps(self) -> list[Choice]:
        """The steps that the range can be cut into."""
        return [
            Choice(step, str(words.STEPS[step]), self.query.address(step=step), step == self.query.step)
            for step in self.query.period.steps()
        ]

    @cached_property
    def splits(self) -> list[Choice]:
        """How tokens can be told apart."""
        return [
            Choice(split, str(words.SPLITS[split]), self.query.address(split=split), split == self.query.split)
            for split in SPLITS
        ]

    @cached_property
    def group_choices(self) -> list[Choice]:
        """What can be grouped by."""
        return [
            Choice(
                group,
                str(words.GROUPS[group]),
                self.query.address(group=group, everything=False),
                group == self.query.group,
            )
            for group in GROUPS
        ]

    @cached_property
    def chips(self) -> list[Chip]:
        """The filters that are on."""
        return list(_chips(self.query))

    @property
    def all_groups(self) -> str:
        """The address that lists every group."""
        return self.query.address(everything=True)

    @property
    def unfiltered(self) -> str:
        """The address without filters."""
        return self.query.address(search=type(self.query.search)())

    @property
    def records(self) -> str:
        """The address of all the records that are summed."""
        return records(search_in(self.query.search, self.query.period))

    @property
    def csv(self) -> str:
        """The address of the same as CSV."""
        return self.query.address("usage_csv")

    @property
    def json(self) -> str:
        """The address of the same as JSON."""
        return self.query.address("usage_json")

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What a form has to send along that has no fields for it."""
        names = (*FILTERS, "sort", "all", "group", "range")
        return [(name, value) for name, values in self.query.to_query().lists() if name in names for value in values]


def review_usage(projects: Iterable[Project], query: UsageQuery) -> UsageReview:
    """Sum a range and the one before it."""
    projects = list(projects)
    return UsageReview(query, sum_range(projects, query), sum_steps(projects, query, query.period.before()))


def _chips(query: UsageQuery) -> Iterable[Chip]:
    for name in FILTERS:
        held = getattr(query.search, name)
        values = held if isinstance(held, tuple) else (held,) if held else ()
        for value in values:
            rest: dict[str, Any] = {name: tuple(other for other in values if other != value) or type(held)()}
            without = query.address(search=replace(query.search, **rest))
            if name == "lacks":
                yield Chip(str(words.LACKING.get(value, value)), "", without)
            else:
                group = next(group for group, named in GROUPS.items() if named == name)
                yield Chip(str(words.GROUPS[group]), words.group_words(group, value), without)
