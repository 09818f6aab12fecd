"""Makes API keys and finds the one that a client sent (sync)."""

import hmac

from django.db import IntegrityError, transaction

from conversations.errors import BadRequestError
from conversations.models import ApiKey, Project
from conversations.wire.api_keys import new_secret, read_secret
from conversations.wire.json_door import showable

_NOBODYS_DIGEST = bytes(32)


def create_api_key(project: Project, name: str) -> tuple[ApiKey, str]:
    """A new key of the project and its secret, which is shown this once and kept nowhere.

    Raises ``BadRequestError`` for a name that is empty, longer than 100 characters or not printable.
    """
    name = name.strip()
    if not name or len(name) > 100 or not name.isprintable() or showable(name) != name:
        raise BadRequestError("A key's name has 1 to 100 printable characters.", param="name")
    while True:
        made = new_secret()
        try:
            with transaction.atomic():
                key = ApiKey.objects.create(project=project, name=name, prefix=made.prefix, digest=made.digest)
        except IntegrityError:
            if ApiKey.objects.filter(prefix=made.prefix).exists():
                continue
            raise
        return key, made.secret


def find_api_key(secret: str) -> ApiKey | None:
    """The active key with this secret, with its project; None for anything else, also for what is no key at all."""
    sent = read_secret(secret)
    if sent is None:
        return None
    key = ApiKey.objects.active().select_related("project").filter(prefix=sent.prefix).first()
    # Compared also where there is no such key, so that a known prefix cannot be told by the time it takes.
    kept = bytes(key.digest) if key else _NOBODYS_DIGEST
    return key if hmac.compare_digest(kept, sent.digest) and key else None
