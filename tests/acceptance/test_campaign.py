"""The long runs: a worker killed around each of its messages to the database, the server killed under load."""

import itertools
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator

import pytest
import requests

from tests.acceptance.database_proxy import DatabaseProxy, Moment
from tests.acceptance.deferring import HELLO, Holder
from tests.live import LiveServer, told, wait_until
from tests.scripted_upstream import ScriptedUpstream

pytestmark = pytest.mark.campaign

MESSAGES_AT_MOST = 40
JOBS = """
SELECT 1 FROM procrastinate_jobs j JOIN conversations_chatrequest r ON j.args = jsonb_build_object('request_pk', r.id)
WHERE r.request_id = %s
"""


@pytest.fixture(scope="module")
def fragile(scripted_upstream: ScriptedUpstream) -> Iterator[LiveServer]:
    """A server with a short lease, whose workers the tests start."""
    with LiveServer(scripted_upstream.url, worker=False, DEFERRED_LEASE_SECONDS="2") as server:
        yield server


def assert_ended_once(holder: Holder, upstream: ScriptedUpstream, request_id: str, nonce: str, kills: int) -> None:
    """The request's own answer, one completion, and no more calls than kills explain."""
    result = holder.wait(request_id, seconds=30)
    assert result.status_code == 200, result.text
    assert result.json()["choices"][0]["message"]["content"] == nonce
    assert holder.completions(request_id) == 1
    assert 1 <= len(upstream.calls_for(nonce)) <= 1 + kills
    assert [outcome for _, outcome, _ in holder.attempts(request_id)].count("completed") == 1
    usage = "SELECT count(*) FROM conversations_completion c JOIN conversations_chatrequest r ON r.id = c.request_id"
    assert holder.live.query(f"{usage} WHERE r.request_id = %s AND c.total_tokens > 0", request_id) == [(1,)]


def run_to_message(holder: Holder, upstream: ScriptedUpstream, number: int, moment: Moment) -> bool:
    """Kill a worker around one message; False when the request was over before the worker came that far."""
    live, nonce = holder.live, uuid.uuid4().hex
    with DatabaseProxy(live.database_url) as proxy:
        doomed = live.start_worker(DATABASE_URL=proxy.url)
        wait_until(lambda: proxy.seen > 12, what="a working worker")
        proxy.arm(number, moment, lambda: os.kill(doomed.pid, signal.SIGKILL))
        request_id = holder.defer(told(nonce=nonce, content=nonce))
        wait_until(lambda: doomed.poll() is not None, what="the kill")
        over = holder.completions(request_id) == 1 and not live.query(JOBS, request_id)
        live.kill_worker(doomed)
    live.start_worker()
    assert_ended_once(holder, upstream, request_id, nonce, kills=1)
    wait_until(lambda: not live.query("SELECT 1 FROM procrastinate_jobs WHERE status = 'todo'"), what="an empty queue")
    live.kill_worker()
    return not over


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_any_message_to_the_database_loses_and_doubles_nothing(
    fragile: LiveServer, scripted_upstream: ScriptedUpstream, moment: Moment
) -> None:
    holder = Holder(fragile)
    reached = itertools.takewhile(
        lambda number: run_to_message(holder, scripted_upstream, number, moment), range(1, MESSAGES_AT_MOST)
    )
    assert 3 < len(list(reached)) < MESSAGES_AT_MOST - 1


@pytest.mark.parametrize("run", range(3))
@pytest.mark.parametrize(
    "directive",
    [{"delay": 1.5}, {"slice": 20, "slice_delay": 0.05}, {}],
    ids=["no byte yet", "mid body", "at once"],
)
def test_a_kill_at_any_stage_of_the_call_loses_and_doubles_nothing(
    fragile: LiveServer, scripted_upstream: ScriptedUpstream, directive: dict[str, float], run: int
) -> None:
    holder, nonce = Holder(fragile), uuid.uuid4().hex
    doomed = fragile.start_worker()
    request_id = holder.defer(told(nonce=nonce, content=nonce, **directive))
    wait_until(lambda: scripted_upstream.calls_for(nonce), what="the call")
    time.sleep(0.2 * run if directive else 0)
    fragile.kill_worker(doomed)
    fragile.start_worker()
    assert_ended_once(holder, scripted_upstream, request_id, nonce, kills=1)
    fragile.kill_worker()


def test_what_every_worker_dies_of_is_given_up_with_a_reason(scripted_upstream: ScriptedUpstream) -> None:
    nonce = uuid.uuid4().hex
    with LiveServer(scripted_upstream.url, worker=False, DEFERRED_LEASE_SECONDS="2", DEFERRED_MAX_ATTEMPTS="2") as live:
        holder = Holder(live)
        request_id = holder.defer(told(nonce=nonce, delay=60))
        for calls in (1, 2):
            worker = live.start_worker()
            wait_until(lambda expected=calls: len(scripted_upstream.calls_for(nonce)) == expected, what="the call")
            live.kill_worker(worker)
        live.start_worker()
        result = holder.wait(request_id)
    assert (result.status_code, result.json()["error"]["code"]) == (500, "internal_error")
    assert result.headers["x-should-retry"] == "false"
    assert len(scripted_upstream.calls_for(nonce)) == 2


@pytest.mark.parametrize("run", range(5))
def test_every_id_that_was_handed_out_resolves_after_the_server_was_killed(fragile: LiveServer, run: int) -> None:
    holder = Holder(fragile)
    deferred, stored = [], []
    stop = threading.Event()

    def send() -> None:
        url = f"{fragile.origin}/v1/chat/completions"
        for turn in itertools.count():
            if stop.is_set():
                return
            body = {"model": "m", "messages": HELLO, ("deferred", "store")[turn % 2]: True}
            try:
                answer = requests.post(url, json=body, headers=holder.headers, timeout=10)
            except requests.RequestException:
                continue
            if answer.status_code == 200:
                (stored if turn % 2 else deferred).append(answer.json()["id" if turn % 2 else "request_id"])

    senders = [threading.Thread(target=send) for _ in range(8)]
    for sender in senders:
        sender.start()
    time.sleep(0.5 + 0.13 * run)
    fragile.kill_server()
    stop.set()
    for sender in senders:
        sender.join()
    fragile.start_server()
    fragile.start_worker()
    assert deferred
    assert stored
    assert {holder.wait(request_id, seconds=60).status_code for request_id in deferred} == {200}
    for response_id in stored:
        url = f"{fragile.origin}/v1/chat/completions/{response_id}"
        assert requests.get(url, headers=holder.headers).status_code == 200
    unfinished = "SELECT 1 FROM conversations_chatrequest WHERE mode = 'deferred' AND state IN ('queued', 'running')"
    wait_until(lambda: not fragile.query(unfinished), what="the end of all", seconds=60)
    fragile.kill_worker()
