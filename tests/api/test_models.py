"""GET ``/v1/models``, one of them, and Azure's ``/models/info``."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from django.test import Client
from openai.types import Model

from tests.api.conftest import assert_error
from tests.scripted_upstream import ScriptedUpstream

INFO = "/models/info?api-version=2024-05-01-preview"


@pytest.fixture
def answering(settings: Any) -> Any:
    """Put an upstream in place whose list of models is these bytes."""
    servers: list[HTTPServer] = []

    def serve(content: bytes, status: int = 200) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        settings.UPSTREAM_BASE_URL = f"http://127.0.0.1:{server.server_port}/v1"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_list_is_the_upstreams_own(holder: Client, scripted_upstream: ScriptedUpstream, settings: Any) -> None:
    settings.UPSTREAM_BASE_URL = scripted_upstream.url
    listed = holder.get("/v1/models").json()
    assert listed["object"] == "list"
    assert [Model.model_validate(model, strict=True).id for model in listed["data"]]
    assert holder.get(f"/v1/models/{listed['data'][0]['id']}").json() == listed["data"][0]


def test_vendor_fields_are_kept_and_required_ones_are_added(holder: Client, answering: Any) -> None:
    answering(b'{"data":[{"id":"grok-4","input_modalities":["text"],"created":null},{"id":7},"x",{}]}')
    (model,) = holder.get("/v1/models").json()["data"]
    assert model["input_modalities"] == ["text"]
    assert Model.model_validate(model, strict=True).created == 0


@pytest.mark.parametrize("model_id", ["meta/llama 3", "모델"])
def test_a_models_own_id_is_found_as_it_is(holder: Client, answering: Any, model_id: str) -> None:
    answering(('{"data":[{"id":"' + model_id + '"}]}').encode())
    assert holder.get(f"/v1/models/{model_id}").json()["id"] == model_id


def test_an_unknown_model_is_404(holder: Client, answering: Any) -> None:
    answering(b'{"data":[]}')
    assert assert_error(holder.get("/v1/models/none"), 404, "model_not_found")["param"] == "model"


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", b'{"data":{}}', b'{"data":null}', b"\xff"])
def test_a_list_that_cannot_be_read_is_502(holder: Client, answering: Any, content: bytes) -> None:
    answering(content)
    response = holder.get("/v1/models")
    assert_error(response, 502, "bad_gateway")
    assert response["x-should-retry"] == "false"


def test_an_upstream_that_cannot_be_reached_is_503(holder: Client, settings: Any) -> None:
    settings.UPSTREAM_BASE_URL = "http://127.0.0.1:9/v1"
    response = holder.get("/v1/models")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "backend_unavailable"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/x"])
def test_without_an_upstream_the_answer_says_what_to_set(holder: Client, path: str) -> None:
    assert "UPSTREAM_BASE_URL" in str(assert_error(holder.get(path), 503, "upstream_not_configured")["message"])


def test_azure_is_told_of_the_configured_model(holder: Client, settings: Any) -> None:
    settings.UPSTREAM_MODEL, settings.UPSTREAM_PROVIDER = "grok-4", "xAI"
    assert holder.get(INFO).json() == {
        "model_name": "grok-4",
        "model_type": "chat_completion",
        "model_provider_name": "xAI",
    }


def test_azure_is_told_of_the_first_model_where_none_is_configured(holder: Client, answering: Any) -> None:
    answering(b'{"data":[{"id":"first"},{"id":"second"}]}')
    assert holder.get(INFO).json()["model_name"] == "first"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "MissingApiVersionParameter"),
        ("?api-version=", "MissingApiVersionParameter"),
        ("?api-version=1999-01-01", "UnsupportedApiVersionValue"),
        ("?api-version=%00", "UnsupportedApiVersionValue"),
    ],
)
def test_azure_wants_a_known_api_version(holder: Client, query: str, code: str) -> None:
    response = holder.get(f"/models/info{query}")
    assert response.status_code == 400
    assert response.json()["error"]["code"] == response["x-ms-error-code"] == code


def test_azures_clients_are_told_of_a_missing_upstream_in_their_dialect(holder: Client) -> None:
    response = holder.get(INFO)
    assert response.status_code == 503
    assert "UPSTREAM_BASE_URL" in response.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/models/info", "/models/chat/completions"])
def test_azures_routes_refuse_other_methods_in_their_dialect(holder: Client, stranger: Client, path: str) -> None:
    for method in ("put", "patch", "delete", "options"):
        assert getattr(stranger, method)(path).status_code == 401
        response = getattr(holder, method)(path)
        assert (response.status_code, response["x-ms-error-code"]) == (405, "MethodNotAllowed")
        assert response["Allow"]


def test_the_gateways_routes_are_405_where_it_does_not_run(holder: Client) -> None:
    assert_error(holder.post("/v1/chat/completions", "{}", content_type="application/json"), 405, "method_not_allowed")
    response = holder.post("/models/chat/completions", "{}", content_type="application/json")
    assert response.json()["error"]["code"] == "MethodNotAllowed"


def test_other_methods_and_strangers_are_refused(refuses: Callable[..., None]) -> None:
    refuses("/v1/models", ["post", "put", "patch", "delete", "options"])
    refuses("/v1/models/x", ["post", "put", "patch", "delete", "options"])
