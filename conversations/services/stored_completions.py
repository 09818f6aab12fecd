"""Reads, changes and deletes stored completions, as ``/v1/chat/completions`` serves them (sync)."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import BigIntegerField, F, Func
from django.db.models.functions import Now

from conversations.errors import NotFoundError
from conversations.models import Body, ChatRequest, Completion, Project, SearchText
from conversations.querysets import ChatRequestQuerySet
from conversations.services.usage import forget_user
from conversations.wire import openai
from conversations.wire.openai import ListQuery

MAX_PAGE_BYTES = 64 * 2**20
"""A page ends early, with ``has_more``, when its bodies would take more than this; one record always fits."""

_BODY_COLUMNS = ("request_body", "response_body")


def get_stored_completion(project: Project, response_id: str) -> bytes:
    """The stored completion's JSON. Raises ``NotFoundError``."""
    request, body = _find(project, response_id)
    return _as_json(request, body)


def get_stored_answer(project: Project, response_id: str) -> bytes:
    """The stored completion exactly as the upstream gave it. Raises ``NotFoundError``."""
    _, body = _find(project, response_id)
    return bytes(body.response_body or b"")


def list_stored_completions(project: Project, query: ListQuery) -> bytes:
    """One page of the project's stored completions, less the samples. Raises ``NotFoundError`` for a cursor that is not its own."""
    requests = _stored(project).real().readable().filter(body__response_body__isnull=False)
    requests = requests.with_metadata(query.metadata)
    if query.model is not None:
        requests = requests.filter(completion__model=query.model)
    if query.after is not None:
        requests = requests.stored_after(*_position_of(project, query.after, query.order), query.order)
    found = list(requests.select_related("completion").in_stored_order(query.order)[: query.limit + 1])
    page = _within_size(found[: query.limit])
    bodies = Body.objects.in_bulk([request.pk for request in page])
    # A record that is deleted between the two queries is left out.
    page = [request for request in page if request.pk in bodies]
    return openai.list_page(
        [_as_json(request, bodies[request.pk]) for request in page],
        page[0].completion.response_id if page else None,
        page[-1].completion.response_id if page else None,
        len(found) > len(page) and bool(page),
    )


def list_stored_messages(project: Project, response_id: str, query: ListQuery) -> bytes:
    """One page of a stored completion's input messages. Raises ``NotFoundError``, also for an unknown cursor."""
    _, body = _find(project, response_id)
    messages = openai.stored_messages(bytes(body.request_body), response_id)
    if query.order == "desc":
        messages.reverse()
    start = 0
    if query.after is not None:
        ids = [message_id for message_id, _ in messages]
        if query.after not in ids:
            raise NotFoundError(f"No message found with ID '{query.after}'.", param="after")
        start = ids.index(query.after) + 1
    page = messages[start : start + query.limit]
    first_id, last_id = (page[0][0], page[-1][0]) if page else (None, None)
    return openai.list_page([json for _, json in page], first_id, last_id, start + query.limit < len(messages))


def replace_metadata(project: Project, response_id: str, metadata: dict[str, str]) -> bytes:
    """Give the stored completion this metadata and no other; its JSON afterwards. Raises ``NotFoundError``."""
    request, body = _find(project, response_id)
    if not ChatRequest.objects.filter(pk=request.pk, deleted_at__isnull=True).update(metadata=metadata):
        raise _not_found(response_id)
    request.metadata = metadata
    return _as_json(request, body)


def delete_stored_completion(project: Project, response_id: str) -> bytes:
    """Delete the stored completion's content; the confirmation. Raises ``NotFoundError``.

    The row stays, so that totals remain true and the ID goes on working as a cursor.
    """
    request, _ = _find(project, response_id)
    with transaction.atomic():
        blank = {"metadata": {}, "preview": "", "end_user": "", "error_message": "", "prefix_hashes": []}
        deleted = ChatRequest.objects.filter(pk=request.pk, deleted_at__isnull=True).update(deleted_at=Now(), **blank)
        Completion.objects.filter(pk=request.pk).update(answer_hashes=[])
        Body.objects.filter(pk=request.pk).delete()
        SearchText.objects.filter(pk=request.pk).delete()
        if deleted and request.end_user:
            forget_user(request, request.end_user)
    if not deleted:
        raise _not_found(response_id)
    return openai.deleted_body(response_id)


def _stored(project: Project) -> ChatRequestQuerySet:
    return ChatRequest.objects.in_projects([project]).stored().filter(completion__project=F("project"))


def _find(project: Project, response_id: str) -> tuple[ChatRequest, Body]:
    """The newest stored record with this ID."""
    requests = _stored(project).readable().by_response_id(response_id).filter(body__response_body__isnull=False)
    request = requests.select_related("completion").newest_first().first()
    body = Body.objects.filter(request=request).first() if request else None
    if request is None or body is None:
        raise _not_found(response_id)
    return request, body


def _position_of(project: Project, cursor: str, order: str) -> tuple[int, int]:
    # Deleted records are cursors too. Of several with one ID the last in this order counts, or a page could
    # lead back to itself.
    last_first = _stored(project).by_response_id(cursor).in_stored_order("desc" if order == "asc" else "asc")
    position = last_first.values_list("completion__created", "pk").first()
    if position is None:
        raise NotFoundError(f"No chat completion found with ID '{cursor}'.", param="after")
    return position


def _within_size(page: Sequence[ChatRequest]) -> list[ChatRequest]:
    lengths = [Func(column, function="octet_length", output_field=BigIntegerField()) for column in _BODY_COLUMNS]
    bodies = Body.objects.filter(pk__in=[request.pk for request in page])
    sizes = {pk: sum(length or 0 for length in found) for pk, *found in bodies.values_list("pk", *lengths)}
    fitting: list[ChatRequest] = []
    room = MAX_PAGE_BYTES
    for request in page:
        room -= sizes.get(request.pk, 0)
        if room < 0 and fitting:
            break
        fitting.append(request)
    return fitting


def _as_json(request: ChatRequest, body: Body) -> bytes:
    return openai.stored_completion(
        response_body=bytes(body.response_body or b""),
        request_body=bytes(body.request_body),
        request_id=request.request_id,
        metadata=request.metadata,
    )


def _not_found(response_id: str) -> NotFoundError:
    return NotFoundError(f"No chat completion found with ID '{response_id}'.")
