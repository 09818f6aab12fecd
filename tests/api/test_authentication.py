"""Who may pass, on every surface."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from conversations.models import ApiKey, Project
from conversations.services.keys import create_api_key, find_api_key
from conversations.wire.api_keys import new_secret
from tests.api.conftest import assert_error
from tests.factories import make_completed

V1 = "/v1/chat/completions"
HOSTILE = [
    "",
    "Bearer",
    "Bearer ",
    "Bearer \0",
    "Bearer ÿÿ",
    "Bearer ' OR pg_sleep(8)--",
    "Basic YWRtaW46YWRtaW4=",
    "Bearer " + "a" * 1_000_000,
    "Bearer dw_" + "0" * 44,
]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(stranger: Client, api_key: str, scheme: str) -> None:
    assert stranger.get(V1, headers={"authorization": f"{scheme} {api_key}"}).status_code == 200


@pytest.mark.parametrize("path", [V1, "/v1/models", "/v1/nowhere", "/api/requests/", "/api/nowhere"])
@pytest.mark.parametrize("header", HOSTILE)
def test_a_hostile_authorization_is_401(stranger: Client, path: str, header: str) -> None:
    assert_error(stranger.get(path, HTTP_AUTHORIZATION=header), 401, "invalid_api_key")


@pytest.mark.parametrize("header", HOSTILE)
def test_azure_says_401_in_its_own_dialect(stranger: Client, header: str) -> None:
    response = stranger.get("/models/info", HTTP_AUTHORIZATION=header, HTTP_API_KEY=header)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == response["x-ms-error-code"] == "Unauthorized"


def test_all_401_are_the_same(stranger: Client, api_key: str) -> None:
    revoked = find_api_key(api_key)
    assert revoked
    ApiKey.objects.filter(pk=revoked.pk).update(revoked_at=timezone.now())
    headers = [f"Bearer {api_key}", f"Bearer {new_secret().secret}", "Basic x", None]
    answers = {stranger.get(V1, HTTP_AUTHORIZATION=h).content for h in headers if h} | {stranger.get(V1).content}
    assert len(answers) == 1


def test_a_key_with_another_secret_behind_its_prefix_is_nobody(project: Project) -> None:
    key, secret = create_api_key(project, "one")
    ApiKey.objects.filter(pk=key.pk).update(digest=new_secret().digest)
    assert find_api_key(secret) is None


def test_only_the_digest_of_a_key_is_kept(project: Project) -> None:
    key, secret = create_api_key(project, "one")
    kept = ApiKey.objects.filter(pk=key.pk).values_list().get()
    assert not any(secret in str(value) for value in kept)


def test_a_key_in_the_query_string_is_not_read(stranger: Client, api_key: str) -> None:
    assert_error(stranger.get(V1, {"api-key": api_key, "api_key": api_key, "key": api_key}), 401, "invalid_api_key")


def test_azures_header_wins(stranger: Client, api_key: str, settings: object) -> None:
    path = "/models/info?api-version=2024-05-01-preview"
    bearer = f"Bearer {api_key}"
    assert stranger.get(path, headers={"api-key": "wrong", "authorization": bearer}).status_code == 401
    assert stranger.get(path, headers={"api-key": api_key, "authorization": "Bearer wrong"}).status_code != 401
    assert stranger.get(path, headers={"authorization": bearer}).status_code != 401


def test_azures_header_opens_nothing_else(stranger: Client, api_key: str) -> None:
    assert_error(stranger.get(V1, headers={"api-key": api_key}), 401, "invalid_api_key")


def test_a_session_opens_the_records_but_no_vendors_surface(signed_in: Client) -> None:
    assert signed_in.get("/api/requests/").status_code == 200
    assert_error(signed_in.get(V1), 401, "invalid_api_key")
    assert signed_in.get("/models/info").status_code == 401


def test_a_wrong_key_is_not_saved_by_a_session(signed_in: Client) -> None:
    response = signed_in.get("/api/requests/", headers={"authorization": "Bearer wrong"})
    assert_error(response, 401, "invalid_api_key")


def test_a_session_must_send_a_csrf_token_with_unsafe_methods(signed_in: Client) -> None:
    assert_error(signed_in.post("/api/requests/"), 403, "forbidden")


def test_who_is_no_administrator_sees_no_record(db: None, project: Project) -> None:
    request = make_completed(project)
    browser = Client()
    browser.force_login(User.objects.create_user("someone"))
    assert browser.get("/api/requests/").json()["data"] == []
    assert browser.get(f"/api/requests/{request.request_id}/").status_code == 404
