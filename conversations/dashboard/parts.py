"""The contents of one message as parts that a template can show: text, pictures, sound, refusals, anything else.

Everything here is total: whatever a client or a model sent, of any shape, becomes parts. A part's text is free of
what a page cannot hold (see ``rendering.visible``).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from conversations.dashboard.rendering import is_readable_markdown, markdown, visible
from conversations.wire.json_door import encode

MAX_SHOWN_TEXT = 128 * 1024
"""Longest text of one part, in characters, that a page shows; the raw download has it all."""

MAX_PAGE_MARKDOWN = 96 * 1024
"""Most Markdown, in characters, that one page renders; what comes after is shown as it is."""

MAX_PARTS = 200
"""Most parts of one message that are shown."""

_BASE64_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)[^,]{0,100},")
_MAGIC = (
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "audio/wav"),
    (re.compile(rb"ID3|\xff[\xfb\xfa\xf3\xf2]"), "audio/mpeg"),
    (re.compile(rb"fLaC"), "audio/flac"),
    (re.compile(rb"OggS"), "audio/ogg"),
    (re.compile(rb"\xff[\xf1\xf9]"), "audio/aac"),
    (re.compile(rb"....ftyp", re.DOTALL), "audio/mp4"),
)

type Kind = Literal["markdown", "text", "refusal", "reasoning", "image", "audio", "json"]


@dataclass
class MarkdownBudget:
    """How much Markdown a page may still render, in characters."""

    left: int = MAX_PAGE_MARKDOWN

    def takes(self, text: str) -> bool:
        """Whether this text may be rendered; if so it is counted."""
        taken = len(text) <= self.left and is_readable_markdown(text)
        self.left -= len(text) if taken else 0
        return taken


@dataclass(frozen=True)
class Part:
    """One piece of a message.

    ``text`` is what to show (HTML that is safe for kind ``markdown``); ``length`` is the whole text's length in
    characters when only its beginning is shown, else 0; ``size`` is in bytes. ``place`` is the address of a sound
    inside its record, ``media_type`` what it is, "" when no browser plays it. ``link`` is a picture's address,
    ``reference`` the ID of a sound that was said before and is not here again.
    """

    kind: Kind
    text: str = ""
    length: int = 0
    size: int = 0
    place: str = ""
    media_type: str = ""
    link: str = ""
    reference: str = ""


def text_part(text: str, kind: Kind = "text", budget: MarkdownBudget | None = None) -> Part:
    """A text as a part; as Markdown where a ``budget`` is given and takes it."""
    if budget and budget.takes(text):
        return Part("markdown", markdown(text))
    length = len(text) if len(text) > MAX_SHOWN_TEXT else 0
    return Part(kind, visible(text[:MAX_SHOWN_TEXT]), length=length)


def content_parts(content: object, place: str, budget: MarkdownBudget | None = None) -> Iterator[Part]:
    """The parts of a message's ``content``: of a text, of an array of parts, or of anything else.

    ``place`` is the address of the message inside its record, such as ``messages/2``.
    """
    if content is None or content == "":
        return
    if isinstance(content, str):
        yield text_part(content, budget=budget)
    elif isinstance(content, list):
        for position, part in enumerate(content[:MAX_PARTS]):
            yield _part(part, f"{place}/{position}", budget)
        if len(content) > MAX_PARTS:
            yield Part("json", f"… {len(content) - MAX_PARTS}", length=len(content))
    else:
        yield json_part(content)


def json_part(value: object) -> Part:
    """A value of no known shape, as the JSON it is."""
    return text_part(encode(value).decode(), "json")


def sound_part(sound: Mapping[str, Any], place: str) -> Part:
    """A sound with its transcript. Its bytes, if it has any, are served at ``place``."""
    encoded, transcript, reference = sound.get("data"), sound.get("transcript"), sound.get("id")
    text = visible(transcript[:MAX_SHOWN_TEXT]) if isinstance(transcript, str) else ""
    if not isinstance(encoded, str) or not encoded:
        return Part("audio", text, reference=visible(reference)[:200] if isinstance(reference, str) else "")
    return Part("audio", text, size=len(encoded) * 3 // 4, place=place, media_type=sound_type(_decoded(encoded[:64])))


def sound_type(sound: bytes) -> str:
    """The media type of a sound by its first bytes, or "" for one that browsers do not play (raw PCM, anything)."""
    return next((media_type for magic, media_type in _MAGIC if magic.match(sound)), "")


def sound_bytes(request: dict[str, Any], response: dict[str, Any], place: str) -> bytes | None:
    """The bytes of the sound at ``place`` (``choices/0`` or ``messages/2/1``), or None where there is none."""
    steps = [int(step) if step.isascii() and step.isdigit() else step for step in place.split("/")[:3]]
    match steps:
        case ["choices", int(choice)]:
            encoded = _at(response, "choices", choice, "message", "audio", "data")
        case ["messages", int(message), int(part)]:
            encoded = _at(request, "messages", message, "content", part, "input_audio", "data")
        case _:
            return None
    return _decoded(encoded) or None if isinstance(encoded, str) else None


def _part(part: object, place: str, budget: MarkdownBudget | None) -> Part:
    match part:
        case {"type": "text", "text": str(text)}:
            return text_part(text, budget=budget)
        case {"type": "refusal", "refusal": str(text)}:
            return text_part(text, "refusal")
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return _picture_part(url)
        case {"type": "input_audio", "input_audio": {"data": str()} as sound}:
            return sound_part(sound, place)
        case _:
            return json_part(part)


def _picture_part(url: str) -> Part:
    """A picture is named, never loaded: loading it would tell its server who looks."""
    inside = _BASE64_URL.match(url)
    if inside:
        return Part("image", visible(inside.group(1)), size=(len(url) - inside.end()) * 3 // 4)
    try:
        is_link = urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        is_link = False
    shown = visible(url)[:MAX_SHOWN_TEXT]
    return Part("image", shown, link=shown if is_link and shown == url else "")


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded.encode("ascii", "replace"))
    except binascii.Error:
        return b""


def _at(value: Any, *steps: str | int) -> object:
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value
