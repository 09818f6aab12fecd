"""Chainable reads. Each method reads as an adjective or a preposition and never touches a body."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Now

from conversations.wire.json_door import showable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    from conversations.models import ApiKey, ChatRequest, Project  # noqa: F401 (named in strings)

_ONE_DAY = Value(dt.timedelta(days=1), output_field=DurationField())


def _keepable(ids: Iterable[str]) -> list[str]:
    """The IDs that a text column can hold: no other can be that of a record, and PostgreSQL would refuse it."""
    return [an_id for an_id in ids if showable(an_id) == an_id]


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

    def real(self) -> Self:
        """Not one of the sample conversations: what lists for programs and sums are made of."""
        return self.filter(is_sample=False)

    def deferred(self) -> Self:
        """Asked for with ``deferred: true``."""
        return self.filter(mode="deferred")

    def by_request_id(self, *request_ids: str) -> Self:
        """The requests with these IDs; one at most for each."""
        return self.filter(request_id__in=_keepable(request_ids))

    def by_response_id(self, *response_ids: str) -> Self:
        """The requests that were answered with these IDs: one for each, unless the upstream repeats itself."""
        # The index on response IDs begins with the project.
        return self.filter(completion__response_id__in=_keepable(response_ids), completion__project=F("project"))

    def with_metadata(self, pairs: Mapping[str, str]) -> Self:
        """Having every one of these pairs, exactly."""
        return self.filter(metadata__contains=dict(pairs)) if pairs else self

    def in_stored_order(self, order: str) -> Self:
        """By creation, then by arrival: ``asc`` or ``desc``."""
        return (
            self.order_by("completion__created", "pk")
            if order == "asc"
            else self.order_by("-completion__created", "-pk")
        )

    def stored_after(self, created: int, pk: int, order: str) -> Self:
        """What follows this position in the stored order."""
        if order == "asc":
            return self.filter(
                Q(completion__created__gt=created) | Q(completion__created=created, pk__gt=pk),
                completion__created__gte=created,
            )
        return self.filter(
            Q(completion__created__lt=created) | Q(completion__created=created, pk__lt=pk),
            completion__created__lte=created,
        )

    def received_before(self, received_at: dt.datetime, pk: int) -> Self:
        """What follows this position, the newest first."""
        return self.filter(
            Q(received_at__lt=received_at) | Q(received_at=received_at, pk__lt=pk), received_at__lte=received_at
        )

    def received_after(self, received_at: dt.datetime, pk: int) -> Self:
        """What comes before this position, the newest first."""
        return self.filter(
            Q(received_at__gt=received_at) | Q(received_at=received_at, pk__gt=pk), received_at__gte=received_at
        )

    def newest_first(self) -> Self:
        """By the time they were received, the newest first; ties in the order of arrival."""
        return self.order_by("-received_at", "-pk")

    def oldest_first(self) -> Self:
        """By the time they were received, the oldest first; ties in the order of arrival."""
        return self.order_by("received_at", "pk")
