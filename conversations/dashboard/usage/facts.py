"""The sums of a whole range in a few numbers, each beside the same number of the range before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations.dashboard.amounts import change, compact, full, share
from conversations.dashboard.usage.cells import (
    FAILED,
    Cell,
    cost_words,
    lacking,
    longest_seconds,
    mean_seconds,
    records,
    unpriced_words,
)
from conversations.dashboard.usage.tokens import all_tokens
from conversations.search import RequestSearch
from conversations.services.usage import UsageSums
from conversations.templatetags.showing import span

type Words = Callable[[UsageSums], str]
type Amount = Callable[[UsageSums], Decimal | int | None]


@dataclass(frozen=True)
class Fact:
    """A number for the whole range, in full in its ``title``, and remarks on it."""

    label: str
    cell: Cell
    notes: Sequence[Cell]
    title: str = ""


@dataclass(frozen=True)
class Compared:
    """The sums of a range and of the range before it, with the searches for their records."""

    now: UsageSums
    search: RequestSearch
    before: UsageSums
    search_before: RequestSearch

    def facts(self) -> list[Fact]:
        """What the page begins with."""
        return [
            self._fact(
                _("All tokens"), lambda sums: compact(all_tokens(sums.tokens)), lambda sums: all_tokens(sums.tokens)
            ),
            self._fact(
                _("Requests"), lambda sums: compact(sums.requests), lambda sums: sums.requests, self._failures()
            ),
            self._fact(_("Cost"), cost_words, lambda sums: sums.cost, self._unpriced()),
            self._fact(_("Cached share of the input"), _cached_share, None),
            self._fact(_("Usage reported"), _reported_share, None, self._missing()),
            self._fact(_("Mean duration"), lambda sums: span(mean_seconds(sums)), None, self._longest()),
        ]

    def _fact(self, label: str, words: Words, amount: Amount | None, *more: Cell) -> Fact:
        number = amount(self.now) if amount else None
        title = full(number) if isinstance(number, int) and words(self.now) != full(number) else ""
        cell = Cell(words(self.now), records(self.search) if self.now.requests else "")
        return Fact(label, cell, [note for note in (*more, self._compared(words, amount)) if note.text], title)

    def _compared(self, words: Words, amount: Amount | None) -> Cell:
        if not self.before.requests:
            return Cell(_("nothing before"))
        difference = change(amount(self.now), amount(self.before)) if amount else ""
        text = _("%(amount)s before") % {"amount": words(self.before)}
        return Cell(f"{difference} · {text}" if difference else text, records(self.search_before))

    def _failures(self) -> Cell:
        number = self.now.failures
        text = ngettext("%(count)s failure", "%(count)s failures", number) % {"count": full(number)}
        return Cell(text, records(replace(self.search, state=FAILED))) if number else Cell("")

    def _unpriced(self) -> Cell:
        words = unpriced_words(self.now)
        return Cell(words, lacking("cost", self.search) if words else "")

    def _missing(self) -> Cell:
        number = self.now.missing
        text = ngettext("%(count)s missing", "%(count)s missing", number) % {"count": full(number)}
        return Cell(text, lacking("usage", self.search)) if number else Cell("")

    def _longest(self) -> Cell:
        seconds = longest_seconds(self.now)
        return Cell(_("longest %(span)s") % {"span": span(seconds)}) if seconds is not None else Cell("")


def _cached_share(sums: UsageSums) -> str:
    return share(sums.tokens["cached_tokens"], sums.tokens["prompt_tokens"])


def _reported_share(sums: UsageSums) -> str:
    return share(sums.reported, sums.completions)
