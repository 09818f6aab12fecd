"""The upstream as Django's settings describe it (sync: it only reads settings)."""

from django.conf import settings

from conversations.upstream.client import UpstreamSettings


def upstream_settings() -> UpstreamSettings:
    """Where the upstream is and how long it may take; an empty ``base_url`` means that there is none."""
    return UpstreamSettings(
        base_url=settings.UPSTREAM_BASE_URL,
        api_key=settings.UPSTREAM_API_KEY,
        connect_timeout=settings.UPSTREAM_CONNECT_TIMEOUT,
        first_byte_timeout=settings.UPSTREAM_FIRST_BYTE_TIMEOUT,
        idle_timeout=settings.UPSTREAM_IDLE_TIMEOUT,
        total_timeout=settings.UPSTREAM_TOTAL_TIMEOUT,
        max_answer_bytes=settings.MAX_ANSWER_BYTES,
    )
