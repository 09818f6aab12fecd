"""The asynchronous connections of the gateway and the workers, and their group commit (async)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from psycopg.conninfo import make_conninfo
from psycopg.errors import DeadlockDetected
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from conversations.errors import StorageUnavailableError
from conversations.services.statements import Statement

logger = logging.getLogger(__name__)

type Pool = AsyncConnectionPool[psycopg.AsyncConnection[DictRow]]
type _Waiting = tuple[Statement, asyncio.Future[dict[str, Any] | None]]

LARGEST_BATCH = 200
"""How many requests' statements one transaction takes."""


def read_conninfo() -> str:
    """libpq's connection string for the database that Django is configured with."""
    database = connections["default"].settings_dict
    options = {k: v for k, v in database["OPTIONS"].items() if k not in {"pool", "server_side_binding"}}
    return make_conninfo(
        dbname=database["NAME"],
        user=database["USER"] or None,
        password=database["PASSWORD"] or None,
        host=options.pop("host", None) or database["HOST"] or None,
        port=database["PORT"] or None,
        **options,
    )


@asynccontextmanager
async def open_pool() -> AsyncIterator[Pool]:
    """A pool of autocommitting connections whose rows are dicts. A dead connection is found before it is used."""
    size: int = settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"]
    pool: Pool = AsyncConnectionPool(
        read_conninfo(),
        min_size=1,
        max_size=size,
        timeout=5,
        open=False,
        check=AsyncConnectionPool.check_connection,
        kwargs={"autocommit": True, "row_factory": dict_row},
    )
    async with pool:
        yield pool


async def fetch_one(pool: Pool, statement: Statement) -> dict[str, Any] | None:
    """The first row of one statement, or None. Raises ``StorageUnavailableError`` when the database is away."""
    try:
        async with pool.connection() as connection:
            cursor = await connection.execute(statement.sql, statement.parameters)
            return await cursor.fetchone() if cursor.description else None
    except (psycopg.OperationalError, PoolTimeout) as error:
        raise StorageUnavailableError from error


class GroupCommit:
    """Commits the statements of many concurrent requests together.

    No timer: what queued up while the last transaction was committing is the next one. A statement that
    fails takes its whole transaction down, so then each is tried again alone and only the guilty one fails.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, statement: Statement) -> dict[str, Any] | None:
        """Commit the statement and give its first row. Returns only after the commit.

        Raises ``StorageUnavailableError`` when the database is away, or what psycopg raises when the
        statement or a parameter is wrong.
        """
        written: asyncio.Future[dict[str, Any] | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((statement, written))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting())
        return await asyncio.shield(written)

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
            await self._write_batch(batch)

    async def _write_batch(self, batch: Sequence[_Waiting]) -> None:
        try:
            rows = await self._commit([statement for statement, _ in batch])
        except asyncio.CancelledError as error:
            _reject(batch, error)
            raise
        except Exception as error:  # noqa: BLE001  what a statement's parameters fail with reaches who sent them
            if len(batch) == 1 or _is_away(error):
                _reject(batch, error)
            else:
                for pair in batch:
                    await self._write_batch([pair])
        else:
            for (_, written), row in zip(batch, rows, strict=True):
                if not written.done():
                    written.set_result(row)

    async def _commit(self, statements: Sequence[Statement]) -> list[dict[str, Any] | None]:
        async with self._pool.connection() as connection:
            if len(statements) == 1:
                cursor = await connection.execute(statements[0].sql, statements[0].parameters)
                return [await cursor.fetchone() if cursor.description else None]
            async with connection.pipeline(), connection.transaction():
                cursors = [await connection.execute(s.sql, s.parameters) for s in statements]
            return [await cursor.fetchone() if cursor.description else None for cursor in cursors]


def _is_away(error: BaseException) -> bool:
    """Whether it is the database that fails, and not one of the statements.

    A limit that one of them goes beyond (class 54) and a deadlock with another transaction (class 40) are
    operational errors, too.
    """
    return isinstance(error, psycopg.OperationalError) and (error.sqlstate or "")[:2] not in {"40", "54"}


def _reject(batch: Sequence[_Waiting], error: BaseException) -> None:
    unavailable = _is_away(error) or isinstance(error, DeadlockDetected | asyncio.CancelledError)
    for _, written in batch:
        if written.done():
            continue
        if unavailable:
            # One for each, as whoever gets it may say more about it.
            mine = StorageUnavailableError()
            mine.__cause__ = error
            written.set_exception(mine)
        else:
            written.set_exception(error)
