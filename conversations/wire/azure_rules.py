"""Azure's rules for the parameters of a chat completion, one function a parameter.

From the Azure AI Model Inference reference and its TypeSpec, 2024-05-01-preview. Keys below the root that Azure
does not document are let through. All raise ``BadRequestError`` with the path of what is wrong.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from conversations.errors import UnsupportedParameterError
from conversations.wire import checks

ROLES = ("system", "developer", "user", "assistant", "tool")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ITEMS: dict[str, dict[str, tuple[str, ...]]] = {
    "image_url": {"url": ()},
    "input_audio": {"data": (), "format": ("wav", "mp3")},
    "audio_url": {"url": ()},
}
_NUMBERS = {"temperature": (0, 1), "top_p": (0, 1), "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2)}


def check_parameters(members: Mapping[str, Any], modalities: Collection[str]) -> None:
    """Check every documented root parameter but ``messages`` and ``model``.

    ``modalities`` are those of the model; others are ``UnsupportedParameterError``.
    """
    for name, (low, high) in _NUMBERS.items():
        checks.check_number(members.get(name), name, low, high)
    checks.check_integer(members.get("max_tokens"), "max_tokens", 0, checks.INT32_MAX)
    checks.check_integer(members.get("seed"), "seed", -checks.INT64_MAX - 1, checks.INT64_MAX)
    checks.read_flag(members.get("stream"), "stream")
    _check_stop(members.get("stop"))
    _check_tools(members.get("tools"))
    _check_tool_choice(members.get("tool_choice"))
    _check_response_format(members.get("response_format"))
    _check_modalities(members.get("modalities"), modalities)


def _required_text(container: Mapping[str, Any], key: str, param: str) -> str:
    value = checks.require(container.get(key), f"{param}.{key}")
    if not isinstance(value, str):
        raise checks.wrong_type(value, f"{param}.{key}", "a string")
    return value


def _required_object(container: Mapping[str, Any], key: str, param: str) -> dict[str, Any]:
    return checks.read_object(checks.require(container.get(key), f"{param}.{key}"), f"{param}.{key}")


def _required_name(container: Mapping[str, Any], param: str) -> None:
    if not _NAME.fullmatch(_required_text(container, "name", param)):
        raise checks.bad_value(f"{param}.name", "must be 1 to 64 of the characters a-z, A-Z, 0-9, _ and -")


def _required_choice(container: Mapping[str, Any], key: str, param: str, allowed: Collection[str]) -> str:
    value = _required_text(container, key, param)
    checks.check_choice(value, f"{param}.{key}", allowed)
    return value


def _check_stop(value: object) -> None:
    if value is None:
        return
    if not checks.read_array(value, "stop"):
        raise checks.bad_value("stop", "must not be empty")
    for position, text in enumerate(checks.read_array(value, "stop")):
        if not isinstance(text, str):
            raise checks.wrong_type(text, f"stop[{position}]", "a string")


def _check_modalities(value: object, modalities: Collection[str]) -> None:
    wanted = checks.read_array(value, "modalities")
    for position, modality in enumerate(wanted):
        param = f"modalities[{position}]"
        checks.check_choice(checks.require(modality, param), param, ("text", "audio"))
    if not set(wanted) <= set(modalities):
        raise UnsupportedParameterError(param="modalities", value=wanted)


def _check_tools(value: object) -> None:
    if value is None:
        return
    tools = checks.read_array(value, "tools")
    if not tools:
        raise checks.bad_value("tools", "must not be empty")
    for position, member in enumerate(tools):
        param = f"tools[{position}]"
        tool = checks.read_object(checks.require(member, param), param)
        _required_choice(tool, "type", param, ("function",))
        function = _required_object(tool, "function", param)
        _required_name(function, f"{param}.function")
        checks.check_text(function.get("description"), f"{param}.function.description")


def _check_tool_choice(value: object) -> None:
    if value is None or isinstance(value, str):
        checks.check_choice(value, "tool_choice", ("auto", "none", "required"))
        return
    if not isinstance(value, dict):
        raise checks.wrong_type(value, "tool_choice", "a string or an object")
    _required_choice(value, "type", "tool_choice", ("function",))
    _required_text(_required_object(value, "function", "tool_choice"), "name", "tool_choice.function")


def _check_response_format(value: object) -> None:
    if value is None:
        return
    wanted = checks.read_object(value, "response_format")
    kind = _required_choice(wanted, "type", "response_format", ("text", "json_object", "json_schema"))
    if kind != "json_schema":
        return
    param = "response_format.json_schema"
    definition = _required_object(wanted, "json_schema", "response_format")
    _required_name(definition, param)
    _required_object(definition, "schema", param)
    checks.read_flag(definition.get("strict"), f"{param}.strict")
    checks.check_text(definition.get("description"), f"{param}.description")


def check_message(message: Mapping[str, Any], param: str) -> None:
    """Check one message by its role; ``param`` is its path."""
    role = _required_choice(message, "role", param, ROLES)
    content = f"{param}.content"
    if role in {"system", "developer"}:
        _required_text(message, "content", param)
    elif role == "user":
        _check_user_content(checks.require(message.get("content"), content), content)
    else:
        checks.check_text(message.get("content"), content)
    if role == "tool":
        _required_text(message, "tool_call_id", param)
    if role == "assistant":
        _check_assistant(message, param)


def _check_user_content(content: object, param: str) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise checks.wrong_type(content, param, "a string or an array")
    for position, member in enumerate(content):
        path = f"{param}[{position}]"
        item = checks.read_object(checks.require(member, path), path)
        kind = _required_choice(item, "type", path, ("text", *_ITEMS))
        if kind == "text":
            _required_text(item, "text", path)
            continue
        part = _required_object(item, kind, path)
        for key, allowed in _ITEMS[kind].items():
            text = _required_text(part, key, f"{path}.{kind}")
            if allowed:
                checks.check_choice(text, f"{path}.{kind}.{key}", allowed)
        if kind == "image_url":
            checks.check_choice(part.get("detail"), f"{path}.image_url.detail", ("auto", "low", "high"))


def _check_assistant(message: Mapping[str, Any], param: str) -> None:
    if message.get("audio") is not None:
        _required_text(_required_object(message, "audio", param), "id", f"{param}.audio")
    for position, member in enumerate(checks.read_array(message.get("tool_calls"), f"{param}.tool_calls")):
        path = f"{param}.tool_calls[{position}]"
        call = checks.read_object(checks.require(member, path), path)
        _required_text(call, "id", path)
        _required_choice(call, "type", path, ("function",))
        function = _required_object(call, "function", path)
        _required_text(function, "name", f"{path}.function")
        _required_text(function, "arguments", f"{path}.function")
