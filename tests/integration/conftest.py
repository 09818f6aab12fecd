"""What the gateway and the workers are made of, on the run's database."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from pytest_django import DjangoDbBlocker

from conversations.models import ChatRequest, Project
from conversations.services.database import GroupCommit, Pool, fetch_one, open_pool
from conversations.services.keys import create_api_key
from conversations.services.recording import Caller, Recorder
from conversations.services.statements import Statement

WHOLE_ROW = """
SELECT r.*, c.response_id, c.model AS answered_by, c.created, c.finish_reasons, c.tool_call_ids, c.service_tier,
    c.usage_source, c.usage_flawed, c.prompt_tokens, c.completion_tokens, c.total_tokens, c.cached_tokens,
    b.request_body, b.response_body, b.request_id IS NOT NULL AS has_body,
    extract(epoch FROM r.lease_expires_at - clock_timestamp())::float8 AS lease_left,
    (SELECT count(*) FROM procrastinate_jobs j WHERE j.args = jsonb_build_object('request_pk', r.id)) AS jobs
FROM conversations_chatrequest r
LEFT JOIN conversations_completion c ON c.request_id = r.id
LEFT JOIN conversations_body b ON b.request_id = r.id
WHERE r.id = %(pk)s
"""


class Rows:
    """Reads and changes rows past the services, as a test's own eyes and hands."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def of(self, pk: int) -> dict[str, Any]:
        """A request with its completion, its body, what is left of its lease (seconds) and its number of jobs."""
        row = await fetch_one(self.pool, Statement(WHOLE_ROW, {"pk": pk}))
        assert row is not None
        return row

    async def newest(self) -> dict[str, Any]:
        """The request that came in last."""
        row = await fetch_one(self.pool, Statement("SELECT max(id) AS pk FROM conversations_chatrequest", {}))
        assert row is not None
        return await self.of(row["pk"])

    async def attempts(self, pk: int) -> list[tuple[int, str, str]]:
        """Number, outcome and reason of every attempt."""
        sql = "SELECT number, outcome, reason FROM conversations_attempt WHERE request_id = %s ORDER BY number"
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(sql, [pk])).fetchall()
        return [(row["number"], row["outcome"], row["reason"]) for row in rows]

    async def execute(self, sql: str, **parameters: object) -> None:
        """Any statement."""
        async with self.pool.connection() as connection:
            await connection.execute(sql.encode(), parameters)


@pytest.fixture(scope="module")
def caller(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Caller]:
    """A call with a key of a project that keeps content as asked; the module's rows are all its own."""
    with django_db_blocker.unblock():
        project = Project.objects.create(slug="recorded")
        key, _ = create_api_key(project, "tests")
        try:
            yield Caller(project_pk=project.pk, api_key_pk=key.pk)
        finally:
            ChatRequest.objects.filter(project=project).delete()
            key.delete()
            project.delete()


@pytest_asyncio.fixture
async def pool(db: None) -> AsyncIterator[Pool]:
    """The pool that the gateway and the workers use."""
    async with open_pool() as opened:
        yield opened


@pytest.fixture
def rows(pool: Pool) -> Rows:
    """The rows, past all services."""
    return Rows(pool)


@pytest.fixture
def recorder(pool: Pool) -> Recorder:
    """A recorder with a group commit of its own."""
    return Recorder(GroupCommit(pool))
