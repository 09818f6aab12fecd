"""How a surface writes down an error."""

from collections.abc import Callable
from dataclasses import dataclass

from conversations.errors import DaehwaError
from conversations.wire import azure, openai


@dataclass(frozen=True)
class Dialect:
    """An error's body (JSON) and the headers that belong to it."""

    error_body: Callable[[DaehwaError], bytes]
    error_headers: Callable[[DaehwaError], dict[str, str]]


OPENAI = Dialect(openai.error_body, openai.error_headers)
"""``/v1`` and ``/api``."""

AZURE = Dialect(azure.error_body, azure.error_headers)
"""``/models``."""
