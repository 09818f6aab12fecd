"""Who is asking: a project's API key, or a signed-in person."""

from collections.abc import Iterable

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from conversations.errors import InvalidKeyError
from conversations.models import ApiKey, Project
from conversations.services.keys import find_api_key


class KeyHolder:
    """Whoever holds an API key. It is nobody in particular, but not a stranger."""

    is_authenticated = True
    is_active = True


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer KEY``, the scheme in any case. A key in the query string is not read."""

    def authenticate(self, request: Request) -> tuple[KeyHolder, ApiKey] | None:
        """The holder and the key; None without an ``Authorization``. Raises ``InvalidKeyError`` for a wrong one."""
        secret = self.read_secret(request)
        if secret is None:
            return None
        key = find_api_key(secret)
        if key is None:
            raise InvalidKeyError
        return KeyHolder(), key

    def authenticate_header(self, request: Request) -> str:
        """The scheme that a stranger is told to use."""
        return "Bearer"

    def read_secret(self, request: Request) -> str | None:
        """What was sent as a key; None when nothing was, "" when it is no bearer token."""
        header: str | None = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        scheme, _, secret = header.partition(" ")
        return secret.strip() if scheme.lower() == "bearer" else ""


class AzureKeyAuthentication(ApiKeyAuthentication):
    """``api-key: KEY``, or ``Authorization: Bearer KEY``; ``api-key`` wins where both are sent."""

    def read_secret(self, request: Request) -> str | None:
        """What was sent as a key in either header."""
        return request.META.get("HTTP_API_KEY") or super().read_secret(request)


def projects_of(request: Request) -> Iterable[Project]:
    """The projects that the caller may read: the key's own, or those that the signed-in person may see."""
    if isinstance(request.auth, ApiKey):
        return [request.auth.project]
    return Project.objects.visible_to(request.user)
