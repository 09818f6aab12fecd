"""Deferring and fetching as xAI's documentation shows it: requests, a bearer token, and a loop."""

from typing import Any

import requests

from tests.live import LiveServer, wait_until

HELLO: Any = [{"role": "user", "content": "안녕하세요"}]


class Holder:
    """Somebody with a key of a live server."""

    def __init__(self, live: LiveServer, key: str | None = None) -> None:
        self.live = live
        self.headers = {"Authorization": f"Bearer {key or live.key}"}

    def defer(self, messages: Any = HELLO, **changes: Any) -> str:
        """Send it; the request ID."""
        body = {"model": "scripted", "messages": messages, "deferred": True, **changes}
        response = requests.post(f"{self.live.origin}/v1/chat/completions", json=body, headers=self.headers)
        assert response.status_code == 200, response.text
        assert list(response.json()) == ["request_id"]
        request_id: str = response.json()["request_id"]
        assert response.headers["x-request-id"] == request_id
        return request_id

    def fetch(self, request_id: str) -> requests.Response:
        """One question for the result."""
        url = f"{self.live.origin}/v1/chat/deferred-completion/{request_id}"
        return requests.get(url, headers=self.headers)

    def wait(self, request_id: str, *, seconds: float = 20.0) -> requests.Response:
        """The first answer that is not 202."""

        def ended() -> list[requests.Response]:
            response = self.fetch(request_id)
            # A refusal is false in requests, a list of one is not.
            return [] if response.status_code == 202 else [response]

        found: list[requests.Response] = wait_until(ended, what="the result", seconds=seconds)
        return found[0]

    def wait_for_state(self, request_id: str, *states: str) -> None:
        """Wait without fetching."""
        sql = "SELECT 1 FROM conversations_chatrequest WHERE request_id = %s AND state = ANY(%s)"
        wait_until(lambda: self.live.query(sql, request_id, list(states)), what=f"one of {states}")

    def attempts(self, request_id: str) -> list[tuple[int, str, int]]:
        """Number, outcome and worker's process ID of each attempt."""
        sql = (
            "SELECT a.number, a.outcome, split_part(a.worker, ':', 2)::int FROM conversations_attempt a "
            "JOIN conversations_chatrequest r ON r.id = a.request_id WHERE r.request_id = %s ORDER BY 1"
        )
        return self.live.query(sql, request_id)  # type: ignore[return-value]

    def completions(self, request_id: str) -> int:
        """How many completions the request has."""
        sql = (
            "SELECT count(*) FROM conversations_completion c "
            "JOIN conversations_chatrequest r ON r.id = c.request_id WHERE r.request_id = %s"
        )
        count: int = self.live.query(sql, request_id)[0][0]
        return count
