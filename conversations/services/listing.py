"""Pages through requests and completions, the newest first (sync)."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
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

NEARBY = 3_000
"""How many of the next records are read one by one before an index of all texts is asked."""

_SALT = "conversations.listing"
type _Placing = Callable[[ChatRequestQuerySet], ChatRequestQuerySet]

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


def found_requests(projects: Iterable[Project], search: RequestSearch, *, by_grams: bool = True) -> ChatRequestQuerySet:
    """The readable requests that are looked for, in no order."""
    return search.apply(ChatRequest.objects.in_projects(projects).readable(), by_grams=by_grams)


def list_requests(
    projects: Iterable[Project], search: RequestSearch, *, cursor: str = "", limit: int = 20, answered: bool = False
) -> RequestPage:
    """The readable requests that are looked for, from where ``cursor`` (a page's ``next_cursor``) left off.

    ``answered`` leaves out those without a completion. Raises ``BadRequestError`` for a cursor not made here, and
    ``SearchTooBroadError``.
    """
    position = _read_cursor(cursor) if cursor else None

    def placed(requests: ChatRequestQuerySet) -> ChatRequestQuerySet:
        if answered:
            requests = requests.filter(completion__isnull=False)
        return (requests.received_before(*position) if position else requests).newest_first()

    with bounded(search):
        found = _take(limit + 1, projects, search, placed)
    page = found[:limit]
    return RequestPage(page, _cursor_after(page[-1]) if len(found) > limit else "")


def neighbours(
    request: ChatRequest, projects: Iterable[Project], search: RequestSearch
) -> tuple[ChatRequest | None, ChatRequest | None]:
    """The next newer and the next older request that are looked for, wherever ``request`` itself stands.

    Raises ``SearchTooBroadError``.
    """
    at = (request.received_at, request.pk)
    with bounded(search):
        newer = _take(1, projects, search, lambda requests: requests.received_after(*at).oldest_first())
        older = _take(1, projects, search, lambda requests: requests.received_before(*at).newest_first())
    return (newer[0] if newer else None, older[0] if older else None)


def _take(count: int, projects: Iterable[Project], search: RequestSearch, placed: _Placing) -> list[ChatRequest]:
    """The first of what is looked for, in the place and order that ``placed`` gives."""
    if search.terms:
        # What is said everywhere is said nearby. The index of grams would first collect each of its places.
        every = placed(ChatRequest.objects.in_projects(projects)).values_list("received_at", flat=True)
        near = sorted([*every[:1], *every[NEARBY - 1 : NEARBY]])
        if len(near) == 2:
            found = placed(found_requests(projects, search, by_grams=False).filter(received_at__range=near))
            if len(first := list(_with_facts(found)[:count])) == count:
                return first
    return list(_with_facts(placed(found_requests(projects, search)))[:count])


def _with_facts(requests: ChatRequestQuerySet) -> ChatRequestQuerySet:
    return requests.select_related("completion", "project", "api_key").defer(*_UNLISTED)


def _cursor_after(request: ChatRequest) -> str:
    return signing.dumps([request.received_at.isoformat(), request.pk], salt=_SALT)


def _read_cursor(cursor: str) -> tuple[dt.datetime, int]:
    try:
        received_at, pk = signing.loads(cursor, salt=_SALT)
    except signing.BadSignature as error:
        raise BadRequestError("'cursor' is not one that a page here ended with.", param="cursor") from error
    return dt.datetime.fromisoformat(received_at), pk
