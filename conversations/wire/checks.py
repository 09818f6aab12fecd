"""Checks of single values in a request, shared by both surfaces.

Each takes the value and ``param``, the path that the error names (``messages[0].role``). None (JSON's null, or
a key that is absent) always passes: optional parameters may be null. All raise ``BadRequestError``.
"""

from collections.abc import Collection
from typing import Any

from conversations.errors import BadRequestError

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1

MAX_METADATA_PAIRS = 16
MAX_METADATA_KEY_LENGTH = 64
MAX_METADATA_VALUE_LENGTH = 512
MAX_MODEL_LENGTH = 256
"""In characters: longer than any model's name, short enough to be indexed."""

_KINDS = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array", dict: "an object"}


def wrong_type(value: object, param: str, expected: str) -> BadRequestError:
    """The error for a value of another JSON type than ``expected`` ("a string")."""
    kind = "null" if value is None else _KINDS.get(type(value), "something else")
    return BadRequestError(f"'{param}' must be {expected}, not {kind}.", param=param, code="invalid_type")


def bad_value(param: str, rule: str) -> BadRequestError:
    """The error for a value of the right type that breaks a rule ("must not be empty")."""
    return BadRequestError(f"'{param}' {rule}.", param=param, code="invalid_value")


def require(value: Any, param: str) -> Any:
    """The value, which must be there and not null."""
    if value is None:
        raise BadRequestError(f"'{param}' is required.", param=param, code="missing_required_parameter")
    return value


def check_number(value: object, param: str, low: float, high: float) -> None:
    """A number between ``low`` and ``high``, both included. Booleans are no numbers."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(value, param, "a number")
    _check_range(value, param, low, high)


def check_integer(value: object, param: str, low: int | None = None, high: int | None = None) -> None:
    """An integer, written as one (1.0 is not), not below ``low`` nor above ``high``."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(value, param, "an integer")
    _check_range(value, param, low, high)


def _check_range(value: float, param: str, low: float | None, high: float | None) -> None:
    if (low is None or value >= low) and (high is None or value <= high):
        return
    rule = f"must be between {low} and {high}" if high is not None else f"must be at least {low}"
    raise BadRequestError(f"'{param}' {rule}.", param=param, code="out_of_range")


def read_flag(value: object, param: str) -> bool:
    """A boolean; null counts as false."""
    if value is not None and not isinstance(value, bool):
        raise wrong_type(value, param, "a boolean")
    return value is True


def check_text(value: object, param: str) -> None:
    """A string."""
    if value is not None and not isinstance(value, str):
        raise wrong_type(value, param, "a string")


def check_choice(value: object, param: str, allowed: Collection[str]) -> None:
    """One of a few words."""
    check_text(value, param)
    if value is not None and value not in allowed:
        raise bad_value(param, f"must be one of {', '.join(allowed)}")


def read_object(value: object, param: str) -> dict[str, Any]:
    """An object; null gives an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type(value, param, "an object")
    return value


def read_array(value: object, param: str) -> list[Any]:
    """An array; null gives an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong_type(value, param, "an array")
    return value


def read_messages(value: object) -> list[dict[str, Any]]:
    """The ``messages``: a non-empty array of objects, each with a string ``role``."""
    messages = read_array(require(value, "messages"), "messages")
    if not messages:
        raise bad_value("messages", "must hold at least one message")
    for position, message in enumerate(messages):
        if not isinstance(message, dict):
            raise wrong_type(message, f"messages[{position}]", "an object")
        role = f"messages[{position}].role"
        check_text(require(message.get("role"), role), role)
    return messages


def read_model(value: object) -> str:
    """The model's name, at most ``MAX_MODEL_LENGTH`` characters and without NUL; null gives ``""``."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong_type(value, "model", "a string")
    if len(value) > MAX_MODEL_LENGTH:
        raise bad_value("model", f"must have at most {MAX_MODEL_LENGTH} characters")
    refuse_nul(value, "model")
    return value


def read_metadata(value: object) -> dict[str, str]:
    """The ``metadata``: at most 16 pairs, keys of 64 and string values of 512 characters; null gives ``{}``."""
    pairs = read_object(value, "metadata")
    if len(pairs) > MAX_METADATA_PAIRS:
        raise bad_value("metadata", f"must have at most {MAX_METADATA_PAIRS} pairs")
    for key, text in pairs.items():
        if len(key) > MAX_METADATA_KEY_LENGTH:
            raise bad_value("metadata", f"must have keys of at most {MAX_METADATA_KEY_LENGTH} characters")
        refuse_nul(key, "metadata")
        param = f"metadata.{key}"
        if not isinstance(text, str):
            raise wrong_type(text, param, "a string")
        if len(text) > MAX_METADATA_VALUE_LENGTH:
            raise bad_value(param, f"must have at most {MAX_METADATA_VALUE_LENGTH} characters")
        refuse_nul(text, param)
    return pairs


def refuse_nul(text: str, param: str) -> None:
    """U+0000 survives in messages; here the text is searched by, and no PostgreSQL text can hold it."""
    if "\0" in text:
        raise bad_value(param, "must not hold U+0000")
