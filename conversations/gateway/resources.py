"""What the gateway holds open while it runs: the pool, the upstream client and the recorder."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from conversations.services.database import GroupCommit, Pool, open_pool
from conversations.services.recording import Recorder
from conversations.services.upstream_settings import upstream_settings
from conversations.upstream.client import UpstreamClient

STOP_PATIENCE = 8.0
"""Seconds that running streams get to end when the server stops."""


@dataclass(frozen=True)
class Resources:
    """Shared by all requests of one event loop. ``relays`` are the tasks that are reading a stream."""

    pool: Pool
    client: UpstreamClient
    recorder: Recorder
    relays: set[asyncio.Task[None]] = field(default_factory=set)

    async def finish_relays(self) -> None:
        """Let the running streams end, then end them: each is written down as what it is."""
        if self.relays:
            _, late = await asyncio.wait(self.relays, timeout=STOP_PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


@asynccontextmanager
async def open_resources() -> AsyncIterator[Resources]:
    """Open everything; close it in the opposite order."""
    async with open_pool() as pool, UpstreamClient(upstream_settings()) as client:
        resources = Resources(pool, client, Recorder(GroupCommit(pool)))
        try:
            yield resources
        finally:
            await resources.finish_relays()
