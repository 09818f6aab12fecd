"""The token counts of an answer, read from whatever the upstream reported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from conversations.wire.checks import INT64_MAX


@dataclass(frozen=True)
class Usage:
    """Tokens by kind; None where the upstream said nothing that can be a count.

    ``source`` is ``missing`` when not one count could be read. ``flawed`` is true when the upstream said something
    that cannot be a count: negative, not an integer, or beyond 64 bits.
    """

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    prompt_text_tokens: int | None
    prompt_audio_tokens: int | None
    prompt_image_tokens: int | None
    completion_audio_tokens: int | None
    source: Literal["upstream", "missing"]
    flawed: bool


_COUNTS = {
    "prompt_tokens": ("", "prompt_tokens"),
    "completion_tokens": ("", "completion_tokens"),
    "total_tokens": ("", "total_tokens"),
    "cached_tokens": ("prompt_tokens_details", "cached_tokens"),
    "cache_write_tokens": ("prompt_tokens_details", "cache_write_tokens"),
    "reasoning_tokens": ("completion_tokens_details", "reasoning_tokens"),
    "prompt_text_tokens": ("prompt_tokens_details", "text_tokens"),
    "prompt_audio_tokens": ("prompt_tokens_details", "audio_tokens"),
    "prompt_image_tokens": ("prompt_tokens_details", "image_tokens"),
    "completion_audio_tokens": ("completion_tokens_details", "audio_tokens"),
}


def usage_of(answer: Mapping[str, Any]) -> Usage:
    """The ``usage`` of a completion, plain or streamed. Never raises; sums are not checked, as vendors differ."""
    reported = answer.get("usage")
    flawed = reported is not None and not isinstance(reported, dict)
    levels = {"": reported if isinstance(reported, dict) else {}}
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        details = levels[""].get(name)
        flawed = flawed or (details is not None and not isinstance(details, dict))
        levels[name] = details if isinstance(details, dict) else {}
    said = {name: levels[level].get(key) for name, (level, key) in _COUNTS.items()}
    counts = {name: value if _is_count(value) else None for name, value in said.items()}
    flawed = flawed or any(value is not None and counts[name] is None for name, value in said.items())
    known = any(count is not None for count in counts.values())
    return Usage(**counts, source="upstream" if known else "missing", flawed=flawed)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT64_MAX
