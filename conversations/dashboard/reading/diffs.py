"""Two records side by side: what was asked differently, what was answered differently, and at what price.

Texts are compared line by line, within limits that keep every page fast; what changed inside a line is marked.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice, zip_longest
from typing import Any, Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from conversations.dashboard.reading.parts import Part
from conversations.dashboard.reading.records import Record
from conversations.dashboard.reading.rendering import visible
from conversations.dashboard.reading.turns import Turn
from conversations.wire.json_door import encode

MAX_LINES = 800
"""Most lines of each side that are compared."""

MAX_LINE_LENGTH = 1_000
"""Longest line, in characters, that is compared."""

MAX_PARAMETERS = 200
"""Most parameters that are compared."""

_MAX_VALUE_LENGTH = 500
_CONTEXT = 3

type Sign = Literal["+", "-", " ", "…"]


@dataclass(frozen=True)
class Line:
    """A line of a diff: its ``sign``, and its text in three pieces, the middle one being what changed in it.

    Sign ``…`` stands for lines that both have and that are left out.
    """

    sign: Sign
    before: str
    changed: str = ""
    after: str = ""


@dataclass(frozen=True)
class Pair:
    """A value of each record; ``difference`` is that of two numbers, b less a, or ""."""

    name: str | Promise
    a: str
    b: str
    difference: str = ""

    @property
    def is_same(self) -> bool:
        """Whether both have the same."""
        return self.a == self.b


@dataclass(frozen=True)
class Diff:
    """Everything that two records can be compared by. ``is_cut`` says that a text was too long to compare whole."""

    parameters: list[Pair]
    messages: list[Line]
    answer: list[Line]
    usage: list[Pair]
    is_cut: bool


def diff_of(a: Record, b: Record) -> Diff:
    """Compare ``b`` with ``a``."""
    asked = [_lines_of(record.questions) for record in (a, b)]
    answered = [_lines_of(record.answers) for record in (a, b)]
    return Diff(
        parameters=list(_parameters(a.asked, b.asked)),
        messages=_compared(*asked),
        answer=_compared(*answered),
        usage=list(_usage(a, b)),
        is_cut=any(_is_cut(record.turns) for record in (a, b))
        or any(len(lines) >= MAX_LINES or MAX_LINE_LENGTH in map(len, lines) for lines in (*asked, *answered)),
    )


def _parameters(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Pair]:
    names = [name for name in dict.fromkeys([*a, *b]) if name != "messages"]
    for name in names[:MAX_PARAMETERS]:
        yield Pair(visible(name)[:100], *(_value(asked, name) for asked in (a, b)))


def _value(members: Mapping[str, Any], name: str) -> str:
    return visible(encode(members[name]).decode())[:_MAX_VALUE_LENGTH] if name in members else ""


def _usage(a: Record, b: Record) -> Iterator[Pair]:
    for column, name in _COLUMNS.items():
        counts = [getattr(record.completion, column, None) for record in (a, b)]
        if counts != [None, None]:
            yield _numbers(name, *counts)


def _numbers(name: str | Promise, a: int | Decimal | None, b: int | Decimal | None) -> Pair:
    difference = f"{_plainly(b - a):+f}" if a is not None and b is not None and a != b else ""
    said_a, said_b = ("" if count is None else f"{_plainly(count):f}" for count in (a, b))
    return Pair(name, said_a, said_b, difference)


def _plainly(number: int | Decimal) -> Decimal:
    """Without the zeros at the end of its decimals."""
    return Decimal(number).normalize()


def _lines_of(turns: Iterable[Turn]) -> list[str]:
    """Turns as lines of text: who speaks, and what is said."""
    return [line[:MAX_LINE_LENGTH] for line in islice(_said(turns), MAX_LINES)]


def _said(turns: Iterable[Turn]) -> Iterator[str]:
    for turn in turns:
        yield f"[{turn.label}]"
        yield from _texts(turn.parts)
        for call in turn.calls:
            yield f"→ {call.name}"
            yield from _texts([call.arguments])
            if call.result:
                yield "←"
                yield from _texts(call.result.parts)


def _is_cut(turns: Iterable[Turn]) -> bool:
    """Whether turns are already less than what was said."""
    return any(turn.skipped or any(part.length for part in turn.parts) for turn in turns)


def _texts(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        if part.kind in {"image", "audio", "file"}:
            yield f"({part.kind}) {part.link or part.media_type} {part.size or ''}".rstrip()
        yield from part.text.splitlines()


def _compared(a: list[str], b: list[str]) -> list[Line]:
    """What it takes to make ``b`` out of ``a``, with a few lines around each change; nothing when they are the same."""
    matcher = difflib.SequenceMatcher(None, a, b)
    lines: list[Line] = []
    end = 0
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        if group[0][1] > end or lines:
            lines.append(Line("…", ""))
        for tag, a_start, a_end, b_start, b_end in group:
            if tag == "equal":
                lines += [Line(" ", line) for line in a[a_start:a_end]]
            else:
                lines += _changed(a[a_start:a_end], b[b_start:b_end])
            end = a_end
    return lines


def _changed(a: list[str], b: list[str]) -> list[Line]:
    gone: list[Line] = []
    come: list[Line] = []
    for old, new in zip_longest(a, b):
        head, tail = _common_ends(old or "", new or "") if old is not None and new is not None else (0, 0)
        if old is not None:
            gone.append(_marked("-", old, head, tail))
        if new is not None:
            come.append(_marked("+", new, head, tail))
    return [*gone, *come]


def _common_ends(a: str, b: str) -> tuple[int, int]:
    """How many characters two lines have in common at their start, and how many more at their end."""
    shorter = min(len(a), len(b))
    head = next((place for place in range(shorter) if a[place] != b[place]), shorter)
    left = shorter - head
    tail = next((place for place in range(left) if a[-1 - place] != b[-1 - place]), left)
    return head, tail


def _marked(sign: Sign, line: str, head: int, tail: int) -> Line:
    if not head and not tail:
        return Line(sign, line)
    end = len(line) - tail
    return Line(sign, line[:head], line[head:end], line[end:])


_COLUMNS: Mapping[str, str | Promise] = {
    "prompt_tokens": _("Input"),
    "completion_tokens": _("Output"),
    "total_tokens": _("Total"),
    "cached_tokens": _("Cached input"),
    "cache_write_tokens": _("Cache write"),
    "reasoning_tokens": _("Reasoning"),
    "prompt_text_tokens": _("Input: text"),
    "prompt_audio_tokens": _("Input: audio"),
    "prompt_image_tokens": _("Input: images"),
    "completion_audio_tokens": _("Output: audio"),
    "cost": _("Cost (USD)"),
}
