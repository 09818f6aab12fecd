"""Callers of every kind, and what each refusal must look like."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

UNKNOWN_KEY = "dw_" + "0" * 44


@pytest.fixture
def holder(api_key: str) -> Client:
    """A client with a key of ``project``."""
    return Client(headers={"authorization": f"Bearer {api_key}"})


@pytest.fixture
def other_holder(other_key: str) -> Client:
    """A client with a key of ``other_project``."""
    return Client(headers={"authorization": f"Bearer {other_key}"})


@pytest.fixture
def stranger(db: None) -> Client:
    """A client that says nothing about itself."""
    return Client()


@pytest.fixture
def signed_in(admin_user: User) -> Client:
    """An administrator's browser, which must send a CSRF token."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    return browser


@pytest.fixture
def refuses(holder: Client, stranger: Client) -> Callable[..., None]:
    """Check what every route has in common: 401 before anything else, 405 with ``Allow``, nothing cached."""

    def check(path: str, wrong_methods: list[str]) -> None:
        for method in ["get", "post", "put", "patch", "delete"]:
            assert_error(getattr(stranger, method)(path), 401, "invalid_api_key")
        for method in wrong_methods:
            response = getattr(holder, method)(path)
            assert_error(response, 405, "method_not_allowed")
            assert response["Allow"]

    return check


def assert_error(response: HttpResponse, status: int, code: str) -> dict[str, object]:
    """The error in ``/v1``'s envelope, with all four keys."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    assert response["x-request-id"].startswith("req_")
    assert response["Cache-Control"] == "no-store"
    assert ("Retry-After" in response) == (status == 503 and code == "backend_unavailable")
    error = response.json()["error"]  # type: ignore[attr-defined]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    return error
