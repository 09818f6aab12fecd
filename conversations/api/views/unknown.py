"""Addresses where nothing is: 404 in the surface's own dialect, once it is known who is asking."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from conversations.api.views.base import AzureView, OpenAIView, RestView, SurfaceView
from conversations.errors import NotFoundError


@extend_schema(exclude=True)
class _UnknownAddress(SurfaceView):
    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse every method."""
        super().initial(request, *args, **kwargs)
        raise NotFoundError("There is nothing at this address.")


class UnknownOpenAIAddress(_UnknownAddress, OpenAIView):
    """Nothing under ``/v1``."""


class UnknownAzureAddress(_UnknownAddress, AzureView):
    """Nothing under ``/models``."""


class UnknownRestAddress(_UnknownAddress, RestView):
    """Nothing under ``/api``."""
