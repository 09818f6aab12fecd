"""A validated POST to either chat completions route, as the rest of the program sees it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from conversations.wire.json_door import JsonObject

OWN_PARAMETERS = ("store", "deferred", "metadata")
"""The root keys that Daehwa answers for itself, and keeps from an upstream that does not know them."""


@dataclass(frozen=True)
class ChatCall:
    """What a client asked for.

    ``body`` is what goes upstream (less ``OWN_PARAMETERS``); ``model`` is "" where Azure's clients leave it out;
    ``include_usage`` is whether the client wants usage at the end of its stream; ``end_user`` is the client's
    ``user`` ("" if none), fit to be shown; ``metadata`` is empty where there is none.
    """

    body: JsonObject
    model: str
    stream: bool
    include_usage: bool
    store: bool
    deferred: bool
    metadata: dict[str, str]
    end_user: str
    messages: list[dict[str, Any]]

    def body_without(self, keys: Collection[str] = OWN_PARAMETERS) -> bytes:
        """The body for the upstream of a call that is not streamed: as it came, less ``keys``."""
        return self.body.without(keys)
