"""Statements of many concurrent requests, committed together on a PostgreSQL that may go away."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
import pytest_asyncio
from django.db import connections

from config.postgres import attach
from conversations.errors import StorageUnavailableError
from conversations.services.database import LARGEST_BATCH, GroupCommit, Pool, fetch_one, open_pool
from conversations.services.statements import Statement

ADD = "INSERT INTO line (text) VALUES (%(text)s) RETURNING number, text"
UNIQUE = "INSERT INTO taken (number) VALUES (%(number)s)"
COUNT = Statement("SELECT count(*) AS lines FROM line", {})


@pytest.fixture(scope="module")
def postgres_dir() -> Iterator[Path]:
    """The data directory of this module's own PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="daehwa-commit-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture(scope="module")
def postgres_url(postgres_dir: Path) -> Iterator[str]:
    """A PostgreSQL of this module's own, which may be crashed."""
    with attach(postgres_dir) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE line (number bigint GENERATED ALWAYS AS IDENTITY, text text)")
            connection.execute("CREATE TABLE taken (number int PRIMARY KEY)")
            connection.execute("CREATE INDEX ON line (text)")
        yield server.url


@pytest_asyncio.fixture
async def pool(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    """The gateway's own pool, on that server, with an empty table."""
    place = psycopg.conninfo.conninfo_to_dict(postgres_url)
    database = connections["default"].settings_dict
    changed = {**database, "NAME": place["dbname"], "USER": place["user"], "HOST": "", "PORT": ""}
    options = {**database["OPTIONS"], "host": place["host"]}
    monkeypatch.setattr(connections["default"], "settings_dict", {**changed, "OPTIONS": options})
    async with open_pool() as opened:
        await fetch_one(opened, Statement("TRUNCATE line, taken", {}))
        yield opened


def line(text: str | None) -> Statement:
    return Statement(ADD, {"text": text})


async def lines_of(pool: Pool) -> list[str]:
    async with pool.connection() as connection:
        rows = await (await connection.execute("SELECT text FROM line ORDER BY number")).fetchall()
    return [row["text"] for row in rows]


async def commits(pool: Pool) -> int:
    async with pool.connection() as connection:
        row = await (await connection.execute("SELECT pg_current_xact_id()::text::int AS now")).fetchone()
    assert row is not None
    return int(row["now"])


async def crash(pool: Pool) -> None:
    """Kill a backend, at which the server ends all others, recovers and comes back at the same address."""
    with contextlib.suppress(psycopg.OperationalError):
        async with pool.connection() as victim, pool.connection() as witness:
            os.kill(victim.info.backend_pid, signal.SIGKILL)
            while True:
                await witness.execute("SELECT 1")


async def test_every_one_of_many_concurrent_writes_gets_its_own_row(pool: Pool) -> None:
    commit = GroupCommit(pool)
    rows = await asyncio.gather(*(commit.write(line(f"line {i}")) for i in range(500)))
    assert [row["text"] for row in rows if row] == [f"line {i}" for i in range(500)]


async def test_concurrent_writes_share_a_few_transactions(pool: Pool) -> None:
    commit, before = GroupCommit(pool), await commits(pool)
    await asyncio.gather(*(commit.write(line(f"line {i}")) for i in range(500)))
    assert await commits(pool) - before <= 2 + 500 // LARGEST_BATCH + 1


async def test_writes_are_committed_in_the_order_in_which_they_were_asked_for(pool: Pool) -> None:
    commit = GroupCommit(pool)
    await asyncio.gather(*(commit.write(line(f"{i:03}")) for i in range(450)))
    assert await lines_of(pool) == [f"{i:03}" for i in range(450)]


async def test_a_write_is_committed_when_it_returns(pool: Pool) -> None:
    await GroupCommit(pool).write(line("kept"))
    await crash(pool)
    assert await lines_of(pool) == ["kept"]


async def test_a_statement_without_rows_gives_none(pool: Pool) -> None:
    commit = GroupCommit(pool)
    assert await commit.write(Statement(UNIQUE, {"number": 1})) is None
    assert await asyncio.gather(*(commit.write(Statement(UNIQUE, {"number": i})) for i in (2, 3))) == [None, None]


POISON: dict[str, tuple[Statement, type[Exception]]] = {
    "the database refuses it": (Statement(UNIQUE, {"number": None}), psycopg.errors.NotNullViolation),
    "the driver refuses a NUL": (line("a\0b"), psycopg.DataError),
    "the driver cannot encode it": (line("\ud800"), UnicodeEncodeError),
    "it goes beyond a limit": (line(os.urandom(9000).hex()), psycopg.errors.ProgramLimitExceeded),
}


@pytest.mark.parametrize("poisoned", POISON)
@pytest.mark.parametrize("place", [0, 7, 19])
async def test_of_a_batch_only_the_poisoned_statement_fails(pool: Pool, poisoned: str, place: int) -> None:
    statement, error = POISON[poisoned]
    commit = GroupCommit(pool)
    statements = [line(f"{i:02}") for i in range(20)]
    statements[place] = statement
    first = asyncio.create_task(commit.write(line("first")))  # so that the others wait for one transaction
    results: list[Any] = await asyncio.gather(*map(commit.write, statements), return_exceptions=True)
    await first
    assert [i for i, result in enumerate(results) if isinstance(result, BaseException)] == [place]
    assert isinstance(results[place], error)
    assert sorted(await lines_of(pool)) == sorted(["first", *(f"{i:02}" for i in range(20) if i != place)])


async def test_writing_goes_on_after_a_poisoned_statement_alone(pool: Pool) -> None:
    commit = GroupCommit(pool)
    with pytest.raises(UnicodeEncodeError):
        await commit.write(line("\ud800"))
    await commit.write(line("after"))
    assert await lines_of(pool) == ["after"]


@pytest.mark.parametrize("sql", ["SELECT %(text)s::int", "INSERT INTO taken SELECT NULL WHERE %(text)s <> ''"])
async def test_a_statement_that_fails_leaves_nothing_of_it_in_the_server_s_log(
    pool: Pool, postgres_dir: Path, sql: LiteralString
) -> None:
    with pytest.raises(psycopg.Error):
        await GroupCommit(pool).write(Statement(sql, {"text": "canary-대화"}))
    await asyncio.sleep(0.1)
    log = (postgres_dir / "postgres.log").read_text()
    assert "ready to accept connections" in log
    assert "canary" not in log


async def test_a_waiter_that_is_cancelled_harms_nobody(pool: Pool) -> None:
    commit = GroupCommit(pool)
    writes = [asyncio.create_task(commit.write(line(f"{i}"))) for i in range(10)]
    await asyncio.sleep(0)
    writes[0].cancel()
    writes[4].cancel()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [i in {0, 4} for i in range(10)]
    assert len(await lines_of(pool)) == 10  # asked for, so written, whoever still wants to know


async def test_every_waiter_gets_an_error_of_its_own_when_the_connection_is_lost(pool: Pool) -> None:
    commit = GroupCommit(pool)
    statements = [line("before"), Statement("SELECT pg_sleep(60)", {}), line("after")]
    together = asyncio.gather(*map(commit.write, statements), return_exceptions=True)
    await asyncio.sleep(0.2)
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND query ~ 'pg_sleep' AND pid <> pg_backend_pid()"
    assert await fetch_one(pool, Statement(others, {})) == {"pg_terminate_backend": True}
    results = await together
    assert {type(result) for result in results} == {StorageUnavailableError}
    assert len({id(result) for result in results}) == 3
    assert await lines_of(pool) == []


async def test_while_the_database_takes_no_connections_writes_are_refused_within_the_pool_s_patience(
    pool: Pool, postgres_url: str
) -> None:
    commit = GroupCommit(pool)
    pool.timeout = 0.5
    with psycopg.connect(postgres_url, dbname="postgres", autocommit=True) as operator:
        operator.execute("ALTER DATABASE daehwa ALLOW_CONNECTIONS false")
        try:
            operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'daehwa'")
            with pytest.raises(StorageUnavailableError):
                await asyncio.wait_for(commit.write(line("refused")), 2)
        finally:
            operator.execute("ALTER DATABASE daehwa ALLOW_CONNECTIONS true")
    pool.timeout = 5
    await commit.write(line("accepted"))
    assert await lines_of(pool) == ["accepted"]


async def test_writing_goes_on_by_itself_after_a_restart_of_the_database(pool: Pool) -> None:
    commit = GroupCommit(pool)
    await asyncio.gather(*(commit.write(line(f"{i}")) for i in range(5)))
    await crash(pool)
    await commit.write(line("after"))
    assert (await fetch_one(pool, COUNT)) == {"lines": 6}


async def test_what_was_acknowledged_outlives_a_crash_in_the_middle(pool: Pool) -> None:
    commit = GroupCommit(pool)

    async def keep_writing(name: int) -> list[str]:
        acknowledged = []
        for i in range(100):
            try:
                row = await commit.write(line(f"{name}-{i}"))
            except StorageUnavailableError:
                continue
            assert row is not None
            acknowledged.append(row["text"])
        return acknowledged

    writers = [asyncio.create_task(keep_writing(name)) for name in range(8)]
    await asyncio.sleep(0.05)
    await crash(pool)
    acknowledged = [text for texts in await asyncio.gather(*writers) for text in texts]
    assert set(acknowledged) <= set(await lines_of(pool))
    assert len(acknowledged) >= 600
