"""Writes the records that a search finds as CSV or JSON lines, piece by piece (sync)."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from django.core.serializers.json import DjangoJSONEncoder

from conversations.models import ChatRequest, Project
from conversations.search import RequestSearch
from conversations.services.listing import list_requests
from conversations.services.usage import TOKEN_COLUMNS

type Format = Literal["csv", "jsonl"]

BATCH = 500
"""Records that are read and written at once."""

_BYTE_ORDER_MARK = "\ufeff"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

_REQUEST_COLUMNS = (
    "request_id",
    "surface",
    "mode",
    "state",
    "reason",
    "error_status",
    "error_code",
    "error_message",
    "model",
    "end_user",
    "metadata",
    "preview",
    "stored",
    "content_kept",
    "is_sample",
    "has_images",
    "has_audio",
    "received_at",
    "started_at",
    "first_chunk_at",
    "finished_at",
)
_COMPLETION_COLUMNS = (
    "response_id",
    "model",
    "finish_reasons",
    "tool_call_ids",
    "service_tier",
    "refused",
    "usage_source",
    *TOKEN_COLUMNS,
    "cost",
    "price_version",
)


def export_requests(projects: Iterable[Project], search: RequestSearch, file_format: Format) -> Iterator[bytes]:
    """The readable records that are looked for, the newest first, without their bodies; in UTF-8.

    CSV begins with a line of names, and no cell of it is a formula to a spreadsheet. What comes in while the
    export runs is not in it. Raises ``SearchTooBroadError``, from the first piece on.
    """
    write = _write_csv if file_format == "csv" else _write_json_lines
    if file_format == "csv":
        yield (_BYTE_ORDER_MARK + _csv_lines([_names()])).encode()
    cursor = ""
    while True:
        page = list_requests(projects, search, cursor=cursor, limit=BATCH)
        yield write(page.requests)
        cursor = page.next_cursor
        if not cursor:
            return


def _write_csv(requests: list[ChatRequest]) -> bytes:
    return _csv_lines([[_cell(value) for value in _record(request).values()] for request in requests]).encode()


def _write_json_lines(requests: list[ChatRequest]) -> bytes:
    lines = (json.dumps(_record(request), cls=DjangoJSONEncoder, ensure_ascii=False) for request in requests)
    return "".join(line + "\n" for line in lines).encode()


def _names() -> list[str]:
    return list(_record(ChatRequest(project=Project(slug=""))))


def _record(request: ChatRequest) -> dict[str, Any]:
    completion = getattr(request, "completion", None)
    record: dict[str, Any] = {"project": request.project.slug}
    record["key"] = request.api_key.prefix if request.api_key else None
    record |= {column: getattr(request, column) for column in _REQUEST_COLUMNS}
    for column in _COMPLETION_COLUMNS:
        name = "answered_by" if column == "model" else column
        record[name] = getattr(completion, column) if completion else None
    return record


def defused(text: str) -> str:
    """The text as a cell of a CSV: where a spreadsheet would run it, an apostrophe says that it is text."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _cell(value: object) -> str:
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False) if value else ""
    text = "" if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
    return defused(text)


def _csv_lines(rows: Iterable[list[str]]) -> str:
    written = io.StringIO(newline="")
    csv.writer(written).writerows(rows)
    return written.getvalue()
