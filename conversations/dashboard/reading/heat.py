"""An answer token by token, as likely as the model held each of them to be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from conversations.dashboard.reading.rendering import visible

MAX_TOKENS = 1_000
"""Most tokens of a choice that are shown."""

MAX_ALTERNATIVES = 10
"""Most alternatives of a token that are shown; vendors give 20 at most."""

_MAX_LENGTH = 100
_LEVELS = (0.9, 0.7, 0.5, 0.3, 0.1)


@dataclass(frozen=True)
class Alternative:
    """What could have stood in a token's place, and its probability, such as ``12.3 %``."""

    text: str
    share: str


@dataclass(frozen=True)
class Token:
    """A token, its probability in words, and its ``level``: 0 for above 90 %, up to 5 for below 10 %."""

    text: str
    share: str
    level: int
    alternatives: list[Alternative]


@dataclass(frozen=True)
class Heat:
    """The tokens of a choice; ``mean`` is their geometric mean probability, ``left`` how many are not shown."""

    tokens: list[Token]
    mean: str
    left: int


def heat_of(logprobs: object) -> Heat | None:
    """The tokens of a choice's ``logprobs``, of its content and its refusal; None where it has none, of any shape."""
    entries = list(_entries(logprobs))
    if not entries:
        return None
    shown = [_token(entry, value) for entry, value in entries[:MAX_TOKENS]]
    mean = math.fsum(value for _, value in entries) / len(entries)
    return Heat(shown, _share(mean), max(len(entries) - MAX_TOKENS, 0))


def _entries(logprobs: object) -> Iterator[tuple[Mapping[str, Any], float]]:
    """Each entry that has a token and a log probability, with the latter."""
    lists = [logprobs.get("content"), logprobs.get("refusal")] if isinstance(logprobs, dict) else []
    for entries in lists:
        for entry in entries if isinstance(entries, list) else ():
            value = _logprob_of(entry)
            if value is not None:
                yield entry, value


def _logprob_of(entry: object) -> float | None:
    match entry:
        case {"token": str(), "logprob": bool()}:
            return None
        case {"token": str(), "logprob": float() as value} if math.isnan(value):
            return None
        case {"token": str(), "logprob": int() | float() as value}:
            return float(max(min(value, 0), -1_000_000))
    return None


def _token(entry: Mapping[str, Any], value: float) -> Token:
    probability = math.exp(value)
    level = next((level for level, least in enumerate(_LEVELS) if probability >= least), len(_LEVELS))
    others = entry.get("top_logprobs")
    alternatives = [
        Alternative(_spelled(other["token"]), _share(found))
        for other in (others[: 2 * MAX_ALTERNATIVES] if isinstance(others, list) else ())
        if (found := _logprob_of(other)) is not None and other["token"] != entry["token"]
    ]
    return Token(_spelled(entry["token"]), _share(value), level, alternatives[:MAX_ALTERNATIVES])


def _spelled(token: str) -> str:
    """A token with its line ends to be seen; a cut character of several bytes shows as U+FFFD."""
    return visible(token[:_MAX_LENGTH]).replace("\n", "⏎\n").replace("\t", "⇥") or "∅"


def _share(value: float) -> str:
    percent = math.exp(value) * 100
    return "< 0.1 %" if percent < 0.1 else f"{percent:.1f} %"
