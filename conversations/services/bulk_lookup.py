"""Finds many records by a pasted list of IDs at once, and says which of them are missing (sync)."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from django.db.models import Count, F, Max

from conversations.ids import candidates
from conversations.models import ChatRequest, Completion, Project
from conversations.querysets import ChatRequestQuerySet
from conversations.services.looking_up import MatchedOn
from conversations.wire.json_door import showable

type BulkMiss = Literal["deleted", "expired", "never_seen"]

MAX_IDS = 200
"""Most IDs that are looked up together."""

CSV_COLUMNS = (
    "pasted",
    "found",
    "matched_on",
    "request_id",
    "response_id",
    "state",
    "model",
    "received_at",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "records",
)

_MAX_CANDIDATES = 8
_MAX_CALLS = 1_000
_SEPARATORS = re.compile(r"[\s,;]+")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class BulkRow:
    """One pasted ID and the newest record that it leads to, or why it leads to none.

    ``times`` is how many records have this ID: more than one where an upstream repeats itself.
    """

    pasted: str
    matched_on: MatchedOn | None = None
    request: ChatRequest | None = None
    times: int = 0
    miss: BulkMiss | None = None


@dataclass(frozen=True)
class BulkResult:
    """The rows in the order in which their IDs were pasted, without repeats; ``left_out`` IDs were too many."""

    rows: list[BulkRow]
    left_out: int = 0

    @property
    def found(self) -> list[BulkRow]:
        """The rows with a record."""
        return [row for row in self.rows if row.request]

    @property
    def missing(self) -> list[BulkRow]:
        """The rows without one."""
        return [row for row in self.rows if not row.request]


def find_in_bulk(pasted: str, projects: Iterable[Project]) -> BulkResult:
    """Look up to ``MAX_IDS`` IDs up: request, response and tool call IDs, mixed, quoted, in URLs or after labels.

    They are separated by line ends, spaces, commas or semicolons. Costs the same few queries for one as for all.
    """
    wanted = _read_ids(pasted)
    asked = dict(list(wanted.items())[:MAX_IDS])
    requests = ChatRequest.objects.in_projects(projects)
    found = _find(requests.readable(), projects, asked)
    gone = {text: row for text, row in asked.items() if text not in found}
    reasons = {text: _reason_of(row) for text, row in (_find(requests, projects, gone) if gone else {}).items()}
    rows = [found.get(text) or BulkRow(text, miss=reasons.get(text, "never_seen")) for text in asked]
    return BulkResult(rows, len(wanted) - len(asked))


def bulk_csv(result: BulkResult) -> str:
    """The result as CSV with a header, a row for each ID. A cell that a spreadsheet would run begins with ``'``."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(CSV_COLUMNS)
    writer.writerows([_defused(cell) for cell in _cells(row)] for row in result.rows)
    return file.getvalue()


def _read_ids(pasted: str) -> dict[str, list[str]]:
    """What each pasted ID may mean, by its likeliest meaning."""
    wanted: dict[str, list[str]] = {}
    for piece in _SEPARATORS.split(pasted):
        # A label, such as that of a header line, is no ID.
        meanings = [] if piece.endswith(":") else candidates(piece)[:_MAX_CANDIDATES]
        if meanings:
            wanted.setdefault(meanings[0], meanings)
    return wanted


def _find(
    requests: ChatRequestQuerySet, projects: Iterable[Project], asked: Mapping[str, list[str]]
) -> dict[str, BulkRow]:
    ids = list({meaning for meanings in asked.values() for meaning in meanings if showable(meaning) == meaning})
    by_request_id = dict(requests.by_request_id(*ids).values_list("request_id", "pk"))
    answers = requests.by_response_id(*ids).values_list("completion__response_id")
    by_response_id = {an_id: (pk, times) for an_id, pk, times in answers.annotate(Max("pk"), Count("pk"))}
    by_call = _with_tool_calls(requests, projects, ids)
    pks = {*by_request_id.values(), *by_call.values(), *(pk for pk, _times in by_response_id.values())}
    records = requests.filter(pk__in=pks).select_related("completion", "project", "api_key").in_bulk()
    rows: dict[str, BulkRow] = {}
    for text, meanings in asked.items():
        for meaning in meanings:
            if pk := by_request_id.get(meaning):
                rows[text] = BulkRow(text, "request_id", records.get(pk), 1)
            elif meaning in by_response_id:
                pk, times = by_response_id[meaning]
                rows[text] = BulkRow(text, "response_id", records.get(pk), times)
            elif pk := by_call.get(meaning):
                rows[text] = BulkRow(text, "tool_call_id", records.get(pk), 1)
            if text in rows:
                break
    return {text: row for text, row in rows.items() if row.request}


def _with_tool_calls(requests: ChatRequestQuerySet, projects: Iterable[Project], ids: Iterable[str]) -> dict[str, int]:
    """The newest record with each of these tool call IDs."""
    calls = Completion.objects.filter(project__in=projects, tool_call_ids__overlap=list(ids))
    # By no order that an index has: PostgreSQL would read the table in that order, expecting to be done soon.
    newest = list(calls.order_by((F("pk") + 0).desc()).values_list("pk", "tool_call_ids")[:_MAX_CALLS])
    readable = set(requests.filter(pk__in=[pk for pk, _calls in newest]).values_list("pk", flat=True))
    return {an_id: pk for pk, calls in reversed(newest) if pk in readable for an_id in calls}


def _reason_of(row: BulkRow) -> BulkMiss:
    return "deleted" if row.request and row.request.deleted_at else "expired"


def _cells(row: BulkRow) -> list[object]:
    request = row.request
    completion = getattr(request, "completion", None)
    if request is None:
        return [row.pasted, "no", row.miss, *[""] * 8, 0]
    tokens = [getattr(completion, f"{kind}_tokens", None) for kind in ("prompt", "completion", "total")]
    return [
        row.pasted,
        "yes",
        row.matched_on,
        request.request_id,
        completion.response_id if completion else "",
        request.state,
        completion.model if completion else request.model,
        request.received_at.isoformat(),
        *("" if count is None else count for count in tokens),
        row.times,
    ]


def _defused(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
