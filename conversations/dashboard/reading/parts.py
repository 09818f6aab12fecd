"""The contents of one message as parts that a template can show: text, pictures, sound, refusals, anything else.

Everything here is total: whatever a client or a model sent, of any shape, becomes parts. A part's text is free of
what a page cannot hold (see ``rendering.visible``).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from conversations.dashboard.reading.json_tree import parse_json
from conversations.dashboard.reading.rendering import (
    coloured_json,
    is_colourable,
    is_readable_markdown,
    markdown,
    visible,
)
from conversations.wire.json_door import encode

MAX_SHOWN_TEXT = 128 * 1024
"""Longest text of one part, in characters, that a page shows; the raw download has it all."""

MAX_RENDERED = 96 * 1024
"""Most Markdown and JSON, in characters, that one page renders; what comes after is shown as it is."""

MAX_RENDERED_JSON = 16 * 1024
"""Longest JSON inside a conversation, in characters, that is indented and coloured."""

MAX_PARTS = 200
"""Most parts of one message that are shown."""

_BASE64_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]{0,100};base64,", re.IGNORECASE)
_PICTURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"....ftypavif", re.DOTALL), "image/avif"),
)
_SOUNDS = (
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "audio/wav"),
    (re.compile(rb"ID3|\xff[\xfb\xfa\xf3\xf2]"), "audio/mpeg"),
    (re.compile(rb"fLaC"), "audio/flac"),
    (re.compile(rb"OggS"), "audio/ogg"),
    (re.compile(rb"\xff[\xf1\xf9]"), "audio/aac"),
    (re.compile(rb"....ftyp", re.DOTALL), "audio/mp4"),
)

type Kind = Literal["markdown", "text", "refusal", "reasoning", "image", "audio", "file", "json", "coloured"]


@dataclass
class RenderBudget:
    """How much Markdown and JSON a page may still render, in characters; none at all for who reads it plain."""

    left: int = MAX_RENDERED

    def render(self, text: str, *, as_markdown: bool) -> Part | None:
        """The text as JSON if it is an object or array, else as Markdown if it may be; None to show it as it is."""
        if len(text) > self.left:
            return None
        part = None
        if len(text) <= MAX_RENDERED_JSON and is_colourable(text) and _is_json(text):
            part = Part("coloured", coloured_json(text))
        elif as_markdown and is_readable_markdown(text):
            part = Part("markdown", markdown(text))
        self.left -= len(text) if part else 0
        return part


def _is_json(text: str) -> bool:
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")) and not (text.startswith("[") and text.endswith("]")):
        return False
    try:
        parse_json(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Part:
    """One piece of a message.

    ``text`` is what to show (safe HTML for kinds ``markdown`` and ``coloured``); ``length`` is the whole text's
    length in characters when only its beginning is shown, else 0; ``size`` is in bytes. ``place`` is the address of
    an attachment's bytes inside its record, ``media_type`` what they are, "" when no browser shows or plays them.
    ``link`` is the address of what is elsewhere, ``reference`` the ID of a sound that was said before.
    """

    kind: Kind
    text: str = ""
    length: int = 0
    size: int = 0
    place: str = ""
    media_type: str = ""
    link: str = ""
    reference: str = ""


def text_part(text: str, kind: Kind = "text", budget: RenderBudget | None = None, *, as_markdown: bool = False) -> Part:
    """A text as a part; as JSON or Markdown where a ``budget`` is given and takes it."""
    rendered = budget.render(text, as_markdown=as_markdown) if budget else None
    if rendered:
        return rendered
    length = len(text) if len(text) > MAX_SHOWN_TEXT else 0
    return Part(kind, visible(text[:MAX_SHOWN_TEXT]), length=length)


def content_parts(
    content: object, place: str, budget: RenderBudget | None = None, *, as_markdown: bool = False
) -> Iterator[Part]:
    """The parts of a message's ``content``: of a text, of an array of parts, or of anything else.

    ``place`` is the address of the message inside its record, such as ``messages/2``.
    """
    if content is None or content == "":
        return
    if isinstance(content, str):
        yield text_part(content, budget=budget, as_markdown=as_markdown)
    elif isinstance(content, list):
        for position, part in enumerate(content[:MAX_PARTS]):
            yield _part(part, f"{place}/{position}", budget, as_markdown)
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
    return _attachment("audio", encoded, place, text=text)


def media_type_of(content: bytes) -> str:
    """The media type of a picture or sound by its first bytes, or "" for what browsers do not show or play.

    What was said about the bytes does not count, and a picture that can hold a script (SVG) is none.
    """
    return next((media_type for magic, media_type in (*_PICTURES, *_SOUNDS) if magic.match(content)), "")


def attachment_bytes(request: dict[str, Any], response: dict[str, Any], place: str) -> bytes | None:
    """The bytes at ``place`` (``choices/0`` or ``messages/2/1``), or None where there are none."""
    steps = [int(step) if step.isascii() and step.isdigit() else step for step in place.split("/")[:4]]
    match steps:
        case ["choices", int(choice)]:
            encoded = _at(response, "choices", choice, "message", "audio", "data")
        case ["choices", int(choice), int(part)]:
            encoded = _encoded_in(_at(response, "choices", choice, "message", "content", part))
        case ["messages", int(message), int(part)]:
            encoded = _encoded_in(_at(request, "messages", message, "content", part))
        case _:
            return None
    return _decoded(encoded) or None if isinstance(encoded, str) else None


def _encoded_in(part: object) -> str | None:
    """The base64 text in a part of a message's content."""
    match part:
        case {"type": "input_audio", "input_audio": {"data": str(encoded)}}:
            return encoded
        case {"type": "image_url", "image_url": {"url": str(url)}} | {
            "type": "audio_url",
            "audio_url": {"url": str(url)},
        }:
            pass
        case {"type": "file", "file": {"file_data": str(url)}}:
            pass
        case _:
            return None
    inside = _BASE64_URL.match(url)
    return url[inside.end() :] if inside else None


def _part(part: object, place: str, budget: RenderBudget | None, as_markdown: bool) -> Part:
    match part:
        case {"type": "text", "text": str(text)}:
            return text_part(text, budget=budget, as_markdown=as_markdown)
        case {"type": "refusal", "refusal": str(text)}:
            return text_part(text, "refusal")
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return _linked_part("image", url, place)
        case {"type": "audio_url", "audio_url": {"url": str(url)}}:
            return _linked_part("audio", url, place)
        case {"type": "input_audio", "input_audio": {"data": str()} as sound}:
            return sound_part(sound, place)
        case {"type": "file", "file": {"file_data": str(url)} as file} if _BASE64_URL.match(url):
            name = file.get("filename")
            return replace(_linked_part("file", url, place), text=visible(name)[:200] if isinstance(name, str) else "")
        case _:
            return json_part(part)


def _linked_part(kind: Kind, url: str, place: str) -> Part:
    """What is inside its address is shown from there; what is elsewhere is a link: loading it would tell who looks."""
    inside = _BASE64_URL.match(url)
    if inside:
        return _attachment(kind, url[inside.end() :], place, text=visible(inside.group(1) or ""))
    try:
        is_link = urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        is_link = False
    shown = visible(url[:MAX_SHOWN_TEXT])
    return Part(kind, shown, link=shown if is_link and shown == url else "")


def _attachment(kind: Kind, encoded: str, place: str, text: str = "") -> Part:
    media_type = media_type_of(_decoded(encoded[:64]))
    fits = media_type.startswith(f"{kind}/")
    return Part(kind, text, size=len(encoded) * 3 // 4, place=place, media_type=media_type if fits else "")


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
