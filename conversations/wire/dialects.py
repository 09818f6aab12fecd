"""How each surface writes down an error, and which surface a path belongs to."""

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

_BY_ROOT = {"v1": OPENAI, "api": OPENAI, "models": AZURE}


def dialect_for(path: str) -> Dialect | None:
    """The dialect that is spoken at this path; None where the pages are."""
    return _BY_ROOT.get(path.removeprefix("/").partition("/")[0])
