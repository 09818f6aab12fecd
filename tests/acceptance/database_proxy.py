"""Stands between a worker and PostgreSQL, and says when the worker's k-th message after a moment passes."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

Moment = Literal["before", "after"]

_ASKS_FOR_ENCRYPTION = (80877103, 80877104)
_ENDS_OF_QUESTIONS = b"QS"
_READY = b"Z"


class DatabaseProxy:
    """A proxy in a thread of its own, as a context manager; ``url`` is the database behind it.

    A message is what PostgreSQL answers as a whole: a simple query, or everything up to a Sync.
    """

    def __init__(self, database_url: str) -> None:
        self._target = urlsplit(database_url)
        self.seen = 0
        self._strike: tuple[int, Moment, Callable[[], None]] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="database-proxy", daemon=True)

    def arm(self, number: int, moment: Moment, strike: Callable[[], None]) -> None:
        """Call ``strike`` before the message with this number (from 1, from now) is passed on, or after its answer."""
        self.seen = 0
        self._strike = (number, moment, strike)

    @property
    def url(self) -> str:
        """The database by way of this proxy."""
        return f"postgresql://postgres@127.0.0.1:{self._port}{self._target.path}"

    def __enter__(self) -> Self:
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(10)
        self._port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        socket = f"{parse_qs(self._target.query)['host'][0]}/.s.PGSQL.5432"
        backend, to_backend = await asyncio.open_unix_connection(socket)
        try:
            await self._introduce(reader, writer, to_backend)
            asked: deque[int] = deque()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._ask(reader, to_backend, asked))
                both.create_task(self._answer(backend, writer, asked))
        except* (asyncio.IncompleteReadError, ConnectionError):
            # Either end hung up, which ends the other direction too.
            pass
        finally:
            writer.close()
            to_backend.close()

    @staticmethod
    async def _introduce(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_backend: asyncio.StreamWriter
    ) -> None:
        """Refuse encryption, and pass the first message on, which has no type."""
        while True:
            length = await reader.readexactly(4)
            rest = await reader.readexactly(int.from_bytes(length) - 4)
            if int.from_bytes(rest[:4]) not in _ASKS_FOR_ENCRYPTION:
                to_backend.write(length + rest)
                return
            writer.write(b"N")

    async def _ask(self, reader: asyncio.StreamReader, to_backend: asyncio.StreamWriter, asked: deque[int]) -> None:
        while True:
            kind, message = await _read_message(reader)
            if kind in _ENDS_OF_QUESTIONS:
                self.seen += 1
                asked.append(self.seen)
                self._reach(self.seen, "before")
            to_backend.write(message)
            await to_backend.drain()

    async def _answer(self, backend: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: deque[int]) -> None:
        while True:
            kind, message = await _read_message(backend)
            # The first one of a connection answers its introduction.
            if kind == _READY and asked:
                self._reach(asked.popleft(), "after")
            writer.write(message)
            await writer.drain()

    def _reach(self, number: int, moment: Moment) -> None:
        if self._strike and self._strike[:2] == (number, moment):
            strike, self._strike = self._strike[2], None
            strike()


async def _read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(int.from_bytes(head[1:]) - 4)
