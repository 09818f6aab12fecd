"""Fixtures for every test: projects, keys, a signed-in administrator and a scripted upstream."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from conversations.models import Project
from conversations.services.keys import create_api_key
from tests.scripted_upstream import ScriptedUpstream

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
QUIET += ["--no-first-run", "--disable-gpu", "--disable-quic"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests with a browser last: Playwright leaves an event loop running, in which no other may start.

    Where there is no chromium they are skipped, but not in CI, where that would hide them.
    """
    items.sort(key=_needs_browser)
    if not CHROMIUM and not os.environ.get("CI"):
        for item in filter(_needs_browser, items):
            item.add_marker(pytest.mark.skip(reason="there is no chromium"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once and loudly what was not tested."""
    if not CHROMIUM:
        terminalreporter.write_line("NOT TESTED: no page was opened in a browser, since there is no chromium.")


def _needs_browser(item: pytest.Item) -> bool:
    return "playwright" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The machine's own chromium, which stays at home."""
    # Playwright runs an event loop of its own in this thread, and Django must not mind.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    return browser_type_launch_args | {"executable_path": CHROMIUM, "args": QUIET}


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    """Nobody attacks the passwords of a test, and a slow hash for each of them takes most of its time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def project(db: None) -> Project:
    """The project that most tests are about."""
    return Project.objects.create(slug="support")


@pytest.fixture
def other_project(db: None) -> Project:
    """Somebody else's project."""
    return Project.objects.create(slug="other")


@pytest.fixture
def api_key(project: Project) -> str:
    """A key of ``project``, as a client sends it."""
    return create_api_key(project, "tests")[1]


@pytest.fixture
def other_key(other_project: Project) -> str:
    """A key of ``other_project``."""
    return create_api_key(other_project, "tests")[1]


@pytest.fixture
def admin_user(db: None) -> User:
    """An administrator, who may see every project."""
    return User.objects.create_superuser("admin", password="correct horse battery staple")


@pytest.fixture(scope="session")
def scripted_upstream() -> Iterator[ScriptedUpstream]:
    """An OpenAI-compatible server that does what the last user message tells it to."""
    with ScriptedUpstream() as upstream:
        yield upstream
