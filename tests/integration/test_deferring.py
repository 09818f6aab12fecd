"""Deferred requests are run by whoever claims them, once as far as anyone can know, and always to an end."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from pytest_django import Settings

from conversations.ids import new_request_id
from conversations.services.database import Pool, fetch_one
from conversations.services.deferring import MAX_DELAY, DeferredRunner
from conversations.services.recording import Caller, Recorder
from conversations.services.statements import Statement
from conversations.upstream import UpstreamClient, UpstreamSettings
from conversations.wire import openai
from tests.integration.conftest import Rows
from tests.live import free_port, say
from tests.scripted_upstream import ScriptedUpstream

type Defer = Callable[..., Awaitable[int]]

_nonces = itertools.count(1)
EXPIRE = "UPDATE conversations_chatrequest SET lease_expires_at = clock_timestamp() - interval '1 s' WHERE id = %(pk)s"
FORGET_JOBS = "DELETE FROM procrastinate_jobs WHERE args = jsonb_build_object('request_pk', %(pk)s::bigint)"


@pytest.fixture
def nonce() -> str:
    """Names this test's calls in the upstream's log."""
    return f"deferring-{next(_nonces)}"


@pytest_asyncio.fixture
async def runner(pool: Pool, recorder: Recorder, scripted_upstream: ScriptedUpstream) -> AsyncIterator[DeferredRunner]:
    """What a worker runs deferred requests with."""
    settings = UpstreamSettings(base_url=scripted_upstream.url, idle_timeout=0.5, total_timeout=3)
    async with UpstreamClient(settings) as client:
        yield DeferredRunner(pool, recorder, client)


@pytest.fixture
def defer(recorder: Recorder, caller: Caller, nonce: str) -> Defer:
    """Record a deferred request whose upstream does what the directive says; its key."""

    async def record(**directive: Any) -> int:
        text = say(nonce=nonce, **directive)
        message = {"role": "user", "content": text}
        body = json.dumps({"model": "m", "deferred": True, "messages": [message]}).encode()
        call, request_id = openai.read_call(body), new_request_id()
        received = await recorder.receive(
            call, caller, body=body, request_id=request_id, surface="openai", mode="deferred", lease=30
        )
        return received.pk

    return record


async def next_run(pool: Pool, pk: int) -> float:
    """Seconds until the newest job of a request is due."""
    sql = """
    SELECT extract(epoch FROM scheduled_at - clock_timestamp())::float8 AS seconds FROM procrastinate_jobs
    WHERE args = jsonb_build_object('request_pk', %(pk)s::bigint) ORDER BY id DESC LIMIT 1
    """
    row = await fetch_one(pool, Statement(sql, {"pk": pk}))
    assert row is not None
    return float(row["seconds"])


async def test_a_run_brings_the_answer_home(runner: DeferredRunner, defer: Defer, rows: Rows) -> None:
    pk = await defer(content="대화", id="up-7")
    await runner.run(pk)
    row = await rows.of(pk)
    assert (row["state"], row["response_id"], row["attempt_number"]) == ("completed", "up-7", 1)
    assert json.loads(row["response_body"])["choices"][0]["message"]["content"] == "대화"
    assert await rows.attempts(pk) == [(1, "completed", "")]


async def test_of_twenty_parallel_runners_one_asks_the_upstream(
    runner: DeferredRunner, defer: Defer, rows: Rows, scripted_upstream: ScriptedUpstream, nonce: str
) -> None:
    pk = await defer(delay=0.2)
    await asyncio.gather(*(runner.run(pk) for _ in range(20)))
    assert len(scripted_upstream.calls_for(nonce)) == 1
    assert await rows.attempts(pk) == [(1, "completed", "")]


async def test_a_finished_request_is_not_run_again(
    runner: DeferredRunner, defer: Defer, scripted_upstream: ScriptedUpstream, nonce: str
) -> None:
    pk = await defer()
    await runner.run(pk)
    await runner.run(pk)
    assert len(scripted_upstream.calls_for(nonce)) == 1


async def test_a_lease_keeps_others_out_until_it_has_run_out(runner: DeferredRunner, defer: Defer, rows: Rows) -> None:
    pk = await defer()
    assert await runner._claim(pk)
    await runner.run(pk)
    assert (await rows.of(pk))["state"] == "running"
    await rows.execute(EXPIRE, pk=pk)
    await runner.run(pk)
    assert (await rows.of(pk))["state"] == "completed"
    assert await rows.attempts(pk) == [(1, "", ""), (2, "completed", "")]


async def test_a_lease_is_renewed_while_the_upstream_takes_its_time(
    runner: DeferredRunner, defer: Defer, rows: Rows, settings: Settings
) -> None:
    settings.DEFERRED_LEASE_SECONDS = 0.6
    pk = await defer(delay=1.5)
    running = asyncio.create_task(runner.run(pk))
    await asyncio.sleep(1)
    assert await runner._claim(pk) is None
    await running
    assert await rows.attempts(pk) == [(1, "completed", "")]


async def test_a_writer_that_comes_too_late_changes_nothing(
    runner: DeferredRunner, defer: Defer, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    pk = await defer(delay=0.5, id=None)
    late = asyncio.create_task(runner.run(pk))
    await asyncio.sleep(0.2)
    await rows.execute(EXPIRE, pk=pk)
    taken_over = asyncio.create_task(runner.run(pk))
    await late
    assert (await rows.of(pk))["state"] == "running"
    assert "stale_fence" in caplog.text
    await taken_over
    assert (await rows.of(pk))["state"] == "completed"
    assert await rows.attempts(pk) == [(1, "", ""), (2, "completed", "")]


NOTHING_RAN = [
    ({"status": 429}, "upstream_error_status", 0, 1),
    ({"status": 429, "headers": {"Retry-After": "7"}}, "upstream_error_status", 6, 7),
    ({"status": 429, "headers": {"retry-after-ms": "3500"}}, "upstream_error_status", 3, 3.5),
    ({"status": 503, "headers": {"Retry-After": "1e9"}}, "upstream_error_status", MAX_DELAY - 1, MAX_DELAY),
]


@pytest.mark.parametrize(("fail", "reason", "least", "most"), NOTHING_RAN)
async def test_what_the_upstream_did_not_take_is_tried_again_when_it_says(
    runner: DeferredRunner, defer: Defer, rows: Rows, fail: Any, reason: str, least: float, most: float
) -> None:
    pk = await defer(fail=fail, flaky=1)
    await runner.run(pk)
    row = await rows.of(pk)
    assert (row["state"], row["lease_expires_at"], row["jobs"]) == ("running", None, 2)
    assert least <= await next_run(rows.pool, pk) <= most
    await runner.run(pk)
    assert (await rows.of(pk))["state"] == "completed"
    assert await rows.attempts(pk) == [(1, "retried", reason), (2, "completed", "")]


async def test_an_upstream_that_cannot_be_reached_is_tried_again(
    pool: Pool, recorder: Recorder, defer: Defer, rows: Rows
) -> None:
    pk = await defer()
    async with UpstreamClient(UpstreamSettings(base_url=f"http://127.0.0.1:{free_port()}")) as client:
        await DeferredRunner(pool, recorder, client).run(pk)
    assert await rows.attempts(pk) == [(1, "retried", "upstream_unreachable")]


async def test_every_attempt_sends_the_same_idempotency_key(
    runner: DeferredRunner, defer: Defer, rows: Rows, scripted_upstream: ScriptedUpstream, nonce: str
) -> None:
    pk = await defer(fail={"status": 429}, flaky=1)
    await runner.run(pk)
    await runner.run(pk)
    keys = [call.header("idempotency-key") for call in scripted_upstream.calls_for(nonce)]
    assert keys == [(await rows.of(pk))["request_id"]] * 2


async def test_the_last_attempt_s_failure_is_what_the_client_is_told(
    runner: DeferredRunner, defer: Defer, rows: Rows, settings: Settings
) -> None:
    settings.DEFERRED_MAX_ATTEMPTS = 3
    pk = await defer(fail={"status": 429, "message": "Slow down.", "code": "slow"})
    for _ in range(4):
        await runner.run(pk)
    row = await rows.of(pk)
    assert (row["state"], row["reason"]) == ("failed", "upstream_error_status")
    assert (row["error_status"], row["error_code"], row["error_message"]) == (429, "slow", "Slow down.")
    assert [outcome for _, outcome, _ in await rows.attempts(pk)] == ["retried", "retried", "failed"]


MAY_HAVE_RUN = [
    ({"fail": {"status": 500}}, "upstream_error_status", 500),
    ({"fail": {"status": 503}}, "upstream_error_status", 503),
    ({"fail": {"status": 400, "code": "bad", "message": "No."}}, "upstream_error_status", 400),
    ({"cut": {"after": "nothing", "how": "reset"}}, "upstream_error", 502),
    ({"cut": {"after": 9, "how": "fin"}}, "upstream_error", 502),
    ({"cut": {"after": "head", "how": "hang"}}, "upstream_timeout", 504),
    ({"body": "<html>"}, "malformed_answer", 502),
    ({"body": "{}"}, "malformed_answer", 502),
]


@pytest.mark.parametrize(("directive", "reason", "status"), MAY_HAVE_RUN)
async def test_what_may_have_run_fails_and_is_not_asked_again(
    runner: DeferredRunner,
    defer: Defer,
    rows: Rows,
    scripted_upstream: ScriptedUpstream,
    nonce: str,
    directive: dict[str, Any],
    reason: str,
    status: int,
) -> None:
    pk = await defer(**directive)
    await runner.run(pk)
    await runner.run(pk)
    row = await rows.of(pk)
    assert (row["state"], row["reason"], row["error_status"]) == ("failed", reason, status)
    assert await rows.attempts(pk) == [(1, "failed", reason)]
    assert len(scripted_upstream.calls_for(nonce)) == 1


async def test_a_fault_of_our_own_is_an_end_too(pool: Pool, recorder: Recorder, defer: Defer, rows: Rows) -> None:
    pk = await defer()
    not_opened = UpstreamClient(UpstreamSettings(base_url="http://127.0.0.1:1"))
    await DeferredRunner(pool, recorder, not_opened).run(pk)
    row = await rows.of(pk)
    assert (row["state"], row["reason"], row["error_status"]) == ("failed", "internal_error", 500)


async def test_a_request_that_loses_every_worker_fails(
    runner: DeferredRunner,
    defer: Defer,
    rows: Rows,
    settings: Settings,
    scripted_upstream: ScriptedUpstream,
    nonce: str,
) -> None:
    settings.DEFERRED_MAX_ATTEMPTS = 2
    pk = await defer()
    for _ in range(2):
        assert await runner._claim(pk)
        await rows.execute(EXPIRE, pk=pk)
    await runner.run(pk)
    row = await rows.of(pk)
    assert (row["state"], row["reason"], row["error_status"]) == ("failed", "worker_lost", 500)
    assert scripted_upstream.calls_for(nonce) == []


async def test_a_stopped_worker_hands_back_and_its_attempts_are_not_counted(
    runner: DeferredRunner, defer: Defer, rows: Rows, settings: Settings
) -> None:
    settings.DEFERRED_MAX_ATTEMPTS = 1
    pk = await defer(delay=0.3)
    for _ in range(3):
        running = asyncio.create_task(runner.run(pk))
        await asyncio.sleep(0.15)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert {outcome for _, outcome, _ in await rows.attempts(pk)} == {"released"}
    assert await next_run(rows.pool, pk) <= 0
    await runner.run(pk)
    assert (await rows.of(pk))["state"] == "completed"


async def test_a_request_that_was_deleted_while_it_waited_does_not_run(
    runner: DeferredRunner, defer: Defer, rows: Rows, scripted_upstream: ScriptedUpstream, nonce: str
) -> None:
    pk = await defer()
    await rows.execute("UPDATE conversations_chatrequest SET deleted_at = now() WHERE id = %(pk)s", pk=pk)
    await runner.run(pk)
    row = await rows.of(pk)
    assert (row["state"], row["reason"]) == ("failed", "deleted")
    assert scripted_upstream.calls_for(nonce) == []


async def test_the_rescue_enqueues_what_no_job_carries_and_only_once(
    runner: DeferredRunner, defer: Defer, rows: Rows
) -> None:
    pk = await defer()
    await rows.execute(FORGET_JOBS, pk=pk)
    for _ in range(3):
        await runner.rescue_abandoned()
    assert (await rows.of(pk))["jobs"] == 1


async def test_the_rescue_leaves_what_a_worker_is_running_and_takes_what_it_lost(
    runner: DeferredRunner, defer: Defer, rows: Rows
) -> None:
    pk = await defer()
    await rows.execute(FORGET_JOBS, pk=pk)
    assert await runner._claim(pk)
    await runner.rescue_abandoned()
    assert (await rows.of(pk))["jobs"] == 0
    await rows.execute(EXPIRE, pk=pk)
    await runner.rescue_abandoned()
    assert (await rows.of(pk))["jobs"] == 1


async def test_the_rescue_leaves_what_waits_for_its_next_attempt(
    runner: DeferredRunner, defer: Defer, rows: Rows
) -> None:
    pk = await defer(fail={"status": 429, "headers": {"Retry-After": "60"}})
    await rows.execute(FORGET_JOBS, pk=pk)
    await runner.run(pk)
    await runner.rescue_abandoned()
    assert (await rows.of(pk))["jobs"] == 1


@pytest.mark.parametrize("mode", ["plain", "stream"])
async def test_a_call_whose_gateway_was_lost_fails_when_its_lease_has_run_out(
    runner: DeferredRunner, recorder: Recorder, caller: Caller, rows: Rows, mode: Any
) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    call, request_id = openai.read_call(body), new_request_id()
    record = await recorder.receive(
        call, caller, body=body, request_id=request_id, surface="openai", mode=mode, lease=30
    )
    await runner.rescue_abandoned()
    assert (await rows.of(record.pk))["state"] == "running"
    await rows.execute(EXPIRE, pk=record.pk)
    await runner.rescue_abandoned()
    row = await rows.of(record.pk)
    assert (row["state"], row["reason"], row["error_status"]) == ("failed", "gateway_lost", 500)
