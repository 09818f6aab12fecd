"""Finds the requests that belong to one conversation (sync)."""

from collections.abc import Iterable

from conversations.models import ChatRequest, Project
from conversations.querysets import ChatRequestQuerySet

MAX_TURNS = 200
"""How many requests before, and how many after, are looked at."""


def list_thread(request: ChatRequest, projects: Iterable[Project]) -> list[ChatRequest]:
    """The readable requests that this one continues, itself, and those that continue it, in order of arrival.

    Of several that said and heard the very same, the one that came last before this one is given. Each has its
    completion, project and key.
    """
    related = ChatRequest.objects.in_projects(projects).readable().filter(project=request.project_id)
    related = related.exclude(pk=request.pk).select_related("completion", "project", "api_key")
    found = {request.pk: request}
    found |= {turn.pk: turn for turn in [*_before(request, related), *_after(request, related)]}
    return sorted(found.values(), key=lambda turn: (turn.received_at, turn.pk))


def _before(request: ChatRequest, related: ChatRequestQuerySet) -> Iterable[ChatRequest]:
    prefixes = set(request.prefix_hashes)
    if not prefixes:
        return []
    earlier = related.received_before(request.received_at, request.pk)
    earlier = earlier.filter(completion__answer_hashes__overlap=list(prefixes)).newest_first()
    latest: dict[object, ChatRequest] = {}
    for turn in earlier[:MAX_TURNS]:
        for answered in prefixes.intersection(turn.completion.answer_hashes):
            latest.setdefault(answered, turn)
    return latest.values()


def _after(request: ChatRequest, related: ChatRequestQuerySet) -> Iterable[ChatRequest]:
    answers = request.completion.answer_hashes if hasattr(request, "completion") else []
    if not answers:
        return []
    return related.filter(prefix_hashes__overlap=answers).oldest_first()[:MAX_TURNS]
