"""Chainable reads. Each method reads as an adjective or a preposition and never touches a body."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from .models import ApiKey, ChatRequest, Project

_ONE_DAY = Value(dt.timedelta(days=1), output_field=DurationField())


class ProjectQuerySet(models.QuerySet["Project"]):
    """Reads of projects."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """The projects whose records a signed-in user may see: all of them for an administrator, else none."""
        return self if getattr(user, "is_superuser", False) else self.none()


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Reads of API keys."""

    def active(self) -> Self:
        """The keys that are not revoked."""
        return self.filter(revoked_at__isnull=True)


class ChatRequestQuerySet(models.QuerySet["ChatRequest"]):
    """Reads of requests with their completions; bodies stay where they are."""

    def in_projects(self, projects: Iterable[Project]) -> Self:
        """Only the records of these projects."""
        return self.filter(project__in=projects)

    def readable(self) -> Self:
        """Neither deleted nor past its project's retention, by the database's clock."""
        expires_at = ExpressionWrapper(
            F("received_at") + F("project__retention_days") * _ONE_DAY, output_field=DateTimeField()
        )
        return self.filter(deleted_at__isnull=True).annotate(expires_at=expires_at).filter(expires_at__gt=Now())

    def stored(self) -> Self:
        """What ``/v1/chat/completions`` lists: completed, and asked for with ``store: true``."""
        return self.filter(completion__stored=True)

    def deferred(self) -> Self:
        """Asked for with ``deferred: true``."""
        return self.filter(mode="deferred")

    def by_request_id(self, request_id: str) -> Self:
        """The one request with this ID."""
        return self.filter(request_id=request_id)

    def by_response_id(self, response_id: str) -> Self:
        """The requests that were answered with this ID: one, unless the upstream repeats itself."""
        return self.filter(completion__response_id=response_id)

    def by_any_id(self, any_id: str) -> Self:
        """The requests with this request ID, response ID or tool call ID."""
        return self.filter(
            Q(request_id=any_id)
            | Q(completion__response_id=any_id)
            | Q(completion__tool_call_ids__contains=[any_id])
        )

    def newest_first(self) -> Self:
        """By the time they were received, the newest first; ties in the order of arrival."""
        return self.order_by("-received_at", "-pk")
