"""Writes down what was asked and what came back (async): the only writer of a request's states.

Nothing here decides what to answer. Every method returns after the commit.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from psycopg.types.json import Jsonb

from conversations.errors import DaehwaError, InternalError, StorageUnavailableError, UpstreamError
from conversations.ids import new_response_id
from conversations.services import statements
from conversations.services.database import GroupCommit
from conversations.services.statements import Statement
from conversations.wire.calls import ChatCall
from conversations.wire.json_door import showable
from conversations.wire.reading import (
    answers_with_audio,
    created_of,
    finish_reasons_of,
    has_audio,
    has_images,
    is_refused,
    last_user_text,
    model_of,
    response_id_of,
    tool_call_ids_of,
)
from conversations.wire.threads import Chain, answer_hashes_of, chain_of
from conversations.wire.usage import usage_of

type Surface = Literal["openai", "azure", "imported"]
type Mode = Literal["plain", "stream", "deferred"]

PREVIEW_LENGTH = 160
"""Characters of the last user message that a list shows."""

SAVING_PATIENCE = 5.0
"""Seconds for which an answer is tried to be saved when the database is away."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whose call it is: the project, the key, and whether the project keeps all content."""

    project_pk: int
    api_key_pk: int | None
    keeps_content: bool = False


@dataclass(frozen=True, kw_only=True)
class Record:
    """A request that is written down. ``attempt`` fences: a write for an older attempt changes nothing.

    ``tip`` is the hash of its messages (``wire.threads``), or empty where the content is not kept.
    """

    pk: int
    request_id: str
    attempt: int = 0
    tip: bytes = b""


class Recorder:
    """Records requests and how they ended, through one group commit."""

    def __init__(self, commit: GroupCommit) -> None:
        self._commit = commit

    async def receive(
        self,
        call: ChatCall,
        caller: Caller,
        *,
        body: bytes,
        request_id: str,
        surface: Surface,
        mode: Mode,
        lease: float,
        is_sample: bool = False,
    ) -> Record:
        """Write the request down, ``body`` as it was received, before anything else happens to it.

        A deferred one is queued, its job enqueued in the same transaction; any other is running at once
        and is given up when ``lease`` seconds have passed without an end.
        Raises ``StorageUnavailableError`` when it cannot be kept.
        """
        content_kept = call.store or call.deferred or caller.keeps_content
        deferred = mode == "deferred"
        chain = chain_of(caller.project_pk, call.messages) if content_kept else Chain([], b"")
        row = await self._commit.write(
            Statement(
                statements.RECEIVE_DEFERRED if deferred else statements.RECEIVE,
                {
                    "request_id": request_id,
                    "project_pk": caller.project_pk,
                    "api_key_pk": caller.api_key_pk,
                    "surface": surface,
                    "mode": mode,
                    "model": showable(call.model),
                    "end_user": showable(call.end_user),
                    "metadata": Jsonb(call.metadata),
                    "preview": showable(last_user_text(call.messages)[:PREVIEW_LENGTH]) if content_kept else "",
                    "stored": call.store,
                    "content_kept": content_kept,
                    "is_sample": is_sample,
                    "has_images": has_images(call.messages),
                    "has_audio": has_audio(call.messages),
                    "prefix_hashes": chain.prefixes,
                    "state": "queued" if deferred else "running",
                    "lease": None if deferred else lease,
                    "body": body if content_kept else b"",
                },
            )
        )
        if row is None:
            raise InternalError
        return Record(pk=row["pk"], request_id=request_id, tip=chain.tip)

    async def complete(
        self, record: Record, answer: Mapping[str, Any], body: bytes, *, since_first_chunk: float | None = None
    ) -> bool:
        """Write the answer down: its facts, its usage, and its exact bytes where the content is kept.

        ``answer`` is ``body`` parsed; ``since_first_chunk`` (seconds) is for streams. False when the request
        had ended already or another attempt has taken over: then nothing was changed.
        Raises ``StorageUnavailableError`` when the database stayed away.
        """
        usage = asdict(usage_of(answer))
        return await self._save(
            Statement(
                statements.COMPLETE,
                {
                    "pk": record.pk,
                    "attempt": record.attempt,
                    "response_id": response_id_of(answer) or new_response_id(),
                    "model": model_of(answer, ""),
                    "created": created_of(answer, int(time.time())),
                    "finish_reasons": finish_reasons_of(answer),
                    "tool_call_ids": tool_call_ids_of(answer),
                    "service_tier": _service_tier(answer),
                    "has_audio": answers_with_audio(answer),
                    "refused": is_refused(answer),
                    "answer_hashes": answer_hashes_of(record.tip, answer) if record.tip else [],
                    "usage_source": usage.pop("source"),
                    "usage_flawed": usage.pop("flawed"),
                    **usage,
                    "response_body": body,
                    "since_first_chunk": since_first_chunk,
                },
            )
        )

    async def fail(self, record: Record, error: DaehwaError, *, partial: bytes | None = None) -> bool:
        """Write down that and why the request failed, with what the upstream had sent (``partial``).

        False when the request had ended already or another attempt has taken over.
        """
        sent = error.answer if isinstance(error, UpstreamError) else b""
        return await self._save(
            Statement(
                statements.FAIL,
                {
                    "pk": record.pk,
                    "attempt": record.attempt,
                    "reason": error.reason if isinstance(error, UpstreamError) else error.code[:64],
                    "error_status": error.status,
                    "error_type": error.type,
                    "error_code": showable(error.code),
                    "error_param": showable(error.param or ""),
                    "error_message": showable(error.message),
                    "answer": partial or sent or None,
                },
            )
        )

    async def _save(self, statement: Statement) -> bool:
        # What was paid for is worth some patience with a restarting database.
        deadline = asyncio.get_running_loop().time() + SAVING_PATIENCE
        while True:
            try:
                return await self._commit.write(statement) is not None
            except StorageUnavailableError:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(0.25)


def _service_tier(answer: Mapping[str, Any]) -> str:
    tier = answer.get("service_tier")
    return showable(tier)[:64] if isinstance(tier, str) else ""
