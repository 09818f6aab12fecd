"""Workers are killed, stopped and frozen in the middle of a deferred request: it still ends, once."""

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.acceptance.deferring import Holder
from tests.live import LiveServer, told, wait_until
from tests.scripted_upstream import ScriptedUpstream

LEASE = 2.0


@pytest.fixture(scope="module")
def fragile(scripted_upstream: ScriptedUpstream) -> Iterator[LiveServer]:
    """A server with two workers and a short lease."""
    settings = {"DEFERRED_LEASE_SECONDS": f"{LEASE:g}", "WORKER_STOP_TIMEOUT": "0.5"}
    with LiveServer(scripted_upstream.url, **settings) as server:
        server.start_worker()
        yield server


@pytest.fixture
def holder(fragile: LiveServer) -> Iterator[Holder]:
    """A holder, with two living workers before and after."""
    yield Holder(fragile)
    while len(fragile.workers) < 2:
        fragile.start_worker()


def worker_of(holder: Holder, request_id: str) -> "subprocess.Popen[bytes]":
    """The worker that has the request."""
    *_, (_, _, pid) = wait_until(lambda: holder.attempts(request_id), what="a worker")
    return next(worker for worker in holder.live.workers if worker.pid == pid)


def test_a_request_whose_worker_is_killed_ends_exactly_once(
    holder: Holder, scripted_upstream: ScriptedUpstream
) -> None:
    nonce = uuid.uuid4().hex
    request_id = holder.defer(told(nonce=nonce, content=nonce, delay=1.5))
    wait_until(lambda: scripted_upstream.calls_for(nonce), what="the call")
    holder.live.kill_worker(worker_of(holder, request_id))
    result = holder.wait(request_id)
    assert result.json()["choices"][0]["message"]["content"] == nonce
    assert len(scripted_upstream.calls_for(nonce)) == 2
    assert [(number, outcome) for number, outcome, _ in holder.attempts(request_id)][-1] == (2, "completed")
    assert holder.completions(request_id) == 1
    keys = {call.header("idempotency-key") for call in scripted_upstream.calls_for(nonce)}
    assert len(keys) == 1


def test_a_worker_that_is_told_to_stop_hands_back_and_the_attempt_does_not_count(
    holder: Holder, scripted_upstream: ScriptedUpstream
) -> None:
    nonce = uuid.uuid4().hex
    request_id = holder.defer(told(nonce=nonce, content=nonce, delay=3))
    wait_until(lambda: scripted_upstream.calls_for(nonce), what="the call")
    holder.live.stop_worker(worker_of(holder, request_id))
    wait_until(lambda: len(scripted_upstream.calls_for(nonce)) == 2, what="the second call")
    assert holder.wait(request_id).json()["choices"][0]["message"]["content"] == nonce
    assert [outcome for _, outcome, _ in holder.attempts(request_id)] == ["released", "completed"]


def test_a_worker_that_comes_back_from_the_dead_changes_nothing(
    holder: Holder, scripted_upstream: ScriptedUpstream
) -> None:
    nonce = uuid.uuid4().hex
    request_id = holder.defer(told(nonce=nonce, content=nonce, delay=0.5))
    wait_until(lambda: scripted_upstream.calls_for(nonce), what="the call")
    zombie = worker_of(holder, request_id)
    os.kill(zombie.pid, signal.SIGSTOP)
    result = holder.wait(request_id)
    os.kill(zombie.pid, signal.SIGCONT)
    wait_until(lambda: "stale_fence" in holder.live.log_text, what="the late write")
    assert holder.fetch(request_id).content == result.content
    assert [outcome for _, outcome, _ in holder.attempts(request_id)] != ["completed", "completed"]
    assert holder.completions(request_id) == 1
    assert zombie.poll() is None


def test_what_was_accepted_survives_the_server(holder: Holder) -> None:
    nonce = uuid.uuid4().hex
    request_id = holder.defer(told(nonce=nonce, content=nonce))
    holder.live.kill_server()
    holder.live.start_server()
    assert holder.wait(request_id).json()["choices"][0]["message"]["content"] == nonce


def test_a_plain_call_whose_server_is_killed_is_given_up(holder: Holder, scripted_upstream: ScriptedUpstream) -> None:
    nonce = uuid.uuid4().hex
    body = {"model": nonce, "messages": told(nonce=nonce, delay=3), "store": True}
    url = f"{holder.live.origin}/v1/chat/completions"
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(requests.post, url, json=body, headers=holder.headers)
        wait_until(lambda: scripted_upstream.calls_for(nonce), what="the call")
        holder.live.kill_server()
        assert isinstance(answer.exception(), requests.ConnectionError)
    # The lease is longer than any answer may take: a test cannot wait for it.
    expire = "UPDATE conversations_chatrequest SET lease_expires_at = now() WHERE model = %s RETURNING state"
    assert holder.live.query(expire, nonce) == [("running",)]
    ended = "SELECT reason FROM conversations_chatrequest WHERE model = %s AND state = 'failed'"
    assert wait_until(lambda: holder.live.query(ended, nonce)) == [("gateway_lost",)]
    holder.live.start_server()
