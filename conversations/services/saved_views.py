"""Keeps searches under names, for their owners and for everybody (sync)."""

from typing import Any, cast

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q

from conversations.errors import BadRequestError, NotFoundError
from conversations.models import SavedView

MAX_VIEWS = 100
"""How many views one user keeps."""

MAX_QUERY_LENGTH = 4_000
"""Characters of a view's query string."""

type User = AbstractBaseUser | AnonymousUser


def list_views(user: User) -> list[SavedView]:
    """The user's own views and the shared ones of others, by name, each with its owner."""
    return list(SavedView.objects.filter(Q(user=user.pk) | Q(is_shared=True)).select_related("user"))


def save_view(user: User, *, name: str, query: str, is_shared: bool = False) -> SavedView:
    """Keep ``query`` (a query string of ``RequestSearch``) under ``name``; an own view of that name is replaced.

    Raises ``BadRequestError`` for a name that is empty, longer than 100 characters or not printable, for a query
    that is too long, and when the user has ``MAX_VIEWS`` already.
    """
    name = name.strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise BadRequestError("A view's name has 1 to 100 printable characters.", param="name")
    if len(query) > MAX_QUERY_LENGTH or "\0" in query:
        raise BadRequestError("The filters of this view are too long to be saved.", param="query")
    own = SavedView.objects.filter(user=user.pk)
    if own.count() >= MAX_VIEWS and not own.filter(name=name).exists():
        raise BadRequestError(f"You have {MAX_VIEWS} saved views already. Delete one first.", param="name")
    changes = {"query": query, "is_shared": is_shared}
    return SavedView.objects.update_or_create(user=cast("Any", user), name=name, defaults=changes)[0]


def delete_view(user: User, pk: int) -> None:
    """Forget one of the user's own views. Raises ``NotFoundError`` for any other."""
    if not SavedView.objects.filter(user=user.pk, pk=pk).delete()[0]:
        raise NotFoundError("There is no such view of yours.")
