"""``/api/schema/`` and ``/api/reference/``."""

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import get_resolver

from tests.api.conftest import assert_error


@pytest.fixture
def schema(holder: Client) -> dict[str, Any]:
    return holder.get("/api/schema/?format=json").json()


def test_the_schema_is_valid_and_without_a_warning() -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=StringIO())


def test_the_schema_holds_every_route(schema: dict[str, Any]) -> None:
    patterns = [str(p.pattern) for p in get_resolver().url_patterns[0].url_patterns if p.name]
    routes = {"/" + re.sub(r"<\w+:(\w+)>", r"{\1}", pattern) for pattern in patterns}
    assert set(schema["paths"]) == routes - {"/api/schema/", "/api/reference/"}


def test_the_schema_holds_the_gateways_routes(schema: dict[str, Any]) -> None:
    for path, call in [("/v1/chat/completions", "ChatCall"), ("/models/chat/completions", "AzureChatCall")]:
        content = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert content["schema"]["$ref"].endswith(f"/{call}")


def test_every_operation_tells_of_a_missing_key(schema: dict[str, Any]) -> None:
    for methods in schema["paths"].values():
        for operation in methods.values():
            assert "401" in operation["responses"]
            assert operation["security"]


@pytest.mark.parametrize("path", ["/api/schema/", "/api/reference/"])
def test_schema_and_reference_are_for_keys_and_signed_in_people(
    holder: Client, signed_in: Client, stranger: Client, path: str
) -> None:
    assert_401 = stranger.get(path)
    assert (holder.get(path).status_code, signed_in.get(path).status_code) == (200, 200)
    assert assert_401.status_code == 401
    assert assert_401.json()["error"]["code"] == "invalid_api_key"


def test_the_reference_loads_nothing_from_elsewhere_and_holds_nothing_inline(signed_in: Client) -> None:
    page = signed_in.get("/api/reference/").text
    assert re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all(
        address.startswith(("/", "#")) and not address.startswith("//")
        for address in re.findall(r'(?:src|href)="([^"]+)"', page)
    )
    assert not re.search(r"<style|style=|<script>|onload=", page)


def test_unknown_addresses_beside_the_schema_are_404(holder: Client) -> None:
    assert_error(holder.get("/api/schema"), 404, "not_found")
