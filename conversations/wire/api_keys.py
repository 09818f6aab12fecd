"""API keys as text: made, read and digested. Pure; the rows are ``services.keys``' business.

A key reads ``dw_`` + 8 characters that find its row + 30 random characters (178 bits) + 6 characters of
CRC-32, all of ``[0-9A-Za-z]``, the shape that GitHub's tokens made usual: a secret scanner knows it, and a
mistyped or made-up key is refused without a look at the database. A secret of that many random bits needs
no slow hash, so a plain SHA-256 is what is kept.
"""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIX_LENGTH = len("dw_") + 8
"""Characters of a key that may be shown and are kept in clear."""

_RANDOM_LENGTH = 30
_CHECKSUM_LENGTH = 6
_SHAPE = re.compile(rf"dw_[0-9A-Za-z]{{{8 + _RANDOM_LENGTH + _CHECKSUM_LENGTH}}}")


@dataclass(frozen=True)
class Secret:
    """A well-formed key: what the client sends, what finds its row, and the 32 bytes that are kept."""

    secret: str = field(repr=False)
    prefix: str
    digest: bytes = field(repr=False)


def new_secret() -> Secret:
    """A fresh key. Its ``secret`` is to be shown once and never kept."""
    unchecked = "dw_" + "".join(secrets.choice(ALPHABET) for _ in range(8 + _RANDOM_LENGTH))
    return _with_digest(unchecked + _checksum(unchecked))


def read_secret(text: str) -> Secret | None:
    """The key in what a client sent, or None where it is none: wrong shape, or a checksum that does not fit."""
    if not _SHAPE.fullmatch(text):
        return None
    if text[-_CHECKSUM_LENGTH:] != _checksum(text[:-_CHECKSUM_LENGTH]):
        return None
    return _with_digest(text)


def _with_digest(secret: str) -> Secret:
    return Secret(secret, secret[:PREFIX_LENGTH], hashlib.sha256(secret.encode()).digest())


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
