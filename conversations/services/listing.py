"""Pages through requests and completions, the newest first (sync)."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.core import signing

from conversations.errors import BadRequestError
from conversations.models import ChatRequest, Project
from conversations.querysets import ChatRequestQuerySet
from conversations.search import RequestSearch

_SALT = "conversations.listing"


@dataclass(frozen=True)
class RequestPage:
    """One page, with each request's completion, project and key; ``next_cursor`` is "" on the last one."""

    requests: list[ChatRequest]
    next_cursor: str


def list_requests(
    projects: Iterable[Project], search: RequestSearch, *, cursor: str = "", limit: int = 20, answered: bool = False
) -> RequestPage:
    """The readable requests that are looked for, from where ``cursor`` (a page's ``next_cursor``) left off.

    ``answered`` leaves out those without a completion. Raises ``BadRequestError`` for a cursor not made here.
    """
    requests = search.apply(ChatRequest.objects.in_projects(projects).readable())
    if answered:
        requests = requests.filter(completion__isnull=False)
    if cursor:
        requests = _continue(requests, cursor)
    found = list(requests.select_related("completion", "project", "api_key").newest_first()[: limit + 1])
    page = found[:limit]
    return RequestPage(page, _cursor_after(page[-1]) if len(found) > limit else "")


def _cursor_after(request: ChatRequest) -> str:
    return signing.dumps([request.received_at.isoformat(), request.pk], salt=_SALT)


def _continue(requests: ChatRequestQuerySet, cursor: str) -> ChatRequestQuerySet:
    try:
        received_at, pk = signing.loads(cursor, salt=_SALT)
    except signing.BadSignature as error:
        raise BadRequestError("'cursor' is not one that a page here ended with.", param="cursor") from error
    return requests.received_before(dt.datetime.fromisoformat(received_at), pk)
