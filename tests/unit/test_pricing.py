"""What a completion costs, by the list that comes with the program."""

import datetime as dt
from decimal import Decimal
from importlib.metadata import version

import pytest

from conversations.services.pricing import PRICE_VERSION, Upstream, cost_of

AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def cost(model: str, at: dt.datetime = AT, tier: str = "", base_url: str = "", **tokens: int | None) -> Decimal | None:
    tokens = {"prompt_tokens": 1000, "completion_tokens": 10} | tokens
    return cost_of(model, tokens, at=at, service_tier=tier, upstream=Upstream(base_url=base_url))


def test_a_known_model_has_a_price_and_cached_tokens_a_lower_one() -> None:
    assert cost("gpt-4o") == Decimal("0.0026")
    assert cost("gpt-4o-2024-08-06", cached_tokens=500) == Decimal("0.001975")


@pytest.mark.parametrize("model", ["my-model-name", "", "SmolLM2-135M-Instruct", "\0", "x" * 256, "gpt-4o\n; drop"])
def test_an_unknown_model_has_no_cost_rather_than_none_to_pay(model: str) -> None:
    assert cost(model) is None


@pytest.mark.parametrize(
    "tokens",
    [
        {"prompt_tokens": None},
        {"completion_tokens": None},
        {"cached_tokens": 5000},
        {"prompt_tokens": 2**63 - 1, "completion_tokens": 2**63 - 1},
    ],
)
def test_counts_that_are_missing_or_impossible_have_no_cost(tokens: dict[str, int | None]) -> None:
    assert cost("gpt-4o", **tokens) is None


def test_nothing_used_costs_nothing() -> None:
    assert cost("gpt-4o", prompt_tokens=0, completion_tokens=0) == 0


def test_the_service_tier_has_its_price() -> None:
    flex, default, priority = (cost("gpt-5", tier=tier) for tier in ("flex", "default", "priority"))
    assert flex is not None
    assert default is not None
    assert priority is not None
    assert flex < default < priority


def test_the_time_of_the_request_decides() -> None:
    night, day = (cost("deepseek-chat", AT.replace(hour=hour)) for hour in (20, 12))
    assert night != day


def test_reasoning_that_is_counted_beside_the_completion_is_paid_as_output() -> None:
    beside = cost("grok-4", reasoning_tokens=500, total_tokens=1510)
    inside = cost("grok-4", reasoning_tokens=5, total_tokens=1010)
    assert inside == cost("grok-4")
    assert beside == cost("grok-4", completion_tokens=510)


def test_the_upstream_that_sells_the_model_decides_its_price() -> None:
    assert cost("gpt-4o", base_url="https://x.openai.azure.com/openai") == Decimal("0.0026")
    assert cost("gpt-4o", base_url="http://127.0.0.1:9000/v1") == Decimal("0.0026")
    assert cost("no-such", base_url="https://api.openai.com/v1") is None


def test_the_list_names_its_version_and_its_date() -> None:
    assert PRICE_VERSION.startswith(f"genai-prices {version('genai-prices')}, 20")
