"""Server-sent events: an upstream's stream parsed, ours written.

Ours must suit azure-ai-inference, which takes nothing but ``data: `` lines that end in LF, and openai, which fails
on an event without data. So every event is one ``data: `` line, and only ``/v1`` may have comments.
"""

import re
from dataclasses import dataclass

from conversations.errors import AnswerTooLargeError, DaehwaError
from conversations.wire.chunks import CHUNK
from conversations.wire.json_door import encode
from conversations.wire.openai import error_body

MAX_LINE_BYTES = 2**20
"""Longest line, and longest data of one event, in bytes."""

PING = b": ping\n\n"
"""A heartbeat for ``/v1``; azure-ai-inference fails on it, see ``heartbeat_chunk``."""

DONE = b"data: [DONE]\n\n"

DONE_MARK = b"[DONE]"
"""The data of the event that ends a stream."""

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True)
class Event:
    """One event: its ``data`` as bytes (lines joined by LF, not decoded) and its ``event`` name, mostly ""."""

    data: bytes
    name: str = ""


class EventParser:
    """Parses a stream of events from bytes cut anywhere.

    Lines end at CR, LF or CRLF and nowhere else: text readers also split at U+2028 and the like, inside JSON.
    Comments, ``id`` and ``retry`` are skipped, and events without data.
    """

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._partial = bytearray()
        self._after_cr = False
        self._at_start = True
        self._data: list[bytes] = []
        self._size = 0
        self._name = ""

    def feed(self, received: bytes) -> list[Event]:
        """The events that these bytes complete; ``AnswerTooLargeError`` when a line or an event is too long."""
        if not received:
            return []
        if self._after_cr:
            received = received.removeprefix(b"\n")
        *lines, rest = _LINE_END.split(received)
        self._after_cr = received.endswith(b"\r")
        events: list[Event] = []
        for line in lines:
            self._extend(line)
            complete = bytes(self._partial)
            self._partial.clear()
            events += self._take(complete)
        self._extend(rest)
        return events

    def close(self) -> list[Event]:
        """The event, if any, that the end of the stream left without the blank line after it."""
        events = self._take(bytes(self._partial)) if self._partial else []
        self._partial.clear()
        return [*events, *self._take(b"")]

    def _extend(self, part: bytes) -> None:
        if len(self._partial) + len(part) > self._max_line_bytes:
            raise AnswerTooLargeError("The upstream sent a line that is too long.")
        self._partial += part

    def _take(self, line: bytes) -> list[Event]:
        """One complete line in, and the event that it ends, if it is blank."""
        if self._at_start:
            line = line.removeprefix(_BOM)
            self._at_start = False
        if not line:
            event = Event(b"\n".join(self._data), self._name)
            self._data, self._size, self._name = [], 0, ""
            return [event] if event.data else []
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(value)
            if self._size > self._max_line_bytes:
                raise AnswerTooLargeError("The upstream sent an event that is too long.")
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        return []


def event(payload: bytes) -> bytes:
    """An event with one line of data."""
    return b"data: " + payload + b"\n\n"


def heartbeat_chunk(*, response_id: str, created: int, model: str) -> bytes:
    """A heartbeat for ``/models``: a chunk without choices, which its clients pass over."""
    chunk = {"id": response_id, "object": CHUNK, "created": created, "model": model, "choices": []}
    return event(encode(chunk))


def error_event(error: DaehwaError) -> bytes:
    """What a stream that fails in the middle says last, on either surface; no ``[DONE]`` follows it."""
    return event(error_body(error))
