"""Filters for lists of conversations: a row's cost, duration and hits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from conversations.dashboard.amounts import full, money
from conversations.dashboard.browse.hits import Piece
from conversations.models import ChatRequest

register = template.Library()


@register.filter
def tokens(request: ChatRequest, kind: str) -> str:
    """How many tokens of a kind (``prompt``, ``cached``, ``completion``) a request took; a dash where nothing is known."""
    return full(getattr(getattr(request, "completion", None), f"{kind}_tokens", None))


@register.filter
def cost(request: ChatRequest) -> str:
    """What a request cost in US dollars; a dash where nothing is known."""
    return money(getattr(getattr(request, "completion", None), "cost", None))


@register.filter
def duration(request: ChatRequest) -> float | None:
    """Seconds from a request's arrival to its end, or None."""
    return (request.finished_at - request.received_at).total_seconds() if request.finished_at else None


@register.filter
def hits_in(request: ChatRequest, hits: Mapping[int, Sequence[Piece]]) -> Sequence[Piece]:
    """The pieces of what was said around the first hit in a request."""
    return hits.get(request.pk, ()) if hits else ()


@register.filter
def clock(at: dt.datetime) -> str:
    """The time of day with its zone: ``19:48:02 KST``."""
    return f"{timezone.localtime(at):%H:%M:%S %Z}"


@register.filter
def short_moment(at: dt.datetime) -> SafeString:
    """A moment with its zone, and with its year where that is another than now's."""
    local, now = timezone.localtime(at), timezone.localtime()
    day = f"{local:%m-%d}" if local.year == now.year else f"{local:%Y-%m-%d}"
    stamp = at.astimezone(dt.UTC).isoformat()
    return format_html('<time datetime="{}" data-moment>{} {}</time>', stamp, day, clock(at))
