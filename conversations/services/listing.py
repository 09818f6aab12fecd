"""Pages through requests and completions, the newest first (sync)."""

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.core import signing
from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

from conversations.errors import BadRequestError, SearchTooBroadError
from conversations.models import ChatRequest, Project
from conversations.querysets import ChatRequestQuerySet
from conversations.search import RequestSearch

PATIENCE = 2.0
"""Seconds that one statement of a search may take."""

_SALT = "conversations.listing"
_UNLISTED = ("prefix_hashes", "completion__answer_hashes")


@dataclass(frozen=True)
class RequestPage:
    """One page, with each request's completion, project and key; ``next_cursor`` is "" on the last one."""

    requests: list[ChatRequest]
    next_cursor: str


@contextmanager
def bounded(search: RequestSearch, *, seconds: float = PATIENCE) -> Iterator[None]:
    """Give up each statement in the block after ``seconds``, unless nothing is looked for.

    Raises ``SearchTooBroadError`` for the one that was given up.
    """
    if search == RequestSearch():
        yield
        return
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(round(seconds * 1000))])
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise SearchTooBroadError from error
        raise


def found_requests(projects: Iterable[Project], search: RequestSearch) -> ChatRequestQuerySet:
    """The readable requests that are looked for, in no order."""
    return search.apply(ChatRequest.objects.in_projects(projects).readable())


def list_requests(
    projects: Iterable[Project], search: RequestSearch, *, cursor: str = "", limit: int = 20, answered: bool = False
) -> RequestPage:
    """The readable requests that are looked for, from where ``cursor`` (a page's ``next_cursor``) left off.

    ``answered`` leaves out those without a completion. Raises ``BadRequestError`` for a cursor not made here, and
    ``SearchTooBroadError``.
    """
    requests = found_requests(projects, search)
    if answered:
        requests = requests.filter(completion__isnull=False)
    if cursor:
        requests = _continue(requests, cursor)
    with bounded(search):
        found = list(_with_facts(requests).newest_first()[: limit + 1])
    page = found[:limit]
    return RequestPage(page, _cursor_after(page[-1]) if len(found) > limit else "")


def neighbours(
    request: ChatRequest, projects: Iterable[Project], search: RequestSearch
) -> tuple[ChatRequest | None, ChatRequest | None]:
    """The next newer and the next older request that are looked for, wherever ``request`` itself stands.

    Raises ``SearchTooBroadError``.
    """
    found = _with_facts(found_requests(projects, search))
    with bounded(search):
        newer = found.received_after(request.received_at, request.pk).oldest_first().first()
        older = found.received_before(request.received_at, request.pk).newest_first().first()
    return newer, older


def _with_facts(requests: ChatRequestQuerySet) -> ChatRequestQuerySet:
    return requests.select_related("completion", "project", "api_key").defer(*_UNLISTED)


def _cursor_after(request: ChatRequest) -> str:
    return signing.dumps([request.received_at.isoformat(), request.pk], salt=_SALT)


def _continue(requests: ChatRequestQuerySet, cursor: str) -> ChatRequestQuerySet:
    try:
        received_at, pk = signing.loads(cursor, salt=_SALT)
    except signing.BadSignature as error:
        raise BadRequestError("'cursor' is not one that a page here ended with.", param="cursor") from error
    return requests.received_before(dt.datetime.fromisoformat(received_at), pk)
