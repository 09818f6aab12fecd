"""What a reader prefers, each preference in a cookie of its own name."""

from collections.abc import Mapping

from django.conf import settings
from django.http import HttpRequest

from conversations.dashboard.periods import is_zone

PREFERENCES: Mapping[str, tuple[str, ...]] = {
    "theme": ("auto", "light", "dark"),
    "reading": ("rendered", "plain"),
    "shortcuts": ("on", "off"),
    "zone": (),
}
"""Each with what it may be, the first for who has not chosen; ``zone`` is any of the tz database, or the server's."""


def may_be(name: str, chosen: str) -> bool:
    """Whether a preference may have this value."""
    return is_zone(chosen) if name == "zone" else chosen in PREFERENCES[name]


def preference_of(request: HttpRequest | None, name: str) -> str:
    """The preference in the reader's cookie; the usual one where there is none, or an unknown one."""
    chosen = request.COOKIES.get(name, "") if request else ""
    if may_be(name, chosen):
        return chosen
    return settings.TIME_ZONE if name == "zone" else PREFERENCES[name][0]
