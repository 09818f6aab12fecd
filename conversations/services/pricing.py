"""What a completion cost, by a maintained list of prices that comes with the program (sync, no I/O).

The list is the one of ``genai-prices``; nothing is fetched. Where the list does not know the model, or the
upstream did not say what was used, the cost is unknown: never 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from genai_prices import Usage, __version__
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider

_PUBLISHED = {"0.2.3": "2026-11-10"}
"""When a version of the list came out: it does not say so itself."""

PRICE_VERSION = f"genai-prices {__version__}, {_PUBLISHED.get(__version__, 'of unknown date')}"

_USAGE_KEYS = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "cached_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "prompt_audio_tokens": "input_audio_tokens",
    "prompt_image_tokens": "input_image_tokens",
    "completion_audio_tokens": "output_audio_tokens",
}
_SMALLEST = Decimal("0.0000000001")
_LARGEST = Decimal(10) ** 10


@dataclass(frozen=True)
class Upstream:
    """Who answered: the base URL and the provider's name, each "" where it is not known."""

    base_url: str = ""
    provider: str = ""


def cost_of(
    model: str, tokens: Mapping[str, int | None], *, at: datetime, service_tier: str = "", upstream: Upstream
) -> Decimal | None:
    """The cost in US dollars of these ``tokens`` (by their columns' names) at the prices of that time.

    None where the price or the prompt or completion tokens are unknown, or the counts contradict each other.
    """
    if tokens.get("prompt_tokens") is None or tokens.get("completion_tokens") is None:
        return None
    usage = {theirs: tokens.get(ours) for ours, theirs in _USAGE_KEYS.items()}
    usage["output_tokens"] = _output_tokens(tokens)
    context = {"service_tier": service_tier} if service_tier else None
    try:
        provider, priced = _find_model(model, upstream)
        price = priced.calc_price(Usage(**usage), provider, genai_request_timestamp=at, price_context=context)
    except (LookupError, ValueError):
        return None
    cost = Decimal(price.total_price)
    return cost.quantize(_SMALLEST, ROUND_HALF_UP) if 0 <= cost < _LARGEST else None


def _find_model(model: str, upstream: Upstream) -> tuple[Provider, ModelInfo]:
    """By the upstream's own prices, where the list has any for the model; else by those of the model's maker."""
    prices = get_snapshot()
    for provider_id, base_url in ((None, upstream.base_url), (upstream.provider, None)):
        if provider_id or base_url:
            try:
                return prices.find_provider_model(model, None, provider_id or None, base_url or None)
            except LookupError:
                continue
    return prices.find_provider_model(model, None, None, None)


def _output_tokens(tokens: Mapping[str, int | None]) -> int:
    """What was written, reasoning included: xAI counts that beside the completion, others inside it."""
    prompt, completion, reasoning, total = (
        tokens.get(name) or 0 for name in ("prompt_tokens", "completion_tokens", "reasoning_tokens", "total_tokens")
    )
    return completion + reasoning if total == prompt + completion + reasoning else completion
