"""Request IDs and response IDs: made here, and recognised in whatever a person pastes.

An ID that Daehwa makes holds 128 random bits and only ``[A-Za-z0-9_-]``. An upstream's response ID
is kept as it came, so nothing here decides whether an unknown ID is valid: it only finds candidates.
"""

import json
import re
import secrets
import unicodedata
import urllib.parse

REQUEST_PREFIX = "req_"
RESPONSE_PREFIX = "chatcmpl-"

MAX_ID_LENGTH = 256
"""Longest ID, in characters, that is looked up or kept."""

# Pages and documents put spaces of other kinds around what is copied out of them.
_SPACES = "".join(character for character in map(chr, range(0x3001)) if character.isspace())
_WRAPPING = "\"'`<>()[]{},;:" + _SPACES
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"), "-")
_ID_KEYS = ("request_id", "id", "tool_call_id", "x-request-id")
_LABEL = re.compile(r"""(?:^|[\s{,])["']?(?:[A-Za-z_-]*[_-])?id["']?\s*[:=]\s*["']?([^\s"',;}]+)""", re.IGNORECASE)
_KNOWN_SHAPE = re.compile(
    r"\b(?:(?:req|chatcmpl|call|resp|msg|toolu|gen)[_-][A-Za-z0-9_-]{3,}"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b",
)


def new_request_id() -> str:
    """A fresh request ID: ``req_`` and 32 hexadecimal digits."""
    return REQUEST_PREFIX + secrets.token_hex(16)


def new_response_id() -> str:
    """A fresh response ID, for an upstream that sent none: ``chatcmpl-`` and 32 hexadecimal digits."""
    return RESPONSE_PREFIX + secrets.token_hex(16)


def candidates(pasted: str) -> list[str]:
    """The IDs that a pasted text may mean, the likeliest first, without repeats.

    Takes an ID alone, quoted, inside a URL, in a JSON fragment (``"id": "chatcmpl-…"``) or in a header
    line (``x-request-id: req_…``). Unicode dashes become ``-`` and invisible characters are dropped.
    An empty or overlong text gives an empty list.
    """
    text = "".join(c for c in pasted.translate(_DASHES) if unicodedata.category(c) not in {"Cf", "Cc"} or c in "\t\r\n")
    text = text.strip(_WRAPPING)
    if not text or len(text) > 10_000:
        return []
    found: list[str] = []
    if "\n" not in text:
        # An upstream's own ID may hold anything, spaces too.
        found.append(text)
    found += _json_ids(pasted)
    found += _LABEL.findall(text)
    if "/" in text or "=" in text:
        found += _url_ids(text)
    found += _KNOWN_SHAPE.findall(text)
    stripped = (candidate.strip(_WRAPPING) for candidate in found)
    return [c for c in dict.fromkeys(stripped) if c and len(c) <= MAX_ID_LENGTH]


def _json_ids(text: str) -> list[str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(document, dict):
        return []
    return [document[key] for key in _ID_KEYS if isinstance(document.get(key), str)]


def _url_ids(text: str) -> list[str]:
    try:
        url = urllib.parse.urlsplit(text)
        query = urllib.parse.parse_qsl(url.query)
    except ValueError:
        return []
    segments = [urllib.parse.unquote(segment) for segment in url.path.split("/") if segment]
    return [value for _, value in query] + segments[::-1]
