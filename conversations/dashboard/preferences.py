"""What a reader prefers, each preference in a cookie of its own name."""

from collections.abc import Mapping

from django.http import HttpRequest

PREFERENCES: Mapping[str, tuple[str, ...]] = {
    "theme": ("auto", "light", "dark"),
    "reading": ("rendered", "plain"),
    "shortcuts": ("on", "off"),
}
"""Each with what it may be; the first is what it is for who has not chosen."""


def preference_of(request: HttpRequest | None, name: str) -> str:
    """The preference in the reader's cookie; the first one where there is none, or an unknown one."""
    chosen = request.COOKIES.get(name, "") if request else ""
    return chosen if chosen in PREFERENCES[name] else PREFERENCES[name][0]
