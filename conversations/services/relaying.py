"""Relays one streamed answer (async): out as it comes in, folded on the way, and written down at its end.

The upstream is read by a task of its own, so that an answer is read to its end and kept also when the
client has gone away: it is paid for.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from django.conf import settings

from conversations.errors import (
    DaehwaError,
    InternalError,
    ServerStoppedError,
    StorageUnavailableError,
    StreamCutError,
    describe_fault,
)
from conversations.ids import new_response_id
from conversations.services.answering import (
    CheckedAnswer,
    body_for_upstream,
    check_answer,
    complete_answer,
    parse_chunk,
)
from conversations.services.recording import Record, Recorder
from conversations.upstream.answers import EVENT_STREAM, AnswerStream
from conversations.upstream.client import UpstreamClient
from conversations.upstream.failures import failure_in_answer
from conversations.wire import sse
from conversations.wire.calls import ChatCall
from conversations.wire.chunks import Fold, StreamRewriter, unfold
from conversations.wire.json_door import encode, parse_answer

logger = logging.getLogger(__name__)

LAST_BYTES_PATIENCE = 0.1
"""Seconds that an upstream gets to close its body after ``[DONE]``, so that its connection can be used again."""


class Relay:
    """One stream. ``open`` it, then take its pieces with ``next_piece`` until it gives None."""

    def __init__(self, client: UpstreamClient, recorder: Recorder, record: Record, call: ChatCall) -> None:
        self.failed = False
        self._client = client
        self._recorder = recorder
        self._record = record
        self._call = call
        self._fold = Fold()
        self._created = int(time.time())
        self._rewriter = StreamRewriter(
            fallback_id=new_response_id(),
            created=self._created,
            model=call.model or settings.UPSTREAM_MODEL,
            include_usage=call.include_usage,
        )
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._first_chunk_at: float | None = None

    async def open(self, watch: Callable[[asyncio.Task[None]], None]) -> None:
        """Call the upstream, and return when the first chunk is there.

        ``watch`` is given the task that reads, which outlives the client. Raises what the upstream failed
        with before its first chunk.
        """
        watch(asyncio.create_task(self._run()))
        await asyncio.shield(self._opened)

    async def next_piece(self, patience: float) -> bytes | None:
        """The next event's bytes; None at the end (``failed`` says which end). ``TimeoutError`` after ``patience`` seconds."""
        async with asyncio.timeout(patience):
            return await self._pieces.get()

    def heartbeat_chunk(self) -> bytes:
        """A chunk that says nothing, for clients that take no comments."""
        response_id = self._rewriter.response_id or ""
        model = self._call.model or settings.UPSTREAM_MODEL
        return sse.heartbeat_chunk(response_id=response_id, created=self._created, model=model)

    async def _run(self) -> None:
        try:
            answer = await self._read_answer()
            since = None if self._first_chunk_at is None else time.monotonic() - self._first_chunk_at
            await self._recorder.complete(self._record, answer.members, answer.body, since_first_chunk=since)
        except DaehwaError as error:
            await self._fail(error)
        except asyncio.CancelledError:
            await self._fail(ServerStoppedError())
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, the record must end
            # Its text may quote an answer, so only its kind and place reach the log.
            logger.error("%s failed: %s", self._record.request_id, describe_fault(error))  # noqa: TRY400
            await self._fail(InternalError())
        else:
            # Only now: what [DONE] ends can be read by its ID.
            self._emit(sse.DONE)
            self._pieces.put_nowait(None)

    async def _read_answer(self) -> CheckedAnswer:
        body = body_for_upstream(self._call)
        async with self._client.stream(body, idempotency_key=self._record.request_id) as answer:
            if answer.content_type == EVENT_STREAM:
                return await self._read_events(answer)
            whole = check_answer(await _read_whole(answer), self._call)
            for chunk in unfold(whole.members, include_usage=self._call.include_usage):
                self._emit(sse.event(encode(chunk)))
            return whole

    async def _read_events(self, answer: AnswerStream) -> CheckedAnswer:
        parser = sse.EventParser()
        async for piece in answer.read():
            if self._relay_events(parser.feed(piece)):
                await _read_last_bytes(answer)
                break
        else:
            self._relay_events(parser.close())
        completion = self._fold.completion()
        if completion is None:
            raise StreamCutError
        members = parse_answer(encode({**completion, "id": self._rewriter.response_id}))
        return complete_answer(members, self._call)

    def _relay_events(self, events: list[sse.Event]) -> bool:
        """Fold and pass on; True when ``[DONE]`` was among them."""
        for event in events:
            if event.data.strip() == sse.DONE_MARK:
                return True
            failure = failure_in_answer(event.data)
            if failure is not None:
                raise failure
            chunk = parse_chunk(event.data)
            self._fold.add(chunk.members)
            for line in self._rewriter.rewrite(chunk):
                self._emit(sse.event(line))
        return False

    def _emit(self, piece: bytes) -> None:
        if self._first_chunk_at is None:
            self._first_chunk_at = time.monotonic()
        self._pieces.put_nowait(piece)
        if not self._opened.done():
            self._opened.set_result(None)

    async def _fail(self, error: DaehwaError) -> None:
        started = self._first_chunk_at is not None
        partial = encode(self._fold.so_far()) if started else None
        try:
            await self._recorder.fail(self._record, error, partial=partial)
        except StorageUnavailableError:
            logger.error("%s failed, and the database is away.", self._record.request_id)  # noqa: TRY400
        finally:
            self.failed = True
            if self._opened.done():
                self._pieces.put_nowait(sse.error_event(error))
                self._pieces.put_nowait(None)
            else:
                self._opened.set_exception(error)


async def _read_whole(answer: AnswerStream) -> bytes:
    body = (await answer.read_whole()).body
    failure = failure_in_answer(body)
    if failure is not None:
        raise failure
    return body


async def _read_last_bytes(answer: AnswerStream) -> None:
    try:
        async with asyncio.timeout(LAST_BYTES_PATIENCE):
            await answer.next_piece()
    except (TimeoutError, DaehwaError):
        return
