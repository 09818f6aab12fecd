"""The two doors and what differs between them: credentials, validation, error dialect, heartbeat."""

from dataclasses import dataclass
from typing import Protocol

from django.conf import settings
from starlette.requests import Request

from conversations.errors import InvalidKeyError
from conversations.services.answering import CheckedAnswer
from conversations.services.recording import Surface as SurfaceName
from conversations.services.relaying import Relay
from conversations.wire import azure, openai
from conversations.wire.calls import ChatCall
from conversations.wire.dialects import AZURE, OPENAI, Dialect
from conversations.wire.sse import PING


class Surface(Protocol):
    """What an endpoint asks of its surface."""

    @property
    def name(self) -> SurfaceName:
        """The word that is kept with the record."""

    @property
    def dialect(self) -> Dialect:
        """How errors are written."""

    def read_key(self, request: Request) -> str:
        """The API key that the client sent. Raises ``InvalidKeyError`` when there is none."""

    def check_address(self, request: Request) -> None:
        """Refuse a query string that the surface cannot serve."""

    def read_call(self, request: Request, body: bytes) -> ChatCall:
        """The validated call."""

    def completion_body(self, answer: CheckedAnswer) -> bytes:
        """The completion as this surface's clients need it."""

    def heartbeat(self, relay: Relay) -> bytes:
        """What keeps a quiet stream open."""


def read_bearer(request: Request) -> str:
    """The key of an ``Authorization: Bearer`` header. Raises ``InvalidKeyError`` when there is none."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise InvalidKeyError
    return key.strip()


@dataclass(frozen=True)
class OpenAISurface:
    """``/v1``: OpenAI's API with xAI's ``deferred``."""

    name: SurfaceName = "openai"
    dialect: Dialect = OPENAI

    def read_key(self, request: Request) -> str:
        """The bearer token."""
        return read_bearer(request)

    def check_address(self, request: Request) -> None:
        """Any query string will do."""

    def read_call(self, request: Request, body: bytes) -> ChatCall:
        """The call by OpenAI's and xAI's rules."""
        return openai.read_call(body)

    def completion_body(self, answer: CheckedAnswer) -> bytes:
        """As it is."""
        return answer.body

    def heartbeat(self, relay: Relay) -> bytes:
        """A comment."""
        return PING


@dataclass(frozen=True)
class AzureSurface:
    """``/models``: Azure AI Model Inference."""

    name: SurfaceName = "azure"
    dialect: Dialect = AZURE

    def read_key(self, request: Request) -> str:
        """The ``api-key`` header, else the bearer token."""
        return request.headers.get("api-key") or read_bearer(request)

    def check_address(self, request: Request) -> None:
        """``api-version`` is required."""
        azure.check_api_version(request.query_params.get("api-version"))

    def read_call(self, request: Request, body: bytes) -> ChatCall:
        """The call by Azure's rules."""
        return azure.read_call(body, request.headers.get("extra-parameters"), modalities=settings.UPSTREAM_MODALITIES)

    def completion_body(self, answer: CheckedAnswer) -> bytes:
        """With ``usage``, which Azure's clients cannot do without."""
        return azure.with_usage(answer.body, answer.members)

    def heartbeat(self, relay: Relay) -> bytes:
        """A chunk without choices: azure-ai-inference fails on comments."""
        return relay.heartbeat_chunk()
