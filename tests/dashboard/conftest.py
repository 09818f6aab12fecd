"""Readers of the pages, and what every page has in common."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

HTMX = {"HX-Request": "true", "HX-Target": "result", "HX-Current-URL": "http://testserver/deferred/?request_id=x"}
"""What htmx sends when it asks for the result alone."""


@pytest.fixture
def reader(admin_user: User) -> Client:
    """A browser in which an administrator is signed in."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    return browser


@pytest.fixture
def outsider(db: None) -> Client:
    """A browser in which somebody is signed in who may see no project."""
    browser = Client()
    browser.force_login(User.objects.create_user("outsider"))
    return browser


@pytest.fixture
def refuses(reader: Client) -> Callable[[str], None]:
    """Check that a page is for readers only, can only be read, and is kept by nobody."""

    def check(path: str) -> None:
        stranger = Client()
        assert stranger.get(path)["Location"].startswith("/login/?next=")
        swapped = stranger.get(path, headers=HTMX)
        assert (swapped.status_code, swapped["HX-Redirect"]) == (200, "/login/?next=/deferred/%3Frequest_id%3Dx")
        for method in ("post", "put", "patch", "delete"):
            browser = Client()
            browser.force_login(User.objects.get(username="admin"))
            assert getattr(browser, method)(path).status_code == 405
        page = reader.get(path)
        assert {"private", "no-store"} <= set(page["Cache-Control"].split(", "))
        assert "HX-Request" in page["Vary"]
        assert "'unsafe" not in page["Content-Security-Policy"]

    return check
