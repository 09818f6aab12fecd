"""The back office: records without content, keys without secrets."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from conversations.models import Project
from tests.factories import make_completed, make_request_body

CANARY = "말하지 않은 것"


@pytest.fixture
def back_office(admin_user: User) -> Client:
    browser = Client()
    browser.force_login(admin_user)
    return browser


@pytest.mark.parametrize("model", ["project", "apikey", "chatrequest", "completion"])
def test_every_list_and_record_opens_without_content(
    back_office: Client, project: Project, api_key: str, model: str
) -> None:
    sent = make_request_body(messages=[{"role": "user", "content": CANARY}])
    request = make_completed(project, request_body=sent)
    pk = {"project": project.pk, "apikey": request.api_key_id}.get(model, request.pk)
    for address in (
        reverse(f"admin:conversations_{model}_changelist"),
        reverse(f"admin:conversations_{model}_change", args=[pk]),
    ):
        response = back_office.get(address)
        assert response.status_code == 200
        assert CANARY not in response.text
        assert api_key not in response.text


@pytest.mark.parametrize("model", ["apikey", "chatrequest", "completion"])
def test_keys_and_records_cannot_be_added_by_hand(back_office: Client, model: str) -> None:
    assert back_office.get(reverse(f"admin:conversations_{model}_add")).status_code == 403


@pytest.mark.parametrize("model", ["chatrequest", "completion"])
def test_records_can_be_neither_changed_nor_deleted(back_office: Client, project: Project, model: str) -> None:
    request = make_completed(project)
    assert back_office.post(reverse(f"admin:conversations_{model}_delete", args=[request.pk])).status_code == 403
    change = reverse(f"admin:conversations_{model}_change", args=[request.pk])
    assert back_office.post(change, {"model": "other"}).status_code == 403


def test_strangers_are_sent_to_the_sign_in_page(db: None) -> None:
    response = Client().get(reverse("admin:conversations_chatrequest_changelist"))
    assert (response.status_code, response["Location"].split("?")[0]) == (302, reverse("login"))
