"""Making keys and projects."""

import pytest

from conversations.errors import BadRequestError
from conversations.models import ApiKey, Project
from conversations.services.keys import create_api_key, find_api_key
from conversations.services.projects import configure_project, get_or_create_project


def test_a_made_key_is_found_by_its_secret_with_its_project(project: Project) -> None:
    key, secret = create_api_key(project, " robot ")
    found = find_api_key(secret)
    assert found == key
    assert (key.name, secret[:11]) == ("robot", key.prefix)


def test_two_keys_may_have_one_name(project: Project) -> None:
    assert create_api_key(project, "robot")[1] != create_api_key(project, "robot")[1]
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\0", "a\nb", "\ud800"])
def test_a_name_that_cannot_be_shown_is_refused(project: Project, name: str) -> None:
    with pytest.raises(BadRequestError):
        create_api_key(project, name)


def test_a_project_is_made_once(db: None) -> None:
    assert get_or_create_project("support") == get_or_create_project("support")


@pytest.mark.parametrize("slug", ["", "a b", "a/b", "a\n", "한글", "x" * 51, "\0"])
def test_a_slug_that_is_none_is_refused(db: None, slug: str) -> None:
    with pytest.raises(BadRequestError):
        get_or_create_project(slug)
    assert not Project.objects.exists()


def test_a_setting_that_is_not_named_stays(db: None) -> None:
    configure_project("support", deferred_read_once=True)
    assert configure_project("support").deferred_read_once is True
    assert configure_project("support", deferred_read_once=False).deferred_read_once is False
