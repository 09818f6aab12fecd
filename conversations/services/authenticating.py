"""Finds the caller behind an API key (async)."""

import hmac

from conversations.errors import InvalidKeyError
from conversations.services import statements
from conversations.services.database import Pool, fetch_one
from conversations.services.recording import Caller
from conversations.services.statements import Statement
from conversations.wire.api_keys import read_secret


async def authenticate(pool: Pool, key: str) -> Caller:
    """The caller whose key this is; a key that was revoked a moment ago is unknown already.

    Raises ``InvalidKeyError``, the same for every reason, or ``StorageUnavailableError``.
    """
    secret = read_secret(key)
    if secret is None:
        raise InvalidKeyError
    row = await fetch_one(pool, Statement(statements.FIND_KEY, {"prefix": secret.prefix}))
    if row is None or not hmac.compare_digest(bytes(row["digest"]), secret.digest):
        raise InvalidKeyError
    return Caller(project_pk=row["project_pk"], api_key_pk=row["api_key_pk"], keeps_content=row["keeps_content"])
