"""A record in the shapes that the next step needs: a command, a program, a text for a ticket, JSON.

Nothing here holds a key: commands and programs read it from ``DAEHWA_API_KEY``. Whatever was said is quoted by the
rules of the language that it stands in, and invisible or direction-changing characters are spelled as escapes.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Never

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from conversations.dashboard.reading.records import Record
from conversations.dashboard.reading.rendering import INVISIBLE, visible
from conversations.dashboard.reading.turns import ROLES
from conversations.models import ChatRequest
from conversations.wire.azure import KNOWN_PARAMETERS
from conversations.wire.json_door import encode, showable

MAX_ARGUMENT = 96 * 1024
"""Longest body, in bytes, inside a command: Linux takes 128 KiB for one argument. Longer ones come from a file."""

_KEY = "DAEHWA_API_KEY"
_AZURE_VERSION = "2024-05-01-preview"
_OPENAI_WORDS = """
    audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages
    metadata modalities model n parallel_tool_calls prediction presence_penalty prompt_cache_key reasoning_effort
    response_format safety_identifier seed service_tier stop store stream stream_options temperature tool_choice
    tools top_logprobs top_p user verbosity web_search_options
"""
_OPENAI_PARAMETERS = frozenset(_OPENAI_WORDS.split())


def copied_as(record: Record, form: str, origin: str) -> str | None:
    """A record in one of ``FORMS``; None for another, or where the request was not kept.

    ``origin`` is this server's, such as ``https://daehwa.example.org``.
    """
    if form not in _WRITERS or not record.asked:
        return None
    try:
        return _WRITERS[form](record, origin)
    except RecursionError:
        return None


def record_json(record: Record) -> bytes:
    """A record as one JSON object: facts, then ``request`` and ``response`` with their bytes as they came.

    A body that was not kept is null, one that is no JSON object a string.
    """
    request, completion = record.request, record.completion
    times = ("received_at", "queued_at", "started_at", "first_chunk_at", "finished_at", "fetched_at")
    facts: dict[str, Any] = {
        "request_id": request.request_id,
        "response_id": completion.response_id if completion else None,
        "project": request.project.slug,
        "api_key": request.api_key.name if request.api_key else None,
        "surface": request.surface,
        "mode": request.mode,
        "state": request.state,
        "reason": request.reason or None,
        "model": (completion.model if completion else "") or request.model or None,
        "metadata": request.metadata,
        **{name: at.isoformat() if (at := getattr(request, name)) else None for name in times},
    }
    pieces = [encode(key) + b":" + encode(value) for key, value in facts.items()]
    pieces.append(b'"request":' + _embedded(record.request_body, record.asked))
    pieces.append(b'"response":' + _embedded(record.response_body, record.answered))
    return b"{" + b",".join(pieces) + b"}"


def _embedded(body: bytes, members: Mapping[str, Any]) -> bytes:
    if not body:
        return b"null"
    return body if members and _is_strict(body) else encode(showable(body.decode("utf-8", "replace")))


def _is_strict(body: bytes) -> bool:
    """Whether any reader takes it: an answer is read more kindly than that."""
    try:
        json.loads(body.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not JSON")


def _curl(record: Record, origin: str) -> str:
    is_azure = record.request.surface == ChatRequest.Surface.AZURE
    header = f"api-key: ${_KEY}" if is_azure else f"Authorization: Bearer ${_KEY}"
    address = f"{origin}/models/chat/completions?api-version={_AZURE_VERSION}"
    lines = [f"curl {shlex.quote(address if is_azure else f'{origin}/v1/chat/completions')}", f'-H "{header}"']
    lines.append("-H 'Content-Type: application/json'")
    if is_azure and _extra(record, KNOWN_PARAMETERS):
        lines.append("-H 'extra-parameters: pass-through'")
    if len(record.request_body) > MAX_ARGUMENT:
        name = f"{record.request.request_id}-request.json"
        lines.append(f"--data-binary @{shlex.quote(name)}")
        return f"# {_('First download the request')}: {name}\n" + " \\\n  ".join(lines) + "\n"
    lines.append(f"--data-binary {_shell_quoted(record.request_body.decode('utf-8', 'replace'))}")
    return " \\\n  ".join(lines) + "\n"


def _shell_quoted(text: str) -> str:
    """JSON as one argument, never a file's name. Outside its strings there is nothing invisible but space."""
    text = text.replace("\r", " ").replace("\0", "\\u0000")
    spelled = INVISIBLE.sub(lambda match: json.dumps(match.group())[1:-1], text)
    return "'" + spelled.strip().replace("'", "'\"'\"'") + "'"


def _openai(record: Record, origin: str) -> str:
    asked = record.asked
    call = {key: value for key, value in asked.items() if key in _OPENAI_PARAMETERS}
    extra = _extra(record, _OPENAI_PARAMETERS)
    arguments = [f"    {key}={_literal(value, 1)}," for key, value in call.items()]
    if extra:
        arguments.append(f"    extra_body={_literal(extra, 1)},")
    if asked.get("stream") is True:
        ending = ["for chunk in completion:", "    print(chunk.to_json(indent=None))"]
    else:
        ending = ["print(completion.to_json())"]
    lines = ["import os", "", "from openai import OpenAI", ""]
    lines.append(f"client = OpenAI(base_url={_literal(f'{origin}/v1')}, api_key=os.environ[{_literal(_KEY)}])")
    lines += ["completion = client.chat.completions.create(", *arguments, ")", *ending]
    return "\n".join(lines) + "\n"


def _azure(record: Record, origin: str) -> str:
    lines = ["import os", "", "from azure.ai.inference import ChatCompletionsClient"]
    lines += ["from azure.core.credentials import AzureKeyCredential", "", "client = ChatCompletionsClient("]
    lines.append(f"    endpoint={_literal(f'{origin}/models')},")
    lines.append(f"    credential=AzureKeyCredential(os.environ[{_literal(_KEY)}]),")
    lines += [")", "completion = client.complete(", f"    {_literal(record.asked, 1)},"]
    if _extra(record, KNOWN_PARAMETERS):
        lines.append('    headers={"extra-parameters": "pass-through"},')
    if record.asked.get("stream") is True:
        ending = ["for chunk in completion:", "    print(chunk.as_dict())"]
    else:
        ending = ["print(completion.as_dict())"]
    return "\n".join([*lines, ")", *ending]) + "\n"


def _extra(record: Record, known: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in record.asked.items() if key not in known}


def _literal(value: Any, depth: int = 0) -> str:
    """A JSON value as Python writes it, its members on lines of their own."""
    if not isinstance(value, dict | list) or not value:
        return repr(value)
    inside, outside = "    " * (depth + 1), "    " * depth
    if isinstance(value, dict):
        members = [f"{inside}{key!r}: {_literal(member, depth + 1)},\n" for key, member in value.items()]
        return "{\n" + "".join(members) + outside + "}"
    members = [f"{inside}{_literal(member, depth + 1)},\n" for member in value]
    return "[\n" + "".join(members) + outside + "]"


def _markdown(record: Record, origin: str) -> str:
    """The talk for a ticket: each message quoted, so that none can pass for another's or for the ticket's own text."""
    request = record.request
    title = f"[{request.request_id}]({origin}/requests/{request.request_id})"
    return f"**{_('Conversation')}** {title}\n\n" + "\n\n".join(_markdown_messages(record)) + "\n"


def _markdown_messages(record: Record) -> Iterator[str]:
    asked = record.asked.get("messages")
    choices = record.answered.get("choices") if record.is_ready else None
    messages = list(asked) if isinstance(asked, list) else []
    messages += [choice.get("message") for choice in choices if isinstance(choice, dict)] if choices else []
    for message in messages:
        if isinstance(message, dict):
            role = message.get("role")
            label = ROLES.get(role, role) if isinstance(role, str) else _("Assistant")
            lines = [line for said in _said(message) for line in [*re.split(r"\r\n|\r|\n", visible(said)), ""]]
            quoted = "\n".join(f"> {line}".rstrip() for line in lines[:-1])
            yield f"**{_one_line(str(label))}**\n\n{quoted}"


def _said(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else ():
        match part:
            case {"type": "text", "text": str(text)}:
                yield text
            case {"type": str(kind)}:
                yield f"({_one_line(kind)})"
    if isinstance(message.get("refusal"), str):
        yield message["refusal"]
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        match call:
            case {"function": {"name": str(name), "arguments": str(arguments)}}:
                yield f"`{_one_line(name)}`"
                yield _fenced(arguments)


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}json\n{text}\n{fence}"


def _one_line(text: str) -> str:
    return re.sub(r"[\s`*_\[\]<>]+", " ", visible(text[:100]))


_WRITERS: Mapping[str, Callable[[Record, str], str]] = {
    "curl": _curl,
    "openai": _openai,
    "azure": _azure,
    "markdown": _markdown,
}

FORMS: Mapping[str, str | Promise] = {
    "curl": "curl",
    "openai": gettext_lazy("Python (openai)"),
    "azure": gettext_lazy("Python (azure-ai-inference)"),
    "markdown": "Markdown",
}
"""What a record can be copied as, by the word in the address."""
