"""The queue's shells: a job brings a row's key in, and one service call does the work.

procrastinate carries the jobs on the same PostgreSQL, so a worker on any machine needs nothing but
``DATABASE_URL`` and the upstream's settings.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import procrastinate
import psycopg
from django.conf import settings
from procrastinate.exceptions import ConnectorException

from conversations.errors import StorageUnavailableError
from conversations.services.database import GroupCommit, open_pool, read_conninfo
from conversations.services.deferring import DeferredRunner
from conversations.services.enriching import enrich_forever
from conversations.services.recording import Recorder
from conversations.services.statements import DEFERRED_QUEUE
from conversations.services.upstream_settings import upstream_settings
from conversations.upstream.client import UpstreamClient

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 3
STALLED_SECONDS = 15
RESCUE_SECONDS = 3
POLL_SECONDS = 1
RECONNECT_SECONDS = 1

blueprint = procrastinate.Blueprint()


@blueprint.task(name="run_deferred", queue=DEFERRED_QUEUE, pass_context=True)
async def run_deferred(context: procrastinate.JobContext, request_pk: int) -> None:
    """Bring the deferred request with this key to an end."""
    runner: DeferredRunner = context.additional_context["runner"]
    await runner.run(request_pk)


async def run_worker() -> None:
    """Run deferred requests, and enrich what has ended, until SIGTERM or SIGINT, through restarts of the database.

    What still runs ``WORKER_STOP_TIMEOUT`` seconds after the signal is handed back to the queue.
    """
    async with open_pool() as pool, UpstreamClient(upstream_settings()) as client:
        runner = DeferredRunner(pool, Recorder(GroupCommit(pool)), client)
        while True:
            try:
                async with (
                    _open_queue() as queue,
                    _beside(_rescue_forever(queue, runner)),
                    _beside(enrich_forever(pool)),
                ):
                    await queue.run_worker_async(
                        queues=[DEFERRED_QUEUE],
                        concurrency=settings.WORKER_CONCURRENCY,
                        fetch_job_polling_interval=POLL_SECONDS,
                        update_heartbeat_interval=HEARTBEAT_SECONDS,
                        stalled_worker_timeout=STALLED_SECONDS,
                        shutdown_graceful_timeout=settings.WORKER_STOP_TIMEOUT,
                        delete_jobs="always",
                        additional_context={"runner": runner},
                    )
                    return
            except (ConnectorException, psycopg.OperationalError) as error:
                logger.warning("The queue cannot be reached (%s), trying again.", type(error).__name__)
                await asyncio.sleep(RECONNECT_SECONDS)


@contextlib.asynccontextmanager
async def _open_queue() -> AsyncIterator[procrastinate.App]:
    # The planner overestimates sorting a queue that has just filled up (procrastinate issue 1242).
    options = f"{read_conninfo()} options='-c enable_sort=off'"
    queue = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=options, min_size=1, max_size=4))
    queue.add_tasks_from(blueprint, namespace="daehwa")
    async with queue.open_async():
        yield queue


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    # No jobs of their own: they must run also when every slot of every worker is taken.
    running = asyncio.create_task(work)
    try:
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def _rescue_forever(queue: procrastinate.App, runner: DeferredRunner) -> None:
    while True:
        with contextlib.suppress(StorageUnavailableError, ConnectorException):
            for job in await queue.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
                await queue.job_manager.retry_job(job)
            await runner.rescue_abandoned()
        await asyncio.sleep(RESCUE_SECONDS)
