"""Loads and removes the sample conversations, through the code that records real traffic."""

import asyncio
from dataclasses import replace

from django.conf import settings

from conversations.ids import new_request_id
from conversations.models import ApiKey, ChatRequest
from conversations.services import statements
from conversations.services.database import GroupCommit, Pool, fetch_one, open_pool
from conversations.services.deferring import WORKER_NAME
from conversations.services.recording import Caller, Recorder
from conversations.services.sample_conversations import Sample, sample_conversations
from conversations.services.statements import Statement
from conversations.wire import azure, openai
from conversations.wire.calls import ChatCall
from conversations.wire.chunks import Fold
from conversations.wire.json_door import encode, parse_answer


def load_samples() -> None:
    """Record every sample conversation in the project of the oldest key, marked as a sample (sync)."""
    key = ApiKey.objects.active().earliest("pk")
    asyncio.run(_record_samples(Caller(project_pk=key.project_id, api_key_pk=key.pk)))


def remove_samples() -> int:
    """Delete all sample conversations and say how many there were (sync)."""
    _, deleted = ChatRequest.objects.filter(is_sample=True).delete()
    return deleted.get("conversations.ChatRequest", 0)


async def _record_samples(caller: Caller) -> None:
    async with open_pool() as pool:
        recorder = Recorder(GroupCommit(pool))
        for sample in sample_conversations():
            await _record(pool, recorder, caller, sample)


async def _record(pool: Pool, recorder: Recorder, caller: Caller, sample: Sample) -> None:
    body = encode(sample.request)
    record = await recorder.receive(
        _read_call(sample, body),
        caller,
        body=body,
        request_id=new_request_id(),
        surface=sample.surface,
        mode=sample.mode,
        lease=settings.UPSTREAM_TOTAL_TIMEOUT,
        is_sample=True,
    )
    if sample.mode == "deferred":
        lease = settings.DEFERRED_LEASE_SECONDS
        claim = await fetch_one(
            pool, Statement(statements.CLAIM, {"pk": record.pk, "lease": lease, "worker": WORKER_NAME})
        )
        if claim is None:  # a worker on the same database was faster
            return
        record = replace(record, attempt=claim["attempt"])
    answer = encode(_completion(sample))
    await recorder.complete(record, parse_answer(answer).members, answer)


def _read_call(sample: Sample, body: bytes) -> ChatCall:
    if sample.surface == "openai":
        return openai.read_call(body)
    return replace(azure.read_call(body, None, modalities=("text", "audio")), store=True)


def _completion(sample: Sample) -> object:
    if not sample.chunks:
        return sample.completion
    fold = Fold()
    for chunk in sample.chunks:
        fold.add(chunk)
    return fold.completion()
