"""What goes wrong is told in the dialect of the surface, and never with details of our own."""

import logging
from typing import Any

import pytest
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404
from django.test import Client
from psycopg_pool import PoolTimeout
from rest_framework import exceptions

from conversations.api.exceptions import translate
from conversations.errors import UpstreamTimeoutError
from conversations.models import ChatRequest, Project
from tests.api.conftest import assert_error
from tests.factories import make_completed

UNKNOWN = ["", "/", "/nowhere", "/chat", "/chat/completions/", "/%00", "/%0a/x"]


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("ending", UNKNOWN)
def test_unknown_addresses_are_404_in_the_surfaces_dialect(
    holder: Client, settings: Any, debug: bool, ending: str
) -> None:
    settings.DEBUG = debug
    for method in (holder.get, holder.post, holder.delete):
        assert_error(method(f"/v1{ending}"), 404, "not_found")
        assert_error(method(f"/api{ending}"), 404, "not_found")
        response = method(f"/models{ending}")
        assert response.json()["error"]["code"] == response["x-ms-error-code"] == "NotFound"


def test_strangers_learn_of_no_address(stranger: Client) -> None:
    for path in ("/v1/nowhere", "/api/nowhere", "/models/nowhere", "/v1", "/api", "/models"):
        assert stranger.get(path).status_code == 401


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (UpstreamTimeoutError(), 504),
        (exceptions.NotAuthenticated(), 401),
        (exceptions.MethodNotAllowed("PUT"), 405),
        (exceptions.PermissionDenied(), 403),
        (exceptions.ParseError(), 400),
        (exceptions.NotFound(), 404),
        (exceptions.UnsupportedMediaType("x"), 415),
        (exceptions.Throttled(wait=3), 429),
        (Http404(), 404),
        (RequestDataTooBig(), 413),
        (SuspiciousOperation(), 400),
        (OperationalError(), 503),
        (InterfaceError(), 503),
        (PoolTimeout(), 503),
        (DataError(), 500),
        (RecursionError(), 500),
    ],
)
def test_every_exception_has_its_status(raised: Exception, status: int) -> None:
    assert translate(raised).status == status


def test_a_database_that_is_away_is_503_with_retry_after(holder: Client, monkeypatch: Any) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OperationalError("password=secret")

    monkeypatch.setattr("conversations.api.authentication.find_api_key", refuse)
    response = holder.get("/v1/chat/completions")
    assert_error(response, 503, "backend_unavailable")
    assert (response["Retry-After"], response["x-should-retry"]) == ("1", "true")
    assert "secret" not in response.text


def test_a_fault_of_our_own_tells_and_logs_no_content(
    holder: Client, project: Project, monkeypatch: Any, caplog: pytest.LogCaptureFixture, capsys: Any
) -> None:
    request = make_completed(project)
    canary = f"prompt-{request.pk}"

    def quote(*args: object, **kwargs: object) -> None:
        raise DataError(f"DETAIL: Failing row contains ({canary})")

    monkeypatch.setattr("conversations.services.stored_completions.openai.stored_completion", quote)
    with caplog.at_level(logging.DEBUG):
        response = holder.get(f"/v1/chat/completions/{request.completion.response_id}")
    assert_error(response, 500, "internal_error")
    assert "DataError" in caplog.text
    assert canary not in caplog.text + capsys.readouterr().err + response.text


def test_whatever_a_client_accepts_it_gets_json(holder: Client, project: Project) -> None:
    path = f"/v1/chat/completions/{make_completed(project).completion.response_id}"
    for accept in ("text/event-stream", "text/html", "image/png", "*/*", ""):
        for route in (path, "/api/requests/", f"{path}/messages"):
            response = holder.get(route, headers={"accept": accept, "content-type": "application/json"})
            assert (response.status_code, response["Content-Type"]) == (200, "application/json")


def test_query_strings_that_hold_nul_are_never_a_fault(holder: Client, project: Project) -> None:
    make_completed(project)
    names = ["id", "cursor", "after", "limit", "order", "model", "user", "state", "from", "to", "group_by", "format"]
    for path in ("/v1/chat/completions", "/api/requests/", "/api/completions/", "/api/lookup/", "/api/usage/"):
        for name in [*names, "\0", "metadata[\0]"]:
            assert holder.get(path, {name: "\0"}).status_code in {200, 400}
    assert ChatRequest.objects.count() == 1


@pytest.mark.parametrize("path", ["/v1/models", "/models/info", "/api/requests/"])
def test_unknown_host_is_a_400_in_the_dialect(client: Client, path: str) -> None:
    answer = client.get(path, headers={"host": "somewhere.else"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")
    assert answer.json()["error"]["code"] in {"invalid_value", "BadRequest"}


def test_unknown_host_is_a_plain_400_on_pages(client: Client) -> None:
    answer = client.get("/", headers={"host": "somewhere.else"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/plain")
