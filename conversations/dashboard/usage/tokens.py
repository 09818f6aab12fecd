"""Tokens told apart: by what they cost (cached, reasoning, …) or by what they are of (text, sound, pictures)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import Promise

type Counts = Mapping[str, int | None]


@dataclass(frozen=True)
class Kind:
    """One kind of token: the class that colours it, and its name."""

    name: str
    label: str | Promise


KINDS: dict[str, tuple[Kind, ...]] = {
    "kind": (
        Kind("uncached", _("Uncached input")),
        Kind("cached", _("Cached input")),
        Kind("write", _("Cache write")),
        Kind("reason", _("Reasoning")),
        Kind("output", _("Output")),
    ),
    "modality": (
        Kind("text-in", _("Text input")),
        Kind("image-in", _("Image input")),
        Kind("audio-in", _("Audio input")),
        Kind("other-in", _("Input not told apart")),
        Kind("audio-out", _("Audio output")),
        Kind("other-out", _("Other output")),
    ),
}
"""The kinds of each way to tell tokens apart, from the bottom of a column to its top."""


def split_tokens(counts: Counts, split: str) -> dict[str, int | None]:
    """The sums of ``TOKEN_COLUMNS`` as one number for each of ``KINDS[split]``.

    None where nothing was reported. Each number is a sum of differences, so that the numbers of a whole are the
    sums of those of its parts wherever the upstream's own counts agree with one another.
    """
    return _by_kind(counts) if split == "kind" else _by_modality(counts)


def all_tokens(counts: Counts) -> int | None:
    """All tokens: as the upstream added them up, or else input and output together."""
    if counts["total_tokens"] is not None:
        return counts["total_tokens"]
    prompt, answer = counts["prompt_tokens"], counts["completion_tokens"]
    return None if prompt is None and answer is None else (prompt or 0) + (answer or 0)


def _by_kind(counts: Counts) -> dict[str, int | None]:
    cached, write, reasoning = (counts[f"{name}_tokens"] for name in ("cached", "cache_write", "reasoning"))
    inside = (reasoning or 0) - _reasoning_beside(counts)
    return {
        "uncached": _less(counts["prompt_tokens"], (cached or 0) + (write or 0)),
        "cached": cached,
        "write": write,
        "reason": reasoning,
        "output": _less(counts["completion_tokens"], inside),
    }


def _by_modality(counts: Counts) -> dict[str, int | None]:
    told = {f"{name}-in": counts[f"prompt_{name}_tokens"] for name in ("text", "image", "audio")}
    sound, answer, beside = counts["completion_audio_tokens"], counts["completion_tokens"], _reasoning_beside(counts)
    return told | {
        "other-in": _less(counts["prompt_tokens"], sum(count or 0 for count in told.values())),
        "audio-out": sound,
        "other-out": _less(None if answer is None else answer + beside, sound or 0),
    }


def _reasoning_beside(counts: Counts) -> int:
    """The reasoning that is not in the completion tokens: xAI counts it beside, OpenAI inside, the total tells."""
    beside = (counts["total_tokens"] or 0) - (counts["prompt_tokens"] or 0) - (counts["completion_tokens"] or 0)
    return min(max(beside, 0), counts["reasoning_tokens"] or 0)


def _less(count: int | None, part: int) -> int | None:
    # An upstream's parts may be more than its whole.
    return None if count is None else max(count - part, 0)
