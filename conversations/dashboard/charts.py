"""Charts as geometry: numbers for SVG attributes, and the names of the classes that colour them.

Every number is a string already: a template would write ``1,000`` in one language and ``1.5`` as ``1,5`` in another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import Promise

    from conversations.models import Completion

BAR_WIDTH = 1_000
"""Width of a token bar, in its own units; the style sheet stretches it."""

CHART_WIDTH, CHART_HEIGHT = 1_000, 200
"""The size of a chart over time, in its own units; the style sheet stretches it, and its labels stand beside it."""

DENSE = 60
"""Most columns of a chart that have room between them."""

SPARK_WIDTH, SPARK_HEIGHT = 100, 20
"""The size of a sparkline, in its own units."""

_GAP = 4
_LEAST_HEIGHT = 1.5
_LABELS = 6

type Number = int | float | Decimal


@dataclass(frozen=True)
class Segment:
    """One kind of token: its class (``uncached``, ``cached``, ``output``, ``reason``), count, and place in the bar."""

    kind: str
    label: str | Promise
    tokens: int
    share: int
    x: str
    width: str


@dataclass(frozen=True)
class Bar:
    """What one column stands for: its ``label`` on the axis, its ``title`` in words, and the ``address`` it opens.

    Without an address there is nothing to open. ``counts`` has one number for each kind of the chart, ``before`` the
    whole of the column that it is compared with, and ``lacking`` says that something is not in its counts.
    """

    label: str
    title: str
    address: str
    counts: tuple[int, ...]
    before: int | None = None
    lacking: bool = False


@dataclass(frozen=True)
class Block:
    """One kind's part of a column: its class and its place."""

    kind: str
    y: str
    height: str


@dataclass(frozen=True)
class Column:
    """One column: the whole height of it is the link, ``blocks`` are what is drawn."""

    title: str
    address: str
    x: str
    width: str
    blocks: tuple[Block, ...]
    lacking: bool


@dataclass(frozen=True)
class Line:
    """One line: its class, and the path that it takes; a gap where nothing is known."""

    kind: str
    path: str


@dataclass(frozen=True)
class Chart:
    """Columns and lines over the same labels. ``marks`` are the values of the grid from the top down to 0.

    ``grid`` are the heights of its lines, ``labels`` those below the axis, evenly spread.
    """

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    marks: tuple[Number, ...]
    grid: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def is_dense(self) -> bool:
        """Whether there is no room between the columns."""
        return len(self.columns) > DENSE

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(column.blocks or column.lacking for column in self.columns) and not any(
            line.path for line in self.lines
        )


def stacked_bars(bars: Sequence[Bar], kinds: Sequence[str]) -> Chart:
    """Columns of blocks, the first of ``kinds`` at the bottom, with a level over each for what it is compared with."""
    top, marks = _scale(max([sum(bar.counts) for bar in bars] + [bar.before or 0 for bar in bars], default=0))
    columns = tuple(
        _column(bar, position, len(bars), _stacked(kinds, bar.counts, top)) for position, bar in enumerate(bars)
    )
    before = Line("before", _levels([bar.before for bar in bars], top))
    return Chart(columns, (before,), marks, _grid(marks), _spread([bar.label for bar in bars]))


def line(bars: Sequence[Bar], series: Sequence[tuple[str, Sequence[Number | None]]]) -> Chart:
    """Lines over columns that can be opened: each of ``series`` is a class and one value a bar, None where unknown."""
    top, marks = _scale(max((value for _, values in series for value in values if value is not None), default=0))
    columns = tuple(_column(bar, position, len(bars), ()) for position, bar in enumerate(bars))
    lines = tuple(Line(kind, _path(values, top, CHART_WIDTH, CHART_HEIGHT)) for kind, values in series)
    return Chart(columns, lines, marks, _grid(marks), _spread([bar.label for bar in bars]))


def spark(values: Sequence[Number | None]) -> str:
    """The path of a line as wide as a word, from 0 at the bottom; "" where there is nothing to draw."""
    top = max((value for value in values if value is not None), default=0)
    return _path(values, top, SPARK_WIDTH, SPARK_HEIGHT, inset=1.5) if top else ""


def token_segments(completion: Completion) -> list[Segment]:
    """The token bar of a completion, in reading order. Empty when the upstream reported no usage."""
    if completion.prompt_tokens is None and completion.completion_tokens is None:
        return []
    prompt, answer = completion.prompt_tokens or 0, completion.completion_tokens or 0
    cached = min(completion.cached_tokens or 0, prompt)
    reasoning = completion.reasoning_tokens or 0
    # xAI counts reasoning beside the completion tokens, OpenAI inside of them: the total tells which.
    beside = completion.total_tokens == prompt + answer + reasoning
    output = answer if beside else max(answer - reasoning, 0)
    counts = (
        ("uncached", _("Input"), prompt - cached),
        ("cached", _("Cached input"), cached),
        ("reason", _("Reasoning"), reasoning if beside else min(reasoning, answer)),
        ("output", _("Output"), output),
    )
    return _placed([(kind, label, tokens) for kind, label, tokens in counts if tokens > 0])


def _placed(counts: Iterable[tuple[str, str | Promise, int]]) -> list[Segment]:
    counts = list(counts)
    total = sum(tokens for _, _, tokens in counts)
    room = BAR_WIDTH - _GAP * (len(counts) - 1)
    segments: list[Segment] = []
    x = 0.0
    for kind, label, tokens in counts:
        # A sliver stays visible: at least as wide as the gap beside it.
        width = max(room * tokens / total, _GAP)
        segments.append(Segment(kind, label, tokens, round(100 * tokens / total), f"{x:.1f}", f"{width:.1f}"))
        x += width + _GAP
    return segments


def _scale(most: Number) -> tuple[Number, tuple[Number, ...]]:
    """The top of an axis and its marks, the top first: steps of 1, 2 or 5 and zeros, from two to five of them."""
    if most <= 0:
        return 1, ()
    rough = Decimal(most) / 4
    power = Decimal(10) ** math.floor(rough.log10())
    step = next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough)
    if isinstance(most, int):
        step = max(step, Decimal(1))
    count = math.ceil(Decimal(most) / step)
    exact = [step * number for number in range(count, -1, -1)]
    marks = tuple(int(mark) if mark == int(mark) else float(mark) for mark in exact)
    return marks[0], marks


def _grid(marks: Sequence[Number]) -> tuple[str, ...]:
    return tuple(f"{CHART_HEIGHT * position / (len(marks) - 1):.1f}" for position in range(len(marks)))


def _spread(labels: Sequence[str]) -> tuple[str, ...]:
    """A few of the labels, at distances as even as they can be, the first one and the last one among them."""
    last = len(labels) - 1
    parts = min(_LABELS - 1, last)
    return tuple(labels[round(last * part / parts)] for part in range(parts + 1)) if parts > 0 else tuple(labels)


def _column(bar: Bar, position: int, count: int, blocks: tuple[Block, ...]) -> Column:
    room = CHART_WIDTH / count
    return Column(bar.title, bar.address, f"{position * room:.2f}", f"{room:.2f}", blocks, bar.lacking)


def _stacked(kinds: Sequence[str], counts: Sequence[int], top: Number) -> tuple[Block, ...]:
    blocks: list[Block] = []
    foot = float(CHART_HEIGHT)
    for kind, count in zip(kinds, counts, strict=True):
        if count > 0:
            # A sliver stays visible.
            height = min(max(CHART_HEIGHT * float(Decimal(count) / Decimal(top)), _LEAST_HEIGHT), foot)
            foot -= height
            blocks.append(Block(kind, f"{foot:.2f}", f"{height:.2f}"))
    return tuple(blocks)


def _levels(values: Sequence[int | None], top: Number) -> str:
    """A level over each column, where one is known."""
    room = CHART_WIDTH / max(len(values), 1)
    pieces: list[str] = []
    for position, value in enumerate(values):
        if value is not None:
            y = CHART_HEIGHT * (1 - float(Decimal(value) / Decimal(top)))
            pieces.append(f"M{position * room:.2f} {y:.2f}H{(position + 1) * room:.2f}")
    return "".join(pieces)


def _path(values: Sequence[Number | None], top: Number, width: int, height: int, inset: float = 0) -> str:
    """A line through the middle of each column; a point with nothing beside it becomes a dot."""
    room = width / max(len(values), 1)
    pieces: list[str] = []
    for position, value in enumerate(values):
        if value is None:
            continue
        follows = position > 0 and values[position - 1] is not None
        alone = not follows and (position + 1 == len(values) or values[position + 1] is None)
        y = height - inset - (height - 2 * inset) * float(Decimal(value) / Decimal(top))
        pieces.append(f"{'L' if follows else 'M'}{(position + 0.5) * room:.2f} {y:.2f}{'h.01' if alone else ''}")
    return "".join(pieces)
