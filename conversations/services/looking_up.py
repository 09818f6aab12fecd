"""Finds records by any ID that a person may hold, and says why there is none (sync)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from django.db.models import F

from conversations.errors import NotFoundError
from conversations.ids import candidates
from conversations.models import Body, ChatRequest, Completion, Project
from conversations.querysets import ChatRequestQuerySet
from conversations.wire.json_door import showable

type MatchedOn = Literal["request_id", "response_id", "tool_call_id"]
type MissReason = Literal["empty", "never_seen", "not_stored", "still_deferred", "expired", "deleted"]

MAX_CANDIDATES = 50
"""How many IDs of a pasted text are looked up, the likeliest first."""

MAX_MATCHES = 50
"""How many records with the same ID are given, the newest first."""


@dataclass(frozen=True)
class LookupResult:
    """The records that an ID leads to, the newest first, and which kind of ID ``candidate`` is."""

    candidate: str
    matched_on: MatchedOn | None = None
    matches: list[ChatRequest] = field(default_factory=list)


@dataclass(frozen=True)
class Miss:
    """Why an ID leads to nothing to show, as far as the asker may know; ``request`` where a record is theirs."""

    reason: MissReason
    candidate: str = ""
    request: ChatRequest | None = None


def find_by_any_id(pasted: str, projects: Iterable[Project]) -> LookupResult:
    """The readable records that a pasted text means, with their completion, project and API key.

    The text may be a request ID, a response ID or a tool call ID, alone or inside what ``ids.candidates``
    reads. The likeliest ID that leads anywhere wins.
    """
    return _find(pasted, projects, ChatRequest.objects.in_projects(projects).readable())


def explain_miss(pasted: str, projects: Iterable[Project]) -> Miss:
    """Why there is nothing to show for a pasted text. Another project's record was never seen."""
    found = _find(pasted, projects, ChatRequest.objects.in_projects(projects))
    if not found.candidate:
        return Miss("empty")
    if not found.matches:
        return Miss("never_seen", found.candidate)
    request = found.matches[0]
    return Miss(_reason_of(request), found.candidate, request)


def _reason_of(request: ChatRequest) -> MissReason:
    if request.deleted_at:
        return "deleted"
    if request.state == ChatRequest.State.EXPIRED or not ChatRequest.objects.readable().filter(pk=request.pk).exists():
        return "expired"
    if request.mode == ChatRequest.Mode.DEFERRED and not request.is_final:
        return "still_deferred"
    return "not_stored"


def _find(pasted: str, projects: Iterable[Project], requests: ChatRequestQuerySet) -> LookupResult:
    wanted = candidates(pasted)[:MAX_CANDIDATES]
    if not wanted:
        return LookupResult("")
    requests = requests.select_related("completion", "project", "api_key").newest_first()
    for matched_on, found in _by_kind(requests, projects, wanted):
        for candidate in wanted:
            matches = [request for request in found if candidate in _ids_of(request, matched_on)]
            if matches:
                return LookupResult(candidate, matched_on, matches)
    return LookupResult(wanted[0])


def _by_kind(
    requests: ChatRequestQuerySet, projects: Iterable[Project], wanted: list[str]
) -> Iterator[tuple[MatchedOn, ChatRequestQuerySet]]:
    # One query for each kind, since no index serves all three; the kinds that name one record come first.
    yield "request_id", requests.by_request_id(*wanted)[:MAX_MATCHES]
    yield "response_id", requests.by_response_id(*wanted)[:MAX_MATCHES]
    yield "tool_call_id", requests.filter(pk__in=_newest_with_tool_calls(projects, wanted))


def _newest_with_tool_calls(projects: Iterable[Project], wanted: list[str]) -> list[int]:
    # Asked for first and alone: PostgreSQL expects an ID in every hundredth row, and would read the whole table
    # for the join, or, by an order that the primary key has, for the newest.
    ids = [an_id for an_id in wanted if showable(an_id) == an_id]
    found = Completion.objects.filter(project__in=projects, tool_call_ids__overlap=ids)
    return list(found.order_by((F("pk") + 0).desc()).values_list("pk", flat=True)[:MAX_MATCHES])


def _ids_of(request: ChatRequest, kind: MatchedOn) -> list[str]:
    if kind == "request_id":
        return [request.request_id]
    return [request.completion.response_id] if kind == "response_id" else request.completion.tool_call_ids


def get_request(request_id: str, projects: Iterable[Project]) -> ChatRequest:
    """The readable request with this ID, with its completion (if any), project and API key.

    Raises ``NotFoundError``, the same for unknown, deleted, expired and foreign ones.
    """
    requests = ChatRequest.objects.in_projects(projects).readable().by_request_id(request_id)
    request = requests.select_related("completion", "project", "api_key").first()
    if request is None:
        raise NotFoundError(f"No request found with ID '{request_id}'.")
    return request


def find_completions(response_id: str, projects: Iterable[Project]) -> list[ChatRequest]:
    """The readable requests that were answered with this ID, the newest first, as ``get_request`` gives them.

    Raises ``NotFoundError`` when there is none, the same for unknown, deleted, expired and foreign ones.
    """
    requests = ChatRequest.objects.in_projects(projects).readable().by_response_id(response_id)
    found = list(requests.select_related("completion", "project", "api_key").newest_first()[:MAX_MATCHES])
    if not found:
        raise NotFoundError(f"No completion found with ID '{response_id}'.")
    return found


def read_body(request: ChatRequest) -> Body | None:
    """The exact bytes of the request and its answer, or None where the content was not kept or is deleted."""
    return Body.objects.filter(pk=request.pk, request__deleted_at__isnull=True).first()
