"""What the gateway holds open while it runs: the pool, the upstream client and the recorder."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from conversations.services.database import GroupCommit, Pool, open_pool
from conversations.services.recording import Recorder
from conversations.services.upstream_settings import upstream_settings
from conversations.upstream.client import UpstreamClient

STOP_PATIENCE = 7.0
"""Seconds that running calls get to end when the server stops."""


@dataclass(frozen=True)
class Resources:
    """Shared by all requests of one event loop. ``calls`` are the tasks that wait for the upstream."""

    pool: Pool
    client: UpstreamClient
    recorder: Recorder
    calls: set[asyncio.Task[Any]] = field(default_factory=set)

    def watch(self, call: asyncio.Task[Any]) -> None:
        """Count a task among the ``calls`` until it ends."""
        self.calls.add(call)
        call.add_done_callback(self.calls.discard)

    async def finish_calls(self) -> None:
        """Let the running calls end, then end them: each is written down as what it is, and its client told."""
        if self.calls:
            _, late = await asyncio.wait(self.calls, timeout=STOP_PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


@asynccontextmanager
async def open_resources() -> AsyncIterator[Resources]:
    """Open everything; close it in the opposite order."""
    async with open_pool() as pool, UpstreamClient(upstream_settings()) as client:
        resources = Resources(pool, client, Recorder(GroupCommit(pool)))
        finishing: list[asyncio.Task[None]] = []
        with _told_to_stop(lambda: finishing.append(asyncio.create_task(resources.finish_calls()))):
            yield resources
        await resources.finish_calls()
        await asyncio.gather(*finishing)


@contextmanager
def _told_to_stop(stop: Callable[[], object]) -> Iterator[None]:
    """Call ``stop`` in the event loop at SIGTERM, besides what the server does about it.

    A server ends the lifespan after the last response only, and kills what takes too long until then.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        if callable(before):
            before(number, frame)

    # The loop has one handler for each signal, which is the server's. This one stands beside it: the loop hears of
    # signals through a descriptor of its own.
    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
