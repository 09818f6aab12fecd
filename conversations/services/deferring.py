"""Runs deferred requests (async). The request's row is the truth; a queue job carries only its key.

A worker claims the row with a lease and the next attempt number. It renews the lease while it works, and
every write names the attempt, so that a worker that comes back from the dead changes nothing any more.
What can have run upstream is asked again only after a worker was lost.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from conversations.errors import (
    ContentDeletedError,
    DaehwaError,
    InternalError,
    StorageUnavailableError,
    UpstreamError,
    WorkerLostError,
    describe_fault,
)
from conversations.services import statements
from conversations.services.answering import CheckedAnswer, ask_upstream
from conversations.services.database import Pool, fetch_one
from conversations.services.recording import Record, Recorder
from conversations.services.statements import Statement
from conversations.upstream.client import UpstreamClient
from conversations.wire import openai
from conversations.wire.threads import chain_of

logger = logging.getLogger(__name__)

WORKER_NAME = f"{socket.gethostname()}:{os.getpid()}"
MAX_DELAY = 120.0
"""Longest wait, in seconds, before a deferred request is tried again."""


@dataclass(frozen=True)
class DeferredRunner:
    """What a worker needs to run deferred requests."""

    pool: Pool
    recorder: Recorder
    client: UpstreamClient

    async def run(self, request_pk: int) -> None:
        """Claim the request and bring it to an end, or hand it back. Does nothing when another has it."""
        claim = await self._claim(request_pk)
        if claim is None:
            return
        record = Record(pk=claim["pk"], request_id=claim["request_id"], attempt=claim["attempt"])
        try:
            async with self._lease(record):
                await self._attempt(record, claim)
        except asyncio.CancelledError:
            # The worker is being stopped: another one may start at once, and this attempt does not count.
            # Without the database the lease runs out, which does the same later.
            with contextlib.suppress(StorageUnavailableError):
                await asyncio.shield(self._hand_back(record, outcome="released", reason="worker_stopped", delay=0))
            raise

    async def _claim(self, request_pk: int) -> dict[str, Any] | None:
        return await fetch_one(
            self.pool,
            Statement(
                statements.CLAIM,
                {"pk": request_pk, "lease": settings.DEFERRED_LEASE_SECONDS, "worker": WORKER_NAME},
            ),
        )

    async def _attempt(self, record: Record, claim: dict[str, Any]) -> None:
        try:
            answer = await self._ask(record, claim)
        except DaehwaError as error:
            if self._may_try_again(error, claim["tries"]):
                delay = min(error.retry_after or 2.0 ** claim["tries"], MAX_DELAY)
                reason = error.reason if isinstance(error, UpstreamError) else error.code
                await self._hand_back(record, outcome="retried", reason=reason, delay=delay)
                return
            saved = await self.recorder.fail(record, error)
        except Exception as error:  # noqa: BLE001  whatever it is, the request must end
            # Its text may quote a prompt, so only its kind and place reach the log.
            logger.error("%s failed: %s", record.request_id, describe_fault(error))  # noqa: TRY400
            saved = await self.recorder.fail(record, InternalError())
        else:
            tip = chain_of(claim["project_pk"], openai.read_call(claim["request_body"]).messages).tip
            saved = await self.recorder.complete(replace(record, tip=tip), answer.members, answer.body)
        if not saved:
            logger.warning("stale_fence: attempt %d of %s came too late", record.attempt, record.request_id)

    async def _ask(self, record: Record, claim: dict[str, Any]) -> CheckedAnswer:
        if claim["request_body"] is None:
            raise ContentDeletedError
        if claim["tries"] >= settings.DEFERRED_MAX_ATTEMPTS:
            raise WorkerLostError
        call = openai.read_call(claim["request_body"])
        return await ask_upstream(self.client, call, idempotency_key=record.request_id)

    @staticmethod
    def _may_try_again(error: DaehwaError, tries: int) -> bool:
        nothing_ran = (
            error.retryable is True or error.status == 429 or (error.status == 503 and error.retryable is None)
        )
        return nothing_ran and tries + 1 < settings.DEFERRED_MAX_ATTEMPTS

    @contextlib.asynccontextmanager
    async def _lease(self, record: Record) -> AsyncIterator[None]:
        renewal = asyncio.create_task(self._renew_lease(record))
        try:
            yield
        finally:
            renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewal

    async def _renew_lease(self, record: Record) -> None:
        lease = settings.DEFERRED_LEASE_SECONDS
        renewal = Statement(statements.RENEW_LEASE, {"pk": record.pk, "attempt": record.attempt, "lease": lease})
        while True:
            await asyncio.sleep(lease / 3)
            # While the database is away the lease runs out: then whoever comes back first takes over.
            with contextlib.suppress(StorageUnavailableError):
                await fetch_one(self.pool, renewal)

    async def _hand_back(self, record: Record, *, outcome: str, reason: str, delay: float) -> None:
        await fetch_one(
            self.pool,
            Statement(
                statements.HAND_BACK,
                {"pk": record.pk, "attempt": record.attempt, "outcome": outcome, "reason": reason, "delay": delay},
            ),
        )

    async def rescue_abandoned(self) -> None:
        """Enqueue deferred requests that no live job carries, and end calls whose gateway was lost."""
        await fetch_one(self.pool, Statement(statements.ENQUEUE_ABANDONED, {"task": statements.DEFERRED_TASK}))
        await fetch_one(self.pool, Statement(statements.FAIL_ABANDONED, {}))
