"""What happens to a request after its end: exactly once, whoever does it and whatever stops it."""

import asyncio
import json
import random
from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.db import connections

from conversations.errors import RateLimitError
from conversations.models import ApiKey, ChatRequest, Completion, Project, SearchText, UsageRollup
from conversations.services import enriching, statements
from conversations.services.database import Pool, open_pool
from conversations.services.enriching import enrich_batch
from conversations.services.recording import Caller, Recorder
from conversations.services.stored_completions import delete_stored_completion
from conversations.services.usage import UTC, check_usage, sum_usage
from tests.factories import days_ago, make_completed, make_failed, make_request, make_request_body, make_response_body
from tests.integration.conftest import Rows
from tests.integration.test_recording import STORED, answer, complete, receive


@pytest_asyncio.fixture
async def pool(transactional_db: None) -> AsyncIterator[Pool]:
    """The workers' pool; the rows are committed, and gone after the test."""
    async with open_pool() as opened:
        yield opened
    await sync_to_async(connections.close_all)()


@pytest.fixture
def caller(transactional_db: None, project: Project, api_key: str) -> Caller:
    """A call with a key of the test's own project."""
    return Caller(project_pk=project.pk, api_key_pk=ApiKey.objects.get().pk)


def make_some(project: Project, count: int = 1, **columns: object) -> list[ChatRequest]:
    """Requests that have ended."""
    return [make_completed(project, **columns) for _ in range(count)]


def total_of(project: Project) -> tuple[int, int | None, int]:
    """Requests, tokens and discrepancies, by the sums."""
    total = sum_usage([project], since=days_ago(400), until=days_ago(-1), zone=UTC).total
    return total.requests, total.tokens["total_tokens"], len(check_usage())


async def drain(pool: Pool, limit: int = 200) -> int:
    """Enrich until there is nothing left."""
    done = 0
    while enriched := await enrich_batch(pool, limit=limit):
        done += enriched
    return done


async def test_an_ended_request_gets_its_text_its_cost_and_its_place_in_the_sums(
    recorder: Recorder, pool: Pool, caller: Caller, rows: Rows
) -> None:
    record = await receive(recorder, caller, STORED)
    assert await enrich_batch(pool) == 0
    await complete(recorder, record, answer(model="gpt-4o"))
    assert await enrich_batch(pool) == 1
    assert (await rows.of(record.pk))["enriched"]
    text = await SearchText.objects.aget(pk=record.pk)
    assert text.said == "hi\n말을 주고받는 일입니다."
    completion = await Completion.objects.aget(pk=record.pk)
    assert (str(completion.cost), completion.price_version[:12]) == ("0.0002125000", "genai-prices")
    rollup = await UsageRollup.objects.aget()
    assert (rollup.requests, rollup.completions, rollup.priced, rollup.prompt_tokens) == (1, 1, 1, 13)
    assert (rollup.cached_tokens, rollup.cost, rollup.model) == (None, completion.cost, "gpt-4o")


async def test_an_unknown_price_is_null_and_a_failure_is_summed_without_a_completion(
    recorder: Recorder, pool: Pool, caller: Caller
) -> None:
    await complete(recorder, await receive(recorder, caller, STORED), answer(model="nobody-knows"))
    await recorder.fail(await receive(recorder, caller, STORED), RateLimitError())
    assert await enrich_batch(pool) == 2
    assert (await Completion.objects.aget()).cost is None
    counts = [(r.model, r.requests, r.failures, r.priced, r.cost) async for r in UsageRollup.objects.order_by("model")]
    assert counts == [("m", 1, 1, 0, None), ("nobody-knows", 1, 0, 0, None)]


async def test_nothing_is_enriched_twice(recorder: Recorder, pool: Pool, caller: Caller) -> None:
    for _ in range(3):
        await complete(recorder, await receive(recorder, caller, STORED), answer())
    assert [await enrich_batch(pool, limit=2) for _ in range(3)] == [2, 1, 0]
    assert (await UsageRollup.objects.aget()).requests == 3


async def test_many_enrichers_at_once_share_the_work_and_count_all_of_it_once(project: Project, pool: Pool) -> None:
    await sync_to_async(make_some)(project, 60)
    enriched = await asyncio.gather(*(drain(pool, limit=7) for _ in range(4)))
    assert sum(enriched) == 60
    assert await sync_to_async(total_of)(project) == (60, 60 * 31, 0)


async def test_sums_are_those_of_the_records_at_every_moment(project: Project, pool: Pool) -> None:
    def add(chance: random.Random) -> None:
        at = days_ago(chance.random())
        usage = {"prompt_tokens": 1, "total_tokens": chance.randrange(9)} if chance.random() < 0.8 else None
        make = make_failed if chance.random() < 0.2 else make_completed
        extra = {} if make is make_failed else {"response_body": make_response_body(usage=usage)}
        make(project, received_at=at, end_user=chance.choice(["", "kim"]), **extra)

    def is_exact() -> bool:
        counted = sum(Completion.objects.exclude(total_tokens=None).values_list("total_tokens", flat=True))
        report = sum_usage([project], since=days_ago(2), until=days_ago(-1), step="hour", group_by="user")
        summed = report.total
        return (summed.requests, summed.tokens["total_tokens"] or 0) == (ChatRequest.objects.count(), counted)

    for seed in range(6):
        chance = random.Random(seed)
        for _ in range(8):
            await sync_to_async(add)(chance)
            if chance.random() < 0.5:
                await enrich_batch(pool, limit=chance.randrange(1, 4))
            assert await sync_to_async(is_exact)()
    assert await sync_to_async(check_usage)() == []


async def test_a_reader_beside_the_enrichers_never_sees_a_request_twice_or_not_at_all(
    project: Project, pool: Pool
) -> None:
    await sync_to_async(make_some)(project, 80)
    work = asyncio.gather(*(drain(pool, limit=5) for _ in range(2)))
    while not work.done():
        assert (await sync_to_async(total_of)(project))[:2] == (80, 80 * 31)
    assert sum(await work) == 80


@pytest.mark.parametrize("step", ["KEEP_TEXT", "KEEP_COST", "MARK_ENRICHED"])
async def test_what_stops_between_two_steps_has_done_nothing(
    project: Project, pool: Pool, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await sync_to_async(make_some)(project)
    with monkeypatch.context() as broken:
        broken.setattr(
            statements, step, "SELECT 1 / 0 WHERE %(pks)s IS NOT NULL" if step != "KEEP_TEXT" else "SELECT 1/0"
        )
        with pytest.raises(psycopg.Error):
            await enrich_batch(pool)
    left = [await model.objects.acount() for model in (SearchText, UsageRollup)]
    assert (left, (await Completion.objects.aget()).price_version) == ([0, 0], "")
    assert await enrich_batch(pool) == 1
    assert await sync_to_async(total_of)(project) == (1, 31, 0)


async def test_a_worker_that_dies_in_its_transaction_leaves_the_work_to_another(project: Project, pool: Pool) -> None:
    await sync_to_async(make_some)(project, 3)
    async with pool.connection() as dying:
        await dying.execute("BEGIN")
        await dying.execute(statements.TO_ENRICH, {"limit": 2})
        assert await enrich_batch(pool) == 1  # what the other holds is left to it
        with pytest.raises(psycopg.OperationalError):
            await dying.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await enrich_batch(pool) == 2
    assert await sync_to_async(total_of)(project) == (3, 93, 0)


async def test_samples_can_be_searched_and_are_in_no_sum(project: Project, pool: Pool) -> None:
    await sync_to_async(make_some)(project, is_sample=True)
    assert await enrich_batch(pool) == 1
    assert (await SearchText.objects.acount(), await UsageRollup.objects.acount()) == (1, 0)


async def test_content_that_is_not_kept_is_not_searched(project: Project, pool: Pool) -> None:
    await sync_to_async(make_some)(project, content_kept=False)
    assert await enrich_batch(pool) == 1
    assert await SearchText.objects.acount() == 0


async def test_bodies_that_are_no_json_stop_nothing(project: Project, pool: Pool) -> None:
    def make() -> None:
        failed = make_failed(project)
        failed.body.response_body = b"<html>\xff" + b"[" * 100_000
        failed.body.save()
        make_completed(project, response_body=make_response_body(choices=[{"message": {"content": [[[1]]]}}, 3]))

    await sync_to_async(make)()
    assert await enrich_batch(pool) == 2


async def test_large_bodies_are_read_a_few_at_a_time(
    project: Project, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enriching, "MAX_BATCH_BYTES", 1_000)
    body = make_request_body(messages=[{"role": "user", "content": "x" * 900}])
    await sync_to_async(make_some)(project, 3, request_body=body)
    assert [await enrich_batch(pool) for _ in range(4)] == [1, 1, 1, 0]


async def test_the_end_of_an_enormous_conversation_is_found_too(project: Project, pool: Pool) -> None:
    messages = [{"role": "user", "content": "시작 " + "x" * 1_000_000}, {"role": "user", "content": "마지막"}]
    await sync_to_async(make_some)(project, request_body=make_request_body(messages=messages))
    await enrich_batch(pool)
    said = (await SearchText.objects.aget()).said
    assert "시작" in said
    assert "마지막" in said
    assert len(said) == 100_000


async def test_deleting_takes_text_and_hashes_away_and_leaves_the_sums(project: Project, pool: Pool) -> None:
    def make() -> str:
        body = make_request_body(user="kim", messages=[{"role": "assistant", "content": "x"}])
        kept = make_completed(project, request_body=body, response_body=make_response_body(model="gpt-4o"))
        make_completed(project, request_body=body, received_at=kept.received_at)
        return kept.completion.response_id

    response_id = await sync_to_async(make)()
    await enrich_batch(pool)
    await sync_to_async(delete_stored_completion)(project, response_id)
    deleted = await ChatRequest.objects.select_related("completion").aget(completion__response_id=response_id)
    assert (deleted.prefix_hashes, deleted.completion.answer_hashes, deleted.enriched) == ([], [], True)
    assert deleted.completion.cost is not None
    assert not await SearchText.objects.filter(pk=deleted.pk).aexists()
    assert await sync_to_async(total_of)(project) == (2, 62, 0)
    assert sorted([r.end_user async for r in UsageRollup.objects.all()]) == ["", "kim"]


async def test_deleting_while_others_enrich_leaves_the_sums_true(project: Project, pool: Pool) -> None:
    def make() -> list[str]:
        made = [make_completed(project, end_user="kim", received_at=days_ago(0.5)) for _ in range(20)]
        return [request.completion.response_id for request in made]

    response_ids = await sync_to_async(make)()
    work = asyncio.gather(drain(pool, limit=2), drain(pool, limit=3))
    for response_id in response_ids[::2]:
        await sync_to_async(delete_stored_completion)(project, response_id)
    assert sum(await work) == 20
    assert await sync_to_async(total_of)(project) == (20, 620, 0)


async def test_a_deferred_answer_and_its_question_are_one_thread(
    recorder: Recorder, pool: Pool, caller: Caller, rows: Rows
) -> None:
    record = await receive(recorder, caller, STORED)
    await complete(recorder, record, answer())
    told = {"role": "assistant", "content": "말을 주고받는 일입니다."}
    messages = [*json.loads(STORED)["messages"], told, {"role": "user", "content": "more"}]
    later = await receive(recorder, caller, json.dumps({"model": "m", "store": True, "messages": messages}).encode())
    answered = (await Completion.objects.aget(pk=record.pk)).answer_hashes
    assert (await rows.of(later.pk))["prefix_hashes"] == answered


async def test_an_endless_worker_goes_on_after_a_fault(
    project: Project, pool: Pool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await sync_to_async(make_some)(project)
    monkeypatch.setattr(enriching, "PAUSE_SECONDS", 0.01)
    with monkeypatch.context() as broken:
        broken.setattr(statements, "MARK_ENRICHED", "SELECT 'a secret prompt' / %(pks)s")
        worker = asyncio.create_task(enriching.enrich_forever(pool))
        await asyncio.sleep(0.3)
    for _ in range(100):
        if await UsageRollup.objects.aexists():
            break
        await asyncio.sleep(0.05)
    worker.cancel()
    assert await UsageRollup.objects.acount() == 1
    assert "Enriching failed" in caplog.text
    assert "secret" not in caplog.text


async def test_a_waiting_request_is_in_the_sums_already(project: Project, pool: Pool) -> None:
    await sync_to_async(make_request)(project)
    assert await enrich_batch(pool) == 0
    assert await sync_to_async(total_of)(project) == (1, None, 0)
