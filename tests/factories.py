"""Rows for tests, as the gateway and the workers would have written them."""

import datetime as dt
import json
from typing import Any

from django.db import connection
from django.utils import timezone

from conversations.ids import new_request_id, new_response_id
from conversations.models import ApiKey, Body, ChatRequest, Completion, Project
from conversations.services import rollups, statements
from conversations.services.enriching import costs_of, search_text_of
from conversations.wire.reading import (
    answers_with_audio,
    finish_reasons_of,
    has_audio,
    has_images,
    is_refused,
    last_user_text,
    tool_call_ids_of,
)
from conversations.wire.threads import answer_hashes_of, chain_of
from conversations.wire.usage import usage_of

MESSAGES = [
    {"role": "system", "content": "You are terse."},
    {"role": "user", "content": "대화란 무엇인가?"},
]


def make_request_body(**changes: Any) -> dict[str, Any]:
    """A chat call's members."""
    return {"model": "grok-4", "messages": MESSAGES, "store": True} | changes


def make_response_body(**changes: Any) -> dict[str, Any]:
    """A completion's members: one choice, 13 prompt tokens and 18 completion tokens."""
    return {
        "id": new_response_id(),
        "object": "chat.completion",
        "created": 1_738_960_610,
        "model": "grok-4-0709",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "말을 주고받는 일입니다.", "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 13, "completion_tokens": 18, "total_tokens": 31},
        "system_fingerprint": "fp_50",
    } | changes


def make_request(
    project: Project, *, request_body: bytes | dict[str, Any] | None = None, content_kept: bool = True, **columns: Any
) -> ChatRequest:
    """A request without an answer (a deferred one that waits, unless told otherwise)."""
    sent = make_request_body() if request_body is None else request_body
    sent_bytes = sent if isinstance(sent, bytes) else json.dumps(sent, ensure_ascii=False).encode()
    members = json.loads(sent_bytes)
    defaults: dict[str, Any] = {
        "request_id": new_request_id(),
        "surface": "openai",
        "mode": "deferred",
        "state": "queued",
        "model": members.get("model", ""),
        "end_user": members.get("user") or "",
        "metadata": members.get("metadata") or {},
        "preview": last_user_text(members.get("messages"))[:160] if content_kept else "",
        "stored": members.get("store") is True,
        "has_images": has_images(members.get("messages")),
        "has_audio": has_audio(members.get("messages")),
        "prefix_hashes": chain_of(project.pk, _messages(members)).prefixes if content_kept else [],
        "api_key": ApiKey.objects.filter(project=project).first(),
    }
    request = ChatRequest.objects.create(project=project, content_kept=content_kept, **defaults | columns)
    request.refresh_from_db()
    if content_kept:
        Body.objects.create(request=request, request_body=sent_bytes)
    return request


def make_completed(
    project: Project, *, response_body: bytes | dict[str, Any] | None = None, stored: bool = True, **columns: Any
) -> ChatRequest:
    """A request that was answered."""
    answered = make_response_body() if response_body is None else response_body
    answer_bytes = answered if isinstance(answered, bytes) else json.dumps(answered, ensure_ascii=False).encode()
    answer = json.loads(answer_bytes)
    columns = {"mode": "plain", "state": "completed", "finished_at": timezone.now(), "stored": stored} | columns
    request = make_request(project, **columns)
    if answers_with_audio(answer):
        ChatRequest.objects.filter(pk=request.pk).update(has_audio=True)
    usage = vars(usage_of(answer))
    Completion.objects.create(
        request=request,
        project=project,
        response_id=answer["id"],
        model=answer["model"],
        created=answer["created"],
        stored=request.stored,
        finish_reasons=finish_reasons_of(answer),
        tool_call_ids=tool_call_ids_of(answer),
        service_tier=answer.get("service_tier") or "",
        refused=is_refused(answer),
        answer_hashes=answer_hashes_of(_tip_of(request), answer) if request.content_kept else [],
        usage_source=usage.pop("source"),
        usage_flawed=usage.pop("flawed"),
        **usage,
    )
    Body.objects.filter(request=request).update(response_body=answer_bytes)
    return request


def _messages(members: dict[str, Any]) -> list[dict[str, Any]]:
    return [message for message in members.get("messages") or [] if isinstance(message, dict)]


def _tip_of(request: ChatRequest) -> bytes:
    return chain_of(request.project_id, _messages(json.loads(bytes(request.body.request_body)))).tip


def make_failed(project: Project, **columns: Any) -> ChatRequest:
    """A deferred request whose upstream failed."""
    failure = {
        "state": "failed",
        "finished_at": timezone.now(),
        "reason": "upstream_error_status",
        "error_status": 429,
        "error_type": "rate_limit_error",
        "error_code": "rate_limit_exceeded",
        "error_message": "Slow down.",
    }
    return make_request(project, **failure | columns)


def enrich_all() -> None:
    """Enrich whatever has ended, with the statements of the workers, on the test's own connection."""
    with connection.cursor() as cursor:

        def read(sql: str, **parameters: Any) -> list[dict[str, Any]]:
            cursor.execute(sql, parameters)
            return [dict(zip([c.name for c in cursor.description], row, strict=True)) for row in cursor.fetchall()]

        rows = read(statements.TO_ENRICH, limit=100_000)
        bodies = read(statements.READ_BODIES, pks=[row["pk"] for row in rows if row["searchable"]])
        for body in bodies:
            if text := search_text_of(body):
                cursor.execute(statements.KEEP_TEXT, text)
        cursor.execute(statements.KEEP_COST, costs_of([row for row in rows if row["answered"]]))
        cursor.execute(rollups.FOLD, {"pks": [row["pk"] for row in rows]})
        cursor.execute(statements.MARK_ENRICHED, {"pks": [row["pk"] for row in rows]})


def days_ago(days: float) -> dt.datetime:
    """That long before now."""
    return timezone.now() - dt.timedelta(days=days)
