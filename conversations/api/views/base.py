"""What the views of each surface have in common."""

from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.authentication import SessionAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from conversations.api.authentication import ApiKeyAuthentication, AzureKeyAuthentication
from conversations.models import ApiKey, Project
from conversations.wire.dialects import AZURE, OPENAI, Dialect


class AlwaysJson(BaseContentNegotiation):
    """Answers in JSON whatever ``Accept`` says: clients send all kinds of it and read JSON."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The view's first renderer."""
        return renderers[0], renderers[0].media_type

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """The view's first parser."""
        return parsers[0]


class SurfaceView(APIView):
    """A view that wants a key, answers errors in its dialect, and leaves nothing in any cache."""

    dialect: ClassVar[Dialect] = OPENAI
    content_negotiation_class = AlwaysJson
    renderer_classes = [JSONRenderer]
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add what every answer has."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @property
    def project(self) -> Project:
        """The project of the caller's key."""
        key = self.request.auth
        if not isinstance(key, ApiKey):
            raise TypeError("Only keys belong to one project.")
        return key.project


class OpenAIView(SurfaceView):
    """A route under ``/v1``."""

    authentication_classes = [ApiKeyAuthentication]


class AzureView(SurfaceView):
    """A route under ``/models``."""

    dialect = AZURE
    authentication_classes = [AzureKeyAuthentication]


class RestView(SurfaceView):
    """A route under ``/api``, for keys and for signed-in people; it speaks ``/v1``'s dialect."""

    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]


def json_answer(body: bytes) -> HttpResponse:
    """A 200 with these bytes as they are."""
    return HttpResponse(body, content_type="application/json")
