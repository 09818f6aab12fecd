"""Both halves on one port: two POST routes go to the gateway, everything else to Django.

Django runs under its WSGI handler in a thread pool: under its own ASGI handler every request starts and
joins a thread, which costs about 600 µs.
"""

import os

import django
from starlette.types import Receive, Scope, Send

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from config.bridge import DjangoBridge  # noqa: E402
from config.wsgi import application as django_application  # noqa: E402
from conversations.gateway.app import ROUTES, create_gateway  # noqa: E402

gateway = create_gateway()
django_half = DjangoBridge(django_application)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Send each request to the half that it belongs to; the gateway owns the lifespan."""
    if scope["type"] != "http" or (scope["method"] == "POST" and scope["path"] in ROUTES):
        await gateway(scope, receive, send)
    else:
        await django_half(scope, receive, send)
