"""The groups of a range as a table: the largest first, each with its share, its course and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from conversations.dashboard.amounts import share
from conversations.dashboard.charts import spark
from conversations.dashboard.usage.cells import Cell, Column, Row, cells_of, column_label
from conversations.dashboard.usage.query import SORTS, UsageQuery, search_in
from conversations.dashboard.usage.sums import GroupSums, RangeSums
from conversations.dashboard.usage.tokens import KINDS, all_tokens, split_tokens
from conversations.dashboard.usage.words import group_words
from conversations.services.usage import UsageSums

MOST_GROUPS = 10
"""How many groups are listed unless all are asked for."""

MAX_GROUPS = 500
"""Most groups that a page lists; the exports have them all."""

SHARE_WIDTH = 100
"""The width of a whole in the bars of shares, in their own units."""


@dataclass(frozen=True)
class GroupTable:
    """The groups that are listed and the sum of all; ``hidden`` is how many are not, with their share in words."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    total: Sequence[Cell]
    hidden: int
    hidden_share: str


def groups_of(query: UsageQuery, sums: RangeSums) -> GroupTable:
    """The table of the groups that ``query`` asks for."""
    kinds = split_tokens(sums.total.tokens, query.split)
    names = ["tokens", *(kind.name for kind in KINDS[query.split] if kinds[kind.name] is not None)]
    names += ["missing", "requests", "failures", "cost", "duration"]
    by_size = sorted(sums.groups, key=lambda group: (-_size(group.total, query.sort), group.value))
    listed = by_size[: MAX_GROUPS if query.everything else MOST_GROUPS]
    whole = _size(sums.total, query.sort)
    left = by_size[len(listed) :]
    return GroupTable(
        columns=[_column(name, query) for name in names],
        rows=[_row(group, query, names, whole) for group in listed],
        total=cells_of(names, sums.total, search_in(query.search, query.period), query.split),
        hidden=len(left),
        hidden_share=share(sum((_size(group.total, query.sort) for group in left), Decimal()), whole),
    )


def _amount(sums: UsageSums, sort: str) -> Decimal | int | None:
    amounts = {
        "tokens": all_tokens(sums.tokens),
        "requests": sums.requests,
        "failures": sums.failures,
        "cost": sums.cost,
    }
    return amounts[sort]


def _size(sums: UsageSums, sort: str) -> Decimal:
    return Decimal(_amount(sums, sort) or 0)


def _column(name: str, query: UsageQuery) -> Column:
    address = query.address(sort=name) if name in SORTS else ""
    return Column(column_label(name, query.split), address, name == query.sort)


def _row(group: GroupSums, query: UsageQuery, names: Sequence[str], whole: Decimal) -> Row:
    return Row(
        label=group_words(query.group, group.name or group.value),
        # The time is the review's own, and the samples are in no review.
        address=query.address(search=replace(group.search, since=None, until=None, sample=None)),
        cells=cells_of(names, group.total, group.search, query.split),
        remark=" · ".join(text for text in (group.value if group.name else "", group.project) if text),
        share=share(_amount(group.total, query.sort), whole),
        share_width=f"{SHARE_WIDTH * _size(group.total, query.sort) / whole:.1f}" if whole else "0",
        spark=spark([_size(sums, query.sort) for sums in group.steps]),
    )
