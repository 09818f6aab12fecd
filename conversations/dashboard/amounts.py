"""Counts, shares and sums of money in words that fit into a chart's axis or a table's cell."""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

UNKNOWN = "–"
"""Nothing is known, which is not nothing."""

_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


def full(number: int | None) -> str:
    """Every digit, in threes as all three languages write them: ``1,234,567``; a dash where nothing is known."""
    # Django writes Chinese numbers without separators, and a column of long ones cannot be compared then.
    return UNKNOWN if number is None else f"{number:,}"


def compact(number: float | Decimal | None) -> str:
    """Three digits and a unit that every language of the pages reads: ``999``, ``1.23 k``, ``48.2 M``."""
    if number is None:
        return UNKNOWN
    exact = Decimal(str(number))
    for size, unit in _UNITS:
        # What would be rounded to 1,000 of a unit is 1 of the next.
        if exact >= size * Decimal("0.9995"):
            scaled = exact / size
            digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
            return f"{_trimmed(round(scaled, digits))} {unit}"
    return _trimmed(round(exact, 0 if exact == int(exact) else 2))


def money(dollars: Decimal | None) -> str:
    """US dollars: cents from one dollar on, two digits that count below. A dash where nothing is known."""
    if dollars is None:
        return UNKNOWN
    if dollars == 0 or abs(dollars) >= 1:
        return f"${round(dollars, 2):,.2f}"
    return f"${round(dollars, digits := max(2, 1 - dollars.adjusted())):.{digits}f}"


def share(part: Decimal | int | None, whole: Decimal | int | None) -> str:
    """A share in percent: ``41 %``, ``0.4 %``; never 0 or 100 for what is not quite so. A dash without a whole."""
    if part is None or not whole:
        return UNKNOWN
    percent = Decimal(part) * 100 / Decimal(whole)
    if 0 < percent < Decimal("0.1"):
        return _("< 0.1 %")
    if 99 < percent < 100:
        return f"{_trimmed(min(round(percent, 1), Decimal('99.9')))} %"
    return f"{_trimmed(round(percent, 1 if percent < 10 else 0))} %"


def change(now: Decimal | int | None, before: Decimal | int | None) -> str:
    """How much more or less than before: ``+12 %``; "" where one of the two is unknown, or there was nothing."""
    if now is None or not before:
        return ""
    percent = round((Decimal(now) - Decimal(before)) * 100 / Decimal(before), 0)
    if percent > 999:
        return pgettext("times as much as before", "×%(factor)s") % {"factor": compact(Decimal(now) / Decimal(before))}
    return f"{'+' if percent > 0 else '−' if percent < 0 else '±'}{abs(int(percent))} %"


def _trimmed(number: Decimal) -> str:
    whole, _point, rest = f"{number:,f}".partition(".")
    return f"{whole}.{rest}" if (rest := rest.rstrip("0")) else whole
