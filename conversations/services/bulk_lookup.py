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
from conversations.services.exporting import defused
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
    found = _find_by_ids(requests.readable(), asked)
    left = _less(asked, found)
    calls = _newest_calls(projects, left)
    found |= _find_by_calls(requests.readable(), left, calls)
    gone = _find_by_ids(requests, left) | _find_by_calls(requests, left, calls)
    reasons = {text: _reason_of(row) for text, row in _less(gone, found).items()}
    rows = [found.get(text) or BulkRow(text, miss=reasons.get(text, "never_seen")) for text in asked]
    return BulkResult(rows, len(wanted) - len(asked))


def bulk_csv(result: BulkResult) -> str:
    """The result as CSV with a header, a row for each ID. A cell that a spreadsheet would run begins with ``'``."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(CSV_COLUMNS)
    writer.writerows(
        [(defused(cell) if isinstance(cell, str) else cell) for cell in _cells(row)] for row in result.rows
    )
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


def _less[Value](texts: Mapping[str, Value], found: Mapping[str, BulkRow]) -> dict[str, Value]:
    return {text: value for text, value in texts.items() if text not in found}


def _find_by_ids(requests: ChatRequestQuerySet, asked: Mapping[str, list[str]]) -> dict[str, BulkRow]:
    ids = _keepable(asked)
    if not ids:
        return {}
    by_request_id = dict(requests.by_request_id(*ids).values_list("request_id", "pk"))
    answers = requests.by_response_id(*ids).values_list("completion__response_id")
    by_response_id = {an_id: (pk, times) for an_id, pk, times in answers.annotate(Max("pk"), Count("pk"))}
    records = _read(requests, [*by_request_id.values(), *(pk for pk, _times in by_response_id.values())])
    rows: dict[str, BulkRow] = {}
    for text, meanings in asked.items():
        for meaning in meanings:
            if record := records.get(by_request_id.get(meaning, 0)):
                rows.setdefault(text, BulkRow(text, "request_id", record, 1))
            pk, times = by_response_id.get(meaning, (0, 0))
            if record := records.get(pk):
                rows.setdefault(text, BulkRow(text, "response_id", record, times))
    return rows


def _find_by_calls(
    requests: ChatRequestQuerySet, asked: Mapping[str, list[str]], calls: list[tuple[int, list[str]]]
) -> dict[str, BulkRow]:
    if not calls:
        return {}
    records = _read(requests, [pk for pk, _ids in calls])
    by_call = {an_id: records[pk] for pk, ids in reversed(calls) if pk in records for an_id in ids}
    rows: dict[str, BulkRow] = {}
    for text, meanings in asked.items():
        for meaning in meanings:
            if meaning in by_call:
                rows.setdefault(text, BulkRow(text, "tool_call_id", by_call[meaning], 1))
    return rows


def _newest_calls(projects: Iterable[Project], asked: Mapping[str, list[str]]) -> list[tuple[int, list[str]]]:
    """The newest completions with any of these tool call IDs. Asked once: of many IDs, PostgreSQL reads the table."""
    ids = _keepable(asked)
    if not ids:
        return []
    calls = Completion.objects.filter(project__in=projects, tool_call_ids__overlap=ids)
    # By no order that an index has: PostgreSQL would read the table in that order, expecting to be done soon.
    return list(calls.order_by((F("pk") + 0).desc()).values_list("pk", "tool_call_ids")[:_MAX_CALLS])


def _keepable(asked: Mapping[str, list[str]]) -> list[str]:
    """All meanings that a column of texts can hold."""
    return list({meaning for meanings in asked.values() for meaning in meanings if showable(meaning) == meaning})


def _read(requests: ChatRequestQuerySet, pks: Iterable[int]) -> dict[int, ChatRequest]:
    return requests.filter(pk__in=set(pks)).select_related("completion", "project", "api_key").in_bulk()


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
