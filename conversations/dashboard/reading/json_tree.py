"""A JSON text as a tree that is opened step by step: one node and a page of its members at a time.

A node is addressed by its JSON Pointer (RFC 6901). Nothing here reads more of a value than it shows, so that a
page on a megabyte costs what a page on a kilobyte does, beside the parsing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from conversations.dashboard.reading.rendering import visible

PAGE_LENGTH = 100
"""How many members of an object or array are shown at a time."""

MAX_SHOWN_STRING = 2_000
"""Longest string, in characters, that is shown whole beside its siblings."""

MAX_OPENED_STRING = 128 * 1024
"""Longest string, in characters, that is shown whole when it is the one that was asked for."""

_MAX_POINTER = 1_500
_MAX_PREVIEW_KEYS = 6
_MAX_KEY_LENGTH = 200
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_SURROGATE = re.compile("[\ud800-\udfff]")

type Kind = Literal["object", "array", "string", "number", "word"]


class Number(str):
    """A number as it is spelled: digits beyond a double's are kept."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number, strict=False)


@dataclass(frozen=True)
class Node:
    """A member as its parent lists it.

    ``pointer`` is "" where it would be too long for an address. ``text`` is the value of a scalar and the beginning
    of anything else; ``count`` is the number of members; ``length`` the characters of a string that was cut, else 0.
    """

    key: str
    pointer: str
    kind: Kind
    text: str
    count: int = 0
    length: int = 0

    @property
    def opens(self) -> bool:
        """Whether it has members that can be asked for."""
        return self.count > 0 and bool(self.pointer)


@dataclass(frozen=True)
class Opened:
    """A node that was asked for, with the way that leads to it and one page of its members.

    ``way`` has the keys and pointers of its ancestors, the root first; ``following`` is where the next page
    starts, ``preceding`` where the one before does (None where there is none), ``left`` how many are still to come.
    """

    node: Node
    way: list[tuple[str, str]]
    members: list[Node]
    preceding: int | None = None
    following: int | None = None
    left: int = 0


def parse_json(text: str) -> object:
    """The value of a JSON text, its numbers as they are spelled. ``ValueError`` for what is none, or nests too deep."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def open_node(root: object, pointer: str, start: int = 0) -> Opened | None:
    """The node at ``pointer`` and its members from position ``start`` on, or None where there is none."""
    if pointer and not pointer.startswith("/"):
        return None
    value, here, way = root, "", [("", "")]
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        match value:
            case dict() if key in value:
                value = value[key]
            case list() if _INDEX.fullmatch(key) and int(key) < len(value):
                value = value[int(key)]
            case _:
                return None
        here = f"{here}/{step}"
        way.append((visible(key)[:_MAX_KEY_LENGTH], here))
    start = max(start, 0)
    count = len(value) if isinstance(value, dict | list) else 0
    following = start + PAGE_LENGTH if start + PAGE_LENGTH < count else None
    return Opened(
        node=_node(way[-1][0], pointer, value, MAX_OPENED_STRING),
        way=way[:-1],
        members=[_node(key, child, member) for key, child, member in _page(value, pointer, start)],
        preceding=max(start - PAGE_LENGTH, 0) if start else None,
        following=following,
        left=count - following if following is not None else 0,
    )


def _page(value: object, pointer: str, start: int) -> Iterator[tuple[str, str, object]]:
    members: Iterator[tuple[object, object]]
    if isinstance(value, dict):
        members = islice(value.items(), start, start + PAGE_LENGTH)
    elif isinstance(value, list):
        members = enumerate(value[start : start + PAGE_LENGTH], start)
    else:
        return
    for key, member in members:
        name = str(key)
        child = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        # Half a surrogate pair cannot stand in an address.
        fits = len(child) <= _MAX_POINTER and not _SURROGATE.search(child)
        yield visible(name[:_MAX_KEY_LENGTH]), child if fits else "", member


def _node(key: str, pointer: str, value: object, longest: int = MAX_SHOWN_STRING) -> Node:
    if isinstance(value, dict):
        keys = [visible(name[:40]) for name in islice(value, _MAX_PREVIEW_KEYS)]
        return Node(key, pointer, "object", _listed(keys, len(value)), count=len(value))
    if isinstance(value, list):
        return Node(key, pointer, "array", "", count=len(value))
    if isinstance(value, Number):
        return Node(key, pointer, "number", visible(value[:longest]))
    if isinstance(value, str):
        length = len(value) if len(value) > longest else 0
        return Node(key, pointer, "string", visible(value[:longest]), length=length)
    return Node(key, pointer, "word", "null" if value is None else str(value).lower())


def _listed(keys: Sequence[str], count: int) -> str:
    return ", ".join(keys) + (", …" if count > len(keys) else "")
