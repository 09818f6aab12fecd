"""Charts as geometry: numbers for SVG attributes, and the names of the classes that colour them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import Promise

    from conversations.models import Completion

BAR_WIDTH = 1_000
"""Width of a token bar, in its own units; the style sheet stretches it."""

_GAP = 4


@dataclass(frozen=True)
class Segment:
    """One kind of token: its class (``uncached``, ``cached``, ``output``, ``reason``), count, and place in the bar."""

    kind: str
    label: str | Promise
    tokens: int
    share: int
    x: str
    width: str


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
