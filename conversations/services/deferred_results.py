"""Hands out the results of deferred requests, as xAI's deferred completions do (sync)."""

import datetime as dt

from django.db.models.functions import Now

from conversations.errors import DaehwaError, DeferredNotFoundError, UpstreamStatusError
from conversations.models import Body, ChatRequest, Project
from conversations.querysets import ChatRequestQuerySet
from conversations.wire import xai

READ_ONCE_PERIOD = dt.timedelta(hours=24)
"""How long a result waits for its one reader, in projects where it is handed out once."""


def fetch_deferred_result(project: Project, request_id: str) -> bytes | None:
    """The completion's JSON, or None while the request is not finished.

    The first fetch is stamped. Where the project's results are read once, exactly one of any number of
    parallel callers gets the result; nobody does 24 hours after it became ready.

    Raises ``DeferredNotFoundError`` for an ID that is unknown, expired, foreign, not deferred or read
    already, and the error that the synchronous call would have had for a request that failed.
    """
    request = _offered(project).by_request_id(request_id).first()
    if request is None or request.state == ChatRequest.State.EXPIRED:
        raise _not_found(request_id)
    if not request.is_final:
        return None
    if request.state != ChatRequest.State.COMPLETED:
        _stamp_first_fetch(request)
        raise _recorded_error(request)
    body = Body.objects.filter(pk=request.pk, response_body__isnull=False).first()
    if body is None:
        raise _not_found(request_id)
    is_first = _stamp_first_fetch(request)
    if project.deferred_read_once and not is_first:
        raise _not_found(request_id)
    return xai.deferred_completion(response_body=bytes(body.response_body or b""), request_id=request_id)


def _offered(project: Project) -> ChatRequestQuerySet:
    requests = ChatRequest.objects.in_projects([project]).readable().deferred()
    if project.deferred_read_once:
        requests = requests.exclude(finished_at__lte=Now() - READ_ONCE_PERIOD)
    return requests


def _stamp_first_fetch(request: ChatRequest) -> bool:
    # One table and no subquery: PostgreSQL then checks the condition again after waiting for another reader.
    return ChatRequest.objects.filter(pk=request.pk, fetched_at__isnull=True).update(fetched_at=Now()) == 1


def _recorded_error(request: ChatRequest) -> DaehwaError:
    # Not to be tried again: the same request would only be told the same.
    return UpstreamStatusError(
        request.error_status or 500,
        request.error_message or None,
        type=request.error_type or None,
        param=request.error_param or None,
        code=request.error_code or request.reason or None,
        retryable=False,
    )


def _not_found(request_id: str) -> DeferredNotFoundError:
    return DeferredNotFoundError(f"No deferred completion found with ID '{request_id}'.")
