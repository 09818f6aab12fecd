"""How the deltas of a stream add up to a message.

A tree is grown from deltas and settled once at the end: strings are kept in pieces until then, so that a long
answer takes linear time, and lists whose members carry an ``index`` are kept by index, so that it does not matter
in which order parallel parts arrive. Nothing that is put into a tree is changed itself.
"""

import base64
from collections.abc import Mapping
from typing import Any

IDENTITIES = frozenset({"role", "id", "type", "name", "index"})
"""Keys whose first value holds, because servers repeat them in later chunks."""


class _Text(list[str]):
    """A string that grows by appending."""


class _ByIndex(dict[int, Any]):
    """A list whose members carry their position as ``index``."""


def is_index(value: object) -> bool:
    """Whether a value is an integer, as JSON knows it."""
    return isinstance(value, int) and not isinstance(value, bool)


def grow(tree: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a delta to a tree.

    Null overwrites nothing; of ``IDENTITIES`` the first value holds; strings append, objects merge, lists whose
    members have an ``index`` merge by it and others are joined; of anything else the last value holds.
    """
    for key, value in delta.items():
        present = tree.get(key)
        if value is None:
            tree.setdefault(key, None)
        elif key in IDENTITIES:
            if present is None or present == "":
                tree[key] = value
        elif key == "tool_calls" and isinstance(value, list) and all(isinstance(call, dict) for call in value):
            tree[key] = _grow_calls(present if isinstance(present, _ByIndex) else _ByIndex(), value)
        else:
            tree[key] = _joined(present, value)


def _joined(present: Any, value: Any) -> Any:
    if isinstance(value, str):
        text = present if isinstance(present, _Text) else _Text()
        text.append(value)
        return text
    if isinstance(value, dict):
        branch = present if isinstance(present, dict) and not isinstance(present, _ByIndex) else {}
        grow(branch, value)
        return branch
    if isinstance(value, list):
        return _joined_lists(present, value)
    return value


def _joined_lists(present: Any, value: list[Any]) -> Any:
    indexed = value and all(isinstance(member, dict) and is_index(member.get("index")) for member in value)
    if indexed and (isinstance(present, _ByIndex) or not _is_filled_list(present)):
        members = present if isinstance(present, _ByIndex) else _ByIndex()
        for member in value:
            grow(members.setdefault(member["index"], {}), member)
        return members
    if isinstance(present, _ByIndex):
        return present if not value else [*settled(present), *value]
    if _is_filled_list(present):
        present.extend(value)
        return present
    return list(value)


def _is_filled_list(present: Any) -> bool:
    return isinstance(present, list) and not isinstance(present, _Text) and bool(present)


def _grow_calls(calls: _ByIndex, fragments: list[dict[str, Any]]) -> _ByIndex:
    for fragment in fragments:
        index = fragment.get("index")
        position = index if isinstance(index, int) and is_index(index) else _position_without_index(calls, fragment)
        grow(calls.setdefault(position, {}), {key: value for key, value in fragment.items() if key != "index"})
    return calls


def _position_without_index(calls: _ByIndex, fragment: Mapping[str, Any]) -> int:
    """Where a fragment without an index belongs: to the call with its ID, a new one for a new ID, or the last."""
    call_id = fragment.get("id")
    if not calls:
        return 0
    if not call_id:
        return next(reversed(calls))
    return next((position for position, call in calls.items() if call.get("id") == call_id), max(calls) + 1)


def settled(tree: Any) -> Any:
    """A tree as plain JSON values; tool calls and other indexed lists in the order of their indexes."""
    if isinstance(tree, _Text):
        return "".join(tree)
    if isinstance(tree, _ByIndex):
        return [settled(tree[position]) for position in sorted(tree)]
    if isinstance(tree, dict):
        return {key: _settled_audio(value) if key == "audio" else settled(value) for key, value in tree.items()}
    return list(tree) if isinstance(tree, list) else tree


def _settled_audio(audio: Any) -> Any:
    plain = settled(audio)
    if isinstance(audio, dict) and isinstance(audio.get("data"), _Text):
        plain["data"] = _joined_base64(audio["data"])
    return plain


def _joined_base64(fragments: list[str]) -> str:
    """Fragments as one base64 text; padded ones were encoded apart, so they are decoded and encoded together."""
    joined = "".join(fragments)
    if "=" not in joined.rstrip("="):
        return joined
    groups, group = [], ""
    for fragment in fragments:
        group += fragment
        if fragment.endswith("="):
            groups.append(group)
            group = ""
    try:
        return base64.b64encode(b"".join(base64.b64decode(part, validate=True) for part in [*groups, group])).decode()
    except ValueError:
        return joined
