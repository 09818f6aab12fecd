"""The token bar's geometry."""

import pytest

from conversations.dashboard.charts import BAR_WIDTH, token_segments
from conversations.models import Completion


def _bar(**counts):
    return [(segment.kind, segment.tokens) for segment in token_segments(Completion(**counts))]


def test_cached_and_reasoning_tokens_are_parts_of_input_and_output():
    counts = {"prompt_tokens": 812, "completion_tokens": 392, "total_tokens": 1204}
    bar = _bar(**counts, cached_tokens=400, reasoning_tokens=160)
    assert bar == [("uncached", 412), ("cached", 400), ("reason", 160), ("output", 232)]


def test_reasoning_beside_the_completion_tokens_is_not_counted_twice():
    assert _bar(prompt_tokens=10, completion_tokens=5, total_tokens=35, reasoning_tokens=20)[-1] == ("output", 5)


@pytest.mark.parametrize("counts", [{}, {"total_tokens": 5}, {"prompt_tokens": 0, "completion_tokens": 0}])
def test_there_is_no_bar_without_counts(counts):
    assert _bar(**counts) == []


def test_absurd_counts_draw_nothing_absurd():
    segments = token_segments(
        Completion(prompt_tokens=10, completion_tokens=1, cached_tokens=99, reasoning_tokens=9**18)
    )
    assert all(0 <= float(segment.x) <= BAR_WIDTH and 0 < float(segment.width) <= BAR_WIDTH for segment in segments)


def test_segments_stand_beside_one_another():
    first, second = token_segments(Completion(prompt_tokens=30, completion_tokens=10))
    assert float(first.x) + float(first.width) < float(second.x)
    assert float(second.x) + float(second.width) == pytest.approx(BAR_WIDTH)
