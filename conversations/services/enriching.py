"""Does for ended requests what need not be done before a client is answered (async).

Each gets its search text, its cost and its place in the sums, exactly once: one transaction writes all three and
marks the request as enriched, and rows that another worker has in hand are left to it.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.conf import settings
from psycopg.rows import DictRow
from psycopg_pool import PoolTimeout

from conversations.errors import describe_fault
from conversations.services import rollups, statements
from conversations.services.database import Pool
from conversations.services.pricing import PRICE_VERSION, Upstream, cost_of
from conversations.wire.grams import MAX_TEXT_LENGTH, grams_of, normalised
from conversations.wire.json_door import parse_answer
from conversations.wire.reading import said_in

logger = logging.getLogger(__name__)

LARGEST_BATCH = 200
"""Requests that one transaction enriches."""

MAX_BATCH_BYTES = 32 * 2**20
"""Bodies that are read at once; one request always fits."""

PAUSE_SECONDS = 1

type _Connection = psycopg.AsyncConnection[DictRow]


async def enrich_forever(pool: Pool) -> None:
    """Enrich what has ended, again and again, through restarts of the database."""
    while True:
        try:
            enriched = await enrich_batch(pool)
        except (psycopg.OperationalError, PoolTimeout):
            enriched = 0
        except Exception as error:  # noqa: BLE001  searching and summing must go on after a fault of our own
            logger.error("Enriching failed: %s", describe_fault(error))  # noqa: TRY400
            enriched = 0
        if not enriched:
            await asyncio.sleep(PAUSE_SECONDS)


async def enrich_batch(pool: Pool, *, limit: int = LARGEST_BATCH) -> int:
    """Enrich up to ``limit`` requests that have ended, the oldest first, and say how many."""
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(rollups.HOLD_SUMS)
        cursor = await connection.execute(statements.TO_ENRICH, {"limit": limit})
        rows = _within_size(await cursor.fetchall())
        if rows:
            pks = [row["pk"] for row in rows]
            await _keep_texts(connection, [row["pk"] for row in rows if row["searchable"]])
            await _keep_costs(connection, [row for row in rows if row["answered"]])
            await connection.execute(rollups.FOLD, {"pks": pks})
            await connection.execute(statements.MARK_ENRICHED, {"pks": pks})
    return len(rows)


def _within_size(rows: Sequence[DictRow]) -> list[DictRow]:
    fitting: list[DictRow] = []
    room = MAX_BATCH_BYTES
    for row in rows:
        room -= row["size"]
        if room < 0 and fitting:
            break
        fitting.append(row)
    return fitting


async def _keep_texts(connection: _Connection, pks: list[int]) -> None:
    cursor = await connection.execute(statements.READ_BODIES, {"pks": pks})
    bodies = await cursor.fetchall()
    # In a thread of its own, as large bodies take long and leases must be renewed meanwhile.
    texts = await asyncio.to_thread(lambda: [text for body in bodies if (text := search_text_of(body))])
    if texts:
        await connection.cursor().executemany(statements.KEEP_TEXT, texts)


def search_text_of(body: Mapping[str, Any]) -> dict[str, object] | None:
    """What is kept to search a request by (its pk, what was said, the grams), or None where nothing was said.

    ``body`` has ``pk``, ``request_body`` and ``response_body`` (bytes or None, whatever they hold).
    """
    said = normalised(said_in(_members(body["request_body"]), _members(body["response_body"])))
    if not said:
        return None
    if len(said) > MAX_TEXT_LENGTH:
        # What came last is what is new in a long conversation.
        said = said[: MAX_TEXT_LENGTH // 2] + "\n" + said[1 - MAX_TEXT_LENGTH // 2 :]
    return {"pk": body["pk"], "said": said, "grams": grams_of(said)}


def _members(body: bytes | None) -> dict[str, Any]:
    try:
        return parse_answer(body).members if body else {}
    except ValueError:  # what a failing upstream sent is no JSON
        return {}


async def _keep_costs(connection: _Connection, rows: Sequence[DictRow]) -> None:
    await connection.execute(statements.KEEP_COST, costs_of(rows))


def costs_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters of ``statements.KEEP_COST`` for rows of ``statements.TO_ENRICH`` that were answered."""
    upstream = Upstream(base_url=settings.UPSTREAM_BASE_URL, provider=settings.UPSTREAM_PROVIDER)
    costs = [
        cost_of(row["model"], row, at=row["received_at"], service_tier=row["service_tier"], upstream=upstream)
        for row in rows
    ]
    return {"pks": [row["pk"] for row in rows], "costs": costs, "price_version": PRICE_VERSION}
