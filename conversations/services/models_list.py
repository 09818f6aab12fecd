"""Asks the upstream which models it has (sync)."""

import asyncio
from typing import Any

from django.conf import settings

from conversations.errors import MalformedAnswerError, NotFoundError
from conversations.services.upstream_settings import upstream_settings
from conversations.upstream.client import UpstreamClient
from conversations.wire.json_door import parse_answer

type Model = dict[str, Any]


def list_models() -> list[Model]:
    """The upstream's models as it describes them, with the keys that OpenAI's clients require.

    Raises ``UpstreamError`` or one of its subclasses.
    """
    try:
        listed = parse_answer(asyncio.run(_fetch_models())).members.get("data")
    except ValueError as error:
        raise MalformedAnswerError("The upstream sent a list of models that cannot be read.") from error
    if not isinstance(listed, list):
        raise MalformedAnswerError("The upstream sent a list of models that cannot be read.")
    return [_complete(model) for model in listed if isinstance(model, dict) and isinstance(model.get("id"), str)]


def get_model(model_id: str) -> Model:
    """The upstream's model with this ID. Raises ``NotFoundError``, or ``UpstreamError``."""
    for model in list_models():
        if model["id"] == model_id:
            return model
    raise NotFoundError(f"The model '{model_id}' does not exist.", param="model", code="model_not_found")


def name_default_model() -> str:
    """The model that answers where the client names none: ``UPSTREAM_MODEL``, else the first that is listed.

    Raises ``UpstreamError``, or ``NotFoundError`` when the upstream lists none.
    """
    if settings.UPSTREAM_MODEL:
        return str(settings.UPSTREAM_MODEL)
    models = list_models()
    if not models:
        raise NotFoundError("The upstream lists no model.", code="model_not_found")
    return str(models[0]["id"])


async def _fetch_models() -> bytes:
    async with UpstreamClient(upstream_settings()) as client:
        return await client.models()


def _complete(model: Model) -> Model:
    required = {"object": "model", "created": 0, "owned_by": settings.UPSTREAM_PROVIDER or "upstream"}
    return required | {key: value for key, value in model.items() if value is not None or key not in required}
