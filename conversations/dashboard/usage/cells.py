"""Sums as cells: each a number in words that opens exactly the records that it sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.urls import reverse
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from conversations.dashboard.amounts import UNKNOWN, full, money
from conversations.dashboard.usage.tokens import KINDS, all_tokens, split_tokens
from conversations.dashboard.usage.words import Words
from conversations.search import RequestSearch
from conversations.services.usage import UsageSums
from conversations.templatetags.showing import span

FAILED = ("failed", "expired")
"""The states that count as failures in sums."""

COLUMNS: Words = {
    "requests": _("Requests"),
    "failures": _("Failures"),
    "tokens": _("All tokens"),
    "missing": _("Usage missing"),
    "cost": _("Cost"),
    "duration": _("Mean duration"),
    "mean": pgettext_lazy("duration", "Mean"),
    "longest": pgettext_lazy("duration", "Longest"),
}
"""The columns beside those of the kinds of tokens."""


@dataclass(frozen=True)
class Cell:
    """A number in words, the address of the records that it sums ("" where there are none), and a remark."""

    text: str
    address: str = ""
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One step or one group: what it is called, where that leads, and its numbers.

    A group also has a ``remark``, its ``share`` in words and as the width of a bar, and its course as a path.
    """

    label: str
    address: str
    cells: Sequence[Cell]
    remark: str = ""
    share: str = ""
    share_width: str = ""
    spark: str = ""


@dataclass(frozen=True)
class Column:
    """The name of a column, and where a click on it leads: to the rows in its order."""

    label: str
    address: str = ""
    is_order: bool = False


def records(search: RequestSearch) -> str:
    """The address of the records that a search finds."""
    return f"{reverse('conversations')}?{search.to_query().urlencode()}"


def column_label(name: str, split: str) -> str:
    """What a column is called: one of ``COLUMNS``, or a kind of token."""
    return str(COLUMNS.get(name) or next(kind.label for kind in KINDS[split] if kind.name == name))


def cells_of(names: Sequence[str], sums: UsageSums, search: RequestSearch, split: str) -> list[Cell]:
    """One cell for each of the columns; ``search`` finds the records that are summed."""
    kinds = split_tokens(sums.tokens, split)
    return [_cell(name, sums, search, kinds) for name in names]


def lacking(name: str, search: RequestSearch) -> str:
    """The address of those among the records whose answers lack their ``usage`` or ``cost``."""
    return records(replace(search, lacks=(*search.lacks, name)))


def cost_words(sums: UsageSums) -> str:
    """What the records cost: a dash where nothing was answered, and never 0 for a price that nobody knows."""
    if sums.cost is None and sums.completions:
        return gettext("unknown")
    return money(sums.cost) if sums.completions else UNKNOWN


def unpriced_words(sums: UsageSums) -> str:
    """How many answers are not in the cost; "" where all are."""
    words = ngettext("%(count)s without a price", "%(count)s without a price", sums.unpriced)
    return words % {"count": full(sums.unpriced)} if sums.unpriced else ""


def mean_seconds(sums: UsageSums) -> float | None:
    """How long an answer took on average; None without answers."""
    return sums.duration_ms / sums.completions / 1000 if sums.completions else None


def longest_seconds(sums: UsageSums) -> float | None:
    """How long the slowest answer took; None without answers."""
    return sums.duration_max_ms / 1000 if sums.completions else None


def _cell(name: str, sums: UsageSums, search: RequestSearch, kinds: Mapping[str, int | None]) -> Cell:
    here = records(search) if sums.requests else ""
    match name:
        case "requests":
            return Cell(full(sums.requests), here)
        case "failures":
            return Cell(full(sums.failures), records(replace(search, state=FAILED)) if sums.failures else "")
        case "missing":
            return Cell(full(sums.missing), lacking("usage", search) if sums.missing else "")
        case "tokens":
            return Cell(full(all_tokens(sums.tokens)), here)
        case "cost":
            return Cell(cost_words(sums), here, "" if sums.cost is None else unpriced_words(sums))
        case "duration":
            longest = longest_seconds(sums)
            note = "" if longest is None else gettext("longest %(span)s") % {"span": span(longest)}
            return Cell(span(mean_seconds(sums)), here, note)
        case "mean":
            return Cell(span(mean_seconds(sums)), here)
        case "longest":
            return Cell(span(longest_seconds(sums)), here)
    return Cell(full(kinds[name]), here)
