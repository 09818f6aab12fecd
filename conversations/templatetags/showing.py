"""Filters and context for templates: moments, spans, numbers and text that nobody has vouched for."""

from __future__ import annotations

import datetime as dt

from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations.dashboard.periods import COMMON_ZONES
from conversations.dashboard.preferences import preference_of
from conversations.dashboard.reading.rendering import visible as make_visible

register = template.Library()


@register.filter
def visible(text: object) -> str:
    """A text with its invisible characters made visible."""
    return make_visible(str(text))


@register.filter
def moment(at: dt.datetime | None) -> SafeString | str:
    """A moment in full, with its zone; the page's script adds the reader's own time as a title."""
    if at is None:
        return "–"
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" data-moment>{}</time>', at.astimezone(dt.UTC).isoformat(), f"{local:%Y-%m-%d %H:%M:%S %Z}"
    )


@register.filter
def ago(at: dt.datetime) -> str:
    """How long ago a moment was, in its largest unit."""
    seconds = max(int((timezone.now() - at).total_seconds()), 0)
    if seconds < 60:
        return ngettext("%(count)d s ago", "%(count)d s ago", seconds) % {"count": seconds}
    if seconds < 3600:
        return ngettext("%(count)d min ago", "%(count)d min ago", seconds // 60) % {"count": seconds // 60}
    if seconds < 86_400:
        return ngettext("%(count)d h ago", "%(count)d h ago", seconds // 3600) % {"count": seconds // 3600}
    return ngettext("%(count)d day ago", "%(count)d days ago", seconds // 86_400) % {"count": seconds // 86_400}


@register.filter
def span(seconds: float | None) -> str:
    """A span of time: ``2.14 s`` below a minute, ``3 min 20 s`` and ``2 h 5 min`` above."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return _("%(seconds).2f s") % {"seconds": seconds}
    whole = int(seconds)
    if whole < 3600:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": whole // 60, "seconds": whole % 60}
    return _("%(hours)d h %(minutes)d min") % {"hours": whole // 3600, "minutes": whole % 3600 // 60}


@register.filter
def age(at: dt.datetime) -> str:
    """How long a moment has been past, as a span."""
    seconds = max((timezone.now() - at).total_seconds(), 0)
    return span(seconds if seconds >= 60 else float(int(seconds))).replace(".00", "")


@register.simple_tag(takes_context=True)
def preference(context: template.Context, name: str) -> str:
    """What the reader prefers: see ``dashboard.preferences``."""
    return preference_of(context.get("request"), name)


@register.simple_tag
def languages() -> list[tuple[str, str]]:
    """Every language of the pages: its code and its own name."""
    return list(settings.LANGUAGES)


@register.simple_tag(takes_context=True)
def zones(context: template.Context) -> list[str]:
    """The time zones to choose from, the reader's own among them."""
    return list(dict.fromkeys([preference_of(context.get("request"), "zone"), *COMMON_ZONES]))
