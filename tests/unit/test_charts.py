"""The geometry of charts over time."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.dashboard.charts import CHART_HEIGHT, CHART_WIDTH, SPARK_HEIGHT, Bar, line, spark, stacked_bars

KINDS = ("uncached", "output")


def _bars(*counts, **columns):
    return [Bar(f"day {n}", f"day {n}", f"/there/{n}", pair, **columns) for n, pair in enumerate(counts)]


def _heights(chart, position=0):
    return [float(block.height) for block in chart.columns[position].blocks]


def test_blocks_are_as_high_as_their_counts_and_stand_on_one_another():
    chart = stacked_bars(_bars((30, 10)), KINDS)
    assert chart.marks == (40, 30, 20, 10, 0)
    assert _heights(chart) == [CHART_HEIGHT * 0.75, CHART_HEIGHT * 0.25]
    lower, upper = chart.columns[0].blocks
    assert float(upper.y) + float(upper.height) == float(lower.y)
    assert float(lower.y) + float(lower.height) == CHART_HEIGHT


def test_columns_share_the_whole_width_and_keep_their_addresses():
    chart = stacked_bars(_bars((1, 0), (2, 0), (3, 0), (4, 0)), KINDS)
    assert [float(column.x) for column in chart.columns] == [0, 250, 500, 750]
    assert {float(column.width) for column in chart.columns} == {CHART_WIDTH / 4}
    assert [column.address for column in chart.columns] == ["/there/0", "/there/1", "/there/2", "/there/3"]


def test_a_kind_without_tokens_has_no_block_and_a_few_tokens_stay_visible():
    chart = stacked_bars(_bars((0, 1), (10**9, 0)), KINDS)
    assert [block.kind for block in chart.columns[0].blocks] == ["output"]
    assert _heights(chart)[0] > 1


@pytest.mark.parametrize(
    ("most", "marks"),
    [(1, (1, 0)), (3, (3, 2, 1, 0)), (7, (8, 6, 4, 2, 0)), (48_200_000, (60_000_000, 40_000_000, 20_000_000, 0))],
)
def test_the_axis_is_marked_at_round_whole_numbers(most, marks):
    assert stacked_bars(_bars((most, 0)), KINDS).marks == marks


@given(st.lists(st.tuples(*[st.integers(0, 10**26)] * 2), min_size=1, max_size=20))
def test_nothing_is_drawn_outside_of_a_chart(counts):
    chart = stacked_bars(_bars(*counts), KINDS)
    assert all(0 <= float(block.y) <= CHART_HEIGHT for column in chart.columns for block in column.blocks)
    assert all(sum(_heights(chart, n)) <= CHART_HEIGHT + 0.1 for n in range(len(counts)))
    assert not chart.marks or chart.marks[0] >= max(sum(pair) for pair in counts)


def test_the_axis_also_has_room_for_what_is_compared():
    chart = stacked_bars(_bars((10, 0), before=40), KINDS)
    assert chart.marks[0] == 40
    assert chart.lines[0].path == "M0.00 0.00H1000.00"


@pytest.mark.parametrize("bars", [[], _bars((0, 0), (0, 0))])
def test_a_chart_of_nothing_says_that_it_is_empty(bars):
    chart = stacked_bars(bars, KINDS)
    assert chart.is_empty
    assert chart.marks == ()


def test_a_column_that_lacks_counts_is_not_nothing():
    assert not stacked_bars(_bars((0, 0), lacking=True), KINDS).is_empty


def test_a_few_labels_stand_for_all_with_the_first_and_the_last_among_them():
    chart = stacked_bars(_bars(*[(1, 1)] * 30), KINDS)
    assert len(chart.labels) == 6
    assert (chart.labels[0], chart.labels[-1]) == ("day 0", "day 29")


def test_a_line_breaks_where_nothing_is_known_and_a_single_point_is_a_dot():
    chart = line(_bars((), (), (), ()), [("mean", [1.0, 2.0, None, Decimal(2)])])
    assert chart.lines[0].path == "M125.00 100.00L375.00 0.00M875.00 0.00h.01"


def test_a_line_below_one_has_marks_of_its_own_size():
    assert line(_bars(()), [("mean", [0.03])]).marks == (0.03, 0.02, 0.01, 0)


def test_a_sparkline_stays_in_its_box_and_nothing_has_none():
    path = spark([0, 5, 10])
    heights = [float(point.split()[1]) for point in path.replace("M", "L").split("L")[1:]]
    assert heights == [SPARK_HEIGHT - 1.5, SPARK_HEIGHT / 2, 1.5]
    assert spark([]) == spark([0, None, 0]) == ""
