"""Pages of ``/api``: how many, from where, and where to go on."""

from collections.abc import Callable
from typing import Any

from rest_framework.request import Request

from conversations.errors import BadRequestError
from conversations.models import ChatRequest
from conversations.services.listing import RequestPage

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


def read_limit(request: Request) -> int:
    """``limit`` from the query string: 1 to 100, 20 unless told. Raises ``BadRequestError``."""
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequestError(f"'limit' must be a whole number from 1 to {MAX_LIMIT}.", param="limit")
    return limit


def as_page(page: RequestPage, show: Callable[[ChatRequest], Any]) -> dict[str, Any]:
    """A page as it is sent, each request shown by ``show``."""
    return {
        "data": [show(request) for request in page.requests],
        "has_more": bool(page.next_cursor),
        "next_cursor": page.next_cursor or None,
    }
