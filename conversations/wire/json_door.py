"""The JSON door: which bytes come in, and how they are edited without being rewritten.

A request passes ``parse_object`` or is refused: what it lets in can be kept, shown, searched and passed on
by every part behind it. An answer has been paid for, so ``parse_answer`` takes whatever can be read at all.
Both give a ``JsonObject``: the parsed members beside the very bytes they came in. Edits cut and splice those
bytes, so that the order, the spelling of numbers and every escape survive. Everything runs in linear time.
"""

import functools
import itertools
import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Never

from conversations.errors import MalformedBodyError, UnsupportedMediaTypeError

MAX_REQUEST_DEPTH = 200
"""Deepest nesting, in brackets, that a request may have."""

MAX_ANSWER_DEPTH = 5_000
"""Deepest nesting that is read in an answer: what Python's parser and writer manage on any stack."""

_BOM = b"\xef\xbb\xbf"
_JSON_TYPE = re.compile(r"application/json|[\w.!#$&^+-]+/[\w.!#$&^+-]+\+json")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?+', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_SURROGATE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F])|.)", re.DOTALL
)
_SPACE = re.compile(r"[ \t\r\n]*")


def _refuse_constant(name: str) -> Never:
    raise MalformedBodyError(f"The request body holds {name}, which is not JSON.")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MalformedBodyError(f"The request body holds a number that is too large: {digits[:40]}.")
    return number


def _any_integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # more digits than the runtime converts; the bytes still have them all
        return float(digits)


_STRICT = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse_constant)
_LENIENT = json.JSONDecoder(parse_int=_any_integer, strict=False)


class _Member(NamedTuple):
    """One root member: its key, and where the key starts and the value starts and ends."""

    key: str
    start: int
    value_start: int
    end: int


@dataclass(frozen=True)
class JsonObject:
    """A JSON object and the bytes it was read from.

    ``members`` maps each root key to its parsed value (of duplicate keys the last one counts); ``bytes()``
    of the object are the bytes as they were sent.
    """

    members: dict[str, Any]
    _body: bytes = field(repr=False)
    _decoder: json.JSONDecoder = field(repr=False, default=_STRICT)

    def __bytes__(self) -> bytes:
        return self._body

    def raw(self, key: str) -> bytes | None:
        """The value of a root member exactly as sent (of duplicates the last), or None where there is none."""
        if key not in self.members:
            return None
        last = next(member for member in reversed(self._spans) if member.key == key)
        return self._body[last.value_start : last.end]

    def without(self, keys: Collection[str]) -> bytes:
        """The same bytes less these root members, duplicates included."""
        return self.edited(drop=keys)

    def with_members(self, extra: Mapping[str, bytes]) -> bytes:
        """The same bytes with these raw values at the root: replaced in place, or else appended at the end."""
        return self.edited(put=extra)

    def edited(self, *, drop: Collection[str] = (), put: Mapping[str, bytes] | None = None) -> bytes:
        """The bytes less the members in ``drop``, with those in ``put`` replaced in place or appended."""
        put = put or {}
        if not put and not any(key in self.members for key in drop):
            return self._body
        spans = self._spans
        last_of = {member.key: position for position, member in enumerate(spans)}
        pieces: list[bytes] = []
        for position, member in enumerate(spans):
            if member.key in drop:
                continue
            if member.key in put and last_of[member.key] == position:
                pieces.append(self._body[member.start : member.value_start] + put[member.key])
            else:
                pieces.append(self._body[member.start : member.end])
            follower = spans[position + 1].start if position + 1 < len(spans) else member.end
            pieces.append(self._body[member.end : follower])
        kept = {member.key for member in spans if member.key not in drop}
        return self._joined(pieces, [encode(key) + b":" + raw for key, raw in put.items() if key not in kept])

    def _joined(self, pieces: list[bytes], appended: list[bytes]) -> bytes:
        """Members and the separators after them, the last of which goes, inside the braces as they were."""
        spans = self._spans
        opening = self._body.index(b"{") + 1
        head = self._body[: spans[0].start] if spans else self._body[:opening]
        tail = self._body[spans[-1].end :] if spans else self._body[opening:]
        if appended:
            pieces = [*pieces[:-1], b","] if pieces else []
            return head + b"".join(pieces) + b",".join(appended) + tail
        return head + b"".join(pieces[:-1]) + tail

    @functools.cached_property
    def _spans(self) -> list[_Member]:
        """Where the root members are; found only when asked, because most bodies pass through unedited."""
        text = self._body.decode("utf-8", "surrogateescape")
        found = _root_members(text, self._decoder)
        return found if text.isascii() else _in_bytes(found, text)


def _in_bytes(members: list[_Member], text: str) -> list[_Member]:
    """The same members with their places, which are counted in characters, counted in bytes."""
    counted: list[_Member] = []
    cursor, offset = 0, 0
    for key, *positions in members:
        offsets = []
        for position in positions:
            offset += len(text[cursor:position].encode("utf-8", "surrogateescape"))
            cursor = position
            offsets.append(offset)
        counted.append(_Member(key, *offsets))
    return counted


def _root_members(text: str, decoder: json.JSONDecoder) -> list[_Member]:
    """The root members of valid JSON, with their places in characters."""
    found: list[_Member] = []
    position = _skip(text, text.index("{") + 1)
    while text[position] != "}":
        key, after_key = decoder.raw_decode(text, position)
        value_start = _skip(text, _skip(text, after_key) + 1)
        _, end = decoder.raw_decode(text, value_start)
        found.append(_Member(key, position, value_start, end))
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return found


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def parse_object(body: bytes) -> JsonObject:
    """Read a request's body, or raise ``MalformedBodyError`` with a sentence for the client.

    Refused: an empty body, invalid UTF-8, a byte order mark, anything that is not JSON, ``NaN`` and infinities,
    numbers beyond a double, integers that the runtime cannot read, lone surrogate escapes, more than
    ``MAX_REQUEST_DEPTH`` levels, and a root that is no object. NUL escapes, non-characters and duplicate keys
    (the last counts) come in.
    """
    if not body.strip():
        raise MalformedBodyError("The request body is empty; send a JSON object.")
    if body.startswith(_BOM):
        raise MalformedBodyError("The request body starts with a byte order mark; send plain UTF-8.")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"The request body is not valid UTF-8 at byte {error.start}.") from None
    if _is_deeper(body, MAX_REQUEST_DEPTH):
        raise MalformedBodyError(f"The request body is nested more than {MAX_REQUEST_DEPTH} levels deep.")
    members = _parse_strictly(text)
    _refuse_lone_surrogates(text)
    return JsonObject(members, body)


def _parse_strictly(text: str) -> dict[str, Any]:
    try:
        root = _STRICT.decode(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedBodyError(f"The request body is not valid JSON: {error.msg} at {place}.") from None
    except ValueError:
        raise MalformedBodyError("The request body holds an integer with too many digits.") from None
    if not isinstance(root, dict):
        raise MalformedBodyError("The request body is valid JSON but not an object.")
    return root


def _refuse_lone_surrogates(text: str) -> None:
    if "\\ud" not in text and "\\uD" not in text:
        return
    for escape in _SURROGATE.finditer(text):
        if escape.group(1):
            place = f"character {escape.start()}"
            raise MalformedBodyError(f"The request body holds half of a surrogate pair at {place}: {escape.group()}…")


def _is_deeper(body: bytes, limit: int) -> bool:
    """Whether brackets outside strings nest deeper than ``limit``: found before any parser can recurse."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    steps = _STRING.sub(b"", body).translate(_STEPS, _NOT_BRACKETS)
    return max(itertools.accumulate(memoryview(steps).cast("b")), default=0) > limit


def parse_answer(body: bytes) -> JsonObject:
    """Read what an upstream sent; ``ValueError`` only when it is not a JSON object in any reading.

    A byte order mark, invalid UTF-8 (read as lone surrogates), ``NaN``, lone surrogate escapes, control
    characters inside strings, huge numbers and nesting up to ``MAX_ANSWER_DEPTH`` are all taken.
    """
    body = body.removeprefix(_BOM)
    if _is_deeper(body, MAX_ANSWER_DEPTH):
        raise ValueError(f"nested more than {MAX_ANSWER_DEPTH} levels deep")
    root = _LENIENT.decode(body.decode("utf-8", "surrogateescape"))
    if not isinstance(root, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - one exception for every unreadable answer
    return JsonObject(root, body, _LENIENT)


def split_array(raw: bytes) -> list[bytes]:
    """The raw members of a JSON array that came out of a ``JsonObject``, in order, exactly as sent."""
    text = raw.decode("utf-8", "surrogateescape")
    members: list[bytes] = []
    position = _skip(text, text.index("[") + 1)
    while text[position] != "]":
        _, end = _LENIENT.raw_decode(text, position)
        members.append(text[position:end].encode("utf-8", "surrogateescape"))
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return members


def encode(value: object) -> bytes:
    """A value as compact JSON on one line, in UTF-8; in ASCII escapes where it holds lone surrogates.

    Escapes let two halves of a pair that arrived apart read as the one character they were meant to be.
    """
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def check_media_type(content_type: str | None) -> None:
    """Refuse anything but ``application/json`` or ``*/*+json`` in UTF-8 with ``UnsupportedMediaTypeError``."""
    media_type, *parameters = (part.strip().lower() for part in (content_type or "").split(";"))
    if not _JSON_TYPE.fullmatch(media_type):
        raise UnsupportedMediaTypeError
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in {"utf-8", "utf8"}:
            raise UnsupportedMediaTypeError("Send the body as application/json in UTF-8.")


def showable(text: str) -> str:
    """A text that UTF-8 and a PostgreSQL text column can hold: NUL and lone surrogates become U+FFFD."""
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\ufffd")
