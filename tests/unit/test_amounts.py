"""Counts, shares and money in words."""

from decimal import Decimal

import pytest
from django.utils import translation

from conversations.dashboard.amounts import change, compact, full, money, share


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "–"),
        (0, "0"),
        (999, "999"),
        (1_234, "1.23 k"),
        (999_999, "1 M"),
        (48_200_000, "48.2 M"),
        (10**15, "1,000 T"),
        (0.25, "0.25"),
    ],
)
def test_a_number_is_three_digits_and_a_unit(number, text):
    assert compact(number) == text


def test_every_digit_is_there_where_it_is_asked_for():
    assert full(12_345_678_901_234_567_890) == "12,345,678,901,234,567,890"
    assert (full(0), full(None)) == ("0", "–")


@pytest.mark.parametrize(
    ("dollars", "text"),
    [(None, "–"), ("0", "$0.00"), ("412.071", "$412.07"), ("0.0042", "$0.0042"), ("1234567.891", "$1,234,567.89")],
)
def test_money_that_is_little_is_not_nothing(dollars, text):
    assert money(None if dollars is None else Decimal(dollars)) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(41, 100, "41 %"), (4, 1000, "0.4 %"), (1, 10**6, "< 0.1 %"), (999_999, 10**6, "99.9 %"), (5, 5, "100 %")],
)
def test_a_share_is_never_rounded_to_none_or_all(part, whole, text):
    assert share(part, whole) == text


@pytest.mark.parametrize(("part", "whole"), [(None, 5), (5, None), (0, 0)])
def test_a_share_of_nothing_or_of_the_unknown_is_unknown(part, whole):
    assert share(part, whole) == "–"


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        (112, 100, "+12 %"),
        (88, 100, "−12 %"),
        (5, 5, "±0 %"),
        (500, 2, "×250"),
        (5, 0, ""),
        (None, 5, ""),
        (5, None, ""),
    ],
)
def test_a_change_says_its_direction(now, before, text):
    assert change(now, before) == text


def test_units_are_the_same_in_every_language():
    with translation.override("ko"):
        assert compact(48_200_000) == "48.2 M"
