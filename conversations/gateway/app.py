"""The gateway as one ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Route

from conversations.gateway.endpoints import ChatCompletionsEndpoint
from conversations.gateway.resources import open_resources
from conversations.gateway.surfaces import AzureSurface, OpenAISurface

ROUTES = {
    "/v1/chat/completions": ChatCompletionsEndpoint(OpenAISurface()),
    "/models/chat/completions": ChatCompletionsEndpoint(AzureSurface()),
}
"""The paths whose POST is the gateway's; every other method and path is Django's."""


def create_gateway() -> Starlette:
    """A fresh gateway. Its resources are opened and closed by the ASGI lifespan."""
    return Starlette(
        routes=[Route(path, endpoint, methods=["POST"]) for path, endpoint in ROUTES.items()], lifespan=_lifespan
    )


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    async with open_resources() as resources:
        app.state.resources = resources
        yield
