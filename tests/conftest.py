"""Fixtures for every test: projects, keys, a signed-in administrator and a scripted upstream."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from conversations.models import Project
from conversations.services.keys import create_api_key
from tests.scripted_upstream import ScriptedUpstream


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests with a browser last: Playwright leaves an event loop running, in which no other may start."""
    items.sort(key=lambda item: "playwright" in getattr(item, "fixturenames", ()))


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
