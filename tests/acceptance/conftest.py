"""One live server for all acceptance tests, and unmodified clients of it."""

from collections.abc import Iterator

import pytest
from azure.ai.inference import ChatCompletionsClient
from azure.core.credentials import AzureKeyCredential
from openai import OpenAI

from tests.live import LiveServer
from tests.scripted_upstream import ScriptedUpstream


@pytest.fixture(scope="session")
def live(scripted_upstream: ScriptedUpstream) -> Iterator[LiveServer]:
    """The server and a worker, in front of the scripted upstream; quiet streams get a heartbeat soon."""
    with LiveServer(scripted_upstream.url, STREAM_HEARTBEAT_SECONDS="0.3") as server:
        yield server
        assert "Traceback" not in server.log_text, server.log_text


@pytest.fixture
def client(live: LiveServer) -> Iterator[OpenAI]:
    """OpenAI's client, holding every answer to the types of the SDK, without retries."""
    with OpenAI(
        base_url=f"{live.origin}/v1", api_key=live.key, max_retries=0, _strict_response_validation=True
    ) as openai:
        yield openai


@pytest.fixture
def lenient(live: LiveServer) -> Iterator[OpenAI]:
    """OpenAI's client as people make it, for answers that are outside the SDK's types."""
    with OpenAI(base_url=f"{live.origin}/v1", api_key=live.key, max_retries=0) as openai:
        yield openai


@pytest.fixture
def stranger(live: LiveServer) -> Iterator[OpenAI]:
    """OpenAI's client with a key of another project."""
    with OpenAI(base_url=f"{live.origin}/v1", api_key=live.other_key, max_retries=0) as openai:
        yield openai


@pytest.fixture
def azure(live: LiveServer) -> Iterator[ChatCompletionsClient]:
    """Azure's client, without retries."""
    with ChatCompletionsClient(f"{live.origin}/models", AzureKeyCredential(live.key), retry_total=0) as inference:
        yield inference
