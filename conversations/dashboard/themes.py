"""Light or dark, as the reader chose."""

from django.http import HttpRequest

THEMES = ("auto", "light", "dark")
"""As the reader's system is, or always one of them."""


def theme_of(request: HttpRequest | None) -> str:
    """The theme in the reader's cookie; ``auto`` where there is none, or an unknown one."""
    chosen = request.COOKIES.get("theme", "") if request else ""
    return chosen if chosen in THEMES else THEMES[0]
